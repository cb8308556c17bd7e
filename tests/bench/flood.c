/* flood.c - strangers: sends SIP requests at a steady rate from forged addresses (raw sockets) and
 * from real ones (bound sockets that read and forget the answers). Prints what it sent. Only for a
 * network namespace of its own: forged packets have no business elsewhere. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BATCH 32
#define REALS 32              /* sockets */
#define TICK_NS 1000000       /* packets go out in slots of a millisecond */
#define FORGED_NET 0x0a000000 /* 10/8 */
#define REAL_NET 0x7f080000   /* 127.8.0.1 ... */
#define TEXT_MAX 600

struct flood {
    struct sockaddr_in target;
    const char *method;
    uint32_t rate;
    double seconds;
    int raw, real[REALS];
    uint64_t random;
    uint64_t sent, refused;
    char packet[BATCH][sizeof(struct iphdr) + sizeof(struct udphdr) + TEXT_MAX];
    size_t len[BATCH];
};

static uint32_t next_random(struct flood *f) /* xorshift */
{
    f->random ^= f->random << 13;
    f->random ^= f->random >> 7;
    f->random ^= f->random << 17;
    return (uint32_t)(f->random >> 16);
}

static int64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static size_t put_request(struct flood *f, char *to, uint32_t source)
{
    char ip[INET_ADDRSTRLEN];
    struct in_addr a = {htonl(source)};
    int n;

    inet_ntop(AF_INET, &a, ip, sizeof(ip));
    n = snprintf(to, TEXT_MAX,
                 "%s sip:+15550100@edge SIP/2.0\r\nVia: SIP/2.0/UDP %s:5060;branch=z9hG4bK%08x\r\n"
                 "From: <sip:%u@edge>;tag=%x\r\nTo: <sip:+15550100@edge>\r\nCall-ID: %08x@%s\r\n"
                 "CSeq: 1 %s\r\nContact: <sip:%s>\r\nMax-Forwards: 70\r\nUser-Agent: Phone\r\n"
                 "Content-Length: 0\r\n\r\n",
                 f->method, ip, next_random(f), next_random(f) % 10000, next_random(f),
                 next_random(f), ip, f->method, ip);
    return n > 0 && n < TEXT_MAX ? (size_t)n : 0;
}

static size_t put_forged(struct flood *f, char *packet)
{
    uint32_t source = FORGED_NET | (next_random(f) & 0x00ffffff);
    const size_t head = sizeof(struct iphdr) + sizeof(struct udphdr);
    size_t n = put_request(f, packet + head, source);
    struct iphdr ip = {.version = 4,
                       .ihl = 5,
                       .ttl = 64,
                       .protocol = IPPROTO_UDP,
                       .tot_len = htons((uint16_t)(head + n)),
                       .saddr = htonl(source),
                       .daddr = f->target.sin_addr.s_addr};
    struct udphdr udp = {.source = htons(5060),
                         .dest = f->target.sin_port,
                         .len = htons((uint16_t)(sizeof(struct udphdr) + n))};

    memcpy(packet, &ip, sizeof(ip)); /* the kernel fills in the checksum of IP; UDP needs none */
    memcpy(packet + sizeof(ip), &udp, sizeof(udp));
    return head + n;
}

static void send_batch(struct flood *f, int fd, unsigned n)
{
    struct mmsghdr m[BATCH] = {0};
    struct iovec v[BATCH];
    int sent;

    for (unsigned i = 0; i < n; i++) {
        v[i] = (struct iovec){f->packet[i], f->len[i]};
        m[i].msg_hdr = (struct msghdr){.msg_name = &f->target,
                                       .msg_namelen = sizeof(f->target),
                                       .msg_iov = &v[i],
                                       .msg_iovlen = 1};
    }
    sent = sendmmsg(fd, m, n, 0);
    f->sent += sent > 0 ? (unsigned)sent : 0;
    f->refused += n - (sent > 0 ? (unsigned)sent : 0);
}

static void forged_batch(struct flood *f, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        f->len[i] = put_forged(f, f->packet[i]);
    }
    send_batch(f, f->raw, n);
}

static void real_batch(struct flood *f, unsigned n)
{
    unsigned which = next_random(f) % REALS;
    char answer[2048];

    for (unsigned i = 0; i < n; i++) {
        f->len[i] = put_request(f, f->packet[i], REAL_NET + which + 1);
    }
    send_batch(f, f->real[which], n);
    while (recv(f->real[which], answer, sizeof(answer), MSG_DONTWAIT) > 0) {
    }
}

static bool open_sockets(struct flood *f)
{
    f->raw = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
    if (f->raw < 0) {
        return false;
    }
    for (unsigned i = 0; i < REALS; i++) {
        struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(5060)};

        at.sin_addr.s_addr = htonl(REAL_NET + i + 1);
        f->real[i] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (f->real[i] < 0 || bind(f->real[i], (struct sockaddr *)&at, sizeof(at)) != 0) {
            return false;
        }
    }
    return true;
}

static void run(struct flood *f)
{
    int64_t start = now_ns(), due = start;
    int64_t end = start + (int64_t)(f->seconds * 1e9);
    uint64_t owed_from = 0;

    while (due < end) {
        struct timespec at;
        int64_t late;

        due += TICK_NS;
        at = (struct timespec){due / 1000000000, due % 1000000000};
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
        late = now_ns() - due;
        if (late > 20 * TICK_NS) { /* never made good in one burst: that would be another test */
            due += late;
            owed_from += (uint64_t)late * f->rate / 1000000000u;
        }
        while (f->sent + f->refused + owed_from < (uint64_t)(due - start) * f->rate / 1000000000u) {
            forged_batch(f, BATCH);
            real_batch(f, BATCH);
        }
    }
    printf("flood_sent %llu packets\nflood_refused %llu packets\nflood_rate %.0f packets/s\n",
           (unsigned long long)f->sent, (unsigned long long)f->refused,
           (double)f->sent * 1e9 / (double)(now_ns() - start));
}

/* flood IP PORT OPTIONS|INVITE RATE SECONDS */
int main(int argc, char **argv)
{
    static struct flood f;

    if (argc != 6 || inet_pton(AF_INET, argv[1], &f.target.sin_addr) != 1) {
        fputs("usage: flood IP PORT OPTIONS|INVITE RATE SECONDS\n", stderr);
        return 2;
    }
    f.target.sin_family = AF_INET;
    f.target.sin_port = htons((uint16_t)strtoul(argv[2], NULL, 10));
    f.method = argv[3];
    f.rate = (uint32_t)strtoul(argv[4], NULL, 10);
    f.seconds = strtod(argv[5], NULL);
    f.random = (uint64_t)now_ns() | 1;
    if (!open_sockets(&f)) {
        fprintf(stderr, "flood: %s\n", strerror(errno));
        return 1;
    }
    run(&f);
    return 0;
}
