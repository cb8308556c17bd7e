/* phone.h - the phones of rig.h: included by it only. */
#ifndef POSTERN_FLOW_PHONE_H
#define POSTERN_FLOW_PHONE_H

#ifndef POSTERN_FLOW_RIG_H
#error "include rig.h"
#endif

/* --- phone.c: one end of one dialog, and the telephone that it lives on --- */
struct phone {
    struct rig *r;
    uint8_t side; /* 0 calls, 1 is called */
    unsigned worker;
    struct flow flow; /* as the house sees it */
    char at[64];      /* host:port */
    char user[32];
    char call_id[RIG_ID_MAX], tag[RIG_ID_MAX];
    char local[128], remote[128]; /* name-addr without tag */
    char remote_tag[RIG_ID_MAX];
    char target[256];   /* where requests go: the house's Contact */
    char routes[512];   /* Route field lines */
    char contact[1024]; /* a whole Contact field line (or others) instead of the usual one; empty:
                           the usual */
    char extra[512];    /* field lines added to the next request or answer */
    uint32_t cseq;
    unsigned hops; /* Max-Forwards */
    char branch[RIG_ID_MAX];
    char invite[RIG_TEXT_MAX]; /* last INVITE sent */
    char last[RIG_TEXT_MAX];   /* last request sent */
    char asked[RIG_TEXT_MAX];  /* last request received */
    char ring[RIG_TEXT_MAX];   /* last INVITE received */
    char got[RIG_TEXT_MAX];    /* last message taken */
    int64_t got_ms;
    char sdp[2048];
    char key[80], suite[40]; /* secure.c: SDES */
    unsigned print, ice_gen; /* secure.c: which certificate, which credentials */
    unsigned sdp_version;
    char media_ip[64];
    uint16_t media_port;
    char password[32];
};

/* at: ip:port. The listener is given by its index in the configuration (0 outside, 1 inside). */
void phone_init(struct phone *p, struct rig *r, unsigned side, const char *user, const char *at);
void phone_on(struct phone *p, uint8_t listener, enum sip_transport t);
/* A fresh dialog on the same telephone. */
void phone_renew(struct phone *p);
/* A second fork: the same place, ringing under another tag. */
void phone_fork(struct phone *p, const struct phone *from);

/* A description of this phone's; direction NULL: sendrecv. The version rises with each call. */
const char *phone_sdp(struct phone *p, const char *direction);

/* Sends what is written; no state is kept. */
void phone_send_raw(struct phone *p, const char *text);
/* Sends a request to ruri (outside a dialog) or the dialog's target (NULL). body NULL: none; its
 * type is application/sdp for INVITE and ACK, text/plain otherwise unless extra names one. */
void phone_request(struct phone *p, const char *method, const char *ruri, const char *body);
void phone_invite(struct phone *p, const char *ruri, const char *sdp); /* a new call */
void phone_reinvite(struct phone *p, const char *sdp);
void phone_ack(struct phone *p, const char *sdp); /* for the 2xx to the last INVITE sent */
void phone_ack_failure(struct phone *p);
void phone_cancel(struct phone *p);
void phone_bye(struct phone *p);
void phone_again(struct phone *p); /* the last INVITE sent, byte for byte */
/* Answers the last request taken, or the last INVITE taken. */
void phone_answer(struct phone *p, unsigned status, const char *body);
void phone_answer_invite(struct phone *p, unsigned status, const char *body);

/* Takes the oldest waiting message if it is the one: "INVITE", "180 INVITE". */
bool phone_try(struct phone *p, const char *what);
bool phone_has_mail(const struct phone *p);
void phone_drop_mail(struct phone *p); /* takes everything */
const char *phone_expect_at(struct phone *p, const char *what, const char *file, int line);
void phone_quiet_at(const struct phone *p, const char *file, int line);
#define EXPECT(p, what) phone_expect_at((p), (what), __FILE__, __LINE__)
#define QUIET(p) phone_quiet_at((p), __FILE__, __LINE__)
#define HAS(text, part) assert_non_null(strstr((text), (part)))
#define LACKS(text, part) assert_null(strstr((text), (part)))

/* Value of the nth field with this name (long form), empty: none. */
struct sl msg_hdr(struct sl msg, const char *name, unsigned nth);
struct sl msg_body(struct sl msg);
struct sl msg_tag(struct sl value);
/* The RTP port of the first m-line and the version in o=; 0: none. */
unsigned msg_port(const char *text);
unsigned long long msg_version(const char *text);
/* Authorization (or Proxy-) field for the challenge in p->got, put into p->extra. */
void phone_credentials(struct phone *p, const char *method, const char *uri);

#endif
