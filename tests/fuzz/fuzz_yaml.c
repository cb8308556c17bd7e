/* fuzz_yaml.c - any bytes as a configuration: a snapshot that a decision can be made with, or error
 * lines that end; never both, and nothing left behind. */
#include "config/config.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void fuzz_check(bool is_true)
{
    if (!is_true) {
        abort();
    }
}

static void fuzz_decide(const struct config *c)
{
    struct policy_request rq = {.method = SL("INVITE"),
                                .called = SL("+4930123"),
                                .called_host = SL("example.test"),
                                .calling = SL("1001"),
                                .auth_user = -1,
                                .new_call = true};
    struct policy_verdict v;

    for (size_t i = 0; i < c->n_listeners; i++) {
        rq.listener = (uint8_t)i;
        for (size_t p = 0; p < c->def.n_peers && p < 4; p++) {
            if (c->def.peers[p].n_sources != 0) {
                rq.source = c->def.peers[p].sources[0].addr;
            }
            policy_decide(c->policy, &rq, 1000, &v);
            policy_release(c->policy, &v);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct config_errors errs;
    struct config *c = NULL;
    int64_t live = mem_live();
    int err;

    log_set_level(LOG_ERROR);
    err = config_parse(&c, "t", sl_make(data, n), NULL, &errs);
    fuzz_check((err == 0) == (c != NULL));
    fuzz_check((err == EBADMSG) == (errs.n_total != 0));
    for (size_t i = 0; i < errs.n; i++) {
        fuzz_check(strncmp(errs.e[i].text, "t:", 2) == 0);
    }
    if (c != NULL) {
        fuzz_decide(c);
    }
    config_errors_free(&errs);
    config_unref(&c);
    fuzz_check(mem_live() == live);
    return 0;
}
