/* schema_health.c - the settings that say how well a peer has to be, and what the node does when it
 * has too much to do. */
#include "config/schema_int.h"

static const char *const word_off[] = {"off", NULL};
static const char *const words_last[] = {
    [POLICY_LAST_AUTO] = "auto", [POLICY_LAST_TRY] = "try", [POLICY_LAST_REFUSE] = "refuse", NULL};

static void cfg_check_probe(struct cfg *c, const struct cfg_node *node, void *at)
{
    struct policy_peer *peer = at;

    peer->probe.present = true;
    if (peer->probe.timeout_ms > peer->probe.every_ms) {
        cfg_error(c, cfg_spot(c, node, SL("timeout")),
                  "is longer than 'every': one probe of a target at a time");
    }
}

static const struct cfg_key cfg_probe_keys[] = {
    {.key = "every",
     .type = CFG_DURATION,
     AT(policy_peer, probe.every_ms),
     .dflt = "30s",
     .min = MS_S,
     .max = MS_H,
     .help =
         "An OPTIONS to each target this often, give or take a tenth; targets are not asked all "
         "at once."},
    {.key = "timeout",
     .type = CFG_DURATION,
     AT(policy_peer, probe.timeout_ms),
     .dflt = "1s",
     .min = 100,
     .max = 32 * MS_S,
     .help = "How long an answer may take. Any answer but 408, 503 and 504 is a sign of life."},
    {.key = "fail_after",
     .type = CFG_INT,
     AT(policy_peer, probe.fail_after),
     .dflt = "3",
     .min = 1,
     .max = 100,
     .help = "So many lost probes in a row take a target down."},
    {.key = "rise_after",
     .type = CFG_INT,
     AT(policy_peer, probe.rise_after),
     .dflt = "2",
     .min = 1,
     .max = 100,
     .help = "So many answered ones in a row bring it up again."},
};
OBJECT_PUBLIC(cfg_probe, policy_peer, cfg_check_probe);

static const struct cfg_key cfg_breaker_keys[] = {
    {.key = "failures",
     .type = CFG_INT,
     AT(policy_peer, breaker.failures),
     .dflt = "10",
     .min = 1,
     .max = 100000,
     .words = word_off,
     .help = "So many failed calls in a row put a target behind the others: no answer, no "
             "connection, or one of the codes. Any other final answer is none."},
    {.key = "codes",
     LIST(policy_peer, breaker.codes.e, breaker.codes.n, CFG_CODE),
     .flags = CFG_INLINE,
     .dflt = "503",
     .max = POLICY_CODES_MAX,
     .help = "Answers that count as failed calls: 503, 5xx or 500-504."},
    {.key = "answer_ratio",
     .type = CFG_INT,
     AT(policy_peer, breaker.answer_ratio),
     .dflt = "off",
     .min = 1,
     .max = 100,
     .words = word_off,
     .help = "Percent of its latest calls that a target must answer, else it goes behind the "
             "others."},
    {.key = "seizures",
     .type = CFG_INT,
     AT(policy_peer, breaker.seizures),
     .dflt = "100",
     .min = 10,
     .max = 100000,
     .help = "Of so many calls the ratio is taken."},
    {.key = "retry",
     .type = CFG_DURATION,
     AT(policy_peer, breaker.retry_ms),
     .dflt = "30s",
     .min = MS_S,
     .max = 10 * MS_M,
     .help = "Until one call tries such a target; when it fails, twice as long, up to 10m. Any "
             "answer closes the breaker."},
};
OBJECT_PUBLIC(cfg_breaker, policy_peer, NULL);

static const struct cfg_key cfg_failover_keys[] = {
    {.key = "timeout",
     .type = CFG_DURATION,
     AT(policy_peer, failover_ms),
     .dflt = "2s",
     .min = 100,
     .max = 32 * MS_S,
     .help = "No answer at all from a target within this: the next one is tried."},
    {.key = "waiting",
     .type = CFG_INT,
     AT(policy_peer, waiting_max),
     .dflt = "1000",
     .min = 1,
     .max = 1000000,
     .words = word_off,
     .help = "Calls for which one target may owe a first answer, so that a slow one holds up "
             "nobody else; more go to the next."},
    {.key = "last_resort",
     .type = CFG_ENUM,
     AT(policy_peer, last_resort),
     .dflt = "auto",
     .words = words_last,
     .help = "When nothing better is left: auto tries targets whose calls failed and refuses, "
             "with 503, those whose probes fail; try tries both, refuse neither."},
};
OBJECT_PUBLIC(cfg_failover, policy_peer, NULL);

static const struct cfg_key cfg_overload_keys[] = {
    {.key = "wait",
     .type = CFG_DURATION,
     AT(config, overload_wait_ms),
     .dflt = "50ms",
     .min = 5,
     .max = 10 * MS_S,
     .words = word_off,
     .help = "How long a datagram lay in its socket before it was read."},
    {.key = "lag",
     .type = CFG_DURATION,
     AT(config, overload_late_ms),
     .dflt = "200ms",
     .min = 5,
     .max = 10 * MS_S,
     .words = word_off,
     .help = "How late timers run."},
    {.key = "queue",
     .type = CFG_INT,
     AT(config, overload_queue),
     .dflt = "4000",
     .min = 10,
     .max = 16000,
     .words = word_off,
     .help = "Messages of other workers that wait."},
};
OBJECT_PUBLIC(cfg_overload, config, NULL);
