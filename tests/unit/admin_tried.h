/* admin_tried.h - the part of admin_fake.h that explains and replays, as it is told. */
#ifndef POSTERN_TEST_ADMIN_TRIED_H
#define POSTERN_TEST_ADMIN_TRIED_H

#ifndef POSTERN_TEST_ADMIN_FAKE_H
#error "include admin_fake.h"
#endif

#include <poll.h>

/* --- trying out: what was asked is kept, for the tests to look at --- */

static struct {
    char message[256], listener[32], user[32];
    struct addr source;
    unsigned asked, replayed;
    bool is_open;
    _Atomic bool is_held, is_inside; /* an explanation waits until it is let go */
} tried;

int b2bua_recall(struct sl asked, struct b2bua_question *q)
{
    *q = (struct b2bua_question){.message = asked, .listener = SL("recalled")};
    return sl_eq(asked, SL("bad")) ? EBADMSG : 0;
}

int b2bua_explain(struct b2bua *b, const struct b2bua_question *q, struct json *j, const char **why)
{
    (void)b;
    (void)snprintf(tried.message, sizeof(tried.message), "%.*s", SL_ARG(q->message));
    (void)snprintf(tried.listener, sizeof(tried.listener), "%.*s", SL_ARG(q->listener));
    (void)snprintf(tried.user, sizeof(tried.user), "%.*s", SL_ARG(q->user));
    tried.source = q->source;
    tried.asked++;
    tried.is_inside = true;
    for (int ms = 0; tried.is_held && ms < 10000; ms++) { /* a test that failed lets nobody go */
        (void)poll(NULL, 0, 1);
    }
    *why = "there is no such thing";
    json_obj(j);
    json_kcstr(j, "class", "trusted");
    json_obj_end(j);
    return rig.err;
}

/* A candidate that begins with "bad" is wrong. */
int b2bua_replay_open(struct b2bua_replay **rp, struct sl yaml, struct json *errors)
{
    static char one;

    if (sl_starts(yaml, SL("bad"))) {
        json_raw(errors, SL("[\"candidate:1:1: bad\"]"));
        return EBADMSG;
    }
    tried.is_open = true;
    *rp = (struct b2bua_replay *)(void *)&one;
    return rig.err;
}

/* By the first letter of what was asked: same, changed, limited, or unreadable. */
int b2bua_replay(struct b2bua_replay *r, struct sl asked, struct json *j,
                 enum b2bua_replay_result *result)
{
    (void)r;
    tried.replayed++;
    if (asked.p[0] == 'c') {
        json_kcstr(j, "why", "Changed");
    }
    *result = asked.p[0] == 'c'   ? B2BUA_REPLAY_CHANGED
              : asked.p[0] == 'l' ? B2BUA_REPLAY_LIMITED
                                  : B2BUA_REPLAY_SAME;
    return asked.p[0] == 'u' ? EBADMSG : 0;
}

void b2bua_replay_close(struct b2bua_replay **rp)
{
    tried.is_open = false;
    *rp = NULL;
}

#endif
