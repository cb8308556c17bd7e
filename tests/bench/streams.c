/* streams.c - media without calls: somebody else has set the relay up, a file says which packets go
 * where. Each line is one call: where our caller and where our callee send to, IP:PORT twice, and
 * the SRTP keys of those that have any: KEY-WE-SEND,KEY-WE-HEAR, or "-". */
#include "loadgen.h"

#include <errno.h>
#include <stdlib.h>

enum { STREAMS_WORDS = 4 };

static int streams_keys(struct rtp_stream *s, struct sl text)
{
    const char *comma = memchr(text.p, ',', text.n);
    size_t n = comma != NULL ? (size_t)(comma - text.p) : 0;

    if (sl_is(text, "-")) {
        return 0;
    }
    return comma != NULL && rtp_set_key(s, true, (struct sl){text.p, n}) &&
                   rtp_set_key(s, false, (struct sl){comma + 1, text.n - n - 1})
               ? 0
               : EBADMSG;
}

static int streams_start(struct lg *lg, enum rtp_side side, const char *dest, struct sl keys)
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
static int streams_line(struct lg *lg, char *line, uint32_t i)
{
    char *word[STREAMS_WORDS], *rest = line;
    int err;

    for (unsigned k = 0; k < STREAMS_WORDS; k++) {
        word[k] = strsep(&rest, " \n");
        if (word[k] == NULL) {
            return EBADMSG;
        }
    }
    err = streams_start(lg, RTP_CALLER, word[0], (struct sl){word[2], strlen(word[2])});
    if (err == 0) {
        err = streams_start(lg, RTP_CALLEE, word[1], (struct sl){word[3], strlen(word[3])});
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
