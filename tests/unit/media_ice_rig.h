/* media_ice_rig.h - full ICE agents against the relay: checks as a phone or browser sends them. */
#ifndef POSTERN_TEST_MEDIA_ICE_RIG_H
#define POSTERN_TEST_MEDIA_ICE_RIG_H

#include "media_rig.h"

/* Both rigs have a function of this name. */
#define rig_addr rig_stun_addr
#include "stun_rig.h"
#undef rig_addr

#define THEIR_UFRAG "theirUfrag"
#define THEIR_PWD "their-password-of-24-cha"

/* A check as a full agent of this side makes it; pwd NULL: the right one. */
static inline void rig_check_to(struct rig *r, struct media_flow *to, int fd, bool nominate,
                                const char *pwd)
{
    unsigned side = media_side_index(to->side);
    struct media_ice_local l;
    struct rig_stun m;
    char user[64];

    assert_int_equal(media_ice_local(r->s, 0, side, &l), 0);
    (void)snprintf(user, sizeof(user), "%.*s:%s", SL_ARG(l.ufrag), THEIR_UFRAG);
    rig_stun_check(&m, &(struct rig_check){.user = sl_str(user),
                                           .password = pwd != NULL ? sl_str(pwd) : l.pwd,
                                           .priority = 100,
                                           .use_candidate = nominate});
    rig_send(to, fd, m.p, m.n);
}

static inline void rig_check_from(struct rig *r, unsigned side, int fd, bool nominate,
                                  const char *pwd)
{
    rig_check_to(r, &rig_side(r, side)->rtp, fd, nominate, pwd);
}

static inline int rig_describe_ice(struct rig *r, unsigned side)
{
    return media_set_ice(r->s, 0, side, SL(THEIR_UFRAG), SL(THEIR_PWD));
}

static inline bool rig_got_stun(int fd)
{
    uint8_t p[1024];
    struct stun_msg m;
    ssize_t n = rig_recv(fd, p, sizeof(p), NULL);

    return n > 0 && stun_parse(sl_make(p, (size_t)n), &m) == 0 && m.cls == STUN_SUCCESS;
}

#endif
