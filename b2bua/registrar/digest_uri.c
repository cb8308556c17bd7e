/* digest_uri.c - was a digest answer made for this request? RFC 7616 3.4.6 wants the same resource;
 * phones write its URI in ways of their own. */
#include "registrar/registrar_int.h"

#define DIGEST_USER_MAX 256

static bool same_user(struct sl a, struct sl b)
{
    char left[DIGEST_USER_MAX], right[DIGEST_USER_MAX];
    size_t n_left = 0, n_right = 0;

    return sip_unescape(a, left, sizeof(left), &n_left) == 0 &&
           sip_unescape(b, right, sizeof(right), &n_right) == 0 &&
           sl_eq(sl_make(left, n_left), sl_make(right, n_right));
}

/* Ports, parameters and the name of our host differ (baresip adds a transport, SIPp names the
 * domain alone); whom it is for does not. */
bool auth_uri_fits(struct sl uri, const struct sip_msg *msg, struct sl domain)
{
    struct sip_uri u;

    if (msg->ruri.user.n == 0 || sl_ieq(uri, msg->ruri_text)) {
        return true; /* for the house itself: realm and method say as much */
    }
    if (sip_uri_parse(uri, &u) != 0) {
        return false;
    }
    return u.user.n != 0 ? same_user(u.user, msg->ruri.user)
                         : sl_ieq(u.host, domain) || sl_ieq(u.host, msg->ruri.host);
}
