/* call_launch.h - a leg to one callee: what is known before its INVITE. Inside call/ only. */
#ifndef POSTERN_CALL_LAUNCH_H
#define POSTERN_CALL_LAUNCH_H

#include "call/call_int.h"

struct leg_plan {
    struct policy_ref party;
    int user;
    uint8_t listener;
    struct sl target; /* Request-URI */
    struct sl remote; /* To */
    struct flow flow;
    bool pin;
    bool sips;
    uint32_t answer_ms;
    uint64_t device; /* hash of +sip.instance; 0: none */
    uint32_t reg_id;
};
/* 0: INVITE is out. A SIP status: the call cannot go on like this. An errno is kept as attempt. */
uint16_t call_launch(struct call *c, const struct leg_plan *p, int *err, const char **why);

/* --- call_flows.c --- */
/* All of the called user's devices ring at once, each by its newest flow. Returns how many do. */
unsigned call_launch_user(struct call *c, uint16_t *status, const char **why);
/* This leg's flow is no way to its device: the device's next one is tried. False: there is none, or
 * the device itself has spoken. */
bool call_launch_next_flow(struct leg *l, uint16_t status, int err);

#endif
