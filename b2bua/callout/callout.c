/* callout.c - the thread: takes what was asked, runs all questions at once over libcurl's multi
 * interface, and keeps a circuit breaker for each server. */
#include "callout/callout.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdatomic.h>

#define CALLOUT_WAITING_MAX 4096 /* of all servers, however many are configured */
#define CALLOUT_SERVERS_MAX 64
#define CALLOUT_IDLE_MS 1000

struct ask { /* one question; its slices point into bytes */
    struct ask *next;
    struct callout *c;
    struct callout_question q;
    struct server *server;
    CURL *easy;
    struct curl_slist *headers;
    struct buf answer;
    char bytes[]; /* url with its NUL, name, body */
};

struct server { /* thread's */
    char name[CALLOUT_NAME_MAX + 1];
    uint32_t failed; /* in a row */
    uint32_t waiting;
    int64_t open_until_ms; /* 0: closed */
    bool is_trying;        /* half open: one question decides */
};

struct callout {
    pthread_t thread;
    bool has_thread;
    CURLM *multi;
    struct clock clock;
    _Atomic(struct ask *) posted; /* newest first */
    atomic_uint waiting;
    atomic_bool stopping;
    struct server servers[CALLOUT_SERVERS_MAX];
    size_t n_servers;
    struct ask *running;
};

static void ask_free(struct ask *a)
{
    if (a->easy != NULL) {
        curl_easy_cleanup(a->easy);
    }
    curl_slist_free_all(a->headers);
    buf_free(&a->answer);
    mem_free(a);
}

/* --- asking, from any thread --- */

static struct sl put(char **to, struct sl s)
{
    struct sl kept = {*to, s.n};

    if (s.n != 0) {
        memcpy(*to, s.p, s.n);
    }
    *to += s.n;
    *(*to)++ = '\0';
    return kept;
}

int callout_ask(struct callout *c, const struct callout_question *q)
{
    struct ask *a, *head;
    char *to;

    if (q->body.n > CALLOUT_BODY_MAX || q->name.n > CALLOUT_NAME_MAX) {
        return EMSGSIZE;
    }
    if (atomic_fetch_add(&c->waiting, 1) >= CALLOUT_WAITING_MAX) {
        atomic_fetch_sub(&c->waiting, 1);
        return ENOBUFS;
    }
    a = mem_zalloc(sizeof(*a) + q->url.n + q->name.n + q->body.n + 3);
    if (a == NULL) {
        atomic_fetch_sub(&c->waiting, 1);
        return ENOMEM;
    }
    to = a->bytes;
    a->c = c;
    a->q = *q;
    a->q.url = put(&to, q->url);
    a->q.name = put(&to, q->name);
    a->q.body = put(&to, q->body);
    buf_init(&a->answer, CALLOUT_BODY_MAX);
    head = atomic_load(&c->posted);
    do {
        a->next = head;
    } while (!atomic_compare_exchange_weak(&c->posted, &head, a));
    (void)curl_multi_wakeup(c->multi);
    return 0;
}

/* --- the breaker --- */

static struct server *server_of(struct callout *c, struct sl name)
{
    for (size_t i = 0; i < c->n_servers; i++) {
        if (sl_eq(sl_str(c->servers[i].name), name)) {
            return &c->servers[i];
        }
    }
    if (c->n_servers == CALLOUT_SERVERS_MAX) { /* names of reloads long gone: begin anew */
        for (size_t i = 0; i < c->n_servers; i++) {
            if (c->servers[i].waiting == 0) {
                c->servers[i] = (struct server){.failed = 0};
                memcpy(c->servers[i].name, name.p, name.n);
                return &c->servers[i];
            }
        }
        return NULL;
    }
    memcpy(c->servers[c->n_servers].name, name.p, name.n);
    return &c->servers[c->n_servers++];
}

/* NULL: it may be asked. */
static const char *server_refuses(struct server *s, const struct callout_question *q,
                                  int64_t now_ms)
{
    if (s == NULL || s->waiting >= q->waiting) {
        return "too many questions wait";
    }
    if (s->open_until_ms != 0 && (now_ms < s->open_until_ms || s->is_trying)) {
        return "the circuit is open";
    }
    s->is_trying = s->open_until_ms != 0;
    return NULL;
}

static void server_heard(struct server *s, const struct callout_question *q, bool is_good,
                         int64_t now_ms)
{
    s->waiting--;
    s->is_trying = false;
    if (is_good) {
        if (s->open_until_ms != 0) {
            log_info(NULL, "callout %s answers again", s->name);
        }
        s->failed = 0;
        s->open_until_ms = 0;
        return;
    }
    s->failed++;
    if (s->failed >= q->failures) {
        if (s->open_until_ms == 0) {
            log_warn(NULL, "callout %s: %u failures in a row, it is left alone for a while",
                     s->name, s->failed);
        }
        s->open_until_ms = now_ms + q->pause_ms;
    }
}

/* --- one question --- */

static void tell(struct ask *a, const struct callout_answer *answer)
{
    a->q.fn(a->q.arg, &a->q.ticket, answer);
    atomic_fetch_sub(&a->c->waiting, 1);
}

static void fail(struct ask *a, const char *why)
{
    stat_inc(STAT_CALLOUT_FAILED);
    tell(a, &(struct callout_answer){.why = why});
    ask_free(a);
}

/* More than an answer may hold ends the transfer. */
static size_t on_bytes(char *p, size_t one, size_t n, void *arg)
{
    struct ask *a = arg;

    (void)one;
    buf_put(&a->answer, p, n);
    return buf_err(&a->answer) == 0 ? n : 0;
}

static bool ask_prepare(struct ask *a)
{
    CURL *e = curl_easy_init();
    struct curl_slist *more;

    a->easy = e;
    a->headers = curl_slist_append(NULL, "Content-Type: application/json");
    more = a->headers != NULL ? curl_slist_append(a->headers, "Expect:") : NULL;
    return e != NULL && more != NULL && curl_easy_setopt(e, CURLOPT_URL, a->q.url.p) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_PROXY, "") == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, (long)a->q.timeout_ms) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_HTTPHEADER, a->headers) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE, (long)a->q.body.n) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_POSTFIELDS, a->q.body.p) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_bytes) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_WRITEDATA, a) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_PRIVATE, a) == CURLE_OK;
}

static void ask_start(struct callout *c, struct ask *a)
{
    const char *why;

    a->server = server_of(c, a->q.name);
    why = server_refuses(a->server, &a->q, clock_now_ms(&c->clock));
    if (why != NULL) {
        fail(a, why);
        return;
    }
    a->server->waiting++;
    if (!ask_prepare(a) || curl_multi_add_handle(c->multi, a->easy) != CURLM_OK) {
        server_heard(a->server, &a->q, false, clock_now_ms(&c->clock));
        fail(a, "out of memory");
        return;
    }
    a->next = c->running;
    c->running = a;
}

static void unlink_running(struct callout *c, const struct ask *a)
{
    struct ask **at = &c->running;

    while (*at != a) {
        at = &(*at)->next;
    }
    *at = a->next;
}

static void ask_done(struct callout *c, struct ask *a, CURLcode code)
{
    struct callout_answer answer = {.why = "no connection"};
    long status = 0;
    bool is_good = false;

    (void)curl_easy_getinfo(a->easy, CURLINFO_RESPONSE_CODE, &status);
    if (code == CURLE_OK && status == 200) {
        is_good = callout_answer_read(buf_sl(&a->answer), &answer) == 0;
    } else if (code == CURLE_OK) {
        answer.why = "its status is not 200";
    } else if (code == CURLE_OPERATION_TIMEDOUT) {
        answer.why = "no answer in time";
    } else if (code == CURLE_WRITE_ERROR) {
        answer.why = "the answer is too long";
    }
    server_heard(a->server, &a->q, is_good, clock_now_ms(&c->clock));
    unlink_running(c, a);
    (void)curl_multi_remove_handle(c->multi, a->easy);
    if (!is_good) {
        fail(a, answer.why);
        return;
    }
    stat_inc(STAT_CALLOUT_ANSWERED);
    tell(a, &answer);
    ask_free(a);
}

/* --- the thread --- */

static void take_posted(struct callout *c)
{
    struct ask *a = atomic_exchange(&c->posted, NULL), *oldest = NULL;

    while (a != NULL) {
        struct ask *next = a->next;

        a->next = oldest;
        oldest = a;
        a = next;
    }
    while (oldest != NULL) {
        struct ask *next = oldest->next;

        ask_start(c, oldest);
        oldest = next;
    }
}

static void take_done(struct callout *c)
{
    CURLMsg *m;
    int left;

    while ((m = curl_multi_info_read(c->multi, &left)) != NULL) {
        CURLcode code = m->data.result;
        char *a = NULL;

        if (m->msg == CURLMSG_DONE &&
            curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &a) == CURLE_OK) {
            ask_done(c, (struct ask *)(void *)a, code);
        }
    }
}

static void *callout_main(void *arg)
{
    struct callout *c = arg;
    int running;

    (void)pthread_setname_np(pthread_self(), "callout");
    if (stat_thread_init() != 0) {
        log_warn(NULL, "the callouts count into the shared block");
    }
    while (!atomic_load(&c->stopping)) {
        take_posted(c);
        (void)curl_multi_perform(c->multi, &running);
        take_done(c);
        (void)curl_multi_poll(c->multi, NULL, 0, CALLOUT_IDLE_MS, NULL);
    }
    return NULL;
}

int callout_new(struct callout **cp)
{
    struct callout *c = mem_zalloc(sizeof(*c));
    int err;

    if (c == NULL) {
        return ENOMEM;
    }
    clock_init_real(&c->clock);
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        mem_free(c);
        return ENOMEM;
    }
    c->multi = curl_multi_init();
    err = c->multi != NULL ? pthread_create(&c->thread, NULL, callout_main, c) : ENOMEM;
    c->has_thread = err == 0;
    if (err != 0) {
        callout_free(&c);
        return err;
    }
    *cp = c;
    return 0;
}

void callout_free(struct callout **cp)
{
    struct callout *c = *cp;
    struct ask *a;

    *cp = NULL;
    if (c == NULL) {
        return;
    }
    atomic_store(&c->stopping, true);
    if (c->has_thread) {
        (void)curl_multi_wakeup(c->multi);
        pthread_join(c->thread, NULL);
    }
    while ((a = c->running) != NULL) {
        c->running = a->next;
        (void)curl_multi_remove_handle(c->multi, a->easy);
        ask_free(a);
    }
    a = atomic_load(&c->posted);
    while (a != NULL) {
        struct ask *next = a->next;

        ask_free(a);
        a = next;
    }
    if (c->multi != NULL) {
        (void)curl_multi_cleanup(c->multi);
    }
    curl_global_cleanup();
    mem_free(c);
}
