/* call_cdr.c - the record of a call: posted at each change of state, complete at the end. */
#include "call/call_egress.h"

void call_put_ref(const struct call *c, struct buf *b, const struct policy_ref *ref, int user)
{
    call_put_party(b, c->cfg, ref, user);
}

/* What protects the signalling of a leg; null where nothing does. */
static void put_tls(const struct flow *f, struct json *j)
{
    json_key(j, "tls");
    if (!flow_is_secure(f)) {
        json_none(j);
        return;
    }
    json_obj(j);
    json_kcstr(j, "version", tls_version_name((uint8_t)f->cipher));
    json_kcstr(j, "cipher", tls_cipher_name((uint8_t)f->cipher));
    json_kbool(j, "certified", f->certified);
    json_obj_end(j);
}

/* What the leg agreed on for each stream; keys and fingerprints have no place in a record. */
static void put_agreed(const struct leg *l, struct json *j)
{
    json_key(j, "streams");
    json_arr(j);
    for (unsigned i = 0; i < l->nego.n; i++) {
        const struct nego_stream *n = &l->nego.streams[i];
        struct sl names = sl_str(n->codecs), name;

        json_obj(j);
        json_kint(j, "stream", i);
        json_kstr(j, "security",
                  n->security == NEGO_SDES   ? srtp_suite_name(n->tx.suite)
                  : n->security == NEGO_DTLS ? SL("dtls")
                                             : SL("none"));
        json_kcstr(j, "keys",
                   n->security == NEGO_SDES   ? "sdes"
                   : n->security == NEGO_DTLS ? "dtls"
                                              : NULL);
        json_kcstr(j, "profile", sdp_proto_word(n->proto));
        json_kbool(j, "ice", n->ice);
        json_kbool(j, "rtcp_mux", n->mux);
        json_key(j, "codecs");
        json_arr(j);
        while (sl_next(&names, ',', &name) == 0) {
            json_str(j, name);
        }
        json_arr_end(j);
        json_obj_end(j);
    }
    json_arr_end(j);
}

static void put_leg(const struct call *c, const struct leg *l, struct json *j)
{
    char text[POLICY_NAME_MAX + 8], name[2] = {(char)('a' + l->index % 26), 0};
    struct buf b;

    buf_init_fixed(&b, text, sizeof(text));
    call_put_ref(c, &b, &l->party, l->user);
    json_obj(j);
    json_kcstr(j, "leg", name);
    json_kcstr(j, "role", l->side == 0 ? "caller" : "callee");
    json_kstr(j, "party", buf_sl(&b));
    json_kcstr(j, "listener", c->cfg->listeners[l->listener].name);
    json_kcstr(j, "transport", sip_transport_name(l->dlg.flow.transport));
    put_tls(&l->dlg.flow, j);
    json_kaddr(j, "remote", &l->dlg.flow.remote);
    json_kbool(j, "by_flow", l->dlg.pin_flow || flow_is_reliable(&l->dlg.flow));
    json_kstr(j, "sip_call_id", l->dlg.call_id);
    json_kstr(j, "local_tag", l->dlg.local_tag);
    json_kstr(j, "remote_tag", l->dlg.remote_tag);
    json_kcstr(j, "media_profile", leg_profile(l)->name);
    put_agreed(l, j);
    json_obj_end(j);
}

static void put_ms(struct json *j, const char *key, uint32_t us, bool known)
{
    json_key(j, key);
    if (known) {
        json_f(j, us / 1000.0, 3);
    } else {
        json_none(j);
    }
}

static void put_mos(struct json *j, const char *key, const struct media_mos *m)
{
    json_key(j, key);
    if (m->now == 0) {
        json_none(j);
        return;
    }
    json_obj(j);
    json_key(j, "now");
    json_f(j, m->now / 100.0, 2);
    json_key(j, "min");
    json_f(j, m->min / 100.0, 2);
    json_key(j, "avg");
    json_f(j, m->avg / 100.0, 2);
    json_obj_end(j);
}

static void put_traffic(const struct media_stats *m, struct json *j)
{
    json_kint(j, "rx_packets", (int64_t)m->rx_packets);
    json_kint(j, "rx_bytes", (int64_t)m->rx_bytes);
    json_kint(j, "tx_packets", (int64_t)m->tx_packets);
    json_kint(j, "tx_bytes", (int64_t)m->tx_bytes);
    json_kint(j, "rtcp_rx", (int64_t)m->rtcp_rx);
    json_kint(j, "rtcp_tx", (int64_t)m->rtcp_tx);
    json_kint(j, "strangers", (int64_t)m->strangers);
    json_kint(j, "malformed", (int64_t)m->malformed);
    json_kint(j, "srtp_auth_failed", (int64_t)m->srtp_auth_failed);
    json_kint(j, "srtp_replayed", (int64_t)m->srtp_replayed);
    json_kint(j, "srtp_ssrc_limit", (int64_t)m->srtp_ssrc_limit);
    json_kint(j, "no_keys", (int64_t)m->no_keys);
    json_kint(j, "wrong_payload_type", (int64_t)m->wrong_pt);
    json_kint(j, "no_destination", (int64_t)m->no_destination);
    json_kint(j, "send_failed", (int64_t)m->send_failed);
    json_kint(j, "feedback_filtered", (int64_t)m->feedback_filtered);
}

static void put_quality(const struct media_stats *m, struct json *j)
{
    json_kint(j, "lost", (int64_t)m->lost);
    json_kint(j, "reordered", (int64_t)m->reordered);
    json_kint(j, "late", (int64_t)m->late);
    json_kint(j, "duplicates", (int64_t)m->duplicates);
    put_ms(j, "jitter_ms", m->jitter_us, true);
    put_ms(j, "rtt_ms", m->rtt_us, m->rtt_us != 0);
    put_mos(j, "mos_lq", &m->lq);
    put_mos(j, "mos_cq", &m->cq);
    json_key(j, "far_lost"); /* by their own reports */
    if (m->has_far) {
        json_int(j, m->far_lost);
    } else {
        json_none(j);
    }
    put_ms(j, "far_jitter_ms", m->far_jitter_us, m->has_far);
    json_kint(j, "payload_type", m->payload_type);
    json_kint(j, "dtmf_events", m->dtmf_events);
}

static void put_side(const struct media_stats *m, enum media_diagnosis d, struct json *j)
{
    static const char *const ranks[] = {
        "none", "exact", "sdp_address", "signalling_address", "authenticated", "ice"};

    json_obj(j);
    json_kaddr(j, "remote", &m->remote);
    json_kaddr(j, "local", &m->local);
    json_kcstr(j, "latched", ranks[m->rank < COUNT_OF(ranks) ? m->rank : 0]);
    json_kstr(j, "srtp", m->suite);
    json_kcstr(j, "dtls", media_dtls_word(m->dtls));
    json_kcstr(j, "ice", media_ice_word(m->ice));
    json_kcstr(j, "diagnosis", media_diagnosis_word(d));
    json_kcstr(j, "diagnosis_text", media_diagnosis_text(d));
    put_traffic(m, j);
    put_quality(m, j);
    json_obj_end(j);
}

static void put_stream(const struct stream_figures *f, bool ended, struct json *j)
{
    json_obj(j);
    json_kint(j, "stream", f->stream);
    json_kbool(j, "ended", ended); /* before the call */
    json_key(j, "caller");
    put_side(&f->side[0], f->diagnosis[0], j);
    json_key(j, "callee");
    put_side(&f->side[1], f->diagnosis[1], j);
    json_obj_end(j);
}

static bool figures_read(const struct call *c, unsigned i, struct stream_figures *out)
{
    *out = (struct stream_figures){.stream = (uint8_t)i};
    for (unsigned side = 0; side < 2; side++) {
        if (!media_stats(c->media, i, side, &out->side[side])) {
            return false;
        }
        out->diagnosis[side] = media_diagnose(c->media, i, side);
    }
    return true;
}

void figures_keep(struct call *c, unsigned i)
{
    struct stream_figures f, *grown;

    if (c->n_gone == MEDIA_STREAMS_MAX || !figures_read(c, i, &f) ||
        f.side[0].rx_packets + f.side[1].rx_packets == 0) {
        return;
    }
    grown = mem_realloc(c->gone, ((size_t)c->n_gone + 1) * sizeof(f));
    if (grown != NULL) {
        c->gone = grown;
        grown[c->n_gone++] = f;
    }
}

static void put_media(const struct call *c, struct json *j)
{
    struct stream_figures f;

    for (uint8_t i = 0; i < c->n_gone; i++) {
        put_stream(&c->gone[i], true, j);
    }
    for (unsigned i = 0; c->media != NULL && i < c->n_streams; i++) {
        if (figures_read(c, i, &f)) {
            put_stream(&f, false, j);
        }
    }
}

static void put_attempt(const struct call *c, const struct attempt *at, struct json *j)
{
    char text[POLICY_NAME_MAX + 8], leg[2] = {(char)('a' + at->leg % 26), 0};
    struct buf b;

    buf_init_fixed(&b, text, sizeof(text));
    call_put_ref(c, &b, &at->to, -1);
    json_obj(j);
    json_kcstr(j, "leg", leg);
    json_kstr(j, "target", buf_sl(&b));
    json_kaddr(j, "address", &at->addr);
    json_kint(j, "start_ms", at->start_ms);
    json_key(j, "end_ms");
    if (at->end_ms < 0) {
        json_none(j);
    } else {
        json_int(j, at->end_ms);
    }
    json_kint(j, "status", at->status);
    json_kcstr(j, "result",
               at->err == ETIMEDOUT ? "timeout"
               : at->err != 0       ? "unreachable"
               : at->end_ms < 0     ? "running"
               : at->status < 300   ? "answered"
                                    : "refused");
    json_kcstr(j, "reason", at->why);
    json_obj_end(j);
}

void call_put_detail(struct call *c, struct json *j, bool live)
{
    json_obj(j);
    json_kbool(j, "live", live);
    json_key(j, "legs");
    json_arr(j);
    if (c->a != NULL) {
        put_leg(c, c->a, j);
    }
    if (c->b != NULL) {
        put_leg(c, c->b, j);
    }
    json_arr_end(j);
    json_key(j, "media");
    json_arr(j);
    put_media(c, j);
    json_arr_end(j);
    json_key(j, "verdict");
    call_put_verdict(j, c->cfg, &c->verdict);
    json_key(j, "trace");
    policy_trace_json(c->cfg->policy, &c->verdict, j);
    json_key(j, "topology_leaks");
    egress_put(c, j);
    json_key(j, "attempts");
    json_arr(j);
    for (uint8_t i = 0; i < c->n_attempts; i++) {
        put_attempt(c, &c->attempts[i], j);
    }
    json_arr_end(j);
    json_obj_end(j);
}

static struct sl addr_sl(const struct leg *l, char text[ADDR_TEXT_MAX])
{
    return l != NULL ? sl_str(addr_text(&l->dlg.flow.remote, text)) : SL_NULL;
}

void call_post(struct call *c)
{
    static const enum store_call_state states[] = {STORE_CALL_SETUP, STORE_CALL_RINGING,
                                                   STORE_CALL_ANSWERED, STORE_CALL_ENDED};
    char a[ADDR_TEXT_MAX], b[ADDR_TEXT_MAX];
    struct buf *buf = &c->t->json;
    struct store_call rec = {.id = c->id,
                             .state = states[c->state],
                             .start_ms = c->start_wall,
                             .ring_ms = c->ring_wall,
                             .answer_ms = c->answer_wall,
                             .end_ms = c->end_wall,
                             .source = c->source,
                             .target = c->target,
                             .calling = c->calling,
                             .called = c->called,
                             .route = c->route,
                             .a_remote = addr_sl(c->a, a),
                             .b_remote = addr_sl(c->b, b),
                             .a_call_id = c->a != NULL ? c->a->dlg.call_id : SL_NULL,
                             .b_call_id = c->b != NULL ? c->b->dlg.call_id : SL_NULL,
                             .end_code = c->end_code,
                             .end_by = sl_str(c->end_by),
                             .end_reason = sl_str(c->end_reason),
                             .config_version = c->cfg->version};

    if (c->t->p.store == NULL) {
        return;
    }
    buf_reset(buf);
    if (c->state == CALL_ENDED) {
        struct json j;
        size_t split;

        json_init(&j, buf);
        call_put_detail(c, &j, false);
        split = buf->n;
        ladder_put(c, buf);
        if (buf_err(buf) == 0) {
            rec.detail = sl_make(buf->p, split);
            rec.ladder = sl_make(buf->p + split, buf->n - split);
        }
    }
    if (store_put_call(c->t->p.store, &rec) != 0) {
        log_error(&c->log, "record of the call could not be kept: out of memory");
    }
}
