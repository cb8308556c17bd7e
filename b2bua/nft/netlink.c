/* netlink.c - netlink messages: a capped writer with a sticky error, and a bounded reader. */
#include "nft/netlink_int.h"

#include <endian.h>
#include <unistd.h>

#define NL_SEND_BYTES (1 << 20)
#define NL_WAIT_S 5

int nl_open(struct nl *nl)
{
    struct sockaddr_nl any = {.nl_family = AF_NETLINK};
    struct timeval wait = {.tv_sec = NL_WAIT_S};
    int size = NL_SEND_BYTES;

    *nl = (struct nl){.fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER)};
    if (nl->fd < 0) {
        return errno;
    }
    nl->out = mem_alloc(NL_BATCH_BYTES);
    nl->in = mem_alloc(NL_READ_BYTES);
    if (nl->out == NULL || nl->in == NULL) {
        nl_close(nl);
        return ENOMEM;
    }
    if (bind(nl->fd, (struct sockaddr *)&any, sizeof(any)) != 0 ||
        setsockopt(nl->fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) != 0 ||
        setsockopt(nl->fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) != 0) {
        int err = errno;

        nl_close(nl);
        return err;
    }
    nl->seq = 1;
    return 0;
}

void nl_close(struct nl *nl)
{
    if (nl->fd >= 0) {
        close(nl->fd);
    }
    mem_free(nl->out);
    mem_free(nl->in);
    *nl = (struct nl){.fd = -1};
}

/* --- writing --- */

/* Room for n bytes, cleared and padded to four; NULL: the batch is full. */
static void *nl_room(struct nl *nl, size_t n)
{
    size_t padded = NLMSG_ALIGN(n);
    char *at = nl->out + nl->n;

    if (nl->too_big || padded > NL_BATCH_BYTES - nl->n) {
        nl->too_big = true;
        return NULL;
    }
    memset(at, 0, padded);
    nl->n += padded;
    return at;
}

static void nl_close_msg(struct nl *nl)
{
    struct nlmsghdr *h = (void *)(nl->out + nl->msg);

    if (!nl->too_big && nl->n > nl->msg) {
        h->nlmsg_len = (uint32_t)(nl->n - nl->msg);
    }
}

static void nl_open_msg(struct nl *nl, uint16_t type, uint16_t flags, uint16_t res_id)
{
    struct nlmsghdr *h;
    struct nfgenmsg *g;

    nl_close_msg(nl);
    nl->msg = nl->n;
    h = nl_room(nl, sizeof(*h));
    g = nl_room(nl, sizeof(*g));
    if (h == NULL || g == NULL) {
        return;
    }
    h->nlmsg_type = type;
    h->nlmsg_flags = NLM_F_REQUEST | flags;
    h->nlmsg_seq = nl->seq++;
    g->nfgen_family = res_id != 0 ? AF_UNSPEC : NFPROTO_INET;
    g->version = NFNETLINK_V0;
    g->res_id = htons(res_id);
}

void nl_batch_none(struct nl *nl)
{
    nl->n = nl->msg = 0;
    nl->too_big = false;
}

void nl_batch(struct nl *nl)
{
    nl_batch_none(nl);
    nl_open_msg(nl, NFNL_MSG_BATCH_BEGIN, 0, NFNL_SUBSYS_NFTABLES);
}

void nl_msg(struct nl *nl, int type, uint16_t flags)
{
    nl_open_msg(nl, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type), flags, 0);
}

void nl_put(struct nl *nl, uint16_t type, const void *p, size_t n)
{
    struct nlattr *a = nl_room(nl, NLA_HDRLEN + n);

    if (a != NULL) {
        a->nla_type = type;
        a->nla_len = (uint16_t)(NLA_HDRLEN + n);
        memcpy((char *)a + NLA_HDRLEN, p, n);
    }
}

void nl_put_str(struct nl *nl, uint16_t type, const char *s)
{
    nl_put(nl, type, s, strlen(s) + 1);
}

void nl_put_u32(struct nl *nl, uint16_t type, uint32_t v)
{
    uint32_t be = htobe32(v);

    nl_put(nl, type, &be, sizeof(be));
}

void nl_put_u64(struct nl *nl, uint16_t type, uint64_t v)
{
    uint64_t be = htobe64(v);

    nl_put(nl, type, &be, sizeof(be));
}

size_t nl_nest(struct nl *nl, uint16_t type)
{
    size_t at = nl->n;

    nl_put(nl, type | NLA_F_NESTED, "", 0);
    return at;
}

void nl_nest_end(struct nl *nl, size_t nest)
{
    struct nlattr *a = (void *)(nl->out + nest);

    if (nl->too_big) {
        return;
    }
    if (nl->n - nest > UINT16_MAX) {
        nl->too_big = true;
        return;
    }
    a->nla_len = (uint16_t)(nl->n - nest);
}

/* --- sending and reading --- */

static int nl_send(struct nl *nl)
{
    nl_close_msg(nl);
    if (nl->too_big) {
        return EMSGSIZE;
    }
    return send(nl->fd, nl->out, nl->n, 0) == (ssize_t)nl->n ? 0 : errno != 0 ? errno : EIO;
}

static int nl_error_of(const struct nlmsghdr *h)
{
    struct nlmsgerr e;

    if (h->nlmsg_len < NLMSG_HDRLEN + sizeof(e)) {
        return EBADMSG;
    }
    memcpy(&e, (const char *)h + NLMSG_HDRLEN, sizeof(e));
    return -e.error;
}

/* One read; 0, or an errno. */
static int nl_read(struct nl *nl, int flags, size_t *n)
{
    struct sockaddr_nl from = {0};
    socklen_t len = sizeof(from);
    ssize_t got;

    do {
        got = recvfrom(nl->fd, nl->in, NL_READ_BYTES, flags, (struct sockaddr *)&from, &len);
    } while (got < 0 && errno == EINTR);
    if (got < 0) {
        return errno;
    }
    *n = from.nl_pid == 0 ? (size_t)got : 0; /* the kernel alone */
    return 0;
}

/* The next message within what was read. */
static const struct nlmsghdr *nl_take(const char **p, size_t *left)
{
    const struct nlmsghdr *h = (const void *)*p;
    size_t step;

    if (*left < NLMSG_HDRLEN || h->nlmsg_len < NLMSG_HDRLEN || h->nlmsg_len > *left) {
        return NULL;
    }
    step = NLMSG_ALIGN(h->nlmsg_len);
    step = step < *left ? step : *left;
    *p += step;
    *left -= step;
    return h;
}

/* nfnetlink runs a batch within send(): all verdicts wait in the socket by then. */
static int nl_verdict(struct nl *nl, uint32_t last)
{
    bool is_done = false;
    int first = 0;

    for (;;) {
        const struct nlmsghdr *h;
        const char *p = nl->in;
        size_t n = 0;
        int err = nl_read(nl, MSG_DONTWAIT, &n);

        if (err == EAGAIN) {
            return first != 0 ? first : is_done ? 0 : EIO;
        }
        if (err != 0) {
            return err;
        }
        while ((h = nl_take(&p, &n)) != NULL) {
            err = h->nlmsg_type == NLMSG_ERROR ? nl_error_of(h) : 0;
            first = first != 0 ? first : err;
            is_done = is_done || (h->nlmsg_type == NLMSG_ERROR && h->nlmsg_seq == last);
        }
    }
}

/* The last message asks for an answer, so that silence is an error. */
int nl_run(struct nl *nl)
{
    struct nlmsghdr *h = (void *)(nl->out + nl->msg);
    uint32_t last = nl->seq - 1;
    int err;

    if (!nl->too_big) {
        h->nlmsg_flags |= NLM_F_ACK;
    }
    nl_open_msg(nl, NFNL_MSG_BATCH_END, 0, NFNL_SUBSYS_NFTABLES);
    err = nl_send(nl);
    return err != 0 ? err : nl_verdict(nl, last);
}

static int nl_dump_msg(const struct nlmsghdr *h, nl_msg_fn *fn, void *arg, bool *is_done)
{
    const size_t head = NLMSG_HDRLEN + NLMSG_ALIGN(sizeof(struct nfgenmsg));

    if (h->nlmsg_flags & NLM_F_DUMP_INTR) {
        return EINTR;
    }
    if (h->nlmsg_type == NLMSG_DONE) {
        *is_done = true;
        return 0;
    }
    if (h->nlmsg_type == NLMSG_ERROR) {
        *is_done = true;
        return nl_error_of(h);
    }
    if (h->nlmsg_len < head) {
        return EBADMSG;
    }
    return fn(&(struct nl_attrs){(const char *)h + head, h->nlmsg_len - head}, arg);
}

/* The whole answer is read even after an error: nothing of it may be left for the next question. */
int nl_dump(struct nl *nl, nl_msg_fn *fn, void *arg)
{
    uint32_t seq = nl->seq - 1;
    bool is_done = false;
    int first = nl_send(nl);

    while (first != EMSGSIZE && !is_done) {
        const struct nlmsghdr *h;
        const char *p = nl->in;
        size_t n = 0;
        int err = nl_read(nl, 0, &n);

        if (err != 0) {
            return err;
        }
        while ((h = nl_take(&p, &n)) != NULL) {
            err = h->nlmsg_seq == seq ? nl_dump_msg(h, fn, arg, &is_done) : 0;
            first = first != 0 ? first : err;
        }
    }
    return first;
}

/* --- reading attributes --- */

bool nl_next(struct nl_attrs *in, struct nl_attr *out)
{
    struct nlattr a;
    size_t step;

    if (in->n < sizeof(a)) {
        return false;
    }
    memcpy(&a, in->p, sizeof(a));
    if (a.nla_len < NLA_HDRLEN || a.nla_len > in->n) {
        return false;
    }
    out->type = a.nla_type & NLA_TYPE_MASK;
    out->in = (struct nl_attrs){in->p + NLA_HDRLEN, a.nla_len - (size_t)NLA_HDRLEN};
    step = NLA_ALIGN(a.nla_len);
    step = step < in->n ? step : in->n;
    in->p += step;
    in->n -= step;
    return true;
}

bool nl_find(struct nl_attrs in, uint16_t type, struct nl_attrs *out)
{
    struct nl_attr a;

    while (nl_next(&in, &a)) {
        if (a.type == type) {
            *out = a.in;
            return true;
        }
    }
    return false;
}

uint64_t nl_number(const struct nl_attrs *in)
{
    uint64_t v = 0;

    if (in->n != 4 && in->n != 8) {
        return 0;
    }
    for (size_t i = 0; i < in->n; i++) {
        v = v << 8 | (uint8_t)in->p[i];
    }
    return v;
}
