/* main.c - the composition root: the only file that knows all three top folders. Command line,
 * wiring, signals. */
#include "admin-http/admin.h"
#include "base/base.h"
#include "config/config.h"
#include "crypto/crypto.h"
#include "life/life.h"
#include "store/store.h"
#include "worker/worker.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/un.h>
#include <time.h>

#define EXIT_USAGE 2
#define EXIT_CONFIG 78   /* sysexits.h EX_CONFIG */
#define TICK_MS 200      /* how often main looks after things */
#define BYE_WAIT_MS 5000 /* after the drain time: for the answers to our BYEs */
#define STORE_WAIT_MS 5000
#define BACKLOG_MAX 200000

#define TOKEN_MAX (ADMIN_TOKEN_MAX + 1)

#define MOVE_WAIT_MS 1500 /* for main to open the admin API, or to end it at the place before */
#define LOG_PART 500      /* of an error, in one record of the log */

struct admin_place {
    struct addr listen;
    char unix_path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
};

struct house {
    const char *config_path; /* NULL: the embedded default */
    struct policy_book *book;
    struct life *life;
    struct store *store;
    struct b2bua *b2bua;
    char *store_path; /* of the start: it stays */
    struct clock clock;
    struct b2bua_question question; /* of explain */
    bool as_json;
    /* The admin API follows the configuration: made while a change is prepared, left by main. */
    pthread_mutex_t lock;
    pthread_cond_t moved; /* admin is there, or old_admin has ended */
    pthread_t main;
    struct admin *admin, *next_admin, *old_admin;
    struct admin_place at; /* where admin really is: not always where cfg wants it */
    char token[TOKEN_MAX], next_token[TOKEN_MAX]; /* next_token empty: nothing is prepared */
    struct config *cfg;                           /* whose admin section is in force; a reference */
};

static void usage(FILE *to)
{
    fputs(
        "usage: postern serve [--config FILE]     run in the foreground (default: embedded "
        "configuration)\n"
        "       postern check [--config FILE]     read the configuration, say everything that is "
        "wrong\n"
        "       postern explain [--config FILE] [--source ADDR[:PORT]] [--listener NAME]\n"
        "                       [--transport udp|tcp|tls] [--user NAME] [--peer NAME] [--json] "
        "< MESSAGE\n"
        "                                         say what would become of a SIP message, and why; "
        "nothing is sent\n"
        "       postern settings                  list all settings with type, default, range "
        "and help\n"
        "       postern default-config            print the embedded default configuration\n"
        "       postern version\n"
        "signals: HUP reloads the configuration, TERM ends after the drain time, a second TERM "
        "at once\n",
        to);
}

typedef void(say_fn)(const char *text);

static void say_plainly(const char *text)
{
    fprintf(stderr, "%s\n", text);
}

/* A record of the log, or several if it is longer than one may be. There may be more errors at once
 * than one call site may write. */
static void say_in_log(const char *text)
{
    for (struct sl rest = sl_str(text); rest.n != 0;) {
        struct log_site site = {0};
        struct sl part = sl_head(rest, LOG_PART);

        while (part.n > 1 && part.n < rest.n && ((unsigned char)rest.p[part.n] & 0xC0) == 0x80) {
            part.n--; /* not in the middle of a character */
        }
        log_line(&site, LOG_ERROR, NULL, "%.*s", SL_ARG(part));
        rest = sl_from(rest, part.n);
    }
}

static void tell_errors(struct config_errors *errs, say_fn *say)
{
    char more[64];

    for (size_t i = 0; i < errs->n; i++) {
        say(errs->e[i].text);
    }
    if (errs->n_total > errs->n) {
        (void)snprintf(more, sizeof(more), "… and %zu more", errs->n_total - errs->n);
        say(more);
    }
    config_errors_free(errs);
}

static int load(struct house *h, struct config **cfg)
{
    struct config_errors errs = {0};
    int err = config_load(cfg, h->config_path, h->book, &errs);

    if (err != 0 && errs.n == 0) {
        fprintf(stderr, "%s: %s\n", h->config_path != NULL ? h->config_path : "configuration",
                strerror(err));
    }
    tell_errors(&errs, say_plainly);
    return err;
}

static int cmd_check(struct house *h)
{
    struct config *cfg = NULL;
    int err = load(h, &cfg);

    if (err != 0) {
        return 1;
    }
    printf("%s: ok, %zu listeners, %zu peers, %zu accounts, %zu routes\n",
           h->config_path != NULL ? h->config_path : "embedded default", cfg->n_listeners,
           cfg->def.n_peers, cfg->def.users.n_accounts, cfg->def.n_routes);
    config_unref(&cfg);
    return 0;
}

/* --- explain --- */

static int read_message(struct buf *b)
{
    size_t n = 1;

    while (n > 0 && b->n <= B2BUA_EXPLAIN_MAX) {
        buf_reserve(b, 4096);
        if (buf_err(b) != 0) {
            return buf_err(b);
        }
        n = fread(b->p + b->n, 1, 4096, stdin);
        b->n += n;
    }
    return ferror(stdin) != 0 ? EIO : b->n > B2BUA_EXPLAIN_MAX ? EMSGSIZE : 0;
}

static int explain(struct house *h, struct buf *message, struct buf *out)
{
    struct b2bua_question q = h->question;
    const char *why = NULL;
    int err = read_message(message);

    q.message = buf_sl(message);
    if (err == 0) {
        err = explain_offline(h->cfg, &q, h->as_json, out, &why);
    }
    if (err != 0) {
        fprintf(stderr, "postern: %s\n", why != NULL ? why : strerror(err));
        return 1;
    }
    fwrite(out->p, 1, out->n, stdout);
    fputs(h->as_json ? "\n" : "", stdout);
    return 0;
}

static int cmd_explain(struct house *h)
{
    struct buf message, out;
    int status;

    if (load(h, &h->cfg) != 0) {
        return EXIT_CONFIG;
    }
    buf_init(&message, B2BUA_EXPLAIN_MAX + 8192);
    buf_init(&out, 4u << 20);
    status = explain(h, &message, &out);
    buf_free(&message);
    buf_free(&out);
    return status;
}

static int cmd_settings(void)
{
    struct buf b;

    buf_init(&b, 1u << 20);
    config_put_reference(&b);
    fwrite(b.p, 1, b.n, stdout);
    buf_free(&b);
    return 0;
}

/* --- serve --- */

static void raise_file_limit(void)
{
    struct rlimit lim;

    if (getrlimit(RLIMIT_NOFILE, &lim) == 0 && lim.rlim_cur < lim.rlim_max) {
        lim.rlim_cur = lim.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &lim) != 0) {
            log_warn(NULL, "the limit of open files could not be raised");
        }
    }
}

/* --- the admin API --- */

static int read_token(const struct config *cfg, char out[TOKEN_MAX])
{
    struct buf b;

    if (cfg->admin_token_file != NULL) {
        return admin_token_load(cfg->admin_token_file, out, TOKEN_MAX);
    }
    buf_init_fixed(&b, out, TOKEN_MAX - 1);
    buf_puts(&b, cfg->admin_token);
    out[b.n] = '\0';
    return buf_err(&b);
}

static int open_admin(struct house *h, const struct config *cfg, const char *token,
                      struct admin **admin)
{
    return admin_start(admin, &(struct admin_params){.listen = cfg->admin_listen,
                                                     .unix_path = cfg->admin_unix,
                                                     .token = token,
                                                     .b2bua = h->b2bua,
                                                     .life = h->life,
                                                     .store_path = h->store_path});
}

/* A path that does not fit is none that can be opened. */
static void note_place(struct house *h, const struct config *cfg)
{
    struct buf b;

    h->at = (struct admin_place){.listen = cfg->admin_listen};
    if (addr_family(&cfg->admin_listen) == AF_UNSPEC) {
        buf_init_fixed(&b, h->at.unix_path, sizeof(h->at.unix_path) - 1);
        buf_puts(&b, cfg->admin_unix);
    }
}

static bool admin_moves(const struct admin_place *at, const struct config *cfg)
{
    bool is_unix = addr_family(&at->listen) == AF_UNSPEC;

    if (is_unix != (addr_family(&cfg->admin_listen) == AF_UNSPEC)) {
        return true;
    }
    return is_unix ? !sl_eq(sl_str(at->unix_path), sl_str(cfg->admin_unix))
                   : !addr_eq(&at->listen, &cfg->admin_listen);
}

static bool is_open(const struct house *h)
{
    return h->admin != NULL;
}

static bool has_left(const struct house *h)
{
    return h->old_admin == NULL;
}

/* Main has opened the API or leaves the place before within a tick, unless it is main that asks:
 * then it is told to ask again. So is whoever asks by the very connection that has to end. With the
 * lock of the house. */
static bool wait_for(struct house *h, bool (*is_so)(const struct house *h))
{
    int64_t until_ms = clock_now_ms(&h->clock) + MOVE_WAIT_MS;
    struct timespec ts = {.tv_sec = until_ms / 1000, .tv_nsec = (until_ms % 1000) * 1000000};
    int err = pthread_equal(pthread_self(), h->main) ? EBUSY : 0;

    while (!is_so(h) && err == 0) {
        err = pthread_cond_timedwait(&h->moved, &h->lock, &ts);
    }
    return is_so(h);
}

static int prepare_admin(struct house *h, const struct config *cfg, struct buf *why)
{
    int err = read_token(cfg, h->next_token);

    if (err != 0) {
        buf_putf(why, "admin.token: %s", strerror(err));
    } else if (!wait_for(h, is_open)) {
        buf_puts(why, "admin.listen: the API is being opened; try again");
        return EBUSY;
    } else if (admin_moves(&h->at, cfg)) {
        if (!wait_for(h, has_left)) {
            buf_puts(why, "admin.listen: the place before is being left; try again");
            return EBUSY;
        }
        err = open_admin(h, cfg, h->next_token, &h->next_admin);
        if (err != 0) {
            buf_putf(why, "admin.listen: %s", strerror(err));
        }
    }
    return err;
}

/* With the lock. The way back goes on when it could not be prepared: the API stays where it is, but
 * a token that was undone must not open it any more. */
static void take_token(struct house *h, const struct config *cfg)
{
    int err = h->next_token[0] == '\0' ? read_token(cfg, h->next_token) : 0;

    if (err != 0) {
        log_error(NULL, "admin.token stays as it was: %s", strerror(err));
    } else {
        memcpy(h->token, h->next_token, sizeof(h->token));
        admin_set_token(h->admin, h->token);
    }
    mem_wipe(h->next_token, sizeof(h->next_token));
}

/* --- a configuration comes into force; with the life locked, by main or an admin thread --- */

static void abandon(void *arg, struct config *cfg)
{
    struct house *h = arg;

    (void)cfg;
    pthread_mutex_lock(&h->lock);
    if (h->next_admin != NULL) { /* main ends it: one of its threads may wait for the life */
        h->old_admin = h->next_admin;
        h->next_admin = NULL;
    }
    mem_wipe(h->next_token, sizeof(h->next_token));
    pthread_mutex_unlock(&h->lock);
    b2bua_abandon(h->b2bua);
}

static int prepare(void *arg, struct config *cfg, struct buf *why)
{
    struct house *h = arg;
    int err = b2bua_prepare(h->b2bua, cfg, why);

    if (err == 0) {
        pthread_mutex_lock(&h->lock);
        err = prepare_admin(h, cfg, why);
        pthread_mutex_unlock(&h->lock);
        if (err != 0) {
            abandon(h, cfg);
        }
    }
    return err;
}

static void commit(void *arg, struct config *cfg)
{
    struct house *h = arg;
    struct config *old = h->cfg;

    b2bua_commit(h->b2bua, cfg);
    pthread_mutex_lock(&h->lock);
    if (h->next_admin != NULL) { /* main ends the other one: this may be one of its threads */
        h->old_admin = h->admin;
        h->admin = h->next_admin;
        h->next_admin = NULL;
        note_place(h, cfg);
    }
    take_token(h, cfg);
    h->cfg = config_ref(cfg);
    pthread_mutex_unlock(&h->lock);
    config_unref(&old);
}

static const struct life_ops life_ops = {prepare, commit, abandon};

static void leave_old_admin(struct house *h)
{
    struct admin *old;

    pthread_mutex_lock(&h->lock);
    old = h->old_admin;
    pthread_mutex_unlock(&h->lock);
    if (old != NULL) {
        admin_stop(&old);
        pthread_mutex_lock(&h->lock);
        h->old_admin = NULL;
        pthread_cond_broadcast(&h->moved);
        pthread_mutex_unlock(&h->lock);
    }
}

static int open_store(struct house *h)
{
    const struct config *file = life_file(h->life);

    h->store_path = mem_strndup(file->store_path, strlen(file->store_path));
    if (h->store_path == NULL) {
        return ENOMEM;
    }
    return store_open(&h->store, &(struct store_params){.path = h->store_path,
                                                        .node = file->node_name,
                                                        .batch_ms = 50,
                                                        .backlog_max = BACKLOG_MAX});
}

/* Which configuration it is to be is known once the store is open. */
static int choose_config(struct house *h)
{
    struct config_errors errs;
    int err = life_start(h->life, h->store, &errs);

    tell_errors(&errs, say_plainly);
    if (err == 0) {
        h->cfg = life_config(h->life);
        store_set_node(h->store, h->cfg->node_name);
        log_setup(h->cfg->log_level, h->cfg->log_json, h->cfg->node_name);
    }
    return err;
}

/* From the first request on admin threads may change the configuration: what they change waits
 * until it is known where the API is. */
static int serve_admin(struct house *h)
{
    struct admin *admin = NULL;
    int err;

    h->main = pthread_self();
    life_attach(h->life, &life_ops, h);
    err = open_admin(h, h->cfg, h->token, &admin);
    pthread_mutex_lock(&h->lock);
    if (err == 0) {
        h->admin = admin;
        note_place(h, h->cfg);
        log_info(NULL, "postern %s is serving, node %s, %u workers", b2bua_version(),
                 h->cfg->node_name, h->cfg->workers);
        pthread_cond_broadcast(&h->moved);
    }
    pthread_mutex_unlock(&h->lock);
    return err;
}

static int open_house(struct house *h, const char **what)
{
    int err;

    *what = "store";
    err = open_store(h);
    if (err == 0) {
        *what = "configuration in the store";
        err = choose_config(h);
    }
    if (err == 0) {
        *what = "admin token";
        err = read_token(h->cfg, h->token);
    }
    if (err == 0) {
        err =
            b2bua_start(&h->b2bua, &(struct b2bua_params){.cfg = h->cfg, .store = h->store}, what);
    }
    if (err == 0) {
        *what = "admin listener";
        err = serve_admin(h);
    }
    return err;
}

static void reload(struct house *h)
{
    struct life_result out;
    int err = life_reload(h->life, &out);

    tell_errors(&out.errs, say_in_log);
    if (err != 0) {
        log_error(NULL, "configuration was not reloaded; the running one stays%s%s",
                  out.why[0] != '\0' ? ": " : "", out.why);
    } else if (out.restart[0] != '\0') {
        log_warn(NULL, "these need a restart, and stay as they are: %s", out.restart);
    }
}

/* Waits for a signal at most TICK_MS; 0: none came. */
static int next_signal(const sigset_t *set)
{
    struct timespec wait = {.tv_nsec = TICK_MS * 1000000L};
    int sig = sigtimedwait(set, NULL, &wait);

    return sig > 0 ? sig : 0;
}

typedef uint32_t(count_fn)(struct b2bua *b);

static bool wait_none(struct house *h, const sigset_t *set, count_fn *count, int64_t wait_ms)
{
    int64_t until = clock_now_ms(&h->clock) + wait_ms;

    while (clock_now_ms(&h->clock) < until) {
        int sig;

        b2bua_tick(h->b2bua, clock_wall_ms(&h->clock));
        if (count(h->b2bua) == 0) {
            return true;
        }
        sig = next_signal(set);
        if (sig == SIGTERM || sig == SIGINT) {
            return false;
        }
    }
    return false;
}

static void drain(struct house *h, const sigset_t *set)
{
    log_info(NULL, "draining: new calls are refused, running ones have %u s",
             h->cfg->drain_ms / 1000);
    b2bua_drain(h->b2bua);
    if (!wait_none(h, set, b2bua_alive, h->cfg->drain_ms)) {
        b2bua_drain_end(h->b2bua);
    }
    (void)wait_none(h, set, b2bua_finishing, BYE_WAIT_MS);
}

static int close_house(struct house *h)
{
    int err = 0;

    life_detach(h->life); /* waits for a change that is under way */
    admin_stop(&h->old_admin);
    admin_stop(&h->admin);
    b2bua_stop(&h->b2bua);
    if (h->store != NULL) {
        err = store_close(&h->store, STORE_WAIT_MS);
    }
    return err; /* the store has said where its records are */
}

static void run(struct house *h, const sigset_t *set)
{
    for (;;) {
        int sig = next_signal(set);

        life_tick(h->life);
        leave_old_admin(h);
        if (sig == SIGHUP) {
            reload(h);
        } else if (sig == SIGTERM || sig == SIGINT) {
            break;
        }
        b2bua_tick(h->b2bua, clock_wall_ms(&h->clock));
    }
    life_detach(h->life); /* h->cfg stays as it is from here on */
    drain(h, set);
}

static int read_file(struct house *h)
{
    struct life_params p = {.file = h->config_path, .book = h->book, .clock = h->clock};
    struct config_errors errs = {0};
    int err = life_new(&h->life, &p);

    if (err == 0) {
        err = life_read(h->life, &errs);
    }
    if (err != 0 && errs.n == 0) {
        fprintf(stderr, "%s: %s\n", h->config_path != NULL ? h->config_path : "configuration",
                strerror(err));
    }
    tell_errors(&errs, say_plainly);
    if (err == 0) {
        const struct config *file = life_file(h->life);

        log_setup(file->log_level, file->log_json, file->node_name);
    }
    return err;
}

static int cmd_serve(struct house *h)
{
    const char *what = "";
    sigset_t set;
    int err;

    if (read_file(h) != 0) {
        return EXIT_CONFIG;
    }
    raise_file_limit();
    sigemptyset(&set);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    pthread_sigmask(SIG_BLOCK, &set, NULL); /* before threads: they inherit it */
    signal(SIGPIPE, SIG_IGN);
    err = open_house(h, &what);
    if (err != 0) {
        log_error(NULL, "cannot start: %s: %s", what, strerror(err));
        (void)close_house(h);
        return err == EBADMSG && h->cfg == NULL && h->store != NULL ? EXIT_CONFIG : 1;
    }
    run(h, &set);
    err = close_house(h);
    log_info(NULL, "stopped");
    return err == 0 ? 0 : 1;
}

/* --- command line --- */

static int run_command(struct house *h, struct sl cmd)
{
    if (sl_eq(cmd, SL("serve"))) {
        return cmd_serve(h);
    }
    if (sl_eq(cmd, SL("check"))) {
        return cmd_check(h);
    }
    if (sl_eq(cmd, SL("explain"))) {
        return cmd_explain(h);
    }
    if (sl_eq(cmd, SL("settings"))) {
        return cmd_settings();
    }
    if (sl_eq(cmd, SL("default-config"))) {
        struct sl text = config_default_text();

        fwrite(text.p, 1, text.n, stdout);
        return 0;
    }
    if (sl_eq(cmd, SL("version"))) {
        printf("postern %s\n", b2bua_version());
        return 0;
    }
    usage(sl_eq(cmd, SL("help")) || sl_eq(cmd, SL("--help")) ? stdout : stderr);
    return sl_eq(cmd, SL("help")) || sl_eq(cmd, SL("--help")) ? 0 : EXIT_USAGE;
}

/* Where the value of an option of explain goes; NULL: it has no such option. */
static struct sl *question_part(struct house *h, struct sl name)
{
    const struct {
        struct sl name;
        struct sl *at;
    } parts[] = {{SL("--listener"), &h->question.listener},
                 {SL("--transport"), &h->question.transport},
                 {SL("--user"), &h->question.user},
                 {SL("--peer"), &h->question.peer}};

    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        if (sl_eq(parts[i].name, name)) {
            return parts[i].at;
        }
    }
    return NULL;
}

/* False: unknown, or its value is missing or wrong. */
static bool parse_option(struct house *h, struct sl cmd, struct sl name, const char *value,
                         bool *took)
{
    struct sl *part = sl_eq(cmd, SL("explain")) ? question_part(h, name) : NULL;

    *took = true;
    if (sl_eq(name, SL("--config")) && value != NULL) {
        h->config_path = value;
        return true;
    }
    if (part != NULL && value != NULL) {
        *part = sl_str(value);
        return true;
    }
    if (!sl_eq(cmd, SL("explain"))) {
        return false;
    }
    if (sl_eq(name, SL("--source")) && value != NULL) {
        return addr_parse_hostport(sl_str(value), 5060, &h->question.source) == 0;
    }
    *took = false;
    h->as_json = sl_eq(name, SL("--json"));
    return h->as_json;
}

static bool parse_options(struct house *h, int argc, char **argv)
{
    for (int i = 2; i < argc; i++) {
        bool took = false;

        if (!parse_option(h, sl_str(argv[1]), sl_str(argv[i]), argv[i + 1], &took)) {
            fprintf(stderr, "postern: unknown option %s, or its value is missing or wrong\n",
                    argv[i]);
            return false;
        }
        i += took ? 1 : 0;
    }
    return true;
}

static void init_locks(struct house *h)
{
    pthread_condattr_t attr;

    pthread_mutex_init(&h->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&h->moved, &attr);
    pthread_condattr_destroy(&attr);
}

int main(int argc, char **argv)
{
    struct house h = {0};
    int status;

    clock_init_real(&h.clock);
    if (!parse_options(&h, argc, argv)) {
        usage(stderr);
        return EXIT_USAGE;
    }
    log_setup(LOG_INFO, true, "postern");
    if (stat_thread_init() != 0 || crypto_init() != 0 || policy_book_new(&h.book) != 0) {
        fputs("postern: cannot start: out of memory or a digest is missing in OpenSSL\n", stderr);
        return 1;
    }
    init_locks(&h);
    status = run_command(&h, argc > 1 ? sl_str(argv[1]) : SL("--help"));
    config_unref(&h.cfg);
    life_free(&h.life);
    mem_free(h.store_path);
    mem_wipe(h.token, sizeof(h.token));
    policy_book_free(&h.book);
    crypto_deinit();
    return status;
}
