/* streams.c - media without calls: somebody else has set the relay up, a file says which packets go
 * where. Each line is one call: where our caller and where our callee send to, IP:PORT twice, and
 * the SRTP keys of those that have any: KEY-WE-SEND/KEY-WE-HEAR, or "-". */
#include "loadgen.h"

#include <errno.h>
#include <stdlib.h>

static int streams_keys(struct rtp_stream *s, const char *text)
{
    const char *slash = strchr(text, '/');

    if (strcmp(text, "-") == 0) {
        return 0;
    }
    if (slash == NULL || !rtp_set_key(s, true, (struct sl){text, (size_t)(slash - text)}) ||
        !rtp_set_key(s, false, (struct sl){slash + 1, strlen(slash + 1)})) {
        return EBADMSG;
    }
    return 0;
}

static int streams_start(struct lg *lg, enum rtp_side side, const char *dest, const char *keys)
{
    struct rtp_stream *s = rtp_take(lg, side);
    struct sockaddr_in to;
    int err = s != NULL ? args_addr(dest, &to) : EADDRINUSE;

    if (err == 0) {
        err = streams_keys(s, keys);
    }
    if (err == 0) {
        rtp_start(lg, s, &to);
    }
    return err;
}

/* The ports of a call are known before it is started: the lowest pair, then the next one, and so
 * on. */
static int streams_line(struct lg *lg, const char *line, uint32_t i)
{
    char dest[2][32], keys[2][128];
    int err;

    if (sscanf(line, "%31s %31s %127s %127s", dest[0], dest[1], keys[0], keys[1]) != 4) {
        return EBADMSG;
    }
    err = streams_start(lg, RTP_CALLER, dest[0], keys[0]);
    if (err == 0) {
        err = streams_start(lg, RTP_CALLEE, dest[1], keys[1]);
    }
    if (err == 0 && lg->rtp.pool[RTP_CALLEE].next_port != lg->o.rtp_first + 2 * (i + 1)) {
        err = EADDRINUSE; /* a port was skipped: the relay expects us elsewhere */
    }
    return err;
}

int streams_open(struct lg *lg)
{
    FILE *f = lg->o.streams != NULL ? fopen(lg->o.streams, "re") : NULL;
    char line[384];
    uint32_t n = 0;
    int err = 0;

    if (lg->o.streams == NULL) {
        return 0;
    }
    if (f == NULL) {
        return errno;
    }
    while (err == 0 && fgets(line, sizeof(line), f) != NULL) {
        err = streams_line(lg, line, n++);
    }
    (void)fclose(f);
    return err;
}
