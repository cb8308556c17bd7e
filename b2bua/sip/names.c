/* names.c - methods, transports and header names: the bytes decide, never a hash alone. */
#include "sip/sip_int.h"

#define METHOD(id) [SIP_##id] = {#id, sizeof(#id) - 1}

static const struct sl methods[SIP_METHOD_N] = {
    METHOD(INVITE),  METHOD(ACK),       METHOD(BYE),
    METHOD(CANCEL),  METHOD(REGISTER),  METHOD(OPTIONS),
    METHOD(REFER),   METHOD(SUBSCRIBE), METHOD(NOTIFY),
    METHOD(MESSAGE), METHOD(INFO),      METHOD(UPDATE),
    METHOD(PRACK),   METHOD(PUBLISH),   [SIP_METHOD_OTHER] = {"OTHER", 5},
};

const char *sip_method_name(enum sip_method m)
{
    return methods[m < SIP_METHOD_N ? m : SIP_METHOD_OTHER].p;
}

enum sip_method sip_method_of(struct sl name)
{
    for (unsigned m = 0; m < SIP_METHOD_OTHER; m++) {
        if (sl_eq(methods[m], name)) {
            return (enum sip_method)m;
        }
    }
    return SIP_METHOD_OTHER;
}

static const struct sl transports[] = {
    [SIP_UDP] = {"UDP", 3}, [SIP_TCP] = {"TCP", 3}, [SIP_TLS] = {"TLS", 3},
    [SIP_WS] = {"WS", 2},   [SIP_WSS] = {"WSS", 3}, [SIP_TRANSPORT_OTHER] = {"OTHER", 5},
};

const char *sip_transport_name(enum sip_transport t)
{
    return transports[t <= SIP_TRANSPORT_OTHER ? t : SIP_TRANSPORT_OTHER].p;
}

enum sip_transport sip_transport_of(struct sl name)
{
    for (unsigned t = 0; t < SIP_TRANSPORT_OTHER; t++) {
        if (sl_ieq(transports[t], name)) {
            return (enum sip_transport)t;
        }
    }
    return SIP_TRANSPORT_OTHER;
}

#define LIST(id, name) [HDR_##id] = {{name, sizeof(name) - 1}, false}
#define ONE(id, name) [HDR_##id] = {{name, sizeof(name) - 1}, true}

/* ONE: a second field makes the message invalid, as two readers could pick different ones. */
static const struct hdr_def {
    struct sl name;
    bool is_single;
} hdr_defs[HDR_N] = {
    [HDR_OTHER] = {{"", 0}, false},
    LIST(VIA, "Via"),
    ONE(FROM, "From"),
    ONE(TO, "To"),
    ONE(CALL_ID, "Call-ID"),
    ONE(CSEQ, "CSeq"),
    LIST(CONTACT, "Contact"),
    ONE(MAX_FORWARDS, "Max-Forwards"),
    LIST(ROUTE, "Route"),
    LIST(RECORD_ROUTE, "Record-Route"),
    LIST(CONTENT_TYPE, "Content-Type"),
    ONE(CONTENT_LENGTH, "Content-Length"),
    LIST(CONTENT_ENCODING, "Content-Encoding"),
    LIST(CONTENT_DISPOSITION, "Content-Disposition"),
    LIST(CONTENT_LANGUAGE, "Content-Language"),
    LIST(MIME_VERSION, "MIME-Version"),
    LIST(ACCEPT, "Accept"),
    LIST(ACCEPT_ENCODING, "Accept-Encoding"),
    LIST(ACCEPT_LANGUAGE, "Accept-Language"),
    LIST(ALLOW, "Allow"),
    LIST(SUPPORTED, "Supported"),
    LIST(REQUIRE, "Require"),
    LIST(PROXY_REQUIRE, "Proxy-Require"),
    LIST(UNSUPPORTED, "Unsupported"),
    LIST(EXPIRES, "Expires"),
    LIST(MIN_EXPIRES, "Min-Expires"),
    LIST(AUTHORIZATION, "Authorization"),
    LIST(PROXY_AUTHORIZATION, "Proxy-Authorization"),
    LIST(WWW_AUTHENTICATE, "WWW-Authenticate"),
    LIST(PROXY_AUTHENTICATE, "Proxy-Authenticate"),
    LIST(USER_AGENT, "User-Agent"),
    LIST(SERVER, "Server"),
    LIST(DATE, "Date"),
    LIST(SUBJECT, "Subject"),
    LIST(RETRY_AFTER, "Retry-After"),
    LIST(REASON, "Reason"),
    LIST(WARNING, "Warning"),
    LIST(PRIVACY, "Privacy"),
    LIST(PAI, "P-Asserted-Identity"),
    LIST(PPI, "P-Preferred-Identity"),
    LIST(RPID, "Remote-Party-ID"),
    LIST(DIVERSION, "Diversion"),
    LIST(HISTORY_INFO, "History-Info"),
    LIST(REFER_TO, "Refer-To"),
    LIST(REFERRED_BY, "Referred-By"),
    LIST(REPLACES, "Replaces"),
    LIST(EVENT, "Event"),
    LIST(ALLOW_EVENTS, "Allow-Events"),
    LIST(SUBSCRIPTION_STATE, "Subscription-State"),
    LIST(SESSION_EXPIRES, "Session-Expires"),
    LIST(MIN_SE, "Min-SE"),
    LIST(RACK, "RAck"),
    LIST(RSEQ, "RSeq"),
    LIST(PATH, "Path"),
    LIST(SERVICE_ROUTE, "Service-Route"),
    LIST(IDENTITY, "Identity"),
    LIST(ALERT_INFO, "Alert-Info"),
    LIST(CALL_INFO, "Call-Info"),
    LIST(ORGANIZATION, "Organization"),
    LIST(TIMESTAMP, "Timestamp"),
    LIST(INFO_PACKAGE, "Info-Package"),
    LIST(RECV_INFO, "Recv-Info"),
    LIST(SIP_ETAG, "SIP-ETag"),
    LIST(SIP_IF_MATCH, "SIP-If-Match"),
    LIST(IN_REPLY_TO, "In-Reply-To"),
    LIST(ERROR_INFO, "Error-Info"),
    LIST(REPLY_TO, "Reply-To"),
};

/* RFC 3261 7.3.3 and the extensions' own registrations. */
static const uint8_t hdr_compact[26] = {
    ['b' - 'a'] = HDR_REFERRED_BY,
    ['c' - 'a'] = HDR_CONTENT_TYPE,
    ['e' - 'a'] = HDR_CONTENT_ENCODING,
    ['f' - 'a'] = HDR_FROM,
    ['i' - 'a'] = HDR_CALL_ID,
    ['k' - 'a'] = HDR_SUPPORTED,
    ['l' - 'a'] = HDR_CONTENT_LENGTH,
    ['m' - 'a'] = HDR_CONTACT,
    ['o' - 'a'] = HDR_EVENT,
    ['r' - 'a'] = HDR_REFER_TO,
    ['s' - 'a'] = HDR_SUBJECT,
    ['t' - 'a'] = HDR_TO,
    ['u' - 'a'] = HDR_ALLOW_EVENTS,
    ['v' - 'a'] = HDR_VIA,
    ['x' - 'a'] = HDR_SESSION_EXPIRES,
    ['y' - 'a'] = HDR_IDENTITY,
};

#define HDR_NAME_MAX 20
#define HDR_SAME_LEN 10

/* Who may be meant, by the length of the name; the usual ones first. */
static const uint8_t hdr_by_len[HDR_NAME_MAX + 1][HDR_SAME_LEN] = {
    [2] = {HDR_TO},
    [3] = {HDR_VIA},
    [4] = {HDR_FROM, HDR_CSEQ, HDR_RACK, HDR_RSEQ, HDR_DATE, HDR_PATH},
    [5] = {HDR_ALLOW, HDR_ROUTE, HDR_EVENT},
    [6] = {HDR_ACCEPT, HDR_SERVER, HDR_REASON, HDR_MIN_SE},
    [7] = {HDR_CALL_ID, HDR_CONTACT, HDR_REQUIRE, HDR_EXPIRES, HDR_SUBJECT, HDR_PRIVACY,
           HDR_WARNING},
    [8] = {HDR_REFER_TO, HDR_REPLACES, HDR_IDENTITY, HDR_SIP_ETAG, HDR_REPLY_TO},
    [9] = {HDR_SUPPORTED, HDR_DIVERSION, HDR_CALL_INFO, HDR_TIMESTAMP, HDR_RECV_INFO},
    [10] = {HDR_USER_AGENT, HDR_ALERT_INFO, HDR_ERROR_INFO},
    [11] = {HDR_UNSUPPORTED, HDR_RETRY_AFTER, HDR_REFERRED_BY, HDR_MIN_EXPIRES, HDR_IN_REPLY_TO},
    [12] = {HDR_MAX_FORWARDS, HDR_CONTENT_TYPE, HDR_RECORD_ROUTE, HDR_ALLOW_EVENTS,
            HDR_HISTORY_INFO, HDR_MIME_VERSION, HDR_ORGANIZATION, HDR_INFO_PACKAGE,
            HDR_SIP_IF_MATCH},
    [13] = {HDR_AUTHORIZATION, HDR_PROXY_REQUIRE, HDR_SERVICE_ROUTE},
    [14] = {HDR_CONTENT_LENGTH},
    [15] = {HDR_SESSION_EXPIRES, HDR_ACCEPT_ENCODING, HDR_ACCEPT_LANGUAGE, HDR_RPID},
    [16] = {HDR_WWW_AUTHENTICATE, HDR_CONTENT_ENCODING, HDR_CONTENT_LANGUAGE},
    [18] = {HDR_SUBSCRIPTION_STATE, HDR_PROXY_AUTHENTICATE},
    [19] = {HDR_PROXY_AUTHORIZATION, HDR_CONTENT_DISPOSITION, HDR_PAI},
    [20] = {HDR_PPI},
};

static enum hdr_id hdr_id_compact(char c)
{
    char lower = (char)(c | 0x20);

    return lower >= 'a' && lower <= 'z' ? (enum hdr_id)hdr_compact[lower - 'a'] : HDR_OTHER;
}

static enum hdr_id hdr_id_any_case(struct sl name)
{
    for (const uint8_t *id = hdr_by_len[name.n]; *id != HDR_OTHER; id++) {
        if (sl_ieq(hdr_defs[*id].name, name)) {
            return (enum hdr_id) * id;
        }
    }
    return HDR_OTHER;
}

enum hdr_id hdr_id(struct sl name)
{
    if (name.n < 2 || name.n > HDR_NAME_MAX) {
        return name.n == 1 ? hdr_id_compact(name.p[0]) : HDR_OTHER;
    }
    /* Nearly all senders write the canonical form: its bytes are compared first. */
    for (const uint8_t *id = hdr_by_len[name.n]; *id != HDR_OTHER; id++) {
        if (hdr_defs[*id].name.p[0] == name.p[0] &&
            memcmp(hdr_defs[*id].name.p, name.p, name.n) == 0) {
            return (enum hdr_id) * id;
        }
    }
    return hdr_id_any_case(name);
}

const char *hdr_name(enum hdr_id id)
{
    return id < HDR_N ? hdr_defs[id].name.p : "";
}

bool sip_hdr_is_single(enum hdr_id id)
{
    return hdr_defs[id].is_single;
}
