/* firewall.c - the daemon's side of postern-nft: starts the helper, tells it of bans, compares all
 * of them with the kernel now and then, and starts another helper when one dies. While there is
 * none, the workers drop what is banned, as they do in any case. */
#include "guard/guard_int.h"
#include "nft/nft.h"

#include <stdio.h>

#define FIREWALL_QUEUE                                                                             \
    (NFT_ELEMS_MAX + 64u)      /* messages: one comparison of everything, and news                 \
                                */
#define FIREWALL_RETRY_MS 1000 /* doubled up to ... */
#define FIREWALL_RETRY_MAX_MS 60000
#define FIREWALL_SYNC_MS 60000    /* the kernel's state is compared that often */
#define FIREWALL_ANSWER_MS 30000  /* a helper that is asked and says nothing for so long hangs */
#define FIREWALL_SYNC_SOON_MS 500 /* and after changes that need it: they come in groups */

enum firewall_state {
    FW_OFF,      /* not wanted */
    FW_WAITING,  /* wanted; the timer runs to the next start */
    FW_STARTING, /* the helper runs, and has not said yet whether it can */
    FW_UP
};

struct firewall {
    struct loop *loop;
    const struct clock *clock;
    pthread_mutex_t *lock;
    void (*fill)(void *arg);
    void *arg;
    struct helper helper;
    enum firewall_state state;
    bool is_wanted;
    bool has_synced; /* the kernel has what it shall have, or will soon: news are worth telling */
    bool is_filling;
    bool wants_sync;
    bool is_woken;
    struct timer timer; /* FW_WAITING: start; FW_UP: compare */
    int64_t asked_ms;   /* since when an answer is due; 0: none is */
    uint32_t retry_ms;
    struct nft_msg *queue; /* [first, n) waits to be sent */
    size_t first, n, cap;
    uint32_t seq;
    bool is_lost; /* something did not fit in the queue: all has to be compared */
    struct guard_firewall figures;
};

static void firewall_down(struct firewall *f, const char *why);

/* --- the queue --- */

static void queue_clear(struct firewall *f)
{
    mem_free(f->queue);
    f->queue = NULL;
    f->first = f->n = f->cap = 0;
    f->is_lost = false;
}

static void queue_put(struct firewall *f, enum nft_op op, const struct nft_elem *elem)
{
    if (f->n == f->cap) {
        size_t cap = f->cap != 0 ? 2 * f->cap : 64;
        struct nft_msg *more =
            f->n < FIREWALL_QUEUE ? mem_realloc(f->queue, cap * sizeof(*more)) : NULL;

        if (more == NULL) {
            f->is_lost = true;
            return;
        }
        f->queue = more;
        f->cap = cap;
    }
    f->queue[f->n] = (struct nft_msg){.magic = NFT_MAGIC, .op = op, .seq = ++f->seq};
    if (elem != NULL) {
        f->queue[f->n].elem = *elem;
    }
    f->n++;
}

static int queue_send(struct firewall *f)
{
    while (f->first < f->n) {
        size_t n = f->n - f->first;
        ssize_t sent;

        n = n < NFT_PACKET_MSGS ? n : NFT_PACKET_MSGS;
        sent = send(f->helper.fd, &f->queue[f->first], n * sizeof(*f->queue),
                    MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0) {
            return errno == EINTR ? 0 : errno;
        }
        f->first += n;
        f->asked_ms = f->asked_ms != 0 ? f->asked_ms : loop_now_ms(f->loop);
    }
    mem_free(f->queue);
    f->queue = NULL;
    f->first = f->n = f->cap = 0;
    return 0;
}

/* --- comparing everything --- */

static void firewall_sync(struct firewall *f)
{
    queue_clear(f);
    queue_put(f, NFT_SYNC, NULL);
    f->has_synced = f->is_filling = true;
    f->fill(f->arg);
    f->is_filling = f->wants_sync = false;
    queue_put(f, NFT_SYNC_END, NULL);
    if (f->is_lost) { /* a half told truth would lift bans */
        queue_clear(f);
        f->has_synced = false;
        log_error(NULL, "the firewall cannot be told of all bans: out of memory");
    }
    timer_start(f->loop, &f->timer, f->has_synced ? FIREWALL_SYNC_MS : FIREWALL_RETRY_MAX_MS);
}

static void firewall_flush(struct firewall *f)
{
    int err;

    if (f->state != FW_UP) {
        return;
    }
    if (f->is_lost) {
        firewall_sync(f);
    }
    err = queue_send(f);
    if (err != 0 && err != EAGAIN) {
        firewall_down(f, strerror(err));
        return;
    }
    if (helper_watch(&f->helper, f->first < f->n ? LOOP_READ | LOOP_WRITE : LOOP_READ) != 0) {
        firewall_down(f, "its descriptor cannot be watched");
    }
}

/* --- what the helper says --- */

static void firewall_on_ready(struct firewall *f, const struct nft_msg *m)
{
    if (m->err != 0) {
        firewall_down(f, strerror((int)m->err));
        return;
    }
    f->state = FW_UP;
    f->figures.up = true;
    log_info(NULL, "bans are kept in the firewall, table inet postern");
    firewall_sync(f);
    firewall_flush(f);
}

static void firewall_sync_soon(struct firewall *f)
{
    if (f->timer.at_ms > loop_now_ms(f->loop) + FIREWALL_SYNC_SOON_MS) {
        timer_start(f->loop, &f->timer, FIREWALL_SYNC_SOON_MS);
    }
}

static void firewall_on_answer(struct firewall *f, const struct nft_msg *m)
{
    f->asked_ms = 0;
    if (m->err != 0) {
        stat_inc(STAT_FIREWALL_FAILED);
        log_warn(NULL, "the firewall did not take all bans: %s", strerror((int)m->err));
    }
    if (m->op == NFT_SYNCED) {
        f->figures.held = m->held;
        f->figures.packets = m->packets;
    } else if (m->err != 0) {
        firewall_sync_soon(f); /* somebody else may have changed the table */
    }
}

static void firewall_read(struct firewall *f)
{
    struct nft_msg m[2]; /* one more than may come: a longer packet is none */
    ssize_t got;

    while (f->state == FW_STARTING || f->state == FW_UP) {
        got = recv(f->helper.fd, m, sizeof(m), MSG_DONTWAIT);
        if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
            return;
        }
        if (got <= 0) {
            firewall_down(f, got == 0 ? "it ended" : strerror(errno));
        } else if (nft_packet_msgs((size_t)got) != 1 || nft_check_reply(&m[0]) != 0 ||
                   (m[0].op == NFT_READY) != (f->state == FW_STARTING)) {
            firewall_down(f, "it breaks the protocol");
        } else if (m[0].op == NFT_READY) {
            firewall_on_ready(f, &m[0]);
        } else {
            firewall_on_answer(f, &m[0]);
        }
    }
}

static void on_helper(int fd, int what, void *arg)
{
    struct firewall *f = arg;

    (void)fd;
    pthread_mutex_lock(f->lock);
    if (what & LOOP_READ) {
        firewall_read(f);
    }
    if (what & LOOP_WRITE) {
        firewall_flush(f);
    }
    pthread_mutex_unlock(f->lock);
}

static void firewall_end(struct firewall *f)
{
    helper_end(&f->helper);
    queue_clear(f);
    f->has_synced = f->wants_sync = false;
    f->asked_ms = 0;
    f->figures = (struct guard_firewall){0};
}

static void firewall_stop(struct firewall *f)
{
    timer_stop(f->loop, &f->timer);
    if (f->state == FW_UP || f->state == FW_STARTING) {
        helper_say_goodbye(&f->helper);
    }
    firewall_end(f);
    f->state = FW_OFF;
}

static void firewall_down(struct firewall *f, const char *why)
{
    log_error(NULL, "the firewall's helper is away: %s; workers drop alone, next start in %u ms",
              why, f->retry_ms);
    stat_inc(STAT_FIREWALL_DOWN);
    firewall_end(f);
    f->state = FW_WAITING;
    timer_start(f->loop, &f->timer, f->retry_ms);
    f->retry_ms = f->retry_ms < FIREWALL_RETRY_MAX_MS / 2 ? f->retry_ms * 2 : FIREWALL_RETRY_MAX_MS;
}

static void firewall_start(struct firewall *f)
{
    int err = helper_start(&f->helper, f->loop, on_helper, f);

    if (err != 0) {
        log_error(NULL, "%s: %s", f->helper.program, strerror(err));
        firewall_down(f, "it cannot be started");
        return;
    }
    f->state = FW_STARTING;
    timer_start(f->loop, &f->timer, FIREWALL_RETRY_MAX_MS); /* for its first word */
}

static bool firewall_hangs(const struct firewall *f)
{
    return f->asked_ms != 0 && loop_now_ms(f->loop) - f->asked_ms >= FIREWALL_ANSWER_MS;
}

static void on_timer(void *arg)
{
    struct firewall *f = arg;

    pthread_mutex_lock(f->lock);
    if (f->state == FW_WAITING) {
        firewall_start(f);
    } else if (f->state == FW_STARTING || firewall_hangs(f)) {
        firewall_down(f, "it does not answer");
    } else if (f->state == FW_UP) {
        f->retry_ms = FIREWALL_RETRY_MS; /* it has lived for a while */
        firewall_sync(f);
        firewall_flush(f);
    }
    pthread_mutex_unlock(f->lock);
}

/* --- from any thread --- */

static void on_woken(void *owner, struct loop_msg *m)
{
    struct firewall *f = m->ptr;

    (void)owner;
    pthread_mutex_lock(f->lock);
    f->is_woken = false;
    if (f->is_wanted && f->state == FW_OFF) {
        f->retry_ms = FIREWALL_RETRY_MS;
        firewall_start(f);
    } else if (!f->is_wanted && f->state != FW_OFF) {
        firewall_stop(f);
    }
    if (f->wants_sync && f->state == FW_UP) {
        firewall_sync_soon(f);
    }
    firewall_flush(f);
    pthread_mutex_unlock(f->lock);
}

/* A wake-up that is lost (the mailbox is full) is made good by the next comparison. */
static void firewall_wake(struct firewall *f)
{
    if (!f->is_woken) {
        f->is_woken = loop_post(f->loop, &(struct loop_msg){.fn = on_woken, .ptr = f}) == 0;
    }
}

void firewall_want(struct firewall *f, bool on)
{
    f->is_wanted = on;
    firewall_resync(f);
}

void firewall_resync(struct firewall *f)
{
    f->wants_sync = true;
    firewall_wake(f);
}

/* Intervals must not overlap: news about a network change what its neighbours need. An IPv6 /64
 * stands for one source. */
static bool firewall_is_network(const struct policy_ban *ban)
{
    return ban->prefix.bits < (addr_family(&ban->prefix.addr) == AF_INET6 ? 64 : 32);
}

static void firewall_tell(struct firewall *f, enum nft_op op, const struct policy_ban *ban,
                          uint64_t ms)
{
    struct nft_elem e;

    if (firewall_is_network(ban) && !f->is_filling) {
        firewall_resync(f);
    } else if (nft_elem_of(&ban->prefix, ms < NFT_MS_MAX ? ms : NFT_MS_MAX, &e)) {
        queue_put(f, op, &e);
    }
    if (!f->is_filling) {
        firewall_wake(f);
    }
}

void firewall_ban(struct firewall *f, const struct policy_ban *ban)
{
    int64_t left_ms = ban->until_ms - clock_wall_ms(f->clock);

    if (ban->firewall && left_ms > 0 && f->has_synced) {
        firewall_tell(f, NFT_ADD, ban, (uint64_t)left_ms);
    }
}

void firewall_unban(struct firewall *f, const struct policy_ban *ban)
{
    if (ban->firewall && f->has_synced) {
        firewall_tell(f, NFT_DEL, ban, 0);
    }
}

bool firewall_is_up(const struct firewall *f)
{
    return f->state == FW_UP;
}

struct guard_firewall firewall_figures(const struct firewall *f)
{
    return f->figures;
}

/* --- life --- */

int firewall_new(struct firewall **fp, const struct firewall_params *p)
{
    struct firewall *f = mem_zalloc(sizeof(*f));
    int err;

    if (f == NULL) {
        return ENOMEM;
    }
    f->loop = p->loop;
    f->clock = p->clock;
    f->lock = p->lock;
    f->fill = p->fill;
    f->arg = p->arg;
    f->retry_ms = FIREWALL_RETRY_MS;
    timer_init(&f->timer, on_timer, f);
    f->helper = (struct helper){.fd = -1, .is_json = p->is_json};
    (void)snprintf(f->helper.node, sizeof(f->helper.node), "%s", p->node);
    err = helper_find(&f->helper);
    if (err != 0) {
        mem_free(f);
        return err;
    }
    *fp = f;
    return 0;
}

void firewall_free(struct firewall **fp)
{
    struct firewall *f = *fp;

    *fp = NULL;
    if (f != NULL) {
        firewall_stop(f);
        mem_free(f);
    }
}
