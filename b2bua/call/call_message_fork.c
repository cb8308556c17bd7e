/* call_message_fork.c - a MESSAGE on its way to several: all devices of a user at once, everything
 * else one after the other, and one answer for the sender (RFC 3428 7, RFC 3261 16.7). */
#include "call/call_message.h"

#define MESSAGE_FORK_MS                                                                            \
    16000 /* a device has failed, others are silent: before timer F of theirs                      \
           */

static int64_t now_of(const struct message *m)
{
    return loop_now_ms(m->t->p.loop);
}

static void message_heard(struct message *m)
{
    if (m->waits) {
        m->waits = false;
        policy_target_heard(m->asked->aim);
    }
}

void message_judge(struct message *m, enum policy_outcome outcome)
{
    if (m->asked == NULL) {
        return;
    }
    message_heard(m);
    call_tell_health(m->asked->peer, m->asked->aim,
                     policy_target_result(m->asked->peer, m->asked->aim, outcome, now_of(m)));
    m->asked = NULL;
}

static void branch_end(struct message_target *tg)
{
    if (tg->cli != NULL) {
        tx_close(tg->cli);
        tx_unref(&tg->cli);
        tg->m->n_live--;
    }
}

void message_drop_branches(struct message *m)
{
    for (size_t i = 0; i < m->n_targets; i++) {
        branch_end(&m->targets[i]);
    }
}

/* --- sending --- */

static void on_message_response(struct tx *tx, int err, struct sip_msg *rsp, void *arg);

static int branch_start(struct message_target *tg)
{
    struct message *m = tg->m;
    struct buf *b = &m->t->out;
    int err = tx_client_new(&tg->cli, m->t->p.tab,
                            &(struct tx_client_params){.method = SIP_MESSAGE,
                                                       .flow = tg->flow,
                                                       .on_response = on_message_response,
                                                       .arg = tg});

    if (err != 0) {
        return err;
    }
    m->n_live++;
    tg->is_heard = false;
    buf_reset(b);
    err = message_write(m, tg, b);
    if (err == 0) {
        err = tx_client_start(tg->cli, buf_sl(b));
    }
    if (err != 0) {
        branch_end(tg);
    }
    return err;
}

/* A peer wants to know who we are: the same once more, as a transaction of its own. */
static bool branch_again(struct message_target *tg, struct sip_msg *challenge)
{
    struct tx *old = tg->cli;
    int err;

    tg->cli = NULL;
    tg->challenge = challenge;
    err = branch_start(tg);
    tg->challenge = NULL;
    if (err != 0) {
        tg->cli = old;
        return false;
    }
    tg->m->n_live--;
    tx_close(old);
    tx_unref(&old);
    return true;
}

/* RFC 3261 16.7: the best failure of all that were asked is told, whoever comes last. */
static void note_best(struct message *m, uint16_t status)
{
    if (call_rank(status) > call_rank(m->best)) {
        m->best = status;
    }
}

/* False: passed over, because it is down, or for now. */
static bool target_enter(struct message_target *tg)
{
    struct message *m = tg->m;
    enum policy_welcome welcome;

    if (tg->peer == NULL || (m->is_last && !tg->is_later)) {
        return !m->is_last;
    }
    welcome = policy_target_enter(tg->peer, tg->aim, m->is_last, now_of(m));
    if (welcome == POLICY_WELCOME_OK) {
        m->asked = tg;
        m->waits = true;
        return true;
    }
    tg->is_later = welcome == POLICY_WELCOME_LATER;
    if (!tg->is_later) {
        note_best(m, 503);
    }
    stat_inc(welcome == POLICY_WELCOME_BUSY ? STAT_TARGET_WAITING
             : tg->is_later                 ? STAT_TARGET_LATER
                                            : STAT_TARGET_PASSED);
    return false;
}

static void target_try(struct message_target *tg)
{
    int err;

    if (!target_enter(tg)) {
        return;
    }
    err = branch_start(tg);
    if (err != 0 && tg->peer != NULL) {
        message_judge(tg->m, call_outcome_unsent(tg->peer, err));
    }
}

/* The flow of a device failed, not the device (RFC 5626 5.3): by its next one. False: none is left.
 */
static bool target_try_spare(const struct message_target *of)
{
    struct message *m = of->m;

    for (size_t i = 0; i < m->next; i++) {
        struct message_target *tg = &m->targets[i];

        if (tg->group == of->group && tg->is_spare && !tg->is_asked && tg->device == of->device) {
            tg->is_asked = true;
            target_try(tg);
            if (tg->cli != NULL) {
                stat_inc(STAT_FLOW_NEXT);
                return true;
            }
        }
    }
    return false;
}

static void group_try(struct message *m, size_t from)
{
    for (size_t i = from; i < m->next; i++) {
        struct message_target *tg = &m->targets[i];

        if (tg->is_spare) {
            continue;
        }
        target_try(tg);
        if (tg->cli == NULL && tg->device != 0) {
            (void)target_try_spare(tg);
        }
    }
}

/* Devices that are silent by the flow that was taken: by another one as well. False: none is left.
 */
static bool group_try_spares(struct message *m)
{
    size_t n = m->next;
    bool has_more = false;

    for (size_t i = 0; i < n; i++) {
        const struct message_target *tg = &m->targets[i];

        if (tg->group == m->targets[n - 1].group && tg->cli != NULL && !tg->is_heard &&
            tg->device != 0 && target_try_spare(tg)) {
            has_more = true;
        }
    }
    return has_more;
}

static bool group_has_spare(const struct message *m, size_t from)
{
    for (size_t i = from; i < m->next; i++) {
        if (m->targets[i].is_spare && !m->targets[i].is_asked) {
            return true;
        }
    }
    return false;
}

/* How long those who are asked now may be silent. */
static void group_wait(struct message *m)
{
    size_t begin = m->next;

    while (begin > 0 && m->targets[begin - 1].group == m->targets[m->next - 1].group) {
        begin--;
    }
    if (m->targets[begin].failover_ms != 0 &&
        (m->next < m->n_targets || group_has_spare(m, begin))) {
        timer_start(m->t->p.loop, &m->wait, m->targets[begin].failover_ms);
    } else if (m->next - begin > 1) {
        timer_start(m->t->p.loop, &m->wait, MESSAGE_FORK_MS);
    }
}

/* False: nobody of them could be asked. */
static bool group_send(struct message *m)
{
    const struct message_target *first = &m->targets[m->next];
    size_t begin = m->next;

    m->group_best = 0;
    m->is_said = false;
    while (m->next < m->n_targets && m->targets[m->next].group == first->group) {
        m->next++;
    }
    group_try(m, begin);
    if (m->n_live == 0) {
        return false;
    }
    group_wait(m);
    return true;
}

/* Targets whose calls fail come last. */
void message_send_next(struct message *m)
{
    for (;;) {
        while (m->next < m->n_targets) {
            if (group_send(m)) {
                return;
            }
        }
        if (m->is_last) {
            break;
        }
        m->is_last = true;
        m->next = 0;
    }
    message_finish(m, m->best != 0 ? m->best : m->if_none);
}

/* --- answers --- */

/* Any failure but 6xx, unless the route says which. */
static bool message_goes_on(const struct message *m, uint16_t status)
{
    if (policy_def(m->cfg->policy)->routes[m->verdict.route].has_failover) {
        return policy_fails_over(m->cfg->policy, &m->verdict, status);
    }
    return status < 600;
}

/* Whatever it says of the message: the target lives. */
static void judge_answer(struct message *m, int err, uint16_t status)
{
    enum policy_outcome outcome;

    if (m->asked != NULL) {
        outcome = call_outcome(m->asked->peer, status, err);
        message_judge(m, outcome == POLICY_FAILED ? outcome : POLICY_ALIVE);
    }
}

static uint16_t group_status(const struct message *m)
{
    return m->group_best >= 400 ? m->group_best : 480;
}

/* All who were asked have said no, or nothing. */
static void group_end(struct message *m)
{
    timer_stop(m->t->p.loop, &m->wait);
    note_best(m, group_status(m));
    m->heard = m->best == m->group_best ? m->heard : NULL;
    if (m->is_said && !message_goes_on(m, m->group_best)) {
        message_finish(m, m->best);
        return;
    }
    message_send_next(m);
}

static void note_failure(struct message *m, uint16_t status)
{
    if (call_rank(status) > call_rank(m->group_best)) {
        m->group_best = status;
    }
}

/* Nobody who was asked has anything to say that counts: on to the next ones, if there are any. */
void message_on_silence(void *message)
{
    struct message *m = message;

    if (group_try_spares(m)) {
        group_wait(m);
        return;
    }
    if (m->next >= m->n_targets) { /* nobody is next: what failed is told, the rest may come late */
        if (m->group_best != 0) {
            note_best(m, group_status(m));
            message_finish(m, m->best);
        }
        return;
    }
    for (size_t i = 0; i < m->n_targets; i++) {
        if (m->targets[i].cli != NULL && !m->targets[i].is_heard) {
            branch_end(&m->targets[i]);
            note_failure(m, 408);
        }
    }
    if (m->n_live == 0) {
        message_judge(m, POLICY_FAILED);
        group_end(m);
    }
}

/* The end of a branch, while the sender still waits for his answer. */
static void branch_said(struct message *m, int err, uint16_t status)
{
    if (err == 0 && status < 300) {
        message_finish(m, status == 202 ? 202 : 200);
        return;
    }
    if (err == 0 || err == ETIMEDOUT) {
        note_failure(m, err == 0 ? status : 408);
    }
    m->is_said = m->is_said || err == 0;
    m->heard = status == m->group_best ? m->heard : NULL; /* another one's failure is told */
    if (m->n_live == 0) {
        group_end(m);
    }
}

static void on_message_response(struct tx *tx, int err, struct sip_msg *rsp, void *arg)
{
    struct message_target *tg = arg;
    struct message *m = tg->m;
    uint16_t status = err == 0 ? rsp->status : 0;

    (void)tx;
    message_heard(m);
    tg->is_heard = true;
    if (err == 0 && status < 200) {
        return;
    }
    if ((status == 401 || status == 407) && m->srv != NULL && branch_again(tg, rsp)) {
        return;
    }
    judge_answer(m, err, status);
    branch_end(tg);
    if (m->srv == NULL) { /* answered by another one's word */
        if (m->n_live == 0) {
            message_close(m);
        }
        return;
    }
    if (tg->device != 0 && (err != 0 || status == 430) && target_try_spare(tg)) {
        return;
    }
    m->heard = err == 0 ? rsp : NULL;
    m->heard_from = &tg->to;
    branch_said(m, err, status);
    m->heard = NULL;
}
