/* fake_media.c - media/media.h without sockets: ports are numbers, descriptions are remembered. */
#include "fakes.h"

#include <stdio.h>

#define REALMS_MAX 16

struct fake_realm {
    bool used;
    uint16_t port_min, port_max;
    uint16_t next;
    uint32_t in_use;
};
struct media {
    struct media_params p;
    struct fake_realm realms[REALMS_MAX];
    struct list sessions;
    uint32_t limit; /* pairs */
    bool has_dtls;  /* pretend */
    int fail;
};

int media_new(struct media **mp, const struct media_params *p)
{
    struct media *m = mem_zalloc(sizeof(*m));

    if (m == NULL) {
        return ENOMEM;
    }
    m->p = *p;
    m->limit = UINT32_MAX;
    list_init(&m->sessions);
    *mp = m;
    return 0;
}

void media_free(struct media **mp)
{
    mem_free(*mp);
    *mp = NULL;
}

int media_set_realm(struct media *m, const struct media_realm_params *p)
{
    struct fake_realm *realm = &m->realms[p->listener];

    if (!realm->used) {
        realm->next = p->port_min;
    }
    realm->used = true;
    realm->port_min = p->port_min;
    realm->port_max = p->port_max;
    return 0;
}

void media_set(struct media *m, const struct media_settings *s)
{
    (void)m;
    (void)s;
}

void media_set_crypto(struct media *m, struct crypto_pool *pool)
{
    (void)m;
    (void)pool;
}

int media_drop_realm(struct media *m, uint8_t listener)
{
    (void)m;
    (void)listener;
    return 0;
}

void media_set_inactivity(struct media *m, uint32_t ms)
{
    m->p.inactivity_ms = ms;
}

void media_set_quarantine(struct media *m, uint32_t ms)
{
    m->p.quarantine_ms = ms;
}

uint32_t fake_media_inactivity(const struct media *m)
{
    return m->p.inactivity_ms;
}

static uint32_t pairs_in_use(const struct media *m)
{
    uint32_t n = 0;

    for (size_t i = 0; i < REALMS_MAX; i++) {
        n += m->realms[i].in_use;
    }
    return n;
}

void media_counts(const struct media *m, struct media_counts *out)
{
    *out = (struct media_counts){.sessions = (uint32_t)list_len(&m->sessions),
                                 .sockets = 2 * pairs_in_use(m),
                                 .ports_used = 2 * pairs_in_use(m)};
    for (size_t i = 0; i < REALMS_MAX; i++) {
        if (m->realms[i].used) {
            out->ports_total += m->realms[i].port_max - m->realms[i].port_min + 1u;
        }
    }
}

uint32_t media_ports_in_use(const struct media *m, uint8_t listener, uint32_t *total)
{
    *total = m->realms[listener].port_max - m->realms[listener].port_min + 1u;
    return 2 * m->realms[listener].in_use;
}

int media_session_new(struct media_session **sp, struct media *m, media_silence_fn *on_silence,
                      void *arg)
{
    struct media_session *s = mem_zalloc(sizeof(*s));

    if (s == NULL) {
        return ENOMEM;
    }
    s->m = m;
    s->on_silence = on_silence;
    s->arg = arg;
    list_push_back(&m->sessions, &s->node);
    *sp = s;
    return 0;
}

static void close_side(struct media_session *s, struct fake_side *side)
{
    if (side->is_open) {
        s->m->realms[side->listener].in_use--;
        *side = (struct fake_side){0};
    }
    side->is_bundled = false;
}

/* Its transport goes on with the next one that uses it. */
static void hand_over(struct media_session *s, unsigned stream, unsigned side)
{
    struct fake_side *old = &s->streams[stream].side[side], *heir = NULL;
    unsigned to = 0;

    for (unsigned i = 0; i < MEDIA_STREAMS_MAX && old->is_open; i++) {
        struct fake_side *fs = &s->streams[i].side[side];

        if (fs->is_bundled && fs->leader == stream) {
            to = heir == NULL ? i : to;
            fs->leader = to;
            heir = heir == NULL ? fs : heir;
        }
    }
    if (heir != NULL) {
        heir->is_open = true;
        heir->is_bundled = false;
        heir->listener = old->listener;
        heir->family = old->family;
        heir->port = old->port;
        heir->ice_gen = old->ice_gen;
        heir->agent = old->agent;
        *old = (struct fake_side){0};
    }
}

void media_close(struct media_session *s, unsigned stream)
{
    hand_over(s, stream, 0);
    hand_over(s, stream, 1);
    close_side(s, &s->streams[stream].side[0]);
    close_side(s, &s->streams[stream].side[1]);
}

void media_session_close(struct media_session **sp)
{
    struct media_session *s = *sp;

    *sp = NULL;
    if (s == NULL) {
        return;
    }
    for (unsigned i = 0; i < MEDIA_STREAMS_MAX; i++) {
        media_close(s, i);
    }
    list_del(&s->node);
    mem_free(s);
}

int media_open(struct media_session *s, unsigned stream, unsigned side, enum media_kind kind,
               uint8_t listener, int family)
{
    struct fake_side *fs = &s->streams[stream].side[side];
    struct fake_realm *realm = &s->m->realms[listener];

    s->streams[stream].kind = kind;
    fs->is_bundled = false;
    if (fs->is_open && fs->listener == listener && fs->family == family) {
        return 0;
    }
    close_side(s, fs);
    if (s->m->fail != 0) {
        return s->m->fail;
    }
    if (pairs_in_use(s->m) >= s->m->limit) {
        stat_inc(STAT_PORTS_FULL);
        return ENOBUFS;
    }
    fs->is_open = true;
    fs->agent = stream;
    fs->listener = listener;
    fs->family = family;
    fs->port = realm->next;
    realm->next = (uint16_t)(realm->next + 2 < realm->port_max ? realm->next + 2 : realm->port_min);
    realm->in_use++;
    return 0;
}

/* Whose ports the side uses. */
static const struct fake_side *lender_of(const struct media_session *s, unsigned stream,
                                         unsigned side)
{
    const struct fake_side *fs = &s->streams[stream].side[side];

    return fs->is_bundled ? &s->streams[fs->leader].side[side] : fs;
}

bool media_is_open(const struct media_session *s, unsigned stream, unsigned side)
{
    return lender_of(s, stream, side)->is_open;
}

void media_local(const struct media_session *s, unsigned stream, unsigned side, struct addr *rtp)
{
    const struct fake_side *fs = lender_of(s, stream, side);

    *rtp = (struct addr){0};
    if (!fs->is_open) {
        return;
    }
    if (addr_parse(fs->family == AF_INET6 ? SL("2001:db8::7") : SL("127.0.0.7"), fs->port, rtp) !=
        0) {
        *rtp = (struct addr){0};
    }
}

void media_set_remote(struct media_session *s, unsigned stream, unsigned side,
                      const struct media_remote *r)
{
    s->streams[stream].side[side].remote = *r;
    s->streams[stream].side[side].n_described++;
}

void media_side_reset(struct media_session *s, unsigned stream, unsigned side)
{
    struct fake_side *fs = &s->streams[stream].side[side];
    struct fake_side kept = *fs;

    *fs = (struct fake_side){.is_open = kept.is_open,
                             .listener = kept.listener,
                             .family = kept.family,
                             .port = kept.port,
                             .ice_gen = kept.ice_gen,
                             .agent = kept.agent,
                             .dscp = kept.dscp};
}

bool media_stats(const struct media_session *s, unsigned stream, unsigned side,
                 struct media_stats *out)
{
    const struct fake_side *fs = &s->streams[stream].side[side];

    *out = (struct media_stats){
        .remote = fs->remote.rtp, .rx_packets = 10, .tx_packets = 11, .suite = SL("none")};
    media_local(s, stream, side, &out->local);
    return fs->is_open;
}

/* --- keys, ICE --- */

static struct fake_side *side_of(const struct media_session *s, unsigned stream, unsigned side)
{
    return (struct fake_side *)(uintptr_t)&s->streams[stream].side[side];
}

/* Do we encrypt with it on another side of the session? */
static bool is_used(const struct media_session *s, const struct fake_side *but,
                    const struct srtp_key *k)
{
    for (unsigned i = 0; i < 2 * MEDIA_STREAMS_MAX; i++) {
        const struct fake_side *fs = &s->streams[i / 2].side[i % 2];

        if (fs != but && fs->has_tx && srtp_key_equal(&fs->tx, k)) {
            return true;
        }
    }
    return false;
}

int media_set_sdes(struct media_session *s, unsigned stream, unsigned side,
                   const struct srtp_key *tx, const struct srtp_key *rx)
{
    struct fake_side *fs = side_of(s, stream, side);

    if (!fs->is_open) {
        return ENOENT;
    }
    if (tx == NULL) {
        return fs->is_secure ? EPROTO : 0;
    }
    if (is_used(s, fs, tx) || (rx != NULL && srtp_key_equal(tx, rx))) {
        return EPROTO;
    }
    if (!fs->has_tx || !srtp_key_equal(tx, &fs->tx) ||
        (rx != NULL && (!fs->has_rx || !srtp_key_equal(rx, &fs->rx)))) {
        fs->n_keyed++;
    }
    fs->is_secure = fs->has_tx = true;
    fs->has_rx = rx != NULL;
    fs->tx = *tx;
    fs->rx = rx != NULL ? *rx : (struct srtp_key){0};
    return 0;
}

uint64_t media_tx_packets_under_key(const struct media_session *s, unsigned stream, unsigned side)
{
    return side_of(s, stream, side)->tx_packets;
}

int media_set_dtls(struct media_session *s, unsigned stream, unsigned side,
                   const struct media_dtls_params *p)
{
    struct fake_side *fs = side_of(s, stream, side);

    if (s->m->p.dtls == NULL && !s->m->has_dtls) {
        return ENOTSUP;
    }
    fs->is_secure = fs->is_secure || p->n != 0;
    fs->dtls = *p;
    fs->n_dtls++;
    if (p->n != 0 && sl_cstr(p->fingerprints[0], fs->fingerprint, sizeof(fs->fingerprint)) != 0) {
        return EBADMSG;
    }
    return 0;
}

void media_dtls_fingerprint(const struct media *m, struct sl *out)
{
    *out = m->p.dtls != NULL || m->has_dtls ? sl_str(FAKE_FINGERPRINT) : SL_NULL;
}

int media_ice_local(struct media_session *s, unsigned stream, unsigned side,
                    struct media_ice_local *out)
{
    static char ufrags[MEDIA_STREAMS_MAX][2][24]; /* each agent has its own */
    const struct fake_side *fs = lender_of(s, stream, side);
    char *ufrag = ufrags[fs->agent][fs->ice_gen % 2];

    snprintf(ufrag, sizeof(ufrags[0][0]), fs->agent == 0 ? "fakeufrag%u" : "fakeufrag%u+%u",
             fs->ice_gen % 2, fs->agent);
    *out = (struct media_ice_local){.ufrag = sl_str(ufrag), .pwd = SL("fakepasswordoftwentyfour")};
    return 0;
}

int media_ice_restart(struct media_session *s, unsigned stream, unsigned side)
{
    ((struct fake_side *)(uintptr_t)lender_of(s, stream, side))->ice_gen++;
    return 0;
}

int media_set_ice(struct media_session *s, unsigned stream, unsigned side, struct sl ufrag,
                  struct sl pwd)
{
    struct fake_side *fs = side_of(s, stream, side);

    if (sl_cstr(ufrag, fs->ufrag, sizeof(fs->ufrag)) != 0 ||
        sl_cstr(pwd, fs->pwd, sizeof(fs->pwd)) != 0) {
        return EBADMSG;
    }
    return 0;
}

/* --- formats, DTMF, bundles --- */

int media_set_formats(struct media_session *s, unsigned stream, unsigned side,
                      const struct media_format *f, size_t n)
{
    struct fake_side *fs = side_of(s, stream, side);

    if (n > MEDIA_FORMATS_MAX) {
        return EINVAL;
    }
    fs->n_formats = n;
    if (n != 0) {
        memcpy(fs->formats, f, n * sizeof(*f));
    }
    return 0;
}

int media_set_dtmf(struct media_session *s, unsigned stream, unsigned side, enum media_dtmf how)
{
    side_of(s, stream, side)->dtmf = how;
    return 0;
}

void media_set_dtmf_handler(struct media_session *s, media_dtmf_fn *fn, void *arg)
{
    s->on_dtmf = fn;
    s->dtmf_arg = arg;
}

static bool side_has_events(const struct fake_side *fs)
{
    for (size_t i = 0; i < fs->n_formats; i++) {
        if (fs->formats[i].kind == MEDIA_FMT_EVENT) {
            return true;
        }
    }
    return false;
}

int media_send_dtmf(struct media_session *s, unsigned stream, unsigned side, char digit,
                    unsigned ms)
{
    struct fake_side *fs = side_of(s, stream, side);
    size_t n = strlen(fs->sent_dtmf);

    fs->sent_ms = ms;
    if (!side_has_events(fs)) {
        return ENOTSUP;
    }
    if (n == MEDIA_DTMF_QUEUE) {
        return ENOBUFS;
    }
    fs->sent_dtmf[n] = digit;
    return 0;
}

int media_bundle(struct media_session *s, unsigned stream, unsigned side, unsigned leader,
                 const struct media_bundle_key *key)
{
    struct fake_side *fs = side_of(s, stream, side);

    if (leader != stream) {
        close_side(s, fs);
        fs->is_bundled = true;
        fs->leader = leader;
    }
    fs->ssrc = key->n != 0 ? key->ssrcs[0] : 0;
    return 0;
}

unsigned media_bundle_leader(const struct media_session *s, unsigned stream, unsigned side)
{
    const struct fake_side *fs = side_of(s, stream, side);

    return fs->is_bundled ? fs->leader : stream;
}

int media_set_dscp(struct media_session *s, unsigned stream, unsigned side, uint8_t dscp)
{
    side_of(s, stream, side)->dscp = dscp;
    return 0;
}

/* --- words --- */

enum media_diagnosis media_diagnose(const struct media_session *s, unsigned stream, unsigned side)
{
    (void)s;
    (void)stream;
    (void)side;
    return MEDIA_DIAG_OK;
}

const char *media_diagnosis_text(enum media_diagnosis d)
{
    (void)d;
    return "media is fine";
}

const char *media_diagnosis_word(enum media_diagnosis d)
{
    (void)d;
    return "ok";
}

const char *media_dtls_word(enum media_dtls_state d)
{
    (void)d;
    return "none";
}

const char *media_ice_word(enum media_ice_state i)
{
    (void)i;
    return "none";
}

/* --- for the tests --- */

struct media_session *fake_media_session(struct media *m)
{
    return list_is_empty(&m->sessions) ? NULL
                                       : CONTAINER_OF(m->sessions.prev, struct media_session, node);
}

void fake_media_limit(struct media *m, uint32_t pairs)
{
    m->limit = pairs;
}

void fake_media_fail(struct media *m, int err)
{
    m->fail = err;
}

void fake_media_silence(struct media_session *s, unsigned stream, unsigned side)
{
    s->on_silence(s, stream, side, s->arg);
}

void fake_media_dtmf(struct media_session *s, unsigned stream, unsigned side, char digit,
                     unsigned ms)
{
    s->on_dtmf(s, stream, side, digit, ms, s->dtmf_arg);
}

void fake_media_dtls(struct media *m, bool has)
{
    m->has_dtls = has;
}
