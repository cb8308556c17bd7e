/* load.c - when calls start and end: open loop, closed loop, or a held set of calls. */
#include "loadgen.h"

enum {
    LOAD_BURST = 64,       /* calls started in one turn, so that reading is never starved */
    LOAD_GRACE_MS = 10000, /* for the callee's last BYEs, including two retransmissions */
    LOAD_LATE_MS = 5000,   /* for packets that wait in a relay with more work than it can do */
};

static const int64_t load_ms = 1000000;

static void load_enter(struct lg *lg, enum load_phase phase)
{
    static const char *const names[] = {"ramp", "hold", "quiet", "release", "drain", "done"};

    lg->load.phase = phase;
    lg->load.phase_ns = lg->now_ns;
    fprintf(stderr, "mark %s calls=%u rtp_sent=%llu rtp_received=%llu\n", names[phase],
            lg->uac.live, (unsigned long long)lg->st.c[ST_RTP_SENT],
            (unsigned long long)lg->st.c[ST_RTP_RECEIVED]);
}

void load_init(struct lg *lg)
{
    lg->load.start_ns = lg->now_ns;
    lg->load.last_end_ns = lg->now_ns;
    load_enter(lg, LOAD_RAMP);
}

static double load_elapsed_s(const struct lg *lg, int64_t since_ns)
{
    return (double)(lg->now_ns - since_ns) / 1e9;
}

static bool load_ramp_over(const struct lg *lg)
{
    const struct opts *o = &lg->o;

    if (o->calls != 0 && lg->load.started >= o->calls) {
        return true;
    }
    return !o->held && o->duration_s > 0 && load_elapsed_s(lg, lg->load.start_ns) >= o->duration_s;
}

/* How many calls are owed now: by the clock, or by the room below the closed loop's limit. */
static uint32_t load_owed(const struct lg *lg)
{
    uint64_t owed = 0;

    if (lg->o.mode == MODE_CLOSED) {
        owed = lg->uac.pending < lg->o.inflight ? lg->o.inflight - lg->uac.pending : 0;
    } else {
        uint64_t due = (uint64_t)(load_elapsed_s(lg, lg->load.start_ns) * lg->o.rate) + 1;

        owed = due > lg->load.started ? due - lg->load.started : 0;
    }
    if (lg->o.calls != 0 && owed > lg->o.calls - lg->load.started) {
        owed = lg->o.calls - lg->load.started;
    }
    return owed > LOAD_BURST ? LOAD_BURST : (uint32_t)owed;
}

static void load_ramp(struct lg *lg)
{
    if (lg->o.streams != NULL) { /* they run already; a second later every one was heard */
        if (load_elapsed_s(lg, lg->load.start_ns) >= 1) {
            load_enter(lg, LOAD_HOLD);
        }
        return;
    }
    if (load_ramp_over(lg)) {
        if (!lg->o.held) {
            load_enter(lg, LOAD_DRAIN);
        } else if (lg->uac.pending == 0) {
            load_enter(lg, LOAD_HOLD);
        }
        return;
    }
    for (uint32_t n = load_owed(lg); n > 0; n--) {
        uac_start(lg);
    }
}

/* Held calls end at the rate at which they were set up. */
static void load_release(struct lg *lg)
{
    uint64_t due = (uint64_t)(load_elapsed_s(lg, lg->load.phase_ns) * lg->o.rate) + 1;

    while (lg->load.started < due) {
        lg->load.started++;
        if (!uac_hangup_next(lg)) {
            load_enter(lg, LOAD_DRAIN);
            return;
        }
    }
}

static void load_drain(struct lg *lg)
{
    int64_t idle_ms = (lg->now_ns - lg->load.last_end_ns) / load_ms;

    if (lg->uac.live != 0) {
        return;
    }
    if (lg->uas.live == 0 || idle_ms > LOAD_GRACE_MS) {
        lg->st.c[ST_UAS_LEFT] = lg->uas.live;
        load_enter(lg, LOAD_DONE);
    }
}

/* What was sent before the silence has arrived, or will not. */
static bool load_is_quiet(const struct lg *lg)
{
    int64_t silent_ms = (lg->now_ns - lg->load.phase_ns) / load_ms;
    int64_t unheard_ms = (lg->now_ns - lg->rtp.heard_ns) / load_ms;

    return silent_ms >= RTP_QUIET_MS &&
           (unheard_ms >= RTP_QUIET_MS / 2 || silent_ms >= LOAD_LATE_MS);
}

void load_turn(struct lg *lg)
{
    struct load *l = &lg->load;

    switch (l->phase) {
    case LOAD_RAMP:
        load_ramp(lg);
        break;
    case LOAD_HOLD:
        if (lg->o.burst != 0 ? !burst_turn(lg)
                             : load_elapsed_s(lg, l->phase_ns) >= lg->o.duration_s) {
            lg->rtp.silent = true;
            load_enter(lg, LOAD_QUIET);
        }
        break;
    case LOAD_QUIET:
        if (load_is_quiet(lg)) {
            l->started = 0;
            load_enter(lg, LOAD_RELEASE);
        }
        break;
    case LOAD_RELEASE:
        load_release(lg);
        break;
    case LOAD_DRAIN:
        load_drain(lg);
        break;
    case LOAD_DONE:
        break;
    }
    if (l->phase != LOAD_DONE && load_elapsed_s(lg, l->start_ns) > lg->o.deadline_s) {
        l->deadline_hit = true;
        lg->st.c[ST_UAS_LEFT] = lg->uas.live;
        load_enter(lg, LOAD_DONE);
    }
}

/* When the loop has to wake up at the latest: each millisecond, or for the next call. */
int64_t load_next_ns(const struct lg *lg)
{
    int64_t next = lg->now_ns + load_ms;
    int64_t call = next;

    if (lg->o.media && lg->rtp.tick_ns < next) {
        next = lg->rtp.tick_ns;
    }
    if (lg->load.phase == LOAD_RAMP && lg->o.mode != MODE_CLOSED && !load_ramp_over(lg)) {
        call = lg->load.start_ns + (int64_t)((double)lg->load.started * 1e9 / lg->o.rate) + 1;
    }
    return call < next ? call : next;
}
