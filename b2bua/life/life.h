/* life.h - the life of the configuration: which version is in force, how the next one comes there,
 * and the way back. A new one is checked whole, prepared (everything that may fail), written to the
 * store, and then handed to the workers at once. Within a window it must be confirmed, or it is
 * undone, also when the process dies in between. Thread: any; one change at a time. */
#ifndef POSTERN_LIFE_H
#define POSTERN_LIFE_H

#include "config/config.h"
#include "store/store.h"

struct life;

/* How a configuration comes into force: the house, or a test. Called with the life locked. */
struct life_ops {
    /* All that may fail, and nobody notices: sockets are bound. Says why in words. */
    int (*prepare)(void *arg, struct config *cfg, struct buf *why);
    /* Of a prepared one, takes a reference; of another one on the way back only, when that cannot
     * be prepared for long: what it can. */
    void (*commit)(void *arg, struct config *cfg);
    void (*abandon)(void *arg, struct config *cfg);
};

struct life_params {
    const char *file; /* NULL: the embedded default */
    struct policy_book *book;
    struct clock clock;
};
MUST_USE int life_new(struct life **lp, const struct life_params *p);
void life_free(struct life **lp); /* after the house; accepts NULL */

/* Reads the file, which says where the store is. errs as config_build(); else errno of the file. */
MUST_USE int life_read(struct life *l, struct config_errors *errs);
const struct config *life_file(const struct life *l); /* what it says, until life_start() */
/* Chooses what is in force: the file, or with config.source api the newest version that counts. A
 * version whose window was open when the process died does not. Writes a new version when the text
 * is none of those. errs: of that version's text. */
MUST_USE int life_start(struct life *l, struct store *store, struct config_errors *errs);
/* From now on changes are possible; the first one is in force already. */
void life_attach(struct life *l, const struct life_ops *ops, void *arg);
void life_detach(struct life *l);           /* no changes any more */
struct config *life_config(struct life *l); /* in force; a reference for the caller */

struct life_change {
    struct sl text;   /* as it was written; rollback: none */
    const char *name; /* of the text in errors */
    enum config_source origin;
    struct sl who, comment; /* cut at LIFE_WORDS_MAX */
    uint64_t expect;        /* the version that must be in force; 0: whichever */
    uint32_t confirm_ms;    /* undone unless confirmed within; 0: it stands */
    uint64_t to;            /* rollback: the version to go back to */
};
#define LIFE_WORDS_MAX 500
struct life_result {
    uint64_t version;          /* in force now */
    bool unchanged;            /* the text is the one in force: only what it names was read again */
    struct config_errors errs; /* the caller's to free, whatever happens */
    char why[512];             /* what went wrong, in words; empty: nothing did */
    char restart[256];         /* settings that stay as they are until a restart */
};
/* 0; EBADMSG: errs; EINVAL: not by the API (why); EPERM: the other one writes; ESTALE: another
 * version is in force; EALREADY: one waits to be confirmed; EADDRNOTAVAIL: it could not be brought
 * into force (why); EIO: the store does not take it; ECANCELED: stopping; ENOENT: no such version
 * (rollback); ENOMEM. Nothing has changed then. */
MUST_USE int life_apply(struct life *l, const struct life_change *c, struct life_result *out);
MUST_USE int life_check(struct life *l, const struct life_change *c, struct life_result *out);
MUST_USE int life_reload(struct life *l, struct life_result *out); /* the file again */
/* version 0: whichever waits. ENOENT: none does; ESTALE: another one; EIO. */
MUST_USE int life_confirm(struct life *l, uint64_t version, struct sl who);
/* to 0: what waits is undone, or else the version before is taken again. EADDRNOTAVAIL of what
 * waits: it is tried again by itself, and can be confirmed no more. */
MUST_USE int life_rollback(struct life *l, const struct life_change *c, struct life_result *out);
void life_tick(struct life *l); /* every few hundred ms: ends windows, frees what nobody needs */

struct life_status {
    uint64_t version;
    uint64_t base; /* where a rollback goes; 0: nowhere */
    enum config_source source;
    int64_t in_force_ms;      /* since, Unix ms */
    int64_t confirm_until_ms; /* Unix ms; 0: nothing waits */
    char hash[CONFIG_HASH_LEN + 1];
    char restart[256];
};
void life_get(struct life *l, struct life_status *out);

#endif
