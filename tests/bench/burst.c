/* burst.c - media back to back: the relay is stopped, every stream sends a burst into its sockets,
 * and the relay goes on. What it spends until all has arrived is its cost with nothing to wait for,
 * and what does not arrive did not fit its buffers. */
#include "loadgen.h"

#include <fcntl.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

enum { BURST_PATIENCE_MS = 2000 }; /* without a packet: what is missing is lost */

static uint64_t burst_missing(const struct lg *lg)
{
    return lg->st.c[ST_RTP_SENT] - lg->st.c[ST_RTP_RECEIVED] - lg->st.c[ST_RTP_LATE];
}

/* utime + stime of all threads of the process. */
static int64_t burst_cpu_ns(uint32_t pid)
{
    struct timespec ts = {0, 0};

    clock_gettime((clockid_t)(~pid << 3 | 2), &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static bool burst_is_stopped(uint32_t pid)
{
    char path[32], text[512];
    const char *state = NULL;
    ssize_t n = 0;
    int fd;

    snprintf(path, sizeof(path), "/proc/%u/stat", pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return true; /* gone: the packets will say so */
    }
    n = read(fd, text, sizeof(text) - 1);
    close(fd);
    text[n > 0 ? n : 0] = '\0';
    state = strrchr(text, ')');
    return state == NULL || state[1] == '\0' || state[2] == 'T';
}

static void burst_fire(struct lg *lg)
{
    pid_t pid = (pid_t)lg->o.stop_pid;

    (void)kill(pid, SIGSTOP);
    while (!burst_is_stopped(lg->o.stop_pid)) {
        continue;
    }
    lg->burst.cpu_ns = burst_cpu_ns(lg->o.stop_pid);
    lg->burst.sent = lg->st.c[ST_RTP_SENT];
    for (uint32_t i = 0; i < lg->o.burst; i++) {
        rtp_send_all(lg);
    }
    lg->burst.sent = lg->st.c[ST_RTP_SENT] - lg->burst.sent;
    lg->burst.waiting = true;
    (void)kill(pid, SIGCONT);
}

static void burst_account(struct lg *lg)
{
    lg->burst.total_cpu_ns += burst_cpu_ns(lg->o.stop_pid) - lg->burst.cpu_ns;
    lg->burst.total_packets += lg->burst.sent;
    lg->burst.waiting = false;
    lg->burst.rounds++;
}

bool burst_turn(struct lg *lg)
{
    struct burst *b = &lg->burst;

    if (b->last_missing != burst_missing(lg) || b->progress_ns == 0) {
        b->last_missing = burst_missing(lg);
        b->progress_ns = lg->now_ns;
    }
    if (b->last_missing != 0 && lg->now_ns - b->progress_ns < BURST_PATIENCE_MS * 1000000ll) {
        return true;
    }
    if (b->waiting) {
        burst_account(lg);
    }
    if (b->last_missing != 0 || b->rounds == lg->o.rounds) {
        return false;
    }
    burst_fire(lg);
    b->progress_ns = 0;
    return true;
}
