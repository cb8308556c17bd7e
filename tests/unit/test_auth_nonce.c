/* test_auth_nonce.c - the one table of nonces, which all workers share. */
#include "registrar/registrar_int.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#define RACES 30000

struct racer {
    struct nonce_keeper *k;
    _Atomic uint32_t *turn; /* both begin a race together: twice its number of arrivals */
    bool *won;
};

static void nonce_text(uint32_t race, char out[NONCE_TEXT_LEN + 1])
{
    snprintf(out, NONCE_TEXT_LEN + 1, "%08x%08x%08x%024x", 1000u, race * 2654435761u, race << 8, 0);
}

static void *race(void *arg)
{
    struct racer *r = arg;

    for (uint32_t i = 0; i < RACES; i++) {
        char text[NONCE_TEXT_LEN + 1];

        nonce_text(i, text);
        atomic_fetch_add(r->turn, 1);
        for (unsigned n = 0; atomic_load(r->turn) < 2 * (i + 1); n++) {
            if (n % 4096 == 4095) {
                sched_yield(); /* there may be one processor only */
            }
        }
        r->won[i] = nonce_take(r->k, sl_str(text), 1, 1000000, 300);
    }
    return NULL;
}

/* The same answer in two requests at once, for two workers. */
static void a_nonce_is_good_once_for_two_workers_at_the_same_time(void **state)
{
    static bool won[2][RACES];
    _Atomic uint32_t turn = 0;
    struct nonce_keeper *k = NULL;
    struct racer racers[2];
    pthread_t other;
    size_t twice = 0;

    (void)state;
    assert_int_equal(nonce_keeper_new(&k), 0);
    for (size_t i = 0; i < 2; i++) {
        racers[i] = (struct racer){k, &turn, won[i]};
    }
    assert_int_equal(pthread_create(&other, NULL, race, &racers[0]), 0);
    race(&racers[1]);
    pthread_join(other, NULL);
    for (size_t i = 0; i < RACES; i++) {
        twice += won[0][i] && won[1][i] ? 1 : 0;
    }
    assert_int_equal(twice, 0);
    nonce_keeper_free(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_nonce_is_good_once_for_two_workers_at_the_same_time),
    };

    return crypto_init() == 0 ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
