/* turnover.h - the workers take a configuration over one after the other: what a neighbour says who
 * has it already, or has not yet, is understood all the same. Thread: the worker's. */
#ifndef POSTERN_WORKER_TURNOVER_H
#define POSTERN_WORKER_TURNOVER_H

#include "config/config.h"
#include "net/net.h"

struct worker;
struct reg_update;

/* Listeners that came after one that is gone, by number plus one; 0: none. */
struct heir {
    uint8_t named;                    /* the one of that name has its devices */
    uint8_t bound[CONFIG_TRANSPORTS]; /* the one at that address has its socket */
};

/* This configuration may come into force; a reference is taken. NULL: none may. */
void worker_expect(struct worker *w, struct config *cfg);
/* What was expected has come into force: takes it over now, before anything that came after that is
 * looked at. The message that says so may still wait. */
void worker_catch_up(struct worker *w);
/* The configuration of a message; an older one than what is in force is passed over. */
void worker_take_config(struct worker *w, struct config *cfg);
/* While a configuration is taken over. */
void worker_listener_served(struct worker *w, uint8_t listener);
void worker_listener_moved(struct worker *w, uint8_t from, uint8_t to);
void worker_socket_moved(struct worker *w, uint8_t from, uint8_t to, enum sip_transport t);
/* The listener of what another worker hands over, or of what was read before worker_catch_up(), by
 * the number that it has here and now. */
void worker_place_flow(const struct worker *w, struct flow *flow);
void worker_place_bindings(const struct worker *w, struct reg_update *u);

#endif
