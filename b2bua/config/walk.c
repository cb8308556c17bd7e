/* walk.c - the tables of settings over the tree: finds, defaults, types and stores each key, and
 * names what it does not know. */
#include "config/schema_int.h"

/* An empty value stands for an empty list, map or object. */
bool cfg_is_null(const struct cfg_node *n)
{
    return n->kind == CFG_SCALAR && n->is_plain &&
           (n->value.n == 0 || sl_eq(n->value, SL("~")) || sl_eq(n->value, SL("null")));
}

bool cfg_is_scalar(struct cfg *c, const struct cfg_node *n)
{
    if (n->kind != CFG_SCALAR) {
        cfg_error(c, n, "must be a single value, not a %s",
                  n->kind == CFG_MAPPING ? "map" : "list");
        return false;
    }
    if (cfg_is_null(n)) {
        cfg_error(c, n, "a value is missing");
        return false;
    }
    return true;
}

char *cfg_keep(struct cfg *c, struct sl s)
{
    char *copy = arena_cstr(c->arena, s);

    if (copy == NULL) {
        c->err = ENOMEM;
    }
    return copy;
}

void cfg_store(const struct cfg_key *k, void *at, uint64_t v)
{
    char *p = (char *)at + k->at;
    uint8_t v8 = (uint8_t)v;
    uint16_t v16 = (uint16_t)v;
    uint32_t v32 = (uint32_t)v;

    switch (k->size) {
    case sizeof(v8):
        memcpy(p, &v8, sizeof(v8));
        break;
    case sizeof(v16):
        memcpy(p, &v16, sizeof(v16));
        break;
    case sizeof(v32):
        memcpy(p, &v32, sizeof(v32));
        break;
    default: /* only checked: there is no choice to remember yet */
        break;
    }
}

static uint64_t cfg_name_hash(const struct hmap *map, struct sl name)
{
    return hmap_hash(map, name.p, name.n);
}

static bool cfg_name_is(const struct hnode *node, const void *key)
{
    return sl_eq(CONTAINER_OF(node, struct cfg_name, node)->name, *(const struct sl *)key);
}

static const struct cfg_name *cfg_names_get(const struct hmap *map, struct sl name)
{
    struct hnode *hit = NULL;

    if (map->n != 0) {
        hit = hmap_find(map, cfg_name_hash(map, name), cfg_name_is, &name);
    }
    return hit != NULL ? CONTAINER_OF(hit, struct cfg_name, node) : NULL;
}

int64_t cfg_names_find(const struct hmap *map, struct sl name)
{
    const struct cfg_name *hit = cfg_names_get(map, name);

    return hit != NULL ? (int64_t)hit->index : -1;
}

bool cfg_names_add(struct cfg *c, struct hmap *map, struct sl name, uint32_t index, uint32_t *line)
{
    const struct cfg_name *hit = cfg_names_get(map, name);
    struct cfg_name *n;

    if (hit != NULL) {
        *line = hit->line;
        return false;
    }
    n = arena_zalloc(&c->scratch, sizeof(*n));
    if (n != NULL) {
        n->name = arena_dup(&c->scratch, name);
        n->index = index;
        n->line = *line;
    }
    if (n == NULL || n->name.p == NULL ||
        hmap_insert(map, &n->node, cfg_name_hash(map, name)) != 0) {
        c->err = ENOMEM;
        return false;
    }
    return true;
}

static bool cfg_is_kind(struct cfg *c, const struct cfg_node *n, enum cfg_kind kind)
{
    static const char *const words[] = {
        [CFG_SCALAR] = "a single value", [CFG_SEQUENCE] = "a list", [CFG_MAPPING] = "a map"};

    if (n->kind != kind) {
        cfg_error(c, n, "must be %s, not %s", words[kind], words[n->kind]);
        return false;
    }
    return true;
}

static const struct cfg_key *cfg_key_find(const struct cfg_object *o, struct sl name)
{
    for (size_t i = 0; i < o->n_keys; i++) {
        if (sl_eq(sl_str(o->keys[i].key), name)) {
            return &o->keys[i];
        }
    }
    return NULL;
}

static void cfg_refuse_unknown(struct cfg *c, const struct cfg_object *o,
                               const struct cfg_node *node)
{
    for (const struct cfg_node *n = node->first; n != NULL; n = n->next) {
        struct cfg_nearest near = {.want = n->key};

        if (n->is_bad || cfg_key_find(o, n->key) != NULL) {
            continue;
        }
        for (size_t i = 0; i < o->n_keys; i++) {
            cfg_nearest_try(&near, o->keys[i].key);
        }
        cfg_error_key(c, n, &near, "unknown setting");
    }
}

static void cfg_read_default(struct cfg *c, const struct cfg_key *k, const struct cfg_node *node,
                             void *at)
{
    struct cfg_node dflt = {.kind = CFG_SCALAR, .key = sl_str(k->key), .value = sl_str(k->dflt)};

    if (node != NULL) { /* where a default is to blame, the object is shown */
        dflt.line = node->line;
        dflt.col = node->col;
        dflt.parent = (struct cfg_node *)(uintptr_t)node;
    }
    cfg_read_key(c, k, &dflt, at);
}

static void cfg_read_absent(struct cfg *c, const struct cfg_key *k, const struct cfg_node *node,
                            void *at)
{
    bool is_whole = k->type == CFG_OBJECT || k->type == CFG_MAP;

    if ((k->flags & CFG_REQUIRED) != 0) {
        const struct cfg_node lost = {.key = sl_str(k->key),
                                      .line = node != NULL ? node->line : 1,
                                      .col = node != NULL ? node->col : 1,
                                      .parent = (struct cfg_node *)(uintptr_t)node};

        cfg_error(c, &lost, "is missing");
    } else if (is_whole && (k->flags & CFG_OPTIONAL) == 0) {
        cfg_read_key(c, k, NULL, at);
    } else if (!is_whole && k->dflt != NULL) {
        cfg_read_default(c, k, node, at);
    }
}

void cfg_read_object(struct cfg *c, const struct cfg_object *o, const struct cfg_node *node,
                     void *at)
{
    if (node != NULL && !cfg_is_null(node) && !cfg_is_kind(c, node, CFG_MAPPING)) {
        return;
    }
    for (size_t i = 0; i < o->n_keys && c->err == 0; i++) {
        const struct cfg_key *k = &o->keys[i];
        const struct cfg_node *n = cfg_find(c, node, sl_str(k->key));

        if (n == NULL) {
            cfg_read_absent(c, k, node, at);
        } else if (!n->is_bad) {
            cfg_read_key(c, k, n, at);
        }
    }
    if (node != NULL) {
        cfg_refuse_unknown(c, o, node);
    }
    if (o->check != NULL && c->err == 0) {
        o->check(c, node, at);
    }
}

static void cfg_read_sub(struct cfg *c, const struct cfg_key *k, const struct cfg_node *n, void *at)
{
    cfg_read_object(c, k->sub, n, (char *)at + k->at);
}

/* The array of n elements behind a list or map, with its count stored. NULL: c->err, or too many.
 */
static char *cfg_array(struct cfg *c, const struct cfg_key *k, const struct cfg_node *node,
                       size_t n, void *at)
{
    size_t size = k->sub != NULL ? k->sub->size : k->size;
    char *field = (char *)at + k->at;
    char *array = field;
    size_t max = k->n_max != 0 ? k->n_max : (size_t)k->max;

    if (n > max) {
        cfg_error(c, node, "%zu are too many; at most %zu", n, max);
        return NULL;
    }
    if ((k->flags & CFG_INLINE) == 0) {
        array = arena_zalloc(c->arena, (n != 0 ? n : 1) * size);
        if (array == NULL) {
            c->err = ENOMEM;
            return NULL;
        }
        memcpy(field, &array, sizeof(array));
    }
    memcpy((char *)at + k->n_at, &n, sizeof(n));
    return array;
}

static bool cfg_is_name(struct sl s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char ch = (unsigned char)s.p[i];
        bool is_letter = (ch | 0x20) >= 'a' && (ch | 0x20) <= 'z';

        if (!is_letter && !(ch >= '0' && ch <= '9') && ch != '.' && ch != '_' && ch != '-') {
            return false;
        }
    }
    return s.n != 0 && s.n <= POLICY_NAME_MAX;
}

static void cfg_read_entry(struct cfg *c, const struct cfg_key *k, const struct cfg_node *n,
                           char *array, uint32_t index)
{
    struct hmap *names = (struct hmap *)(void *)((char *)c + k->names_at);
    char *entry = array + (size_t)index * k->sub->size;
    const char *name = cfg_keep(c, n->key);
    uint32_t line = n->key_line;

    if (!cfg_is_name(n->key)) {
        cfg_error_key(c, n, NULL,
                      "a name has 1 to 64 letters, digits, dots, hyphens or underscores");
    }
    memcpy(entry, &name, sizeof(name)); /* each struct of a map begins with its name */
    if (name != NULL && cfg_names_add(c, names, n->key, index, &line)) {
        cfg_read_object(c, k->sub, n, entry);
    }
}

static void cfg_read_map(struct cfg *c, const struct cfg_key *k, const struct cfg_node *node,
                         void *at)
{
    uint32_t n = 0;
    char *array;

    if (node == NULL || cfg_is_null(node)) {
        const struct cfg_node one = {.is_plain = true, .key = sl_str(k->dflt)};

        array = k->dflt != NULL ? cfg_array(c, k, &one, 1, at) : NULL;
        if (array != NULL) {
            cfg_read_entry(c, k, &one, array, 0);
        }
        return;
    }
    if (!cfg_is_kind(c, node, CFG_MAPPING)) {
        return;
    }
    for (const struct cfg_node *i = node->first; i != NULL; i = i->next) {
        n += !i->is_bad;
    }
    array = cfg_array(c, k, node, n, at);
    n = 0;
    for (const struct cfg_node *i = node->first; array != NULL && i != NULL && c->err == 0;
         i = i->next) {
        if (!i->is_bad) {
            cfg_read_entry(c, k, i, array, n++);
        }
    }
    if (k->placed != NULL && array != NULL) {
        k->placed(c);
    }
}

/* One value for a list of one; only some have elements that are maps. */
static bool cfg_may_stand_alone(const struct cfg_key *k, const struct cfg_node *node)
{
    return k->type == CFG_LIST &&
           (node->kind == CFG_SCALAR ||
            (node->kind == CFG_MAPPING && (k->of == CFG_TARGET || k->of == CFG_TO)));
}

static void cfg_read_list(struct cfg *c, const struct cfg_key *k, const struct cfg_node *node,
                          void *at)
{
    size_t size = k->sub != NULL ? k->sub->size : k->size;
    struct cfg_key element = *k;
    char *array;

    element.type = k->of;
    element.at = 0;
    if (!cfg_is_null(node) && cfg_may_stand_alone(k, node)) {
        array = cfg_array(c, k, node, 1, at);
        if (array != NULL) {
            cfg_read_key(c, &element, node, array);
        }
        return;
    }
    if (!cfg_is_null(node) && !cfg_is_kind(c, node, CFG_SEQUENCE)) {
        return;
    }
    array = cfg_array(c, k, node, node->n, at);
    for (const struct cfg_node *i = node->first; array != NULL && i != NULL && c->err == 0;
         i = i->next) {
        if (!i->is_bad) {
            cfg_read_key(c, &element, i, array);
        }
        array += size;
    }
}

static void cfg_read_empty(struct cfg *c, const struct cfg_key *k, const struct cfg_node *n,
                           void *at)
{
    (void)at;
    if (n->n != 0 || (n->kind == CFG_SCALAR && !cfg_is_null(n))) {
        cfg_error_key(c, n, NULL, "must be empty: '%s' is not supported by this version", k->key);
    }
}

static void cfg_read_later(struct cfg *c, const struct cfg_key *k, const struct cfg_node *n,
                           void *at)
{
    (void)at;
    cfg_error_key(c, n, NULL, "'%s' is not supported by this version", k->key);
}

static cfg_read_fn *const cfg_readers[CFG_NTYPES] = {
    [CFG_INT] = cfg_read_int,           [CFG_DURATION] = cfg_read_duration,
    [CFG_SECONDS] = cfg_read_duration,  [CFG_MICROS] = cfg_read_micros,
    [CFG_SIZE] = cfg_read_size,         [CFG_ENUM] = cfg_read_enum,
    [CFG_STRING] = cfg_read_string,     [CFG_NAME] = cfg_read_name,
    [CFG_USER] = cfg_read_user,         [CFG_HOST] = cfg_read_host,
    [CFG_GLOB] = cfg_read_glob,         [CFG_SECRET] = cfg_read_secret,
    [CFG_TOKEN] = cfg_read_token,       [CFG_LISTEN] = cfg_read_listen,
    [CFG_ADDRESS] = cfg_read_address,   [CFG_PREFIX] = cfg_read_prefix,
    [CFG_PORTS] = cfg_read_ports,       [CFG_TARGET] = cfg_read_target,
    [CFG_URI] = cfg_read_uri,           [CFG_LISTENER] = cfg_read_listener,
    [CFG_CERTNAME] = cfg_read_certname, [CFG_PROFILE] = cfg_read_profile,
    [CFG_PARTY] = cfg_read_party,       [CFG_TO] = cfg_read_to,
    [CFG_PEER] = cfg_read_peer,         [CFG_NUMBER] = cfg_read_number,
    [CFG_PATTERN] = cfg_read_pattern,   [CFG_TABLE] = cfg_read_table,
    [CFG_COND] = cfg_read_cond,         [CFG_CODE] = cfg_read_code,
    [CFG_ZONE] = cfg_read_zone,         [CFG_DAYS] = cfg_read_days,
    [CFG_HOURS] = cfg_read_hours,       [CFG_DATES] = cfg_read_dates,
    [CFG_OBJECT] = cfg_read_sub,        [CFG_MAP] = cfg_read_map,
    [CFG_ITEMS] = cfg_read_list,        [CFG_LIST] = cfg_read_list,
    [CFG_EMPTY] = cfg_read_empty,       [CFG_LATER] = cfg_read_later,
};

void cfg_read_key(struct cfg *c, const struct cfg_key *k, const struct cfg_node *n, void *at)
{
    cfg_readers[k->type](c, k, n, at);
}
