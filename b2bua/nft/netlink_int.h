/* netlink_int.h - netlink messages of nf_tables: writing batches, sending them, reading answers.
 * Private to nft/. Written against linux/netfilter/nf_tables.h alone: no library in between. */
#ifndef POSTERN_NFT_NETLINK_INT_H
#define POSTERN_NFT_NETLINK_INT_H

#include "nft/nft.h"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

#define NL_BATCH_BYTES (192u * 1024)
#define NL_READ_BYTES (64u * 1024)

struct nl {
    int fd;
    uint32_t seq;
    bool too_big; /* sticky: the batch under construction does not fit */
    size_t n;     /* bytes of it */
    size_t msg;   /* where its open message starts */
    char *out;    /* NL_BATCH_BYTES */
    char *in;     /* NL_READ_BYTES */
};
MUST_USE int nl_open(struct nl *nl);
void nl_close(struct nl *nl);

/* --- one batch: begin, messages, run --- */
void nl_batch(struct nl *nl);
void nl_msg(struct nl *nl, int type, uint16_t flags); /* NFT_MSG_..., of family inet */
/* Sends and waits for the verdict on the whole: the first errno of any message. */
MUST_USE int nl_run(struct nl *nl);

/* --- attributes of the open message --- */
void nl_put(struct nl *nl, uint16_t type, const void *p, size_t n);
void nl_put_str(struct nl *nl, uint16_t type, const char *s);
void nl_put_u32(struct nl *nl, uint16_t type, uint32_t v); /* big endian, as nf_tables has it */
void nl_put_u64(struct nl *nl, uint16_t type, uint64_t v);
size_t nl_nest(struct nl *nl, uint16_t type);
void nl_nest_end(struct nl *nl, size_t nest);

/* --- asking --- */
/* A dump: nl_batch_none(), nl_msg(..., NLM_F_DUMP) and attributes before; fn per message. EINTR: it
 * changed meanwhile, what fn saw is not to be trusted. */
void nl_batch_none(struct nl *nl);
struct nl_attrs { /* a run of attributes: borrowed bytes */
    const char *p;
    size_t n;
};
typedef int(nl_msg_fn)(const struct nl_attrs *in, void *arg);
MUST_USE int nl_dump(struct nl *nl, nl_msg_fn *fn, void *arg);
/* The next attribute; false: no more, or a broken one. */
struct nl_attr {
    uint16_t type;
    struct nl_attrs in;
};
bool nl_next(struct nl_attrs *in, struct nl_attr *out);
bool nl_find(struct nl_attrs in, uint16_t type, struct nl_attrs *out);
uint64_t nl_number(const struct nl_attrs *in); /* big endian, of 4 or 8 bytes; else 0 */

#endif
