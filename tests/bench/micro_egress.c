/* micro_egress.c - what the last look at an outgoing message costs: an INVITE with a description
 * and a short answer, in a house of a thousand peers. One figure a line: NAME VALUE UNIT. */
#include "sbc-policy/egress.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { PEERS = 1000, ROUNDS = 200000 };

/* CPU time: others use the machine, too. */
static double cpu_us(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

static void must(int err)
{
    if (err != 0) {
        fprintf(stderr, "bench: %s\n", strerror(err));
        exit(1);
    }
}

static const char invite[] =
    "INVITE sip:+4930123456@192.0.2.30:5060 SIP/2.0\r\n"
    "Via: SIP/2.0/UDP 203.0.113.1:5060;branch=z9hG4bKk3v9q2m7x1c5b8n4l6j0h2g7f5;rport\r\n"
    "Max-Forwards: 69\r\n"
    "From: \"Alice Example\" <sip:+4930777@203.0.113.1>;tag=7k2m9q3v0r1aa8s6d4f2g0h5j7\r\n"
    "To: <sip:+4930123456@192.0.2.30>\r\n"
    "Call-ID: 3c5v7b9n1m2q4w6e8r0t1y3u5i\r\n"
    "CSeq: 1 INVITE\r\n"
    "Contact: <sip:9a8s7d6f5g4h3j2k1l0q9w8e7r@203.0.113.1:5060>\r\n"
    "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, MESSAGE\r\n"
    "Content-Type: application/sdp\r\nContent-Length: 371\r\n\r\n"
    "v=0\r\no=- 2833913822 1 IN IP4 203.0.113.1\r\ns=-\r\nc=IN IP4 203.0.113.1\r\nt=0 0\r\n"
    "m=audio 20480 RTP/AVP 8 0 18 9 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\n"
    "a=rtpmap:18 G729/8000\r\na=fmtp:18 annexb=no\r\na=rtpmap:9 G722/8000\r\n"
    "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n"
    "a=rtcp:20481\r\n";
static const char trying[] =
    "SIP/2.0 180 Ringing\r\n"
    "Via: SIP/2.0/UDP 10.1.1.20:5070;branch=z9hG4bK-524287-1---a1b2c3;rport=5070;"
    "received=10.1.1.20\r\n"
    "From: <sip:1001@10.1.1.20>;tag=as5f2c91\r\n"
    "To: <sip:+4930123456@10.1.1.1>;tag=0h5j77k2m9q3v0r1aa8s6d4f2g\r\n"
    "Call-ID: 5a1e9c2d@10.1.1.20\r\nCSeq: 102 INVITE\r\nContent-Length: 0\r\n\r\n";

static struct policy_def def;
static struct policy_egress *set;

static void build(void)
{
    static const char *const names[] = {"outside", "inside"};
    static struct policy_peer peers[PEERS];
    static struct prefix sources[PEERS];
    static struct policy_uri_target targets[PEERS];
    static struct policy_media_profile profile = {.name = "plain"};
    struct policy_place places[2];
    struct policy *p = NULL;
    char text[32];

    for (unsigned i = 0; i < PEERS; i++) {
        snprintf(text, sizeof(text), i == 0 ? "192.0.2.30" : "10.%u.%u.%u", i % 200 + 1, i / 200,
                 i % 250 + 1);
        must(addr_parse(sl_str(text), 5060, &targets[i].addr));
        must(prefix_parse(sl_str(text), &sources[i]));
        peers[i] = (struct policy_peer){.name = "peer",
                                        .listener = i == 0 ? 0 : 1,
                                        .sources = &sources[i],
                                        .n_sources = 1,
                                        .targets = &targets[i],
                                        .n_targets = 1};
    }
    def = (struct policy_def){.listeners = names,
                              .n_listeners = 2,
                              .profiles = &profile,
                              .n_profiles = 1,
                              .peers = peers,
                              .n_peers = PEERS};
    must(policy_compile(&p, &def, NULL));
    must(addr_parse(SL("203.0.113.1"), 0, &places[0].address));
    places[0].advertise = places[0].address;
    must(addr_parse(SL("10.1.1.1"), 0, &places[1].address));
    places[1].advertise = places[1].address;
    must(policy_egress_build(&set, p, places, 2));
}

static unsigned n_found;

static void on_found(const struct policy_hit *hit, void *arg)
{
    (void)hit;
    (void)arg;
    n_found++;
}

static void measure(const char *name, const struct policy_sight *l, struct sl bytes)
{
    double start = cpu_us();

    for (unsigned i = 0; i < ROUNDS; i++) {
        struct policy_sight own = *l; /* as it is made for each message */

        policy_egress_scan(&own, bytes, on_found, NULL);
    }
    printf("egress_%s_%zu_bytes %.3f us\n", name, bytes.n, (cpu_us() - start) / ROUNDS);
}

int main(void)
{
    struct policy_said own = {.n = 0}, other = {.n = 0};
    struct policy_sight l = {.to = {.kind = POLICY_PEER, .peer = 0}, .listener = 0, .own = &own};

    build();
    l.set = set;
    policy_said_host(&own, SL("192.0.2.30"));
    policy_said_host(&other, SL("10.1.1.20"));
    policy_said_host(&other, SL("pbx.corp.example"));
    l.others[l.n_others++] = &other;
    policy_sight_id(&l, SL("5a1e9c2d@10.1.1.20"));
    policy_sight_id(&l, SL("as5f2c91"));
    policy_sight_id(&l, SL("0h5j77k2m9q3v0r1aa8s6d4f2g"));
    measure("invite", &l, sl_make(invite, sizeof(invite) - 1));
    l = (struct policy_sight){
        .set = set, .to = {.kind = POLICY_PEER, .peer = 2}, .listener = 1, .own = &other};
    l.others[l.n_others++] = &own;
    policy_sight_id(&l, SL("3c5v7b9n1m2q4w6e8r0t1y3u5i"));
    policy_sight_id(&l, SL("7k2m9q3v0r1aa8s6d4f2g0h5j7"));
    measure("ringing", &l, sl_make(trying, sizeof(trying) - 1));
    if (n_found != 0) {
        fprintf(stderr, "bench: %u false alarms\n", n_found);
        return 1;
    }
    return 0;
}
