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

static bool is_redirection(const struct call *c, uint16_t status)
{
    return (status == 301 || status == 302) && c->redirect.n != 0;
}

static unsigned rank_in(const struct call *c, uint16_t status)
{
    return is_redirection(c, status) ? call_rank(486) : call_rank(status);
}

void call_note_failure(struct call *c, uint16_t status)
{
    if (rank_in(c, status) > rank_in(c, c->best_status)) {
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
    return status == 491 || status == 422 || status == 430 ? 480 : status;
}

uint16_t call_best_for_caller(const struct call *c)
{
    return is_redirection(c, c->best_status) ? c->best_status
                                             : call_status_for_caller(c->best_status);
}

/* The number that the callee names, as one of ours: whether it may be called is up to the rules for
 * the caller, and nothing else of that Contact is its business. */
static void put_moved(struct buf *b, const struct leg *callee, struct sl user)
{
    const struct call *c = callee->call;
    const struct leg *a = c->a;
    struct addr at;

    buf_puts(b, a->sips ? "sips:" : "sip:");
    if (callee->party.kind == POLICY_PEER) {
        sip_put_number(b, user);
    } else {
        sip_put_user(b, user);
    }
    BUF_LIT(b, "@");
    if (a->party.kind == POLICY_USERS) {
        buf_puts(b, policy_def(c->cfg->policy)->users.domain);
        return;
    }
    leg_via_addr(a, a->dlg.flow.transport, &at);
    addr_put(b, &at);
    call_put_transport(b, a->dlg.flow.transport, a->sips);
}

void call_note_moved(struct leg *l, const struct sip_msg *rsp)
{
    struct call *c = l->call;
    struct sip_values it = {0};
    struct sip_nameaddr na;
    char text[512];
    struct sl v;
    struct buf b;

    if ((rsp->status != 301 && rsp->status != 302) || c->redirect.n != 0 ||
        leg_session(l)->redirection != POLICY_REDIRECTION_PASS ||
        sip_values_next(rsp, HDR_CONTACT, &it, &v) != 0 || sip_nameaddr_parse(v, &na) != 0 ||
        na.is_star || na.uri.user.n == 0) {
        return;
    }
    buf_init_fixed(&b, text, sizeof(text));
    put_moved(&b, l, na.uri.user);
    if (buf_err(&b) == 0) {
        c->redirect = arena_dup(&c->arena, buf_sl(&b));
    }
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
