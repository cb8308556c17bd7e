/* serve.c - the helper's work: what the daemon asks for becomes batches for the kernel, and once in
 * a while all of it is compared with what the kernel really has. */
#include "nft/nft.h"

#include <stdlib.h>

#define SERVE_SAME_MS 3000 /* times to live that differ by less are the same */

int nft_list_add(struct nft_list *l, const struct nft_elem *e)
{
    if (l->n >= 3u * NFT_ELEMS_MAX) {
        return ENOBUFS;
    }
    if (l->n == l->cap) {
        size_t cap = l->cap != 0 ? 2 * l->cap : 256;
        struct nft_elem *more = mem_realloc(l->e, cap * sizeof(*more));

        if (more == NULL) {
            return ENOMEM;
        }
        l->e = more;
        l->cap = cap;
    }
    l->e[l->n++] = *e;
    return 0;
}

void nft_list_free(struct nft_list *l)
{
    mem_free(l->e);
    *l = (struct nft_list){0};
}

void nft_server_free(struct nft_server *s)
{
    nft_list_free(&s->want);
}

/* A change alone. An element that is gone already needs no removal. */
static int serve_one(struct nft_server *s, const struct nft_change *c)
{
    int err = s->ops->apply(s->kernel, c, 1);

    return err == ENOENT && c->kind == NFT_CHANGE_DEL ? 0 : err;
}

/* One batch. What the kernel does not take as a whole is tried one by one, so that one wrong
 * element does not keep the others out; the first error is told. */
static int serve_apply(struct nft_server *s, const struct nft_change *c, size_t n)
{
    int first = 0;

    if (n == 0 || s->ops->apply(s->kernel, c, n) == 0) {
        return 0;
    }
    for (size_t i = 0; i < n; i++) {
        int err = serve_one(s, &c[i]);

        first = first != 0 ? first : err;
    }
    return first;
}

/* --- reconciliation --- */

struct batch {
    struct nft_server *s;
    struct nft_change c[NFT_CHANGES_MAX];
    size_t n;
    int err; /* the first one */
};

static void batch_flush(struct batch *b)
{
    int err = serve_apply(b->s, b->c, b->n);

    b->n = 0;
    b->err = b->err != 0 ? b->err : err;
}

static void batch_put(struct batch *b, enum nft_change_kind kind, const struct nft_elem *e)
{
    if (b->n == NFT_CHANGES_MAX) {
        batch_flush(b);
    }
    b->c[b->n++] = (struct nft_change){.kind = kind, .elem = *e};
}

static bool serve_is_same(const struct nft_elem *a, const struct nft_elem *b)
{
    uint64_t differ = a->ms > b->ms ? a->ms - b->ms : b->ms - a->ms;

    return differ < SERVE_SAME_MS;
}

/* Sorted, and each prefix once: the longest time counts. */
static void list_tidy(struct nft_list *l)
{
    size_t n = 0;

    if (l->n != 0) {
        qsort(l->e, l->n, sizeof(*l->e), nft_elem_order);
    }
    for (size_t i = 0; i < l->n; i++) {
        if (n != 0 && nft_elem_order(&l->e[n - 1], &l->e[i]) == 0) {
            l->e[n - 1].ms = l->e[i].ms > l->e[n - 1].ms ? l->e[i].ms : l->e[n - 1].ms;
        } else {
            l->e[n++] = l->e[i];
        }
    }
    l->n = n;
}

/* Two walks over both sorted lists: what must go makes room for what must come. */
static void serve_compare(struct batch *b, const struct nft_list *have, bool removing)
{
    const struct nft_list *want = &b->s->want;
    size_t i = 0, k = 0;

    while (i < have->n || k < want->n) {
        int order = i == have->n ? 1 : k == want->n ? -1 : nft_elem_order(&have->e[i], &want->e[k]);

        if (order < 0 && removing) {
            batch_put(b, NFT_CHANGE_DEL, &have->e[i]);
        } else if (order > 0 && !removing) {
            batch_put(b, NFT_CHANGE_ADD, &want->e[k]);
        } else if (order == 0 && !removing && !serve_is_same(&have->e[i], &want->e[k])) {
            batch_put(b, NFT_CHANGE_REPLACE, &want->e[k]);
        }
        i += order <= 0;
        k += order >= 0;
    }
    batch_flush(b);
}

static int serve_reconcile(struct nft_server *s, struct nft_msg *reply)
{
    struct nft_list have = {0};
    struct batch b = {.s = s};
    int err = s->ops->ensure(s->kernel);

    if (err == 0) {
        err = s->ops->dump(s->kernel, &have);
    }
    if (err == 0) {
        list_tidy(&have);
        list_tidy(&s->want);
        serve_compare(&b, &have, true);
        serve_compare(&b, &have, false);
        reply->held = s->want.n;
        reply->packets = have.packets;
        err = b.err;
    }
    nft_list_free(&have);
    nft_list_free(&s->want);
    s->is_syncing = false;
    return err;
}

/* --- messages --- */

struct packet {
    struct nft_server *s;
    struct nft_change c[NFT_PACKET_MSGS];
    size_t n;
    struct nft_msg *reply;
    int err;
    bool has_news; /* there is something to answer */
};

static void packet_flush(struct packet *p)
{
    int err = serve_apply(p->s, p->c, p->n);

    p->n = 0;
    p->err = p->err != 0 ? p->err : err;
}

static void packet_put(struct packet *p, enum nft_change_kind kind, const struct nft_elem *e)
{
    p->c[p->n++] = (struct nft_change){.kind = kind, .elem = *e};
    p->has_news = true;
}

/* 0, EPROTO, ECANCELED. */
static int packet_take(struct packet *p, const struct nft_msg *m)
{
    struct nft_server *s = p->s;
    int err;

    switch (m->op) {
    case NFT_ADD:
        if (s->is_syncing) {
            return nft_list_add(&s->want, &m->elem) == 0 ? 0 : EPROTO;
        }
        packet_put(p, NFT_CHANGE_REPLACE, &m->elem);
        return 0;
    case NFT_DEL:
        packet_put(p, NFT_CHANGE_DEL, &m->elem);
        return s->is_syncing ? EPROTO : 0;
    case NFT_SYNC:
        packet_flush(p);
        nft_list_free(&s->want);
        s->is_syncing = true;
        return 0;
    case NFT_SYNC_END:
        if (!s->is_syncing) {
            return EPROTO;
        }
        err = serve_reconcile(s, p->reply);
        p->err = p->err != 0 ? p->err : err;
        p->reply->op = NFT_SYNCED;
        p->has_news = true;
        return 0;
    default: /* NFT_BYE, as nft_check_request() lets no other pass */
        err = s->ops->drop(s->kernel);
        return err == 0 ? ECANCELED : err;
    }
}

int nft_serve(struct nft_server *s, const struct nft_msg *m, size_t n, struct nft_msg *reply)
{
    struct packet p = {.s = s, .reply = reply};
    int err = n >= 1 && n <= NFT_PACKET_MSGS ? 0 : EPROTO;

    *reply = (struct nft_msg){.magic = NFT_MAGIC, .op = NFT_DONE};
    for (size_t i = 0; err == 0 && i < n; i++) {
        err = nft_check_request(&m[i]);
    }
    for (size_t i = 0; err == 0 && i < n; i++) {
        err = packet_take(&p, &m[i]);
        reply->seq = m[i].seq;
    }
    if (err != 0) {
        return err;
    }
    packet_flush(&p);
    reply->err = (uint32_t)p.err;
    return p.has_news ? 0 : EINPROGRESS;
}
