/* msg.c - the memory of messages and the look-ups in their header index. */
#include "sip/sip_int.h"

#if defined(__SANITIZE_ADDRESS__)
#define SIP_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SIP_ASAN 1
#endif
#endif
#ifdef SIP_ASAN
#include <sanitizer/asan_interface.h>
#define TAIL_HIDE(p, n) ASAN_POISON_MEMORY_REGION((p), (n))
#define TAIL_SHOW(p, n) ASAN_UNPOISON_MEMORY_REGION((p), (n))
#else
#define TAIL_HIDE(p, n) ((void)(p), (void)(n))
#define TAIL_SHOW(p, n) ((void)(p), (void)(n))
#endif

#define SIP_SMALL 2000   /* messages up to this size need no second block */
#define SIP_POOL_KEEP 64 /* blocks kept for reuse */

struct sip_block {
    struct sip_msg msg;
    struct sip_block *next;
    char small[SIP_SMALL];
};

struct sip_pool {
    struct sip_block *free_head;
    uint32_t n_free;
};

int sip_pool_new(struct sip_pool **pp)
{
    struct sip_pool *pool = mem_zalloc(sizeof(*pool));

    if (pool == NULL) {
        return ENOMEM;
    }
    *pp = pool;
    return 0;
}

void sip_pool_free(struct sip_pool **pp)
{
    struct sip_pool *pool = *pp;

    *pp = NULL;
    if (pool == NULL) {
        return;
    }
    while (pool->free_head != NULL) {
        struct sip_block *b = pool->free_head;

        pool->free_head = b->next;
        mem_free(b);
    }
    mem_free(pool);
}

static struct sip_block *block_get(struct sip_pool *pool)
{
    struct sip_block *b = pool->free_head;

    if (b == NULL) {
        return mem_alloc(sizeof(*b));
    }
    pool->free_head = b->next;
    pool->n_free--;
    return b;
}

static void block_put(struct sip_pool *pool, struct sip_block *b)
{
    if (pool->n_free == SIP_POOL_KEEP) {
        mem_free(b);
        return;
    }
    b->next = pool->free_head;
    pool->free_head = b;
    pool->n_free++;
}

struct sip_msg *sip_msg_new(struct sip_pool *pool, struct sl bytes)
{
    struct sip_block *b = block_get(pool);
    struct sip_msg *m;

    if (b == NULL) {
        return NULL;
    }
    m = &b->msg;
    memset(m, 0, offsetof(struct sip_msg, hdrs)); /* hdrs is 5 KiB and read below n_hdrs only */
    m->mem = bytes.n <= SIP_SMALL ? b->small : mem_alloc(bytes.n);
    if (m->mem == NULL) {
        block_put(pool, b);
        return NULL;
    }
    if (m->mem == b->small) {
        TAIL_HIDE(b->small + bytes.n, SIP_SMALL - bytes.n);
    }
    memcpy(m->mem, bytes.p, bytes.n);
    m->text = sl_make(m->mem, bytes.n);
    m->pool = pool;
    m->refs = 1;
    return m;
}

struct sip_msg *sip_msg_ref(struct sip_msg *m)
{
    m->refs++;
    return m;
}

void sip_msg_unref(struct sip_msg **mp)
{
    struct sip_msg *m = *mp;
    struct sip_block *b;

    *mp = NULL;
    if (m == NULL || --m->refs != 0) {
        return;
    }
    b = CONTAINER_OF(m, struct sip_block, msg);
    if (m->mem != b->small) {
        mem_free(m->mem);
    } else {
        TAIL_SHOW(b->small, SIP_SMALL);
    }
    block_put(m->pool, b);
}

const struct sip_hdr *sip_hdr(const struct sip_msg *m, enum hdr_id id)
{
    uint16_t at = m->first[id];

    return at != 0 ? &m->hdrs[at - 1] : NULL;
}

struct sl sip_hdr_value(const struct sip_msg *m, enum hdr_id id)
{
    const struct sip_hdr *h = sip_hdr(m, id);

    return h != NULL ? h->value : SL_NULL;
}

const struct sip_hdr *sip_hdr_next(const struct sip_msg *m, enum hdr_id id, uint16_t *pos)
{
    if (m->first[id] == 0) {
        return NULL;
    }
    if (*pos < m->first[id] - 1) {
        *pos = (uint16_t)(m->first[id] - 1);
    }
    while (*pos < m->n_hdrs) {
        const struct sip_hdr *h = &m->hdrs[(*pos)++];

        if (h->id == id) {
            return h;
        }
    }
    return NULL;
}

/* Tolerant of empty elements, as "Allow: INVITE, ACK," is seen in the wild; parameters
 * (Accept: application/sdp;level=1) do not count. */
static bool list_has_token(struct sl list, struct sl token)
{
    struct sl v;

    while (sl_next(&list, ',', &v) == 0) {
        ptrdiff_t semi = sip_chr(v, ';');

        if (sl_ieq(sip_trim(semi < 0 ? v : sip_head(v, (size_t)semi)), token)) {
            return true;
        }
    }
    return false;
}

bool sip_hdr_has_token(const struct sip_msg *m, enum hdr_id id, struct sl token)
{
    const struct sip_hdr *h;
    uint16_t pos = 0;

    while ((h = sip_hdr_next(m, id, &pos)) != NULL) {
        if (list_has_token(h->value, token)) {
            return true;
        }
    }
    return false;
}

int sip_values_next(const struct sip_msg *m, enum hdr_id id, struct sip_values *it,
                    struct sl *value)
{
    const struct sip_hdr *h;
    int err = sip_value_next(&it->rest, value);

    while (err == ENODATA) {
        h = sip_hdr_next(m, id, &it->pos);
        if (h == NULL) {
            return ENODATA;
        }
        it->rest = h->value;
        err = sip_value_next(&it->rest, value);
    }
    if (err != 0) {
        it->rest = SL_NULL; /* the walk goes on with the next field */
    }
    return err;
}

struct sl sip_content_type(const struct sip_msg *m)
{
    struct sl v = sip_hdr_value(m, HDR_CONTENT_TYPE);
    ptrdiff_t semi = sip_chr(v, ';');

    return semi < 0 ? v : sip_trim(sip_head(v, (size_t)semi));
}

bool sip_has_option(const struct sip_msg *m, enum hdr_id id, struct sl option)
{
    struct sip_values it = {0};
    struct sl v;

    while (sip_values_next(m, id, &it, &v) == 0) {
        if (sl_ieq(v, option)) {
            return true;
        }
    }
    return false;
}
