/* http.c - where libmicrohttpd meets us: one request from its first header to its answer. */
#include "admin-http/admin_int.h"

#include <netinet/in.h>
#include <sys/random.h>

#define REQUEST_ARENA_MAX (32u << 10)

static bool request_is_id(struct sl s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i], lower = c | 0x20;

        if (!(lower >= 'a' && lower <= 'z') && !(c >= '0' && c <= '9') &&
            (c == '\0' || strchr("-_.", c) == NULL)) {
            return false;
        }
    }
    return s.n != 0 && s.n <= REQUEST_ID_MAX;
}

/* The client's own X-Request-Id when it is harmless, else a random one. */
static void request_set_id(struct request *rq)
{
    struct sl given =
        sl_str(MHD_lookup_connection_value(rq->conn, MHD_HEADER_KIND, "X-Request-Id"));
    uint8_t random[8] = {0};
    struct buf b;
    ssize_t n;

    buf_init_fixed(&b, rq->id, sizeof(rq->id) - 1);
    if (request_is_id(given)) {
        buf_putsl(&b, given);
    } else {
        n = getrandom(random, sizeof(random), 0);
        (void)n; /* only a name in logs */
        buf_putx(&b, random, sizeof(random));
    }
}

static void request_set_source(struct request *rq)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(rq->conn, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const struct sockaddr *sa = info != NULL ? info->client_addr : NULL;

    if (sa != NULL && (sa->sa_family == AF_INET || sa->sa_family == AF_INET6)) {
        addr_from_sockaddr(&rq->from, sa,
                           sa->sa_family == AF_INET ? sizeof(struct sockaddr_in)
                                                    : sizeof(struct sockaddr_in6));
    }
}

static enum MHD_Result on_http_arg_size(void *arg, enum MHD_ValueKind kind, const char *key,
                                        size_t key_n, const char *value, size_t value_n)
{
    size_t *sum = arg;

    (void)kind;
    (void)key;
    *sum += key_n + (value != NULL ? value_n : 0) + 2;
    return MHD_YES;
}

/* http://host/path is how a proxy asks (RFC 9112 3.2.2). */
static struct sl uri_path(struct sl uri)
{
    ptrdiff_t slash;

    if (!sl_istarts(uri, SL("http://")) && !sl_istarts(uri, SL("https://"))) {
        return uri;
    }
    uri = sl_from(uri, (size_t)sl_find(uri, SL("://")) + 3);
    slash = sl_chr(uri, '/');
    return slash >= 0 ? sl_from(uri, (size_t)slash) : SL("/");
}

/* The path is split as it came and its pieces are decoded later: an escaped slash is part of a
 * piece, and MHD would decode first. Without memory: no request. */
void *on_http_uri(void *arg, const char *uri, struct MHD_Connection *conn)
{
    struct conn_slot *slot = conns_slot(conn);
    struct request *rq = slot != NULL ? mem_zalloc(sizeof(*rq)) : NULL;
    struct sl path = sl_str(uri);
    ptrdiff_t end = sl_chr(path, '?');

    if (rq == NULL) {
        return NULL;
    }
    conns_note_request(arg, slot);
    request_free(&slot->begun);
    slot->begun = rq;
    path = uri_path(end >= 0 ? sl_head(path, (size_t)end) : path);
    arena_init(&rq->arena, 1024, REQUEST_ARENA_MAX);
    rq->url_bytes = path.n;
    rq->path = arena_dup(&rq->arena, path); /* nothing when it does not fit: that is 414 */
    return rq;
}

/* Lives from on_http_uri() to on_http_done(), or as long as its connection: MHD, which answers what
 * it cannot read itself, does not say then that the request is over. */
static void request_begin(struct request *rq, struct admin *a, struct MHD_Connection *conn,
                          const char *method)
{
    rq->admin = a;
    rq->conn = conn;
    rq->status = 200;
    rq->type = "application/json";
    rq->method = method;
    rq->now_ms = clock_wall_ms(&a->clock);
    buf_init(&rq->body, ADMIN_ANSWER_MAX);
    json_init(&rq->json, &rq->body);
    request_set_id(rq);
    request_set_source(rq);
    (void)MHD_get_connection_values_n(conn, MHD_GET_ARGUMENT_KIND, on_http_arg_size,
                                      &rq->url_bytes);
    stat_inc(STAT_HTTP_REQ);
    buf_init(&rq->errors, ADMIN_ERRORS_MAX);
    route_find_for(rq);
    body_prepare(rq);
}

void request_free(struct request **rqp)
{
    struct request *rq = *rqp;

    if (rq != NULL) {
        buf_free(&rq->body);
        buf_free(&rq->text);
        buf_free(&rq->errors);
        arena_free(&rq->arena);
        mem_free(rq);
        *rqp = NULL;
    }
}

void on_http_done(void *arg, struct MHD_Connection *conn, void **statep,
                  enum MHD_RequestTerminationCode why)
{
    struct conn_slot *slot = conns_slot(conn);

    (void)why;
    conns_note_done(arg, slot);
    if (slot != NULL) {
        request_free(&slot->begun);
    }
    *statep = NULL;
}

/* The answer was too large, or memory ran out while it was written. */
static void answer_check(struct request *rq)
{
    int err = buf_err(&rq->body);

    if (err != 0) {
        problem_errno(rq, err, "answer");
    }
    if (buf_err(&rq->body) != 0) { /* not even that: an empty body says it by its status */
        buf_reset(&rq->body);
    }
}

static bool answer_put_headers(const struct request *rq, struct MHD_Response *rsp)
{
    char retry[16];
    struct buf b;
    const struct {
        const char *name, *value;
    } headers[] = {
        {"Content-Type", rq->type},
        {"Cache-Control", "no-store"},
        {"X-Content-Type-Options", "nosniff"},
        {"X-Request-Id", rq->id},
        {"Allow", rq->allow},
        {"Connection", rq->must_close ? "close" : NULL},
        {"ETag", rq->etag[0] != '\0' && rq->status == 200 ? rq->etag : NULL},
        {"Retry-After", rq->retry_after_s != 0 ? retry : NULL},
        {"WWW-Authenticate", rq->status == 401 ? "Bearer realm=\"postern\"" : NULL},
    };
    bool is_good = true;

    buf_init_fixed(&b, retry, sizeof(retry));
    buf_putu(&b, rq->retry_after_s);
    buf_putc(&b, '\0');
    for (size_t i = 0; i < COUNT_OF(headers); i++) {
        if (headers[i].value != NULL) {
            is_good = is_good &&
                      MHD_add_response_header(rsp, headers[i].name, headers[i].value) == MHD_YES;
        }
    }
    return is_good;
}

static enum MHD_Result answer_send(struct request *rq)
{
    struct MHD_Response *rsp;
    enum MHD_Result res = MHD_NO;
    size_t n;
    char *p;

    answer_check(rq);
    p = buf_steal(&rq->body, &n);
    rsp = p != NULL
              ? MHD_create_response_from_buffer_with_free_callback(n, p, mem_free)
              : MHD_create_response_from_buffer(0, (void *)(uintptr_t) "", MHD_RESPMEM_PERSISTENT);
    if (rsp == NULL) {
        mem_free(p);
        return MHD_NO; /* closes the connection */
    }
    if (answer_put_headers(rq, rsp)) {
        res = MHD_queue_response(rq->conn, rq->status, rsp);
    }
    MHD_destroy_response(rsp);
    return res;
}

/* What changes something is told in the log, and who tried to in vain; no stranger's tries. */
static void request_log(const struct request *rq)
{
    char text[ADDR_TEXT_MAX];

    if (rq->route != NULL && rq->has_passed && !sl_eq(sl_str(rq->method), SL("GET")) &&
        !sl_eq(sl_str(rq->method), SL("HEAD"))) {
        log_info(NULL, "admin: %s %s from %s: %u, request %s", rq->method, LOG_ESC(rq->path),
                 addr_family(&rq->from) != AF_UNSPEC ? addr_text(&rq->from, text) : "unix",
                 rq->status, rq->id);
    }
}

/* A body that says that it is too large is refused before it is sent. */
static bool request_is_hopeless(struct request *rq)
{
    struct sl text =
        sl_str(MHD_lookup_connection_value(rq->conn, MHD_HEADER_KIND, "Content-Length"));
    uint64_t n = 0;

    if (text.n == 0 || (sl_u64(text, UINT64_MAX, &n) == 0 && n <= rq->body_max)) {
        return false;
    }
    rq->body_bytes = rq->body_max + 1;
    return true;
}

struct framing {
    unsigned lengths, codings;
    bool is_chunked;
};

static enum MHD_Result on_http_framing(void *arg, enum MHD_ValueKind kind, const char *key,
                                       const char *value)
{
    struct framing *f = arg;

    (void)kind;
    f->lengths += sl_ieq(sl_str(key), SL("Content-Length")) ? 1 : 0;
    if (sl_ieq(sl_str(key), SL("Transfer-Encoding"))) {
        f->codings++;
        f->is_chunked = sl_ieq(sl_trim(sl_str(value)), SL("chunked"));
    }
    return MHD_YES;
}

/* Whoever forwards it may see another end of this request than we do, and then the rest of one
 * client's body is another's request (RFC 9112 6.3, 11.2). MHD takes the first of two lengths, and
 * waits for the end of the connection when it does not know the coding. */
static bool request_is_misframed(struct request *rq)
{
    struct framing f = {.lengths = 0};

    (void)MHD_get_connection_values(rq->conn, MHD_HEADER_KIND, on_http_framing, &f);
    if (f.lengths + f.codings > 1) {
        problem(rq, 400, "Content-Length or Transfer-Encoding, and once");
    } else if (f.codings != 0 && !f.is_chunked) {
        problem(rq, 501, "the only transfer coding is chunked");
    } else {
        return false;
    }
    rq->must_close = true;
    return true;
}

/* Before its body is sent: too large by its own word, or kept for nobody without the token. */
static bool request_is_answered(struct request *rq)
{
    return request_is_misframed(rq) || request_is_hopeless(rq) ||
           (rq->keeps_body && !route_may_pass(rq));
}

enum MHD_Result on_http_request(void *arg, struct MHD_Connection *conn, const char *url,
                                const char *method, const char *version, const char *data,
                                size_t *data_bytes, void **statep)
{
    struct request *rq = *statep;
    bool is_refused = false;

    (void)url;
    (void)version;
    if (rq == NULL) {
        return MHD_NO;
    }
    if (rq->conn == NULL) {
        request_begin(rq, arg, conn, method);
        if (!request_is_answered(rq)) {
            return MHD_YES;
        }
        is_refused = rq->status >= 400;
    } else if (*data_bytes != 0) {
        body_add(rq, data, *data_bytes);
        *data_bytes = 0;
        return rq->body_bytes <= rq->body_max + ADMIN_DRAIN_MAX ? MHD_YES : MHD_NO;
    }
    if (!is_refused) {
        route_run(rq);
    }
    if (!rq->has_passed) { /* nobody knows who now has to read the answer */
        conns_note_done(arg, conns_slot(conn));
    }
    request_log(rq);
    return answer_send(rq);
}
