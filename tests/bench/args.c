/* args.c - the command line, from one table. */
#include "loadgen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>

enum opt_type { OPT_FLAG, OPT_COUNT, OPT_SECONDS, OPT_ADDR, OPT_TEXT, OPT_PATH, OPT_PORTS };

struct opt_def {
    const char *name;
    enum opt_type type;
    size_t at;
    double min, max;
    const char *arg, *help;
};

#define AT(field) offsetof(struct opts, field)

static const struct opt_def opt_defs[] = {
    {"--target", OPT_ADDR, AT(target), 0, 0, "IP:PORT", "system under test [127.0.0.1:5060]"},
    {"--caller", OPT_ADDR, AT(caller), 0, 0, "IP:PORT", "our calling end [127.0.0.3:5060]"},
    {"--callee", OPT_ADDR, AT(callee), 0, 0, "IP:PORT", "our called end [127.0.0.2:5070]"},
    {"--called", OPT_TEXT, AT(called), 0, 0, "USER", "user part dialled [+15550100]"},
    {"--direct", OPT_FLAG, AT(direct), 0, 0, NULL, "self check: target is our own callee"},
    {"--rate", OPT_COUNT, AT(rate), 1, 200000, "N", "open loop: calls per second [100]"},
    {"--inflight", OPT_COUNT, AT(inflight), 1, 100000, "N", "closed loop: N transactions pending"},
    {"--held", OPT_FLAG, AT(held), 0, 0, NULL, "set up --calls, hold for --duration, hang up"},
    {"--calls", OPT_COUNT, AT(calls), 1, 1e9, "N", "stop after N attempts"},
    {"--duration", OPT_SECONDS, AT(duration_s), 0.01, 86400, "S", "start calls for S seconds"},
    {"--hold-ms", OPT_COUNT, AT(hold_ms), 0, 3600000, "MS", "from ACK to BYE [50]"},
    {"--deadline", OPT_SECONDS, AT(deadline_s), 1, 90000, "S",
     "end the run after S whatever comes"},
    {"--media", OPT_FLAG, AT(media), 0, 0, NULL, "RTP both ways in each call"},
    {"--packets", OPT_COUNT, AT(packets), 1, 1e9, "N",
     "with --media: N packets a stream, then none"},
    {"--rtcp", OPT_FLAG, AT(rtcp), 0, 0, NULL, "with --media: RTCP on the next port too"},
    {"--even", OPT_FLAG, AT(even), 0, 0, NULL,
     "with --media: no bursts each millisecond; never sleeps"},
    {"--epoll", OPT_FLAG, AT(epoll), 0, 0, NULL,
     "with --media: no io_uring, a system call for each packet"},
    {"--rtp-ports", OPT_PORTS, AT(rtp_first), 1024, 65535, "A-B", "our RTP ports [40000-59999]"},
    {"--srtp-caller", OPT_FLAG, AT(srtp_caller), 0, 0, NULL, "the caller offers SDES-SRTP"},
    {"--srtp-callee", OPT_FLAG, AT(srtp_callee), 0, 0, NULL, "the callee wants SDES-SRTP"},
    {"--streams", OPT_PATH, AT(streams), 0, 0, "FILE", "no calls, only the media that FILE names"},
    {"--burst", OPT_COUNT, AT(burst), 1, 1000, "N",
     "with --held: N packets a stream at once, --rounds times"},
    {"--rounds", OPT_COUNT, AT(rounds), 1, 1e6, "N", "of --burst [10]"},
    {"--stop-pid", OPT_COUNT, AT(stop_pid), 2, 4194304, "PID", "whom --burst stops meanwhile"},
    {"--json", OPT_FLAG, AT(json), 0, 0, NULL, "one JSON object instead of lines"},
    {"--help", OPT_FLAG, AT(help), 0, 0, NULL, "this text"},
};

void args_usage(FILE *f)
{
    fputs("usage: loadgen [options]\n"
          "Places SIP calls over UDP from a caller to a callee of its own through the target.\n",
          f);
    for (size_t i = 0; i < COUNT_OF(opt_defs); i++) {
        const struct opt_def *d = &opt_defs[i];

        fprintf(f, "  %-13s %-8s %s\n", d->name, d->arg != NULL ? d->arg : "", d->help);
    }
}

static int args_number(const struct opt_def *d, const char *text, double *v)
{
    char *end = NULL;

    errno = 0;
    *v = strtod(text, &end);
    return errno != 0 || end == text || *end != '\0' || !(*v >= d->min && *v <= d->max) ? EINVAL
                                                                                        : 0;
}

int args_addr(const char *text, struct sockaddr_in *sa)
{
    char uri[64];
    int n = snprintf(uri, sizeof(uri), "sip:%s", text);

    if (n < 0 || (size_t)n >= sizeof(uri) || strchr(text, ':') == NULL) {
        return EINVAL;
    }
    return uri_addr((struct sl){uri, (size_t)n}, sa) == 0 && sa->sin_port != 0 ? 0 : EINVAL;
}

static int args_ports(const struct opt_def *d, const char *text, uint32_t ports[2])
{
    struct sl first = {text, strcspn(text, "-")};
    struct sl last = {text + first.n, strlen(text + first.n)};

    if (last.n < 2) {
        return EINVAL;
    }
    last = (struct sl){last.p + 1, last.n - 1};
    return sl_u32(first, &ports[0]) && sl_u32(last, &ports[1]) && ports[0] >= d->min &&
                   ports[1] <= d->max && ports[0] < ports[1]
               ? 0
               : EINVAL;
}

static int args_set(struct opts *o, const struct opt_def *d, const char *text)
{
    void *at = (char *)o + d->at;
    double v = 0;
    int err = 0;

    switch (d->type) {
    case OPT_FLAG:
        *(bool *)at = true;
        break;
    case OPT_COUNT:
        err = args_number(d, text, &v);
        *(uint32_t *)at = (uint32_t)v;
        break;
    case OPT_SECONDS:
        err = args_number(d, text, at);
        break;
    case OPT_ADDR:
        err = args_addr(text, at);
        break;
    case OPT_TEXT:
        *(const char **)at = text;
        err = text[0] == '\0' || strlen(text) > 64 || strpbrk(text, "<>@ \r\n\"") != NULL ? EINVAL
                                                                                          : 0;
        break;
    case OPT_PATH:
        *(const char **)at = text;
        break;
    case OPT_PORTS:
        err = args_ports(d, text, at);
        break;
    }
    return err;
}

static const struct opt_def *args_find(const char *name)
{
    for (size_t i = 0; i < COUNT_OF(opt_defs); i++) {
        if (strcmp(opt_defs[i].name, name) == 0) {
            return &opt_defs[i];
        }
    }
    return NULL;
}

/* A run that nothing would end is refused. */
static int args_check(const struct opts *o)
{
    if (o->burst != 0 && (!o->held || !o->media || o->stop_pid == 0)) {
        fputs("loadgen: --burst needs --held, --media and --stop-pid\n", stderr);
        return EINVAL;
    }
    if (o->held && (o->calls == 0 || o->duration_s <= 0 || o->inflight != 0)) {
        fputs("loadgen: --held needs --calls and --duration, and no --inflight\n", stderr);
        return EINVAL;
    }
    if (o->calls == 0 && o->duration_s <= 0) {
        fputs("loadgen: --calls or --duration is needed\n", stderr);
        return EINVAL;
    }
    return 0;
}

/* Leaves room for two full SIP time-outs. */
static double args_deadline_s(const struct opts *o)
{
    double ramp_s = o->duration_s;

    if (o->held) {
        ramp_s += 2.0 * o->calls / o->rate;
    } else if (o->duration_s <= 0) {
        ramp_s = o->mode == MODE_OPEN ? (double)o->calls / o->rate : 600;
    }
    return ramp_s + o->hold_ms / 1000.0 + 2 * SIP_GIVE_UP_MS / 1000.0 + 10;
}

static int args_settle(struct opts *o)
{
    if (o->streams != NULL) {
        o->held = o->media = true;
        o->calls = 1;
    }
    o->mode = o->held ? MODE_HELD : o->inflight != 0 ? MODE_CLOSED : MODE_OPEN;
    if (o->direct) {
        o->target = o->callee;
    }
    if (o->deadline_s <= 0) {
        o->deadline_s = args_deadline_s(o);
    }
    return args_check(o);
}

int args_parse(struct opts *o, int argc, char **argv)
{
    *o = (struct opts){.rate = 100,
                       .hold_ms = 50,
                       .rounds = 10,
                       .rtp_first = 40000,
                       .rtp_last = 59999,
                       .called = "+15550100"};
    (void)args_addr("127.0.0.1:5060", &o->target);
    (void)args_addr("127.0.0.3:5060", &o->caller);
    (void)args_addr("127.0.0.2:5070", &o->callee);
    for (int i = 1; i < argc; i++) {
        const struct opt_def *d = args_find(argv[i]);
        bool wants = d != NULL && d->type != OPT_FLAG;

        if (d == NULL || (wants && i + 1 >= argc)) {
            fprintf(stderr, "loadgen: %s: unknown option, or its value is missing\n", argv[i]);
            return EINVAL;
        }
        if (args_set(o, d, wants ? argv[i + 1] : "") != 0) {
            fprintf(stderr, "loadgen: %s %s: not a valid value\n", argv[i], argv[i + 1]);
            return EINVAL;
        }
        i += wants ? 1 : 0;
    }
    return o->help ? 0 : args_settle(o);
}
