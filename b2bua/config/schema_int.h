/* schema_int.h - how the tables of settings are written, for the files that hold parts of them. */
#ifndef POSTERN_CONFIG_SCHEMA_INT_H
#define POSTERN_CONFIG_SCHEMA_INT_H

#include "config/config_int.h"

/* Field, with its size: the reader stores as many bytes. */
#define AT(type, field)                                                                            \
    .at = offsetof(struct type, field), .size = sizeof(((struct type *)0)->field)
#define CFG_OBJECT_INIT(keys_, type, fn)                                                           \
    {                                                                                              \
        .keys = keys_, .n_keys = COUNT_OF(keys_), .size = sizeof(struct type), .check = (fn),      \
    }
#define OBJECT(name, type, fn)                                                                     \
    static const struct cfg_object name = CFG_OBJECT_INIT(name##_keys, type, fn)

#define MS_S 1000
#define MS_M (60 * MS_S)
#define MS_H (60 * MS_M)
#define MS_D (24 * MS_H)

extern const struct cfg_object cfg_profile; /* schema_media.c */
extern const char *const cfg_words_bool[];  /* false, true: stored in a bool */

/* check.c: across keys. */
void cfg_check_listener(struct cfg *c, const struct cfg_node *node, void *at);
void cfg_check_rtp(struct cfg *c, const struct cfg_node *node, void *at);
void cfg_check_profile(struct cfg *c, const struct cfg_node *node, void *at);
void cfg_check_peer(struct cfg *c, const struct cfg_node *node, void *at);
void cfg_check_expires(struct cfg *c, const struct cfg_node *node, void *at);
void cfg_check_users(struct cfg *c, const struct cfg_node *node, void *at);
void cfg_check_account(struct cfg *c, const struct cfg_node *node, void *at);
void cfg_check_route(struct cfg *c, const struct cfg_node *node, void *at);
void cfg_check_root(struct cfg *c, const struct cfg_node *node, void *at);

#endif
