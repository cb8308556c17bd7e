/* uas.c - the callee: answers each INVITE with 100, 180 and 200 at once, repeats the 200 until its
 * ACK comes (RFC 3261 13.3.1.4) and waits for BYE. Calls are told apart by the Call-ID received. */
#include "loadgen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { UAS_HEAD_MAX = 1280, UAS_RECENT = 1 << 20 };

enum uas_state { UAS_FREE, UAS_ANSWERED, UAS_UP };

struct uas_call {
    struct timer timer;
    int64_t give_up_ms;
    uint64_t hash;
    struct rtp_stream *media;
    struct sockaddr_in reply_to;
    struct sockaddr_in rtp;
    struct call_id id;
    enum uas_state state;
    uint32_t interval_ms;
    uint32_t next_free;
    uint32_t cseq;
    struct sl call_id, from_tag, branch; /* slices of head */
    uint16_t head_len;
    char head[UAS_HEAD_MAX]; /* Via to CSeq of each response, ready to send */
};

static const uint32_t uas_no_call = UINT32_MAX;

static uint64_t uas_hash(struct sl s, uint32_t seed)
{
    uint64_t h = 0xcbf29ce484222325u ^ seed;

    for (size_t i = 0; i < s.n; i++) {
        h = (h ^ (unsigned char)s.p[i]) * 0x100000001b3u;
    }
    return h ^ h >> 32;
}

static uint32_t uas_index_find(const struct uas *u, uint64_t hash, struct sl call_id)
{
    for (uint32_t at = (uint32_t)hash & u->mask; u->index[at] != 0; at = (at + 1) & u->mask) {
        const struct uas_call *c = &u->calls[u->index[at] - 1];

        if (c->hash == hash && sl_eq(c->call_id, call_id)) {
            return at;
        }
    }
    return uas_no_call;
}

static void uas_index_add(struct uas *u, const struct uas_call *c)
{
    uint32_t at = (uint32_t)c->hash & u->mask;

    while (u->index[at] != 0) {
        at = (at + 1) & u->mask;
    }
    u->index[at] = c->id.slot + 1;
}

/* Removal moves later entries of the run back, so that no tombstones pile up. */
static void uas_index_remove(struct uas *u, const struct uas_call *c)
{
    uint32_t hole = (uint32_t)c->hash & u->mask;

    while (u->index[hole] != c->id.slot + 1) {
        hole = (hole + 1) & u->mask;
    }
    for (uint32_t at = (hole + 1) & u->mask; u->index[at] != 0; at = (at + 1) & u->mask) {
        uint32_t home = (uint32_t)u->calls[u->index[at] - 1].hash & u->mask;

        if (((at - home) & u->mask) >= ((at - hole) & u->mask)) {
            u->index[hole] = u->index[at];
            hole = at;
        }
    }
    u->index[hole] = 0;
}

/* The top Via of a response with rport and received filled in (RFC 3581 4). */
static void uas_put_top_via(struct out *o, struct sl via, const struct sockaddr_in *from)
{
    struct sl rest = via;
    struct sl top = sl_list_next(&rest);
    struct sl rport = sl_param(top, "rport");
    size_t cut = rport.p != NULL && rport.n == 0 ? (size_t)(rport.p - via.p) : 0;
    char ip[INET_ADDRSTRLEN];

    out_str(o, "Via: ");
    out_mem(o, via.p, cut);
    if (cut != 0) {
        inet_ntop(AF_INET, &from->sin_addr, ip, sizeof(ip));
        out_str(o, via.p[cut - 1] == '=' ? "" : "=");
        out_u32(o, ntohs(from->sin_port));
        out_str(o, ";received=");
        out_str(o, ip);
    }
    out_mem(o, via.p + cut, via.n - cut);
    out_str(o, "\r\n");
}

static void uas_put_line(struct out *o, const char *name, struct sl value)
{
    out_str(o, name);
    out_sl(o, value);
    out_str(o, "\r\n");
}

static void uas_put_vias(struct out *o, const struct msg *m, const struct sockaddr_in *from)
{
    uas_put_top_via(o, m->via[0], from);
    for (unsigned i = 1; i < m->nvia; i++) {
        uas_put_line(o, "Via: ", m->via[i]);
    }
}

/* Where a response goes: the source when rport was asked for, else the sent-by port
 * (RFC 3261 18.2.2, RFC 3581 4). */
static struct sockaddr_in uas_reply_addr(const struct msg *m, const struct sockaddr_in *from)
{
    struct sockaddr_in to = *from;
    struct sl rest = m->via[0];
    struct sl top = sl_list_next(&rest);
    uint32_t port = 5060;

    if (sl_param(top, "rport").p != NULL) {
        return to;
    }
    const char *blank = memchr(top.p, ' ', top.n);
    const char *colon = blank != NULL ? memchr(blank, ':', (size_t)(top.p + top.n - blank)) : NULL;

    if (colon != NULL) {
        size_t n = strspn(colon + 1, "0123456789");

        (void)sl_u32((struct sl){colon + 1, n}, &port);
    }
    to.sin_port = htons((uint16_t)port);
    return to;
}

void uas_reply(struct lg *lg, struct io *io, const struct msg *m, const struct sockaddr_in *from,
               const char *status)
{
    struct out *o = io_begin(lg, io);
    struct sockaddr_in to = uas_reply_addr(m, from);

    out_str(o, "SIP/2.0 ");
    out_str(o, status);
    out_str(o, "\r\n");
    uas_put_vias(o, m, from);
    uas_put_line(o, "From: ", m->from);
    out_str(o, "To: ");
    out_sl(o, m->to);
    if (m->to_tag.n == 0) {
        out_str(o, ";tag=stateless");
        out_hex8(o, lg->seed);
    }
    out_str(o, "\r\n");
    uas_put_line(o, "Call-ID: ", m->call_id);
    uas_put_line(o, "CSeq: ", m->cseq);
    out_str(o, "Content-Length: 0\r\n\r\n");
    io_send(lg, io, &to);
}

static struct sl uas_keep(struct uas_call *c, struct out *o, const char *name, struct sl value)
{
    size_t at = o->n + strlen(name);

    uas_put_line(o, name, value);
    return o->full ? (struct sl){c->head, 0} : (struct sl){c->head + at, value.n};
}

static int uas_write_head(struct lg *lg, struct uas_call *c, const struct msg *m,
                          const struct sockaddr_in *from)
{
    struct out o = {.p = c->head, .cap = sizeof(c->head)};

    uas_put_vias(&o, m, from);
    for (unsigned i = 0; i < m->nrr; i++) {
        uas_put_line(&o, "Record-Route: ", m->rr[i]);
    }
    c->from_tag = sl_param(uas_keep(c, &o, "From: ", m->from), "tag");
    out_str(&o, "To: ");
    out_sl(&o, m->to);
    out_str(&o, ";tag=");
    id_put(&o, lg->seed, c->id);
    out_str(&o, "\r\n");
    c->call_id = uas_keep(c, &o, "Call-ID: ", m->call_id);
    (void)uas_keep(c, &o, "CSeq: ", m->cseq);
    if (o.full) {
        return EMSGSIZE;
    }
    c->head_len = (uint16_t)o.n;
    struct sl via = {c->head + 5, o.n - 5};

    via.n = (size_t)((const char *)memchr(via.p, '\r', via.n) - via.p);
    c->branch = sl_param(sl_list_next(&via), "branch");
    return 0;
}

static void uas_put_contact(struct lg *lg, struct out *o, const struct uas_call *c)
{
    out_str(o, "Contact: <sip:lg");
    id_put(o, lg->seed, c->id);
    out_str(o, "@");
    out_str(o, lg->callee.hostport);
    out_str(o, ">\r\n");
}

static void uas_send_provisional(struct lg *lg, const struct uas_call *c, bool ringing)
{
    struct out *o = io_begin(lg, &lg->callee);

    out_str(o, ringing ? "SIP/2.0 180 Ringing\r\n" : "SIP/2.0 100 Trying\r\n");
    out_mem(o, c->head, c->head_len);
    if (ringing) {
        uas_put_contact(lg, o, c);
    }
    out_str(o, "Content-Length: 0\r\n\r\n");
    io_send(lg, &lg->callee, &c->reply_to);
}

static void uas_send_answer(struct lg *lg, const struct uas_call *c)
{
    struct out *o = io_begin(lg, &lg->callee);
    char text[400];
    struct out sdp = {.p = text, .cap = sizeof(text)};
    struct sl key = c->media != NULL ? rtp_key(c->media) : (struct sl){NULL, 0};

    out_str(&sdp, "v=0\r\no=callee ");
    out_u32(&sdp, c->id.slot + 1);
    out_str(&sdp, " 1 IN IP4 ");
    out_str(&sdp, lg->callee.host);
    out_str(&sdp, "\r\ns=-\r\nc=IN IP4 ");
    out_str(&sdp, lg->callee.host);
    out_str(&sdp, "\r\nt=0 0\r\nm=audio ");
    out_u32(&sdp, c->media != NULL ? rtp_port(c->media) : lg->o.rtp_first + c->id.slot % 5000 * 2);
    out_str(&sdp, key.n != 0 ? " RTP/SAVP" : " RTP/AVP");
    out_str(&sdp, " 0\r\na=rtpmap:0 PCMU/8000\r\na=ptime:20\r\n");
    sdp_put_key(&sdp, key);

    out_str(o, "SIP/2.0 200 OK\r\n");
    out_mem(o, c->head, c->head_len);
    uas_put_contact(lg, o, c);
    out_str(o, "Allow: INVITE, ACK, CANCEL, OPTIONS, BYE\r\nContent-Type: application/sdp\r\n"
               "Content-Length: ");
    out_u32(o, (uint32_t)sdp.n);
    out_str(o, "\r\n\r\n");
    out_mem(o, sdp.p, sdp.n);
    io_send(lg, &lg->callee, &c->reply_to);
}

static void uas_end(struct lg *lg, struct uas_call *c, enum stat_id how)
{
    struct uas *u = &lg->uas;

    lg->st.c[how]++;
    timer_stop(&c->timer);
    rtp_release(lg, c->media);
    c->media = NULL;
    uas_index_remove(u, c);
    u->recent[c->hash % UAS_RECENT] = c->hash;
    c->state = UAS_FREE;
    c->next_free = u->free_head;
    u->free_head = c->id.slot;
    u->live--;
}

static void uas_on_timer(struct lg *lg, struct timer *t)
{
    struct uas_call *c = (struct uas_call *)(void *)t;

    if (lg->now_ns / 1000000 >= c->give_up_ms) {
        uas_end(lg, c, ST_UAS_NO_ACK);
        return;
    }
    lg->st.c[ST_RETR_SENT]++;
    uas_send_answer(lg, c);
    c->interval_ms = c->interval_ms * 2 > SIP_T2_MS ? SIP_T2_MS : c->interval_ms * 2;
    timer_start(lg, t, c->interval_ms);
}

static struct uas_call *uas_take(struct lg *lg)
{
    struct uas *u = &lg->uas;
    struct uas_call *c = NULL;

    if (u->free_head != uas_no_call) {
        c = &u->calls[u->free_head];
        u->free_head = c->next_free;
    } else if (u->used < u->max) {
        c = &u->calls[u->used];
        c->id.slot = u->used++;
    }
    if (c != NULL) {
        c->id.gen++;
    }
    return c;
}

static void uas_refuse(struct lg *lg, const struct msg *m, const struct sockaddr_in *from,
                       struct uas_call *c)
{
    lg->st.c[ST_UAS_REFUSED]++;
    uas_reply(lg, &lg->callee, m, from, "503 Service Unavailable");
    if (c != NULL) {
        rtp_release(lg, c->media);
        c->media = NULL;
        c->next_free = lg->uas.free_head;
        lg->uas.free_head = c->id.slot;
    }
}

static void uas_accept(struct lg *lg, const struct msg *m, const struct sockaddr_in *from,
                       uint64_t hash)
{
    struct uas_call *c = uas_take(lg);

    if (c == NULL) {
        uas_refuse(lg, m, from, NULL);
        return;
    }
    c->media = lg->o.media ? rtp_take(lg, RTP_CALLEE) : NULL;
    if ((lg->o.media && c->media == NULL) || uas_write_head(lg, c, m, from) != 0) {
        uas_refuse(lg, m, from, c);
        return;
    }
    if (sdp_audio(m->body, &c->rtp) != 0 || (lg->o.srtp_callee && c->media != NULL &&
                                             !rtp_set_key(c->media, false, sdp_key(m->body)))) {
        lg->st.c[ST_SIP_BAD_SDP]++;
        c->rtp.sin_family = 0;
    }
    c->hash = hash;
    c->cseq = m->cseq_num;
    c->state = UAS_ANSWERED;
    c->reply_to = uas_reply_addr(m, from);
    c->timer.on_due = uas_on_timer;
    c->interval_ms = SIP_T1_MS;
    c->give_up_ms = lg->now_ns / 1000000 + SIP_GIVE_UP_MS;
    uas_index_add(&lg->uas, c);
    lg->uas.live++;
    lg->st.c[ST_UAS_CALLS]++;
    uas_send_provisional(lg, c, false);
    uas_send_provisional(lg, c, true);
    uas_send_answer(lg, c);
    timer_start(lg, &c->timer, c->interval_ms);
}

static void uas_on_invite(struct lg *lg, const struct msg *m, const struct sockaddr_in *from)
{
    uint64_t hash = uas_hash(m->call_id, lg->seed);
    uint32_t at = uas_index_find(&lg->uas, hash, m->call_id);

    if (at == uas_no_call && lg->uas.recent[hash % UAS_RECENT] == hash) {
        lg->st.c[ST_RETR_SEEN]++; /* the call is over: answering would start it again */
        return;
    }
    if (m->to_tag.n != 0) {
        lg->st.c[ST_SIP_UNEXPECTED]++; /* no re-INVITE belongs to this load */
        uas_reply(lg, &lg->callee, m, from, "488 Not Acceptable Here");
        return;
    }
    if (at == uas_no_call) {
        uas_accept(lg, m, from, hash);
        return;
    }
    struct uas_call *c = &lg->uas.calls[lg->uas.index[at] - 1];

    if (!sl_eq(c->branch, m->branch) || c->cseq != m->cseq_num) {
        lg->st.c[ST_SIP_WRONG_DIALOG]++; /* another call under a Call-ID in use */
        return;
    }
    lg->st.c[ST_RETR_SEEN]++;
    if (c->state == UAS_ANSWERED) {
        uas_send_answer(lg, c);
    }
}

/* The call that a request inside a dialog names by our tag; NULL when it is over or never was. */
static struct uas_call *uas_find(struct lg *lg, const struct msg *m, bool *ended)
{
    struct call_id id;

    *ended = false;
    if (m->to_tag.n != 24 || !id_get(m->to_tag, lg->seed, &id) || id.slot >= lg->uas.used) {
        return NULL;
    }
    struct uas_call *c = &lg->uas.calls[id.slot];

    *ended = id.gen < c->id.gen || (id.gen == c->id.gen && c->state == UAS_FREE);
    return id.gen == c->id.gen && c->state != UAS_FREE ? c : NULL;
}

/* Both tags and the Call-ID name the dialog (RFC 3261 12), and the Request-URI must be the Contact
 * that our 2xx carried. */
static bool uas_belongs(struct lg *lg, const struct uas_call *c, const struct msg *m)
{
    char text[64];
    struct out o = {.p = text, .cap = sizeof(text)};

    if (!sl_eq(c->call_id, m->call_id) || !sl_eq(c->from_tag, m->from_tag)) {
        lg->st.c[ST_SIP_WRONG_DIALOG]++;
        return false;
    }
    out_str(&o, "sip:lg");
    id_put(&o, lg->seed, c->id);
    out_str(&o, "@");
    out_str(&o, lg->callee.hostport);
    if (!sl_eq(m->ruri, (struct sl){o.p, o.n})) {
        lg->st.c[ST_SIP_BAD_TARGET]++;
    }
    return true;
}

static void uas_on_ack(struct lg *lg, const struct msg *m)
{
    bool ended = false;
    struct uas_call *c = uas_find(lg, m, &ended);

    if (c == NULL) {
        lg->st.c[ended ? ST_RETR_SEEN : ST_SIP_LATE]++;
        return;
    }
    if (!uas_belongs(lg, c, m)) {
        return;
    }
    if (c->state == UAS_UP) {
        lg->st.c[ST_RETR_SEEN]++;
        return;
    }
    if (m->cseq_num != c->cseq) {
        lg->st.c[ST_SIP_WRONG_DIALOG]++;
        return;
    }
    c->state = UAS_UP;
    timer_stop(&c->timer);
    if (c->media != NULL && c->rtp.sin_family != 0) {
        rtp_start(lg, c->media, &c->rtp);
    }
}

static void uas_on_bye(struct lg *lg, const struct msg *m, const struct sockaddr_in *from)
{
    bool ended = false;
    struct uas_call *c = uas_find(lg, m, &ended);

    if (c == NULL && !ended) {
        lg->st.c[ST_SIP_STRAY]++;
        uas_reply(lg, &lg->callee, m, from, "481 Call/Transaction Does Not Exist");
        return;
    }
    if (c == NULL) {
        lg->st.c[ST_RETR_SEEN]++;
        uas_reply(lg, &lg->callee, m, from, "200 OK");
        return;
    }
    if (!uas_belongs(lg, c, m)) {
        uas_reply(lg, &lg->callee, m, from, "481 Call/Transaction Does Not Exist");
        return;
    }
    if (m->cseq_num <= c->cseq) {
        lg->st.c[ST_SIP_WRONG_DIALOG]++; /* out of order, RFC 3261 12.2.2 */
        uas_reply(lg, &lg->callee, m, from, "500 Server Internal Error");
        return;
    }
    uas_reply(lg, &lg->callee, m, from, "200 OK");
    /* A BYE that overtook the ACK confirms the 200 as well. */
    uas_end(lg, c, ST_UAS_ENDED);
}

void uas_on_msg(struct lg *lg, const struct msg *m, const struct sockaddr_in *from)
{
    if (m->status != 0) {
        lg->st.c[ST_SIP_STRAY]++;
    } else if (sl_is(m->method, "INVITE")) {
        uas_on_invite(lg, m, from);
    } else if (sl_is(m->method, "ACK")) {
        uas_on_ack(lg, m);
    } else if (sl_is(m->method, "BYE")) {
        uas_on_bye(lg, m, from);
    } else if (sl_is(m->method, "OPTIONS")) {
        lg->st.c[ST_OPTIONS_SEEN]++;
        uas_reply(lg, &lg->callee, m, from, "200 OK");
    } else {
        lg->st.c[ST_SIP_UNEXPECTED]++;
        uas_reply(lg, &lg->callee, m, from, "501 Not Implemented");
    }
}

int uas_init(struct lg *lg, uint32_t max)
{
    struct uas *u = &lg->uas;
    uint32_t slots = 1024;
    void *p = mmap(NULL, (size_t)max * sizeof(struct uas_call), PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    while (slots < max * 2) {
        slots *= 2;
    }
    *u = (struct uas){.max = max, .free_head = uas_no_call, .mask = slots - 1};
    u->index = calloc(slots, sizeof(*u->index));
    u->recent = calloc(UAS_RECENT, sizeof(*u->recent));
    if (p == MAP_FAILED || u->index == NULL || u->recent == NULL) {
        return ENOMEM;
    }
    u->calls = p;
    return 0;
}
