/* uac.c - the caller: INVITE, ACK, hold, BYE with the timers of RFC 3261 17.1 and the dialog rules
 * of 12.2. Requests are written anew for a retransmission, so a call keeps no message. */
#include "loadgen.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { UAC_DIALOG_MAX = 760 };

enum uac_state { UAC_FREE, UAC_CALLING, UAC_PROCEEDING, UAC_UP, UAC_ENDING };

/* One call. Text of the dialog (To, target, Route lines) is packed into `text`. */
struct uac_call {
    struct timer timer;
    int64_t invited_ns;
    int64_t give_up_ms;
    struct rtp_stream *media;
    struct sockaddr_in hop; /* where requests of the dialog go */
    struct call_id id;
    enum uac_state state;
    uint32_t interval_ms;
    uint32_t next_free;
    uint16_t to_len, target_len, routes_len;
    char text[UAC_DIALOG_MAX];
};

static const uint32_t uac_no_call = UINT32_MAX;

/* Parts of a call's requests that stay the same; the kind ends the branch. */
static void uac_put_head(struct lg *lg, struct out *o, const struct uac_call *c, char kind)
{
    out_str(o, " SIP/2.0\r\nVia: SIP/2.0/UDP ");
    out_str(o, lg->caller.hostport);
    out_str(o, ";branch=z9hG4bK");
    id_put(o, lg->seed, c->id);
    out_mem(o, &kind, 1);
    out_str(o, ";rport\r\nMax-Forwards: 70\r\nFrom: <sip:+15550199@");
    out_str(o, lg->caller.host);
    out_str(o, ">;tag=");
    id_put(o, lg->seed, c->id);
    out_str(o, "\r\nCall-ID: ");
    id_put(o, lg->seed, c->id);
    out_str(o, "@");
    out_str(o, lg->caller.host);
    out_str(o, "\r\nTo: ");
}

static void uac_put_target(struct lg *lg, struct out *o, bool with_port)
{
    char host[INET_ADDRSTRLEN + 8];
    uint32_t ip = ntohl(lg->o.target.sin_addr.s_addr);
    int n = snprintf(host, sizeof(host), "%u.%u.%u.%u", ip >> 24, ip >> 16 & 255, ip >> 8 & 255,
                     ip & 255);

    out_str(o, "sip:");
    out_str(o, lg->o.called);
    out_str(o, "@");
    out_mem(o, host, (size_t)n);
    if (with_port) {
        out_str(o, ":");
        out_u32(o, ntohs(lg->o.target.sin_port));
    }
}

/* An offer as a small PBX writes it: two G.711 codecs and telephone events. */
static size_t uac_put_sdp(struct lg *lg, const struct uac_call *c, char *buf, size_t cap)
{
    struct out o = {.p = buf, .cap = cap};
    uint32_t port = c->media != NULL ? rtp_port(c->media) : lg->o.rtp_first + c->id.slot % 5000 * 2;
    struct sl key = c->media != NULL ? rtp_key(c->media) : (struct sl){NULL, 0};

    out_str(&o, "v=0\r\no=caller ");
    out_u32(&o, c->id.slot + 1);
    out_str(&o, " 1 IN IP4 ");
    out_str(&o, lg->caller.host);
    out_str(&o, "\r\ns=-\r\nc=IN IP4 ");
    out_str(&o, lg->caller.host);
    out_str(&o, "\r\nt=0 0\r\nm=audio ");
    out_u32(&o, port);
    out_str(&o, key.n != 0 ? " RTP/SAVP" : " RTP/AVP");
    out_str(&o, " 0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n"
                "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\n");
    sdp_put_key(&o, key);
    return o.n;
}

static void uac_send_invite(struct lg *lg, const struct uac_call *c)
{
    struct out *o = io_begin(lg, &lg->caller);
    char sdp[400];
    size_t sdp_len = uac_put_sdp(lg, c, sdp, sizeof(sdp));

    out_str(o, "INVITE ");
    uac_put_target(lg, o, true);
    uac_put_head(lg, o, c, 'i');
    out_str(o, "<");
    uac_put_target(lg, o, false);
    out_str(o, ">\r\nCSeq: 1 INVITE\r\nContact: <sip:lg");
    id_put(o, lg->seed, c->id);
    out_str(o, "@");
    out_str(o, lg->caller.hostport);
    out_str(o, ">\r\nUser-Agent: postern-loadgen\r\nAllow: INVITE, ACK, CANCEL, OPTIONS, "
               "BYE\r\nContent-Type: application/sdp\r\n"
               "Content-Length: ");
    out_u32(o, (uint32_t)sdp_len);
    out_str(o, "\r\n\r\n");
    out_mem(o, sdp, sdp_len);
    io_send(lg, &lg->caller, &lg->o.target);
}

/* ACK of a 2xx and BYE: Request-URI, To and Route set as the 2xx gave them. */
static void uac_send_in_dialog(struct lg *lg, const struct uac_call *c, const char *method)
{
    struct out *o = io_begin(lg, &lg->caller);
    bool ack = method[0] == 'A';

    out_str(o, method);
    out_str(o, " ");
    out_mem(o, c->text + c->to_len, c->target_len);
    uac_put_head(lg, o, c, ack ? 'a' : 'b');
    out_mem(o, c->text, c->to_len);
    out_str(o, "\r\n");
    out_mem(o, c->text + c->to_len + c->target_len, c->routes_len);
    out_str(o, ack ? "CSeq: 1 " : "CSeq: 2 ");
    out_str(o, method);
    out_str(o, "\r\nContent-Length: 0\r\n\r\n");
    io_send(lg, &lg->caller, &c->hop);
}

/* ACK of a failure: hop by hop, from the response alone (RFC 3261 17.1.1.3), so that it works as
 * well for a repeated final response after the call is gone. */
static void uac_send_ack_failure(struct lg *lg, const struct msg *m)
{
    struct out *o = io_begin(lg, &lg->caller);

    out_str(o, "ACK ");
    uac_put_target(lg, o, true);
    out_str(o, " SIP/2.0\r\nVia: SIP/2.0/UDP ");
    out_str(o, lg->caller.hostport);
    out_str(o, ";branch=");
    out_sl(o, m->branch);
    out_str(o, ";rport\r\nMax-Forwards: 70\r\nFrom: ");
    out_sl(o, m->from);
    out_str(o, "\r\nTo: ");
    out_sl(o, m->to);
    out_str(o, "\r\nCall-ID: ");
    out_sl(o, m->call_id);
    out_str(o, "\r\nCSeq: 1 ACK\r\nContent-Length: 0\r\n\r\n");
    io_send(lg, &lg->caller, &lg->o.target);
}

static void uac_end(struct lg *lg, struct uac_call *c, enum stat_id how)
{
    lg->st.c[how]++;
    if (c->state != UAC_UP) {
        lg->uac.pending--;
    }
    timer_stop(&c->timer);
    rtp_release(lg, c->media);
    c->media = NULL;
    c->state = UAC_FREE;
    c->next_free = lg->uac.free_head;
    lg->uac.free_head = c->id.slot;
    lg->uac.live--;
    lg->load.last_end_ns = lg->now_ns;
}

static void uac_hangup(struct lg *lg, struct uac_call *c)
{
    c->state = UAC_ENDING;
    c->interval_ms = SIP_T1_MS;
    c->give_up_ms = lg->now_ns / 1000000 + SIP_GIVE_UP_MS;
    lg->uac.pending++;
    rtp_release(lg, c->media);
    c->media = NULL;
    uac_send_in_dialog(lg, c, "BYE");
    timer_start(lg, &c->timer, c->interval_ms);
}

/* Timers A and E send again, B and F give up; in state UP it is the end of the hold time. */
static void uac_on_timer(struct lg *lg, struct timer *t)
{
    struct uac_call *c = (struct uac_call *)(void *)t;
    bool give_up = lg->now_ns / 1000000 >= c->give_up_ms;

    if (c->state == UAC_UP) {
        uac_hangup(lg, c);
        return;
    }
    if (give_up || c->state == UAC_PROCEEDING) {
        uac_end(lg, c, ST_TIMED_OUT);
        return;
    }
    lg->st.c[ST_RETR_SENT]++;
    if (c->state == UAC_CALLING) {
        uac_send_invite(lg, c);
        c->interval_ms *= 2; /* timer A has no ceiling, RFC 3261 17.1.1.2 */
    } else {
        uac_send_in_dialog(lg, c, "BYE");
        c->interval_ms = c->interval_ms * 2 > SIP_T2_MS ? SIP_T2_MS : c->interval_ms * 2;
    }
    int64_t left_ms = c->give_up_ms - lg->now_ns / 1000000;

    timer_start(lg, &c->timer,
                c->interval_ms < left_ms ? c->interval_ms : (uint32_t)(left_ms > 0 ? left_ms : 0));
}

static struct uac_call *uac_take(struct lg *lg)
{
    struct uac *u = &lg->uac;
    struct uac_call *c = NULL;

    if (u->free_head != uac_no_call) {
        c = &u->calls[u->free_head];
        u->free_head = c->next_free;
    } else if (u->used < u->max) {
        c = &u->calls[u->used];
        c->id.slot = u->used++;
    }
    return c;
}

void uac_start(struct lg *lg)
{
    struct uac_call *c = uac_take(lg);

    lg->load.started++;
    if (c == NULL) {
        lg->st.c[ST_SKIPPED]++;
        return;
    }
    c->id.gen++;
    c->media = lg->o.media ? rtp_take(lg, RTP_CALLER) : NULL;
    if (lg->o.media && c->media == NULL) {
        lg->st.c[ST_SKIPPED]++;
        c->next_free = lg->uac.free_head;
        lg->uac.free_head = c->id.slot;
        return;
    }
    c->state = UAC_CALLING;
    c->timer.on_due = uac_on_timer;
    c->invited_ns = lg->now_ns;
    c->interval_ms = SIP_T1_MS;
    c->give_up_ms = lg->now_ns / 1000000 + SIP_GIVE_UP_MS;
    lg->uac.live++;
    lg->uac.pending++;
    lg->st.c[ST_ATTEMPTED]++;
    uac_send_invite(lg, c);
    timer_start(lg, &c->timer, c->interval_ms);
}

bool uac_hangup_next(struct lg *lg)
{
    while (lg->uac.cursor < lg->uac.used) {
        struct uac_call *c = &lg->uac.calls[lg->uac.cursor++];

        if (c->state == UAC_UP) {
            uac_hangup(lg, c);
            return true;
        }
    }
    return false;
}

/* Route lines for the dialog: Record-Route in reverse (RFC 3261 12.1.2), loose routers only. */
static int uac_put_routes(struct out *o, const struct msg *m, struct sl *first)
{
    struct sl all[MSG_RR_MAX * 2];
    unsigned n = 0;

    for (unsigned i = 0; i < m->nrr; i++) {
        struct sl rest = m->rr[i];

        while (rest.n != 0 && n < COUNT_OF(all)) {
            all[n++] = sl_list_next(&rest);
        }
    }
    while (n > 0) {
        n--;
        struct sl uri = sl_uri(all[n]);

        if (first->p == NULL) {
            *first = uri;
            if (sl_param(uri, "lr").p == NULL) {
                return EBADMSG;
            }
        }
        out_str(o, "Route: ");
        out_sl(o, all[n]);
        out_str(o, "\r\n");
    }
    return o->full ? EBADMSG : 0;
}

static int uac_learn_dialog(struct uac_call *c, const struct msg *m)
{
    struct out o = {.p = c->text, .cap = sizeof(c->text)};
    struct sl target = sl_uri(m->contact);
    struct sl hop = {NULL, 0};

    out_sl(&o, m->to);
    c->to_len = (uint16_t)o.n;
    out_sl(&o, target);
    c->target_len = (uint16_t)(o.n - c->to_len);
    int err = uac_put_routes(&o, m, &hop);

    c->routes_len = (uint16_t)(o.n - c->to_len - c->target_len);
    if (err != 0 || o.full || m->to_tag.n == 0 || target.n == 0) {
        return EBADMSG;
    }
    return uri_addr(hop.p != NULL ? hop : target, &c->hop);
}

static void uac_establish(struct lg *lg, struct uac_call *c, const struct msg *m)
{
    struct sockaddr_in rtp;

    hist_add(&lg->st.setup, lg->now_ns - c->invited_ns);
    if (uac_learn_dialog(c, m) != 0) {
        lg->st.c[ST_SIP_BAD_TARGET]++;
        uac_end(lg, c, ST_FAILED);
        return;
    }
    lg->st.c[ST_ESTABLISHED]++;
    lg->uac.pending--;
    c->state = UAC_UP;
    uac_send_in_dialog(lg, c, "ACK");
    if (sdp_audio(m->body, &rtp) != 0 || (lg->o.srtp_caller && c->media != NULL &&
                                          !rtp_set_key(c->media, false, sdp_key(m->body)))) {
        lg->st.c[ST_SIP_BAD_SDP]++;
    } else if (c->media != NULL) {
        rtp_start(lg, c->media, &rtp);
    }
    timer_stop(&c->timer);
    if (!lg->o.held) {
        timer_start(lg, &c->timer, lg->o.hold_ms);
    }
}

/* The To of the dialog is known: a 2xx with another tag is another branch of a fork. */
static void uac_on_answer_again(struct lg *lg, struct uac_call *c, const struct msg *m)
{
    struct sl to = {c->text, c->to_len};

    if (m->status < 200) {
        lg->st.c[ST_SIP_LATE]++;
    } else if (m->status < 300 && sl_eq(sl_param(to, "tag"), m->to_tag)) {
        lg->st.c[ST_RETR_SEEN]++;
        uac_send_in_dialog(lg, c, "ACK");
    } else {
        lg->st.c[ST_SIP_UNEXPECTED]++;
    }
}

static void uac_on_invite_response(struct lg *lg, struct uac_call *c, const struct msg *m)
{
    if (c->state == UAC_UP || c->state == UAC_ENDING) {
        uac_on_answer_again(lg, c, m);
    } else if (m->status < 200) {
        c->state = UAC_PROCEEDING;
        timer_start(lg, &c->timer, SIP_GIVE_UP_MS);
    } else if (m->status < 300) {
        uac_establish(lg, c, m);
    } else {
        uac_send_ack_failure(lg, m);
        lg->st.status[m->status]++;
        uac_end(lg, c, ST_FAILED);
    }
}

static void uac_on_bye_response(struct lg *lg, struct uac_call *c, const struct msg *m)
{
    if (c->state != UAC_ENDING) {
        lg->st.c[ST_SIP_UNEXPECTED]++;
    } else if (m->status < 200) {
        c->interval_ms = SIP_T2_MS; /* RFC 3261 17.1.2.2 */
    } else if (m->status < 300) {
        uac_end(lg, c, ST_COMPLETED);
    } else {
        uac_end(lg, c, ST_BYE_FAILED);
    }
}

/* NULL when the id is none of ours; a call that has ended is returned too, with another gen or
 * state. */
static struct uac_call *uac_find(struct lg *lg, struct sl text, struct call_id *id)
{
    if (!id_get(text, lg->seed, id) || id->slot >= lg->uac.used) {
        return NULL;
    }
    return &lg->uac.calls[id->slot];
}

static bool uac_is_id(struct lg *lg, struct sl text, size_t len, struct call_id id)
{
    struct call_id found;

    return text.n == len && id_get(text, lg->seed, &found) && found.slot == id.slot &&
           found.gen == id.gen;
}

/* Via, From tag, Call-ID and CSeq all have to be those of the request that the branch names. */
static bool uac_owns_response(struct lg *lg, const struct msg *m, struct call_id id)
{
    bool invite = m->branch.p[m->branch.n - 1] == 'i';

    return m->nvia == 1 && uac_is_id(lg, m->from_tag, 24, id) &&
           uac_is_id(lg, m->call_id, 25 + strlen(lg->caller.host), id) &&
           m->cseq_num == (invite ? 1 : 2) && sl_is(m->method, invite ? "INVITE" : "BYE");
}

static void uac_on_response(struct lg *lg, const struct msg *m)
{
    struct sl branch = {m->branch.p + 7, m->branch.n - 7};
    struct call_id id;
    struct uac_call *c = NULL;

    if (m->branch.n == 32 && memcmp(m->branch.p, "z9hG4bK", 7) == 0) {
        c = uac_find(lg, branch, &id);
    }
    if (c == NULL) {
        lg->st.c[ST_SIP_STRAY]++;
        return;
    }
    if (!uac_owns_response(lg, m, id)) {
        lg->st.c[ST_SIP_WRONG_DIALOG]++;
        return;
    }
    if (c->state == UAC_FREE || c->id.gen != id.gen) {
        lg->st.c[ST_SIP_LATE]++;
        if (m->status >= 300 && sl_is(m->method, "INVITE")) {
            uac_send_ack_failure(lg, m);
        }
        return;
    }
    if (sl_is(m->method, "INVITE")) {
        uac_on_invite_response(lg, c, m);
    } else {
        uac_on_bye_response(lg, c, m);
    }
}

/* The far side hangs up: that ends the call, and never as wished. */
static void uac_on_bye(struct lg *lg, const struct msg *m, const struct sockaddr_in *from)
{
    struct call_id id;
    struct uac_call *c = uac_find(lg, m->to_tag, &id);
    struct sl to = {NULL, 0};

    if (c != NULL) {
        to = (struct sl){c->text, c->to_len};
    }
    if (c == NULL || c->state < UAC_UP || c->id.gen != id.gen) {
        uas_reply(lg, &lg->caller, m, from, "481 Call/Transaction Does Not Exist");
        lg->st.c[ST_SIP_LATE]++;
        return;
    }
    if (!sl_eq(sl_param(to, "tag"), m->from_tag)) {
        lg->st.c[ST_SIP_WRONG_DIALOG]++;
    }
    uas_reply(lg, &lg->caller, m, from, "200 OK");
    uac_end(lg, c, ST_CUT);
}

void uac_on_msg(struct lg *lg, const struct msg *m, const struct sockaddr_in *from)
{
    if (m->status != 0) {
        uac_on_response(lg, m);
    } else if (sl_is(m->method, "BYE")) {
        uac_on_bye(lg, m, from);
    } else if (sl_is(m->method, "OPTIONS")) {
        lg->st.c[ST_OPTIONS_SEEN]++;
        uas_reply(lg, &lg->caller, m, from, "200 OK");
    } else if (!sl_is(m->method, "ACK")) {
        lg->st.c[ST_SIP_UNEXPECTED]++;
        uas_reply(lg, &lg->caller, m, from, "501 Not Implemented");
    }
}

/* The table is mapped, not touched: memory grows with the calls that are up at once. */
int uac_init(struct lg *lg, uint32_t max)
{
    void *p = mmap(NULL, (size_t)max * sizeof(struct uac_call), PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (p == MAP_FAILED) {
        return errno;
    }
    lg->uac = (struct uac){.calls = p, .max = max, .free_head = uac_no_call};
    return 0;
}
