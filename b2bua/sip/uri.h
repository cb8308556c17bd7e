/* uri.h - URIs, name-addr and parameters (RFC 3261 19.1, 20.10, 25.1; RFC 3966; RFC 5118).
 * All results are slices into the argument; escapes are checked but never undone. On error *out
 * holds nothing to rely on. Thread: any. */
#ifndef POSTERN_SIP_URI_H
#define POSTERN_SIP_URI_H

#ifndef POSTERN_SIP_H
#error "include sip/sip.h"
#endif

struct sip_uri {
    struct sl text; /* the whole URI */
    enum sip_scheme scheme;
    struct sl scheme_name;
    struct sl user; /* before ':' password; empty: none. tel: the number */
    struct sl password;
    struct sl host; /* v6 without brackets */
    bool host_is_v6;
    uint16_t port;     /* 0: none written */
    struct sl params;  /* after the first ';', without it */
    struct sl headers; /* after '?', without it */
};

/* EBADMSG malformed (also white space inside, bad escapes, bad v6), EMSGSIZE over SIP_URI_MAX.
 * Unknown schemes parse with scheme OTHER and only text and scheme_name set. */
MUST_USE int sip_uri_parse(struct sl s, struct sip_uri *out);
/* ;name or ;name=value in a parameter list; the value is trimmed and unquoted. False: absent. */
bool sip_param(struct sl params, struct sl name, struct sl *value);
/* The same for the parameters of a URI, whose names may be escaped: %6C%72 is lr. The value is as
 * written. */
bool sip_uri_param(const struct sip_uri *u, struct sl name, struct sl *value);
/* transport parameter; dflt when absent, SIP_TRANSPORT_OTHER when unknown */
enum sip_transport sip_uri_transport(const struct sip_uri *u, enum sip_transport dflt);
/* RFC 3261 19.1.4: escapes are undone for the comparison, order of parameters is free. */
bool sip_uri_equal(const struct sip_uri *a, const struct sip_uri *b);
/* Writes s with escapes undone into dst (cap bytes): for look-ups of users and numbers only, never
 * for output. EBADMSG: %00 or a control byte came out; EMSGSIZE. *n gets the length. */
MUST_USE int sip_unescape(struct sl s, char *dst, size_t cap, size_t *n);

/* One value of From, To, Contact, Route, Record-Route, Refer-To …: name-addr or addr-spec. Without
 * <> all parameters after the URI are header parameters (RFC 3261 20). "*" gives is_star. */
struct sip_nameaddr {
    struct sl display; /* as written, with its quotes; empty: none */
    struct sl uri_text;
    struct sip_uri uri; /* valid unless is_star */
    struct sl params;   /* header parameters after the first ';' */
    bool is_star;
    bool bracketed;
};
MUST_USE int sip_nameaddr_parse(struct sl s, struct sip_nameaddr *out);

struct sip_via {
    struct sl text; /* the whole value, without white space around it */
    enum sip_transport transport;
    struct sl transport_name;
    struct sl host; /* v6 without brackets */
    bool host_is_v6;
    uint16_t port; /* 0: none */
    struct sl params;
    struct sl branch;
    struct sl received; /* without brackets */
    struct sl maddr;
    bool has_rport;
    uint16_t rport; /* 0: no value */
};
MUST_USE int sip_via_parse(struct sl value, struct sip_via *out);

/* Next comma-separated value, aware of quotes, <> and (comments); *in moves on. ENODATA at the
 * end, EBADMSG: empty element, open quote, bracket or comment. */
MUST_USE int sip_value_next(struct sl *in, struct sl *value);

/* Digest credentials or challenge (RFC 7616): Authorization, WWW-Authenticate and their proxy
 * forms. Strings are unquoted; those with a backslash inside stay as written. */
struct sip_auth {
    struct sl scheme;
    struct sl username, realm, nonce, uri, response, algorithm, cnonce, opaque, qop, nc;
    bool stale;
};
MUST_USE int sip_auth_parse(struct sl value, struct sip_auth *out);

#endif
