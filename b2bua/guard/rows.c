/* rows.c - bans where they are kept: in the store, which outlives the process, and in the kernel.
 * Silences are in neither. */
#include "guard/guard_int.h"

enum { ROW_DRY_RUN = 1 };

void guard_keep(struct guard *g, const struct policy_ban *ban)
{
    char text[ADDR_TEXT_MAX + 4];
    struct buf b;
    int err;

    if (!policy_bans_is_covered(g->bans, ban, guard_now(g).wall_ms)) {
        firewall_ban(g->firewall, ban);
    }
    if (ban->quiet || g->store == NULL) {
        return;
    }
    buf_init_fixed(&b, text, sizeof(text));
    guard_put_prefix(&b, &ban->prefix);
    err =
        store_put_ban(g->store, &(struct store_ban){.prefix = buf_sl(&b),
                                                    .event = sl_str(policy_event_words[ban->event]),
                                                    .proof = sl_str(guard_proof_words[ban->proof]),
                                                    .reason = sl_str(ban->reason),
                                                    .level = ban->level,
                                                    .points = ban->points,
                                                    .flags = ban->dry_run ? ROW_DRY_RUN : 0,
                                                    .since_ms = ban->since_ms,
                                                    .until_ms = ban->until_ms,
                                                    .evidence = ban->evidence});
    if (err != 0) {
        log_error(NULL, "a ban could not be stored: %s", strerror(err));
    }
}

void guard_forget(const struct policy_ban *ban, void *arg)
{
    struct guard *g = arg;
    char text[ADDR_TEXT_MAX + 4];
    struct buf b;

    firewall_unban(g->firewall, ban);
    if (ban->quiet || g->store == NULL) {
        return;
    }
    buf_init_fixed(&b, text, sizeof(text));
    guard_put_prefix(&b, &ban->prefix);
    if (store_del_ban(g->store, buf_sl(&b)) != 0) {
        log_error(NULL, "a ban could not be taken out of the store");
    }
}

/* Index of a word; n when it is not there. */
static unsigned word_of(const char *const *words, unsigned n, struct sl word)
{
    unsigned i = 0;

    while (i < n && !sl_eq(sl_str(words[i]), word)) {
        i++;
    }
    return i;
}

struct load {
    struct guard *g;
    char last[ADDR_TEXT_MAX + 4];
    size_t last_n, n;
};

static bool on_row(const struct store_ban *row, void *arg)
{
    struct load *l = arg;
    struct policy_now now = guard_now(l->g);
    unsigned event = word_of(policy_event_words, POLICY_EVENTS, row->event);
    unsigned proof = word_of(guard_proof_words, POLICY_BY_DIGEST + 1, row->proof);
    struct policy_ban ban = {.level = row->level,
                             .points = row->points,
                             .dry_run = (row->flags & ROW_DRY_RUN) != 0,
                             .since_ms = row->since_ms,
                             .until_ms = row->until_ms,
                             .evidence = row->evidence};
    struct buf b;

    l->n++;
    l->last_n = sl_head(row->prefix, sizeof(l->last)).n;
    memcpy(l->last, row->prefix.p, l->last_n);
    buf_init_fixed(&b, ban.reason, sizeof(ban.reason) - 1);
    buf_putsl(&b, sl_head(row->reason, sizeof(ban.reason) - 1));
    if (event == POLICY_EVENTS || proof > POLICY_BY_DIGEST ||
        prefix_parse(row->prefix, &ban.prefix) != 0) {
        log_warn(NULL, "the store has a ban that cannot be read: %s", LOG_ESC(row->prefix));
        return true;
    }
    ban.event = (enum policy_event)event;
    ban.proof = (enum policy_proof)proof;
    if (policy_guards_in(l->g->cfg->policy, &ban.prefix)) {
        guard_forget(&ban, l->g); /* it is a peer's or an allowed one by now */
    } else if (policy_bans_load(l->g->bans, &ban, &now) == 0) {
        return true;
    } else if (ban.until_ms <= now.wall_ms) {
        guard_forget(&ban, l->g); /* over, and there is no room to remember it */
    } else {
        log_error(NULL, "a ban of the store could not be loaded: %s", LOG_ESC(row->prefix));
    }
    return true;
}

int guard_load(struct guard *g, const char *store_path)
{
    struct load l = {.g = g};
    struct store_reader *r = NULL;
    int err = store_reader_open(&r, store_path);

    while (err == 0) {
        l.n = 0;
        err = store_read_bans(r, sl_make(l.last, l.last_n), 1000, on_row, &l);
        if (l.n == 0) {
            break;
        }
    }
    store_reader_close(&r);
    return err;
}
