/* micro_srtp.c - CPU time of SRTP per 172-byte packet and direction, and memory per key pair, with
 * one stream and with 2,000 (each with a key of its own), of our own engine and of libsrtp2.
 * One figure a line: NAME VALUE UNIT. */
#include "base/base.h"
#include "crypto/crypto.h"
#include "media/srtp.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PACKETS 2000 /* in a round: one of each stream, or all of the only one */
#define PACKET 172
#define SLOT 256
#define ROUNDS_MAX 400
#define SECONDS 0.4 /* per figure and direction, at least */

struct pair {
    struct srtp *tx, *rx;
};

struct bench {
    struct pair *pairs;
    unsigned streams;
    uint16_t seq; /* of the next packet of each stream, or of the next packet */
    double protect[ROUNDS_MAX], unprotect[ROUNDS_MAX];
};

static _Alignas(64) uint8_t packets[PACKETS][SLOT];
static size_t lengths[PACKETS];

static double cpu_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return 1e9 * (double)t.tv_sec + (double)t.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Of the best tenth of the rounds: what others do on the machine only ever adds. */
static double best(double *v, unsigned n)
{
    qsort(v, n, sizeof(*v), by_value);
    return v[n / 10];
}

static void die(const char *what, int err)
{
    fprintf(stderr, "micro_srtp: %s: %s\n", what, strerror(err));
    exit(1);
}

static void pairs_up(struct bench *b, enum srtp_suite suite, enum srtp_engine engine)
{
    b->pairs = calloc(b->streams, sizeof(*b->pairs));
    if (b->pairs == NULL) {
        die("calloc", ENOMEM);
    }
    for (unsigned i = 0; i < b->streams; i++) {
        struct srtp_key k;
        struct srtp_params p = {.key = &k, .direction = SRTP_PROTECT, .engine = engine};
        int err;

        srtp_key_random(&k, suite);
        err = srtp_new(&b->pairs[i].tx, &p);
        p.direction = SRTP_UNPROTECT;
        err = err != 0 ? err : srtp_new(&b->pairs[i].rx, &p);
        if (err != 0) {
            die("srtp_new", err);
        }
    }
}

static void pairs_down(struct bench *b)
{
    for (unsigned i = 0; i < b->streams; i++) {
        srtp_free(&b->pairs[i].tx);
        srtp_free(&b->pairs[i].rx);
    }
    free(b->pairs);
}

static void fill(struct bench *b)
{
    for (unsigned i = 0; i < PACKETS; i++) {
        uint8_t *p = packets[i];

        memset(p, 0x55, PACKET);
        p[0] = 0x80;
        p[2] = (uint8_t)(b->seq >> 8);
        p[3] = (uint8_t)b->seq;
        lengths[i] = PACKET;
        b->seq = (uint16_t)(b->seq + (b->streams == 1));
    }
    b->seq = (uint16_t)(b->seq + (b->streams != 1));
}

static void run_round(struct bench *b, unsigned round)
{
    int err = 0;
    double start, middle;

    fill(b);
    start = cpu_ns();
    for (unsigned i = 0; i < PACKETS; i++) {
        err |= srtp_protect(b->pairs[i % b->streams].tx, packets[i], &lengths[i], SLOT);
    }
    middle = cpu_ns();
    for (unsigned i = 0; i < PACKETS; i++) {
        err |= srtp_unprotect(b->pairs[i % b->streams].rx, packets[i], &lengths[i]);
    }
    b->unprotect[round] = (cpu_ns() - middle) / PACKETS;
    b->protect[round] = (middle - start) / PACKETS;
    if (err != 0) {
        die("a packet", err);
    }
}

static void measure(const char *prefix, const char *name, enum srtp_suite suite,
                    enum srtp_engine engine, unsigned streams)
{
    static struct bench b;
    char many[16] = "";
    double end = cpu_ns() + 2e9 * SECONDS;
    unsigned rounds = 0;

    if (streams != 1) {
        snprintf(many, sizeof(many), "_%u", streams);
    }
    b = (struct bench){.streams = streams};
    pairs_up(&b, suite, engine);
    run_round(&b, 0); /* warms up */
    do {
        run_round(&b, rounds++);
    } while (rounds < ROUNDS_MAX && (rounds < 5 || cpu_ns() < end));
    printf("%s_protect_%s%s %.0f ns\n", prefix, name, many, best(b.protect, rounds));
    printf("%s_unprotect_%s%s %.0f ns\n", prefix, name, many, best(b.unprotect, rounds));
    fflush(stdout);
    pairs_down(&b);
}

/* Of one key for each direction, with malloc's own overhead. */
static void weigh(const char *name, enum srtp_suite suite)
{
    struct bench b = {.streams = 1};
    size_t before;

    pairs_up(&b, suite, SRTP_ENGINE_EVP); /* what a thread has once */
    pairs_down(&b);
    b.streams = 1000;
    before = mallinfo2().uordblks;
    pairs_up(&b, suite, SRTP_ENGINE_EVP);
    printf("srtp_memory_%s %.0f bytes\n", name,
           (double)(mallinfo2().uordblks - before) / b.streams - sizeof(*b.pairs));
    pairs_down(&b);
}

int main(void)
{
    static const struct {
        const char *prefix;
        enum srtp_engine engine;
    } engines[] = {{"srtp", SRTP_ENGINE_EVP}, {"libsrtp", SRTP_ENGINE_LIBSRTP}};
    static const struct {
        const char *name;
        enum srtp_suite suite;
    } suites[] = {{"cm", SRTP_AES_CM_128_HMAC_SHA1_80}, {"gcm", SRTP_AEAD_AES_128_GCM}};

    if (crypto_init() != 0 || srtp_engine_start(SRTP_ENGINE_LIBSRTP) != 0) {
        die("start", ENOTSUP);
    }
    for (size_t e = 0; e < COUNT_OF(engines); e++) {
        for (size_t s = 0; s < COUNT_OF(suites); s++) {
            measure(engines[e].prefix, suites[s].name, suites[s].suite, engines[e].engine, 1);
            measure(engines[e].prefix, suites[s].name, suites[s].suite, engines[e].engine, PACKETS);
        }
    }
    for (size_t s = 0; s < COUNT_OF(suites); s++) {
        weigh(suites[s].name, suites[s].suite);
    }
    srtp_engine_stop();
    crypto_deinit();
    return 0;
}
