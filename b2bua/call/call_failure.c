/* call_failure.c - which of several failures the caller sees, and as what. */
#include "call/call_int.h"

/* RFC 3261 16.7 item 6, reduced to what a caller can use: 6xx, then what a person did, then the
 * rest; a server's trouble comes last. */
unsigned call_rank(uint16_t status)
{
    if (status >= 600) {
        return 6;
    }
    if (status == 486 || status == 480 || status == 403 || status == 404 || status == 484) {
        return 5;
    }
    if (status >= 400 && status < 500 && status != 408 && status != 487) {
        return 4;
    }
    return status >= 500 ? 2 : status != 0 ? 3 : 0;
}

void call_note_failure(struct call *c, uint16_t status)
{
    if (call_rank(status) > call_rank(c->best_status)) {
        c->best_status = status;
    }
}

/* Challenges and redirections are ours to deal with; the caller must not see them raw. */
uint16_t call_status_for_caller(uint16_t status)
{
    if (status == 0) {
        return 480;
    }
    if (status == 401 || status == 407) {
        return 502;
    }
    if (status < 400) {
        return 480;
    }
    return status == 491 || status == 422 ? 480 : status;
}

/* Why a target was not even asked. */
uint16_t call_status_of_error(int err)
{
    switch (err) {
    case EPERM: /* media */
        return 488;
    case EPROTONOSUPPORT: /* sips: without TLS */
        return 480;
    case EACCES: /* it would have said too much */
        return 500;
    case EBUSY:
    case ESHUTDOWN:
    case ENOMEM:
        return 503;
    default:
        return 502;
    }
}
