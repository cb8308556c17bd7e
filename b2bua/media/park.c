/* park.c - keys of a party that another one has displaced, as forks do: if it is the one that
 * answers in the end, its rollover counters and replay windows go on (RFC 3711 3.3.1, 9.1). */
#include "media/secure_int.h"

#define PARK_MAX 16 /* of a side; the one displaced first goes */

struct media_parked {
    struct media_parked *next; /* displaced before this one */
    struct srtp *rx, *tx;
};

static void park_free(struct media_parked **pp)
{
    struct media_parked *p = *pp;

    *pp = p->next;
    srtp_free(&p->rx);
    srtp_free(&p->tx);
    mem_free(p);
}

void media_park(struct media_side *s)
{
    struct media_keys *k = s->sec != NULL && s->sec->dtls == NULL ? &s->sec->keys[0] : NULL;
    struct media_parked **pp = &s->parked, *p;

    if (k == NULL || k->tx == NULL || k->rx == NULL ||
        srtp_packets(k->tx) + srtp_packets(k->rx) == 0) {
        return;
    }
    p = mem_zalloc(sizeof(*p));
    if (p == NULL) {
        return; /* it begins anew, as if it had never been heard */
    }
    *p = (struct media_parked){.next = s->parked, .rx = k->rx, .tx = k->tx};
    k->rx = k->tx = NULL;
    s->parked = p;
    for (unsigned n = 0; *pp != NULL; n++) {
        if (n == PARK_MAX) {
            park_free(pp);
        } else {
            pp = &(*pp)->next;
        }
    }
}

void media_unpark(struct media_side *s, const struct srtp_key *tx, const struct srtp_key *rx)
{
    struct media_keys *k = &s->sec->keys[0];

    for (struct media_parked **pp = &s->parked; k->tx == NULL && *pp != NULL;) {
        struct media_parked *p = *pp;

        if (!srtp_same_key(p->tx, tx)) {
            pp = &p->next;
            continue;
        }
        k->tx = p->tx;
        p->tx = NULL;
        if (rx != NULL && k->rx == NULL && srtp_same_key(p->rx, rx)) {
            k->rx = p->rx;
            p->rx = NULL;
        }
        park_free(pp);
    }
}

void media_park_empty(struct media_side *s)
{
    while (s->parked != NULL) {
        park_free(&s->parked);
    }
}
