/* config_int.h - what the files of b2bua/config/ share: the node tree, the shape of the tables of
 * settings, the state of one load. Thread: the one that loads. */
#ifndef POSTERN_CONFIG_INT_H
#define POSTERN_CONFIG_INT_H

#include "config/config.h"

#define CFG_DEPTH_MAX 32
#define CFG_NODES_MAX 2000000u
#define CFG_TEXT_MAX 4096 /* bytes of one value, and of a secret's file */
#define CFG_SHOWN_MAX 64  /* bytes of a value or key that an error quotes */
#define CFG_WORKERS_MAX 64
#define CFG_PEERS_MAX 10000
#define CFG_ROUTES_MAX 10000
#define CFG_PROFILES_MAX 100
#define CFG_ACCOUNTS_MAX 100000
#define CFG_SOURCES_MAX 1000 /* of one peer */
#define CFG_NUMBERS_MAX 256  /* of one list in a route */
#define CFG_NUMBER_RULES_MAX 100
#define CFG_RANGES_MAX 32
#define CFG_HEADER_RULES_MAX 100 /* of one peer */
#define CFG_CERTNAMES_MAX 100
/* --- the tree (yaml.c) --- */
enum cfg_kind { CFG_SCALAR, CFG_SEQUENCE, CFG_MAPPING };
struct cfg_node {
    enum cfg_kind kind;
    bool is_plain; /* a scalar without quotes */
    bool is_bad;   /* reported already: nobody looks inside */
    struct sl key; /* in a mapping */
    struct sl value;
    uint32_t line, col;         /* of the value, from 1 */
    uint32_t key_line, key_col; /* the same as the value's in a sequence */
    uint32_t index;             /* in its parent */
    uint32_t n;                 /* children */
    struct cfg_node *parent, *first, *last, *next;
    struct hnode by_key;
};

/* --- the tables of settings (schema.c) --- */
enum cfg_type {
    CFG_INT,      /* words[] stand for 0, 1, ... */
    CFG_DURATION, /* stored in ms; words as CFG_INT */
    CFG_SECONDS,  /* stored in s */
    CFG_MICROS,   /* a short duration, stored in us */
    CFG_SIZE,     /* stored in bytes */
    CFG_ENUM,     /* stored as index in words; size 0: only checked */
    CFG_STRING,
    CFG_NAME, /* letters, digits, . _ - */
    CFG_USER, /* as in a SIP URI, unescaped */
    CFG_HOST, /* of a domain */
    CFG_GLOB,
    CFG_SECRET,
    CFG_TOKEN,  /* struct config: admin_token, admin_token_file */
    CFG_LISTEN, /* struct config: admin_unix, admin_listen */
    CFG_ADDRESS,
    CFG_PREFIX,
    CFG_PORTS,    /* uint16_t min at `at`, max at `n_at` */
    CFG_TARGET,   /* policy_uri_target, as text or {uri: ...} */
    CFG_URI,      /* the same, as text only */
    CFG_LISTENER, /* by name; stored as index */
    CFG_PROFILE,
    CFG_CERTNAME,
    CFG_PARTY,   /* "users", a peer or a group; policy_ref */
    CFG_TO,      /* CFG_PARTY or {peer: ..., weight: ...} */
    CFG_PEER,    /* policy_ref */
    CFG_NUMBER,  /* glob at `at`, or a map: policy_number_match at `n_at` */
    CFG_PATTERN, /* regular expression, compiled */
    CFG_TABLE,   /* of prefixes, by name */
    CFG_CALLOUT, /* by name, stored from 1 */
    CFG_COND,    /* of header fields, as text */
    CFG_CODE,    /* 503, 5xx or 500-504; two uint16_t */
    CFG_ZONE,
    CFG_DAYS, /* bits of a week */
    CFG_HOURS,
    CFG_DATES,
    CFG_OBJECT,
    CFG_MAP,   /* name: object; entries begin with their name */
    CFG_ITEMS, /* list of objects */
    CFG_LIST,  /* list of scalars of type `of`; one value may stand alone */
    CFG_EMPTY, /* must be empty: what it would hold is not supported */
    CFG_LATER, /* known, not supported: refused by name */
    CFG_NTYPES
};

enum {
    CFG_REQUIRED = 1,
    CFG_OPTIONAL = 2, /* object: absent means absent, not all defaults */
    CFG_RESTART = 4,  /* a change needs a restart; numbers and texts only */
    CFG_INLINE = 8,   /* list: the field is the array, not a pointer to it */
};
struct cfg;
struct cfg_object;
struct cfg_key {
    const char *key;
    uint8_t type, of;
    uint8_t flags;
    uint16_t size;    /* of the field, or of an element of a list */
    size_t at;        /* offset of the field in the object's struct */
    size_t n_at;      /* offset of the count (size_t), or of the end of a range */
    const char *dflt; /* as in a file; NULL: none. CFG_MAP: the entry there is without any */
    int64_t min, max; /* of the value; elements of a list, bytes of a string */
    uint16_t n_max;   /* elements of a list whose elements have a range of their own */
    const char *const *words;
    const char *const *later; /* values (globs) known but not supported */
    const struct cfg_object *sub;
    size_t names_at;               /* CFG_MAP: offset in struct cfg of the names seen */
    void (*placed)(struct cfg *c); /* CFG_MAP: all of it has been read; may be NULL */
    const char *help;
};

struct cfg_object {
    const struct cfg_key *keys;
    size_t n_keys;
    size_t size; /* of the struct */
    /* Checks across keys, when the keys have been read; node is NULL when nothing was written. */
    void (*check)(struct cfg *c, const struct cfg_node *node, void *at);
};
extern const struct cfg_object cfg_root;

/* --- one load --- */
struct cfg_secret { /* wiped when the snapshot dies */
    struct cfg_secret *next;
    char *p;
    size_t n;
};
struct cfg_pattern { /* freed with the snapshot */
    struct cfg_pattern *next;
    struct policy_pattern *p;
};
struct cfg_name {
    struct hnode node;
    struct sl name; /* any bytes */
    uint32_t index;
    uint32_t line;
};
struct cfg {
    const char *file;
    struct config *config; /* being built */
    struct arena *arena;   /* of the snapshot */
    struct cfg_secret *secrets;
    struct arena scratch;  /* tree and names; ends with the load */
    struct hmap keys;      /* of all mappings, by (parent, key) */
    struct cfg_node *root; /* NULL: an empty file */
    struct hmap listeners, profiles, peers, groups, tables, callouts, accounts, routes, sources;
    struct hmap destinations, user_groups;
    const struct cfg_node *listener_nodes[CONFIG_SLOTS_MAX];
    uint64_t slots_taken;        /* of the snapshot */
    struct hmap certificates;    /* names that prove a peer, by listener */
    struct cfg_anchors *anchors; /* read so far */
    struct cfg_tls_ref *tls;     /* of the snapshot */
    struct config_errors *errs;
    uint32_t file_no; /* 0: the file itself; n: table n, whose errors stand behind */
    struct {
        uint32_t file, line, col;
    } where[CONFIG_ERRORS_MAX];
    struct cfg_pattern *patterns; /* of the snapshot */
    struct cfg_zone *zones;       /* read so far */
    int err;                      /* sticky: ENOMEM */
};

/* yaml.c. False: errs says what is wrong, or c->err. */
bool cfg_tree_read(struct cfg *c, struct sl text);
/* The value of a key; NULL: not there, or the node is NULL or no mapping. */
const struct cfg_node *cfg_find(const struct cfg *c, const struct cfg_node *node, struct sl key);

/* error.c: what a mistake looks like. Nearest key, kept short, sorted at the end. */
struct cfg_nearest {
    struct sl want;
    const char *best; /* NULL: nothing is near */
    size_t distance;
};
void cfg_nearest_try(struct cfg_nearest *x, const char *candidate);
void cfg_error(struct cfg *c, const struct cfg_node *n, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* At the key instead of the value; with a suggestion. near may be NULL. */
void cfg_error_key(struct cfg *c, const struct cfg_node *n, const struct cfg_nearest *near,
                   const char *fmt, ...) PRINTF_LIKE(4, 5);
void cfg_error_value(struct cfg *c, const struct cfg_node *n, const struct cfg_nearest *near,
                     const char *fmt, ...) PRINTF_LIKE(4, 5);
/* Without a node: syntax, or the file as a whole. */
void cfg_error_at(struct cfg *c, uint32_t line, uint32_t col, const char *f, ...) PRINTF_LIKE(4, 5);
void cfg_errors_sort(struct cfg *c);
/* False: the list is full, further work on hints is wasted. */
bool cfg_errors_room(const struct cfg *c);
struct sl cfg_shown(struct sl s); /* at most CFG_SHOWN_MAX bytes, whole characters */

/* walk.c */
void cfg_read_object(struct cfg *c, const struct cfg_object *o, const struct cfg_node *node,
                     void *at);
void cfg_read_key(struct cfg *c, const struct cfg_key *k, const struct cfg_node *n, void *at);
bool cfg_is_null(const struct cfg_node *n); /* nothing, ~ or null, without quotes */
/* For the reader of a scalar: false after reporting a list or map in its place. */
bool cfg_is_scalar(struct cfg *c, const struct cfg_node *n);
char *cfg_keep(struct cfg *c, struct sl s); /* copy in the snapshot; NULL sets c->err */
/* Stores v in a field of k->size bytes at k->at. */
void cfg_store(const struct cfg_key *k, void *at, uint64_t v);
/* Names seen so far. add: false when it was there (*line says where) or memory is out. */
bool cfg_names_add(struct cfg *c, struct hmap *map, struct sl name, uint32_t index, uint32_t *line);
int64_t cfg_names_find(const struct hmap *map, struct sl name); /* index, or -1 */

#endif
