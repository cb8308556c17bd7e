/* stats.c - what is known about a side, for the operator; and why it is not heard. */
#include "media/secure_int.h"
#include "media/stage_int.h"

#define DIAGNOSE_MS 5000 /* what came longer ago explains nothing */

static void stats_counts(const struct media_side *s, struct media_stats *out)
{
    const struct media_counters *c = &s->count;

    out->rx_packets = c->rx_packets;
    out->rx_bytes = c->rx_bytes;
    out->tx_packets = c->tx_packets;
    out->tx_bytes = c->tx_bytes;
    out->rtcp_rx = c->rtcp_rx;
    out->rtcp_tx = c->rtcp_tx;
    out->strangers = c->strangers;
    out->malformed = c->malformed;
    out->srtp_auth_failed = c->auth_failed;
    out->srtp_replayed = c->replayed;
    out->srtp_ssrc_limit = c->too_many_ssrcs;
    out->no_keys = c->no_keys;
    out->wrong_pt = c->wrong_pt;
    out->no_destination = c->no_destination;
    out->send_failed = c->send_failed;
    out->feedback_filtered = c->feedback_filtered;
    out->dtmf_events = c->dtmf_events;
}

static void stats_sequence(const struct media_side *s, struct media_stats *out)
{
    const struct media_track *t = &s->track;
    const struct media_format *f = media_format_find(s->fmt, t->payload_type);
    struct media_listener l = {.codec = f != NULL ? f->codec : MEDIA_CODEC_OTHER,
                               .ptime_ms = f != NULL ? f->ptime_ms : 0,
                               .rtt_us = s->report.rtt_us};

    out->lost = media_track_lost(t);
    out->reordered = t->reordered;
    out->late = t->late;
    out->duplicates = t->duplicates;
    out->jitter_us = media_track_jitter_us(t);
    out->ssrc = t->ssrc;
    out->payload_type = t->payload_type;
    media_quality_read(&s->quality, t, &l, &out->lq, &out->cq);
}

static void stats_far(const struct media_side *s, struct media_stats *out)
{
    const struct media_report *r = &s->report;
    uint32_t clock_hz = media_side_other((struct media_side *)(uintptr_t)s)->track.clock_hz;

    out->rtt_us = r->rtt_us;
    out->has_far = r->has_far;
    out->far_lost = r->far_lost;
    out->far_fraction_lost = r->far_fraction_lost;
    out->far_jitter_us =
        clock_hz != 0 ? (uint32_t)((uint64_t)r->far_jitter * 1000000 / clock_hz) : 0;
}

static void stats_transport(const struct media_side *via, struct media_stats *out)
{
    const struct addr *dest = media_flow_dest(&via->rtp);
    const struct media_keys *k = via->sec != NULL ? &via->sec->keys[0] : NULL;

    out->learned = via->rtp.rank != 0;
    out->rank = via->rtp.rank;
    out->local = via->local;
    if (dest != NULL) {
        out->remote = *dest;
    }
    out->suite = SL("none");
    if (k != NULL && (k->rx != NULL || k->tx != NULL)) {
        out->suite = srtp_suite_name(srtp_suite_of(k->rx != NULL ? k->rx : k->tx));
    }
    out->dtls = media_handshake_state(via);
    out->ice = media_checks_state(via);
}

bool media_stats(const struct media_session *s, unsigned stream, unsigned side,
                 struct media_stats *out)
{
    const struct media_side *sd = media_side_of(s, stream, side);

    if (sd == NULL || !media_side_is_open(sd)) {
        return false;
    }
    *out = (struct media_stats){.last_rx_ms = sd->last_rx_ms};
    stats_counts(sd, out);
    stats_sequence(sd, out);
    stats_far(sd, out);
    stats_transport(sd->via, out);
    return true;
}

/* --- diagnosis --- */

static bool is_recent(int64_t at_ms, int64_t now_ms)
{
    return at_ms != 0 && now_ms - at_ms <= DIAGNOSE_MS;
}

static enum media_diagnosis diagnose_heard(const struct media_side *s, int64_t now_ms)
{
    return is_recent(s->at.wrong_pt_ms, now_ms) && !is_recent(s->at.right_pt_ms, now_ms)
               ? MEDIA_DIAG_WRONG_PT
               : MEDIA_DIAG_OK;
}

static enum media_diagnosis diagnose_silence(const struct media_side *s, int64_t now_ms)
{
    const struct media_side *via = s->via;

    if (media_handshake_state(via) != MEDIA_DTLS_NONE && via->sec->keys[0].rx == NULL) {
        return MEDIA_DIAG_DTLS_PENDING;
    }
    if (is_recent(via->at.auth_failed_ms, now_ms)) {
        return MEDIA_DIAG_AUTH_FAILING;
    }
    if (is_recent(via->at.stranger_ms, now_ms)) {
        return MEDIA_DIAG_OTHER_ADDRESS;
    }
    return MEDIA_DIAG_NO_PACKETS;
}

enum media_diagnosis media_diagnose(const struct media_session *s, unsigned stream, unsigned side)
{
    const struct media_side *sd = media_side_of(s, stream, side);
    int64_t now_ms = loop_now_ms(s->m->p.loop);

    if (sd == NULL || !media_side_is_open(sd) || !sd->has_remote) {
        return MEDIA_DIAG_OK;
    }
    if (is_recent(sd->last_rx_ms, now_ms)) {
        return diagnose_heard(sd, now_ms);
    }
    if (media_checks_state(sd->via) == MEDIA_ICE_FAILED) {
        return MEDIA_DIAG_ICE_FAILED;
    }
    if (media_handshake_state(sd->via) == MEDIA_DTLS_FAILED) {
        return MEDIA_DIAG_DTLS_FAILED;
    }
    if (!sd->may_send) {
        return MEDIA_DIAG_ON_HOLD;
    }
    return diagnose_silence(sd, now_ms);
}

static const struct {
    const char *word, *text;
} diagnoses[MEDIA_DIAG_N] = {
    [MEDIA_DIAG_OK] = {"ok", "media comes as agreed"},
    [MEDIA_DIAG_ON_HOLD] = {"on_hold", "on hold by its description"},
    [MEDIA_DIAG_NO_PACKETS] = {"no_packets", "no packets come"},
    [MEDIA_DIAG_OTHER_ADDRESS] = {"other_address",
                                  "packets come from another address than the one described"},
    [MEDIA_DIAG_AUTH_FAILING] = {"auth_failing", "packets do not authenticate under the SRTP key"},
    [MEDIA_DIAG_WRONG_PT] = {"wrong_payload_type",
                             "packets come in a payload type that was not negotiated"},
    [MEDIA_DIAG_ICE_FAILED] = {"ice_failed", "ICE found no way or lost its consent"},
    [MEDIA_DIAG_DTLS_PENDING] = {"dtls_pending", "the DTLS handshake has not ended"},
    [MEDIA_DIAG_DTLS_FAILED] = {"dtls_failed", "the DTLS handshake failed"},
};

const char *media_diagnosis_text(enum media_diagnosis d)
{
    return diagnoses[(unsigned)d < MEDIA_DIAG_N ? d : MEDIA_DIAG_OK].text;
}

const char *media_diagnosis_word(enum media_diagnosis d)
{
    return diagnoses[(unsigned)d < MEDIA_DIAG_N ? d : MEDIA_DIAG_OK].word;
}

const char *media_dtls_word(enum media_dtls_state d)
{
    static const char *const words[] = {"none", "waiting", "handshake", "done", "failed"};

    return words[(unsigned)d < COUNT_OF(words) ? (unsigned)d : 0];
}

const char *media_ice_word(enum media_ice_state i)
{
    static const char *const words[] = {"none", "checking", "connected", "failed"};

    return words[(unsigned)i < COUNT_OF(words) ? (unsigned)i : 0];
}
