/* versions.h - what tells snapshots and texts of configurations apart: the places of listeners, the
 * digest of a text, the settings that differ. Thread: any. */
#ifndef POSTERN_CONFIG_VERSIONS_H
#define POSTERN_CONFIG_VERSIONS_H

#include "base/base.h"

struct config;
struct config_listener;

/* --- slots.c: which listener has which index --- */
struct config_slots;
MUST_USE int config_slots_new(struct config_slots **sp);
void config_slots_free(struct config_slots **sp); /* after all snapshots; accepts NULL */
/* Whoever has sockets at an index holds it, so that it is given to no other listener. Counted. */
void config_slots_hold(struct config_slots *s, unsigned slot);
void config_slots_drop(struct config_slots *s, unsigned slot);
/* Some snapshot that somebody still has speaks of it. */
bool config_slots_in_use(struct config_slots *s, unsigned slot);

/* --- digest.c --- */
#define CONFIG_HASH_LEN 64
void config_hash(struct sl text, char out[CONFIG_HASH_LEN + 1]); /* SHA-256 in hex */

/* --- diff.c --- */
#define CONFIG_CHANGES_MAX 1000
enum config_op { CONFIG_ADDED, CONFIG_REMOVED, CONFIG_CHANGED, CONFIG_MOVED };
struct config_change {
    enum config_op op;
    struct sl path;     /* "peers.pbx.targets[0]" */
    struct sl old, now; /* as written, on one line, cut; of secrets only that there is one */
};
typedef void(config_change_fn)(const struct config_change *c, void *arg);
/* Settings that two texts write differently: parts of a list go by their names where they have
 * some, so that a comment, the layout or another order of keys is no change. Calls fn at most
 * CONFIG_CHANGES_MAX times; *n says how many there are. EBADMSG: one is no YAML; ENOMEM. */
MUST_USE int config_diff(struct sl old, struct sl now, config_change_fn *fn, void *arg, size_t *n);

#endif
