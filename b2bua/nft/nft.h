/* nft.h - what the daemon and postern-nft say to each other, and the helper's parts. The helper is
 * a process of its own with CAP_NET_ADMIN and nothing else; it keeps the table `inet postern`,
 * whose sets hold the bans that the kernel drops by itself. Wire: a SOCK_SEQPACKET pair, host byte
 * order; one packet carries 1 to NFT_PACKET_MSGS messages of one fixed size. Each side checks every
 * byte that it got, and a wrong one ends the connection. Thread: one per object. */
#ifndef POSTERN_NFT_H
#define POSTERN_NFT_H

#include "base/base.h"

#define NFT_MAGIC 0x504e4631u /* "PNF1" */
#define NFT_PACKET_MSGS 64u
#define NFT_ELEMS_MAX 131072u /* of each set, and of one reconciliation */
#define NFT_MS_MAX (400ull * 86400 * 1000)

enum nft_op {
    /* to the helper */
    NFT_ADD = 1,  /* elem, with its time to live; one that is there gets the new time */
    NFT_DEL,      /* elem; none there is fine */
    NFT_SYNC,     /* what follows, NFT_ADD alone, is all that there shall be ... */
    NFT_SYNC_END, /* ... up to here: the kernel is made so; what is right already stays */
    NFT_BYE,      /* remove the table and end */
    /* to the daemon */
    NFT_READY, /* once, at the start: the table is there (err: it cannot be) */
    NFT_DONE,  /* a packet with changes; err: the first errno among them */
    NFT_SYNCED /* a packet with NFT_SYNC_END; err, and what the kernel has now */
};

struct nft_elem {
    uint8_t family; /* 4 or 6 */
    uint8_t bits;   /* 8 to 32, 16 to 64 */
    uint8_t zero[6];
    uint8_t addr[16]; /* network order, IPv4 in the first four; host bits are 0 */
    uint64_t ms;      /* time to live: 1 to NFT_MS_MAX; 0 with NFT_DEL */
};

struct nft_msg {
    uint32_t magic;
    uint32_t op;
    uint32_t seq;
    uint32_t err;
    uint64_t held;    /* elements in the kernel */
    uint64_t packets; /* that they have dropped so far */
    struct nft_elem elem;
};

/* --- wire.c --- */
/* False: another family, or a prefix that the protocol does not carry. */
MUST_USE bool nft_elem_of(const struct prefix *p, uint64_t ms, struct nft_elem *out);
int nft_elem_order(const void *a, const void *b); /* qsort: by prefix, not by time */
/* EPROTO: not what may come from that side. */
MUST_USE int nft_check_request(const struct nft_msg *m);
MUST_USE int nft_check_reply(const struct nft_msg *m);
/* Messages in a packet of so many bytes; 0: it is none. */
size_t nft_packet_msgs(size_t bytes);

/* --- kernel.c: the table in the kernel --- */
enum nft_change_kind { NFT_CHANGE_ADD, NFT_CHANGE_DEL, NFT_CHANGE_REPLACE };
struct nft_change {
    enum nft_change_kind kind;
    struct nft_elem elem;
};
#define NFT_CHANGES_MAX 128u /* of one batch */

struct nft_list {
    struct nft_elem *e;
    size_t n, cap;
    uint64_t packets;
};
MUST_USE int nft_list_add(struct nft_list *l, const struct nft_elem *e); /* ENOBUFS, ENOMEM */
void nft_list_free(struct nft_list *l);

/* How the server reaches the kernel; tests put another in its place. All return an errno. */
struct nft_kernel_ops {
    int (*ensure)(void *k); /* table, sets and rules are there; elements stay */
    /* All or nothing. ENOENT: no such element, set or table; EEXIST: overlaps another one. */
    int (*apply)(void *k, const struct nft_change *c, size_t n);
    int (*dump)(void *k, struct nft_list *out);
    int (*drop)(void *k); /* the whole table; none there is fine */
};
struct nft_kernel;
MUST_USE int nft_kernel_open(struct nft_kernel **kp); /* a netlink socket */
void nft_kernel_close(struct nft_kernel **kp);
extern const struct nft_kernel_ops nft_kernel_ops;

/* --- serve.c: messages into changes --- */
struct nft_server {
    const struct nft_kernel_ops *ops;
    void *kernel;
    bool is_syncing;
    struct nft_list want;
};
void nft_server_free(struct nft_server *s);
/* One packet. 0: *reply is to be sent; EINPROGRESS: nothing to say yet; ECANCELED: goodbye, the
 * table is gone; EPROTO: the other side breaks the protocol. */
MUST_USE int nft_serve(struct nft_server *s, const struct nft_msg *m, size_t n,
                       struct nft_msg *reply);

/* --- privileges.c --- */
/* Keeps CAP_NET_ADMIN and nothing else, for good; root becomes nobody. EPERM: it is not there. */
MUST_USE int nft_drop_privileges(void);

#endif
