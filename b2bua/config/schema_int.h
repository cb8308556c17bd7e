/* schema_int.h - how the tables of settings are written, for the files that hold parts of them. */
#ifndef POSTERN_CONFIG_SCHEMA_INT_H
#define POSTERN_CONFIG_SCHEMA_INT_H

#include "config/config_int.h"

/* Field, with its size: the reader stores as many bytes. */
#define AT(type, field)                                                                            \
    .at = offsetof(struct type, field), .size = sizeof(((struct type *)0)->field)
/* Values of one kind, in an array that is a field or that a field points to; their number. */
#define LIST(type_, field, count, kind)                                                            \
    .type = CFG_LIST, .of = (kind), .at = offsetof(struct type_, field),                           \
    .size = sizeof(((struct type_ *)0)->field[0]), .n_at = offsetof(struct type_, count)
/* Objects in a sequence. */
#define ITEMS(type_, field, count, object)                                                         \
    .type = CFG_ITEMS, .of = CFG_OBJECT, .at = offsetof(struct type_, field),                      \
    .n_at = offsetof(struct type_, count), .sub = &(object)
#define CFG_OBJECT_INIT(keys_, type, fn)                                                           \
    {                                                                                              \
        .keys = keys_, .n_keys = COUNT_OF(keys_), .size = sizeof(struct type), .check = (fn),      \
    }
#define OBJECT(name, type, fn)                                                                     \
    static const struct cfg_object name = CFG_OBJECT_INIT(name##_keys, type, fn)
/* The same for an object that another file names. */
#define OBJECT_PUBLIC(name, type, fn)                                                              \
    const struct cfg_object name = CFG_OBJECT_INIT(name##_keys, type, fn)

#define MS_S 1000
#define MS_M (60 * MS_S)
#define MS_H (60 * MS_M)
#define MS_D (24 * MS_H)

extern const struct cfg_object cfg_profile;                                  /* schema_media.c */
extern const struct cfg_object cfg_security;                                 /* schema_security.c */
extern const struct cfg_object cfg_config_section;                           /* schema_versions.c */
extern const struct cfg_object cfg_limits, cfg_peer_limits, cfg_user_limits; /* schema_limit.c */
extern const char *const cfg_words_bool[]; /* false, true: stored in a bool */
extern const struct cfg_object cfg_probe, cfg_breaker, cfg_failover,
    cfg_overload; /* schema_health.c */
/* schema_route.c, schema_header.c */
extern const struct cfg_object cfg_sides, cfg_group, cfg_user_group, cfg_table, cfg_callout,
    cfg_route;
extern const struct cfg_object cfg_number_match;
extern const struct cfg_object cfg_session_timer; /* schema_session.c */
extern const char *const cfg_words_reliable[];
extern const char *const cfg_words_redirection[];
extern const struct cfg_object cfg_header_rule, cfg_reply_rule, cfg_identity;

/* value*.c, secret.c: readers of one value. n is never NULL. */
typedef void(cfg_read_fn)(struct cfg *c, const struct cfg_key *k, const struct cfg_node *n,
                          void *at);
cfg_read_fn cfg_read_int, cfg_read_duration, cfg_read_micros, cfg_read_size, cfg_read_enum,
    cfg_read_string, cfg_read_name, cfg_read_user, cfg_read_host, cfg_read_glob, cfg_read_address,
    cfg_read_prefix, cfg_read_ports, cfg_read_listen, cfg_read_secret, cfg_read_token,
    cfg_read_target, cfg_read_uri, cfg_read_listener, cfg_read_profile, cfg_read_party, cfg_read_to,
    cfg_read_peer, cfg_read_number, cfg_read_pattern, cfg_read_table, cfg_read_callout,
    cfg_read_cond, cfg_read_code, cfg_read_zone, cfg_read_days, cfg_read_hours, cfg_read_dates,
    cfg_read_certname;
void cfg_put_duration(struct buf *b, uint64_t ms); /* in the largest unit that is exact */
void cfg_put_micros(struct buf *b, uint64_t us);
void cfg_put_size(struct buf *b, uint64_t bytes);
bool cfg_is_later(const char *const *later, struct sl value);

/* The checks: c->err or errors of c are their result. node is NULL when nothing was written. */
typedef void(cfg_check_fn)(struct cfg *c, const struct cfg_node *node, void *at);
/* check.c */
cfg_check_fn cfg_check_listener, cfg_check_rtp, cfg_check_peer, cfg_check_expires, cfg_check_users,
    cfg_check_keepalive, cfg_check_account, cfg_check_root;
/* check_route.c */
cfg_check_fn cfg_check_route, cfg_check_number, cfg_check_number_rule, cfg_check_failover,
    cfg_check_redirect, cfg_check_group, cfg_check_user_group, cfg_check_callout;
/* table.c */
cfg_check_fn cfg_check_table;

/* slots.c */
void cfg_slots_place(struct cfg *c);
void cfg_slots_release(struct config *c, uint64_t taken);

/* load.c: the whole of a file; more than `max` bytes are not read to their end. */
MUST_USE int config_read_file(struct buf *b, const char *path, size_t max);

/* check.c: the key below node when it was written, else node itself: where to show a mistake. */
const struct cfg_node *cfg_spot(const struct cfg *c, const struct cfg_node *node, struct sl key);
/* Elements of a list as they were written; a single value is its own only element. */
const struct cfg_node *cfg_first(const struct cfg_node *list);
/* Written, but with nothing in it: an empty list or map, or no value. */
bool cfg_is_empty(const struct cfg_node *n, enum cfg_kind kind);
const struct cfg_node *cfg_find2(const struct cfg *c, const struct cfg_node *node, struct sl key,
                                 struct sl sub);

#endif
