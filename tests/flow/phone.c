/* phone.c - one end of one dialog. It reads and writes SIP with a few string tools of its own, so
 * that the house is not judged by its own parser. */
#include "rig.h"

#include <stdio.h>

/* --- reading --- */

struct sl msg_hdr(struct sl msg, const char *name, unsigned nth)
{
    size_t name_n = strlen(name);
    ptrdiff_t end;

    while ((end = sl_find(msg, SL("\r\n"))) > 0) {
        struct sl line = sl_head(msg, (size_t)end);

        if (line.n > name_n && line.p[name_n] == ':' &&
            sl_ieq(sl_head(line, name_n), sl_str(name))) {
            if (nth == 0) {
                return sl_trim(sl_from(line, name_n + 1));
            }
            nth--;
        }
        msg = sl_from(msg, (size_t)end + 2);
    }
    return SL_NULL;
}

struct sl msg_body(struct sl msg)
{
    ptrdiff_t at = sl_find(msg, SL("\r\n\r\n"));

    return at >= 0 ? sl_from(msg, (size_t)at + 4) : SL_NULL;
}

struct sl msg_tag(struct sl value)
{
    ptrdiff_t at = sl_find(value, SL(";tag="));
    struct sl rest = at >= 0 ? sl_from(value, (size_t)at + 5) : SL_NULL, tag = SL_NULL;

    return sl_next(&rest, ';', &tag) == 0 ? tag : SL_NULL;
}

unsigned msg_port(const char *text)
{
    const char *m = strstr(text, "m=audio ");
    struct sl word = SL_NULL, rest = m != NULL ? sl_str(m + 8) : SL_NULL;
    uint32_t port = 0;

    return sl_next(&rest, ' ', &word) == 0 && sl_u32(word, 65535, &port) == 0 ? port : 0;
}

unsigned long long msg_version(const char *text)
{
    const char *o = strstr(text, "o=");
    struct sl rest = o != NULL ? sl_str(o) : SL_NULL, word = SL_NULL;
    uint64_t v = 0;

    for (int i = 0; i < 3; i++) {
        if (sl_next(&rest, ' ', &word) != 0) {
            return 0;
        }
    }
    return sl_u64(word, UINT64_MAX, &v) == 0 ? v : 0;
}

static void keep(char *dst, size_t cap, struct sl s)
{
    assert_int_equal(sl_cstr(s, dst, cap), 0);
}
#define KEEP(dst, s) keep((dst), sizeof(dst), (s))

PRINTF_LIKE(3, 4) static void say(char *dst, size_t cap, const char *fmt, ...)
{
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(dst, cap, fmt, ap);
    va_end(ap);
    assert_true(n >= 0 && (size_t)n < cap);
}
#define SAY(dst, ...) say((dst), sizeof(dst), __VA_ARGS__)

/* --- being there --- */

void phone_init(struct phone *p, struct rig *r, unsigned side, const char *user, const char *at)
{
    bool is_inside = strncmp(at, "10.", 3) == 0;
    struct sl host = SL_NULL, rest = sl_str(at);

    *p = (struct phone){.r = r,
                        .side = (uint8_t)side,
                        .hops = 70,
                        .media_port = (uint16_t)(40000 + 2 * r->n_seats)};
    KEEP(p->at, sl_str(at));
    KEEP(p->user, sl_str(user));
    assert_int_equal(sl_next(&rest, ':', &host), 0);
    KEEP(p->media_ip, host);
    p->flow.conn_slot = FLOW_NO_CONN;
    assert_int_equal(addr_parse_hostport(sl_str(at), 0, &p->flow.remote), 0);
    phone_on(p, is_inside ? 1 : 0, SIP_UDP);
    phone_renew(p);
    assert_true(r->n_seats < RIG_PHONES_MAX);
    r->seats[r->n_seats].at = p->flow.remote;
    r->seats[r->n_seats].listener = p->flow.listener;
    r->seats[r->n_seats++].side = p->side;
}

void phone_on(struct phone *p, uint8_t listener, enum sip_transport t)
{
    p->flow.listener = listener;
    p->flow.transport = (uint8_t)t;
    p->flow.local = p->r->b.cfg->listeners[listener].address;
    addr_set_port(&p->flow.local, 5060);
    if (t != SIP_UDP) {
        p->flow.proven = true;
        p->flow.conn_slot = 100 + (uint32_t)p->r->n_seats;
        p->flow.conn_gen = 1;
        p->flow.worker = (uint8_t)p->worker;
    }
}

void phone_renew(struct phone *p)
{
    unsigned n = ++p->r->next_name;

    SAY(p->call_id, "call-%s-%u-%s", p->user, n, p->media_ip);
    SAY(p->tag, "tag-%s-%u", p->user, n);
    SAY(p->local, "<sip:%s@%s>", p->user, p->at);
    p->remote[0] = p->remote_tag[0] = p->target[0] = p->routes[0] = p->extra[0] = '\0';
    p->cseq = 0;
}

void phone_fork(struct phone *p, const struct phone *from)
{
    *p = *from;
    SAY(p->tag, "tag-%s-fork-%u", p->user, ++p->r->next_name);
}

const char *phone_sdp(struct phone *p, const char *direction)
{
    SAY(p->sdp,
        "v=0\r\no=owner-%s %u%06u %u IN IP4 %s\r\ns=session-of-%s\r\nc=IN IP4 %s\r\nt=0 0\r\n"
        "m=audio %u RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\na=%s\r\n",
        p->user, p->side + 7, p->media_port, ++p->sdp_version, p->media_ip, p->user, p->media_ip,
        p->media_port, direction != NULL ? direction : "sendrecv");
    return p->sdp;
}

/* --- speaking --- */

void phone_send_raw(struct phone *p, const char *text)
{
    leak_note(p->r, p->side, sl_str(text), false);
    rig_input(p->r, p->worker, &p->flow, sl_str(text));
}

static const char *type_of(const struct phone *p, const char *body)
{
    if (body == NULL || strstr(p->extra, "Content-Type:") != NULL) {
        return "";
    }
    return strncmp(body, "v=0", 3) == 0 ? "Content-Type: application/sdp\r\n"
                                        : "Content-Type: text/plain\r\n";
}

static const char *transport_of(const struct phone *p)
{
    return p->flow.transport == SIP_TLS ? "TLS" : p->flow.transport == SIP_TCP ? "TCP" : "UDP";
}

static void write_request(struct phone *p, const char *method, uint32_t cseq, const char *ruri,
                          const char *body)
{
    bool is_invite = strcmp(method, "INVITE") == 0;
    static char text[RIG_TEXT_MAX];
    char contact[1100];

    SAY(contact, "Contact: <sip:dev-%s-%u@%s%s>\r\n", p->user, p->side, p->at,
        p->flow.transport == SIP_TCP ? ";transport=tcp" : "");
    SAY(text,
        "%s %s SIP/2.0\r\nVia: SIP/2.0/%s %s;branch=%s;rport\r\nMax-Forwards: %u\r\n"
        "From: %s;tag=%s\r\nTo: %s%s%s\r\nCall-ID: %s\r\nCSeq: %u %s\r\n%s"
        "%sUser-Agent: agent-of-%s\r\nX-Secret: secret-of-%s\r\n%s%s"
        "Content-Length: %zu\r\n\r\n%s",
        method, ruri, transport_of(p), p->at, p->branch, p->hops, p->local, p->tag, p->remote,
        p->remote_tag[0] != '\0' ? ";tag=" : "", p->remote_tag, p->call_id, cseq, method, p->routes,
        p->contact[0] != '\0' ? p->contact : contact, p->user, p->user, p->extra, type_of(p, body),
        body != NULL ? strlen(body) : 0, body != NULL ? body : "");
    p->extra[0] = '\0';
    if (is_invite) {
        KEEP(p->invite, sl_str(text));
    }
    KEEP(p->last, sl_str(text));
    phone_send_raw(p, text);
}

static void new_branch(struct phone *p)
{
    SAY(p->branch, "z9hG4bK-%s-%u", p->user, ++p->r->next_name);
}

void phone_request(struct phone *p, const char *method, const char *ruri, const char *body)
{
    const char *to = ruri != NULL ? ruri : p->target;

    if (p->remote[0] == '\0') {
        SAY(p->remote, "<%s>", to);
    }
    new_branch(p);
    write_request(p, method, ++p->cseq, to, body);
}

void phone_invite(struct phone *p, const char *ruri, const char *sdp)
{
    phone_request(p, "INVITE", ruri, sdp);
}

void phone_reinvite(struct phone *p, const char *sdp)
{
    phone_request(p, "INVITE", NULL, sdp);
}

void phone_ack(struct phone *p, const char *sdp)
{
    struct sl number = msg_hdr(sl_str(p->invite), "CSeq", 0), word = SL_NULL;
    uint32_t cseq = 0;

    assert_int_equal(sl_next(&number, ' ', &word), 0);
    assert_int_equal(sl_u32(word, UINT32_MAX, &cseq), 0);
    new_branch(p);
    write_request(p, "ACK", cseq, p->target, sdp);
}

/* Method, Via, CSeq number and Request-URI of the last INVITE; To as given. */
static void send_sibling(struct phone *p, const char *method, struct sl to)
{
    struct sl inv = sl_str(p->invite), start = SL_NULL, via = msg_hdr(inv, "Via", 0);
    struct sl from = msg_hdr(inv, "From", 0), id = msg_hdr(inv, "Call-ID", 0);
    struct sl number = msg_hdr(inv, "CSeq", 0), word = SL_NULL, rest = inv;
    static char text[RIG_TEXT_MAX];

    assert_int_equal(sl_next(&rest, '\r', &start), 0);
    assert_int_equal(sl_next(&number, ' ', &word), 0);
    SAY(text,
        "%s%.*s\r\nVia: %.*s\r\nMax-Forwards: 70\r\nFrom: %.*s\r\nTo: %.*s\r\nCall-ID: %.*s\r\n"
        "CSeq: %.*s %s\r\n%sContent-Length: 0\r\n\r\n",
        method, SL_ARG(sl_from(start, strlen("INVITE"))), SL_ARG(via), SL_ARG(from), SL_ARG(to),
        SL_ARG(id), SL_ARG(word), method, p->extra);
    p->extra[0] = '\0';
    phone_send_raw(p, text);
}

void phone_ack_failure(struct phone *p)
{
    send_sibling(p, "ACK", msg_hdr(sl_str(p->got), "To", 0));
}

void phone_cancel(struct phone *p)
{
    send_sibling(p, "CANCEL", msg_hdr(sl_str(p->invite), "To", 0));
}

void phone_bye(struct phone *p)
{
    phone_request(p, "BYE", NULL, NULL);
}

void phone_again(struct phone *p)
{
    phone_send_raw(p, p->invite);
}

static void copy_fields(char *dst, size_t cap, struct sl msg, const char *name)
{
    size_t at = strlen(dst);

    for (unsigned i = 0; msg_hdr(msg, name, i).n != 0; i++) {
        say(dst + at, cap - at, "%s: %.*s\r\n", name, SL_ARG(msg_hdr(msg, name, i)));
        at += strlen(dst + at);
    }
}

static void answer(struct phone *p, const char *request, unsigned status, const char *body)
{
    struct sl req = sl_str(request), to = msg_hdr(req, "To", 0);
    bool needs_tag = status > 100 && msg_tag(to).n == 0 && p->tag[0] != '\0';
    static char text[RIG_TEXT_MAX];
    static char fields[2048];
    char contact[1100];

    assert_true(req.n != 0);
    SAY(contact, "Contact: <sip:dev-%s-%u@%s>\r\n", p->user, p->side, p->at);
    if (p->contact[0] != '\0') {
        SAY(contact, "%s", p->contact);
    }
    fields[0] = '\0';
    copy_fields(fields, sizeof(fields), req, "Via");
    copy_fields(fields, sizeof(fields), req, "Record-Route");
    SAY(text,
        "SIP/2.0 %u Because\r\n%sFrom: %.*s\r\nTo: %.*s%s%s\r\nCall-ID: %.*s\r\nCSeq: %.*s\r\n"
        "%sServer: agent-of-%s\r\nX-Secret: secret-of-%s\r\n%s%s"
        "Content-Length: %zu\r\n\r\n%s",
        status, fields, SL_ARG(msg_hdr(req, "From", 0)), SL_ARG(to), needs_tag ? ";tag=" : "",
        needs_tag ? p->tag : "", SL_ARG(msg_hdr(req, "Call-ID", 0)),
        SL_ARG(msg_hdr(req, "CSeq", 0)), contact, p->user, p->user, p->extra, type_of(p, body),
        body != NULL ? strlen(body) : 0, body != NULL ? body : "");
    p->extra[0] = '\0';
    phone_send_raw(p, text);
}

void phone_answer(struct phone *p, unsigned status, const char *body)
{
    answer(p, p->asked, status, body);
}

void phone_answer_invite(struct phone *p, unsigned status, const char *body)
{
    answer(p, p->ring, status, body);
}

/* --- listening --- */

static struct rig_sent *oldest(const struct phone *p)
{
    for (size_t i = 0; i < p->r->n_sent; i++) {
        struct rig_sent *s = &p->r->sent[i];

        if (!s->is_taken && addr_eq(&s->flow.remote, &p->flow.remote)) {
            return s;
        }
    }
    return NULL;
}

static bool is_it(const struct rig_sent *s, const char *what)
{
    struct sl text = sl_make(s->text, s->n), method = sl_str(what), status = SL_NULL;
    char start[32];

    if (what[0] == '\0') { /* anything */
        return true;
    }
    if (what[0] < '0' || what[0] > '9') {
        SAY(start, "%s ", what);
        return sl_starts(text, sl_str(start));
    }
    assert_int_equal(sl_next(&method, ' ', &status), 0);
    SAY(start, "SIP/2.0 %.*s ", SL_ARG(status));
    return sl_starts(text, sl_str(start)) && sl_ends(msg_hdr(text, "CSeq", 0), method);
}

/* Contact of the house, without <> and parameters of the field. */
static void learn_target(struct phone *p, struct sl msg)
{
    struct sl v = msg_hdr(msg, "Contact", 0);
    ptrdiff_t from = sl_chr(v, '<'), to = sl_chr(v, '>');

    if (from >= 0 && to > from) {
        KEEP(p->target, sl_make(v.p + from + 1, (size_t)(to - from - 1)));
    }
}

static void learn_request(struct phone *p, struct sl msg)
{
    bool is_first = sl_starts(msg, SL("INVITE ")) && msg_tag(msg_hdr(msg, "To", 0)).n == 0;
    struct sl from = msg_hdr(msg, "From", 0), to = msg_hdr(msg, "To", 0);
    ptrdiff_t at = sl_find(from, SL(";tag="));

    KEEP(p->asked, msg);
    if (sl_starts(msg, SL("INVITE "))) {
        KEEP(p->ring, msg);
    }
    learn_target(p, msg);
    if (is_first) {
        KEEP(p->call_id, msg_hdr(msg, "Call-ID", 0));
        KEEP(p->remote, sl_head(from, (size_t)at));
        KEEP(p->remote_tag, msg_tag(from));
        KEEP(p->local, to);
        p->cseq = 100;
    }
}

static void learn_answer(struct phone *p, struct sl msg)
{
    struct sl to = msg_hdr(msg, "To", 0);
    bool is_dialog = sl_ends(msg_hdr(msg, "CSeq", 0), SL("INVITE")) && msg.p[8] < '3';

    if (is_dialog && msg_tag(to).n != 0 &&
        sl_eq(msg_tag(msg_hdr(msg, "From", 0)), sl_str(p->tag))) {
        KEEP(p->remote_tag, msg_tag(to));
        learn_target(p, msg);
    }
}

static void take(struct phone *p, struct rig_sent *s)
{
    struct sl msg = sl_make(s->text, s->n);

    s->is_taken = true;
    KEEP(p->got, msg);
    p->got_ms = s->at_ms;
    if (sl_starts(msg, SL("SIP/2.0 "))) {
        learn_answer(p, msg);
    } else {
        learn_request(p, msg);
    }
}

bool phone_try(struct phone *p, const char *what)
{
    struct rig_sent *s = oldest(p);

    if (s == NULL || !is_it(s, what)) {
        return false;
    }
    take(p, s);
    return true;
}

bool phone_has_mail(const struct phone *p)
{
    return oldest(p) != NULL;
}

void phone_drop_mail(struct phone *p)
{
    for (struct rig_sent *s = oldest(p); s != NULL; s = oldest(p)) {
        s->is_taken = true;
    }
}

const char *phone_expect_at(struct phone *p, const char *what, const char *file, int line)
{
    if (!phone_try(p, what)) {
        print_error("%s:%d: %s (%s) expected %s at %lld ms\n", file, line, p->user, p->at, what,
                    (long long)p->r->now_ms);
        rig_print_untaken(p->r);
        _fail(file, line);
    }
    return p->got;
}

void phone_quiet_at(const struct phone *p, const char *file, int line)
{
    if (phone_has_mail(p)) {
        print_error("%s:%d: %s (%s) expected nothing at %lld ms\n", file, line, p->user, p->at,
                    (long long)p->r->now_ms);
        rig_print_untaken(p->r);
        _fail(file, line);
    }
}
