/* fakes.h - what stands in for media/ and store/ in the flow tests: no sockets, no threads, every
 * request remembered. Linked before the library, they take the modules' place. */
#ifndef POSTERN_FLOW_FAKES_H
#define POSTERN_FLOW_FAKES_H

#include "callout/callout.h"
#include "media/media.h"
#include "store/store.h"

/* --- media --- */

struct fake_side {
    bool is_open;
    uint8_t listener;
    int family;
    uint16_t port;
    struct media_remote remote;
    unsigned n_described; /* how often media_set_remote() came */
    bool is_secure;       /* ever */
    bool has_tx, has_rx;  /* SDES */
    struct srtp_key tx, rx;
    unsigned n_keyed;              /* how often one of them changed */
    uint64_t tx_packets;           /* under the key */
    struct media_dtls_params dtls; /* n_dtls != 0; the texts are fingerprints' */
    char fingerprint[128];         /* the first */
    unsigned n_dtls;               /* how often media_set_dtls() came */
    char ufrag[64], pwd[64];       /* theirs */
    unsigned ice_gen;              /* restarts of ours */
    unsigned agent;                /* the stream that it was made for */
    struct media_format formats[MEDIA_FORMATS_MAX];
    size_t n_formats;
    enum media_dtmf dtmf;
    char sent_dtmf[MEDIA_DTMF_QUEUE + 1]; /* digits of media_send_dtmf() */
    unsigned sent_ms;                     /* the last one's */
    uint8_t dscp;
    bool is_bundled;
    unsigned leader;
    uint32_t ssrc; /* the first by which it is told from the others; 0: none */
};
struct fake_stream {
    enum media_kind kind;
    struct fake_side side[2];
};
struct media_session {
    struct list node;
    struct media *m;
    media_silence_fn *on_silence;
    void *arg;
    media_dtmf_fn *on_dtmf;
    void *dtmf_arg;
    struct fake_stream streams[MEDIA_STREAMS_MAX];
};

struct media_session *fake_media_session(struct media *m); /* the one made last, or NULL */
void fake_media_limit(struct media *m, uint32_t pairs);    /* ENOBUFS beyond; UINT32_MAX: never */
void fake_media_fail(struct media *m, int err);            /* of each media_open(); 0: none */
void fake_media_silence(struct media_session *s, unsigned stream, unsigned side);
uint32_t fake_media_inactivity(const struct media *m);
#define FAKE_FINGERPRINT                                                                           \
    "sha-256 "                                                                                     \
    "00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:"   \
    "EE:FF"
void fake_media_dtls(struct media *m, bool has); /* as if media_params named a context */
/* An event was received from this side. */
void fake_media_dtmf(struct media_session *s, unsigned stream, unsigned side, char digit,
                     unsigned ms);

/* --- store --- */

#define FAKE_CALLS_MAX 400
#define FAKE_BINDINGS_MAX 64
#define FAKE_TEXT_MAX 96

struct fake_call { /* one posted record */
    uint64_t id;
    enum store_call_state state;
    int64_t start_ms, ring_ms, answer_ms, end_ms;
    uint16_t end_code;
    uint32_t config_version;
    char source[FAKE_TEXT_MAX], target[FAKE_TEXT_MAX], calling[FAKE_TEXT_MAX];
    char called[FAKE_TEXT_MAX], route[FAKE_TEXT_MAX], end_by[FAKE_TEXT_MAX];
    char end_reason[FAKE_TEXT_MAX], a_remote[FAKE_TEXT_MAX], b_remote[FAKE_TEXT_MAX];
    char detail[16384];
    char ladder[2048];
    size_t ladder_n;
};
struct fake_binding { /* one row */
    bool used;
    char user[FAKE_TEXT_MAX], contact[256], instance[160], call_id[FAKE_TEXT_MAX];
    char user_agent[FAKE_TEXT_MAX], flow[160], received[64], transport[8], listener[64];
    uint32_t cseq;
    int64_t expires_ms, updated_ms;
};
struct store {
    struct fake_call calls[FAKE_CALLS_MAX];
    size_t n_calls; /* posted; may be more than are kept */
    size_t n_lost;  /* refused for want of memory */
    struct fake_binding bindings[FAKE_BINDINGS_MAX];
    size_t n_put, n_del;
    size_t n_bans_put, n_bans_del;
    char last_ban[FAKE_TEXT_MAX]; /* prefix and event of the one put last */
    bool is_full;
    char asked[32768]; /* the last one */
    uint64_t asked_id;
    size_t n_asked;
    uint64_t last_id; /* store_last_id() */
};
extern struct store fake_store;

void fake_store_reset(void);
const struct fake_call *fake_store_last(void);                      /* NULL: none */
const struct fake_call *fake_store_ended(uint64_t id, unsigned *n); /* and how many there are */
size_t fake_store_rows(void);                                       /* of bindings */
/* The row as the store would give it back; false: no such row. */
bool fake_store_row(size_t i, struct store_binding *out);

/* --- callouts --- */

#define FAKE_QUESTIONS_MAX 16
struct fake_question {
    callout_fn *fn;
    void *arg;
    struct callout_ticket ticket;
    uint32_t timeout_ms;
    char body[1024];
};
struct callout {
    struct fake_question asked[FAKE_QUESTIONS_MAX];
    size_t n_asked;
    int fail; /* of callout_ask(); 0: none */
};
extern struct callout fake_callout;
void fake_callout_answer(size_t i, const struct callout_answer *a); /* question i, from 0 */

#endif
