/* words.c - bans and offences in words: the security log, the log, the API. */
#include "guard/guard_int.h"

const char *const guard_proof_words[] = {
    [POLICY_UNPROVEN] = "none", [POLICY_BY_STREAM] = "stream", [POLICY_BY_DIGEST] = "digest"};

void guard_put_prefix(struct buf *b, const struct prefix *p)
{
    addr_put_ip(b, &p->addr);
    buf_putf(b, "/%u", p->bits);
}

/* A peer's word outside quotes: letters or nothing. */
static struct sl word_or_dash(struct sl s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = (char)(s.p[i] | 0x20);

        if (c < 'a' || c > 'z') {
            return SL("-");
        }
    }
    return s.n != 0 ? s : SL("-");
}

static const char *verified_by(const struct guard_offence *o, bool is_shared)
{
    if (is_shared) {
        return "none"; /* who reads this bans addresses, and this one is not to blame as a whole */
    }
    return o->proof == POLICY_BY_STREAM ? o->transport : guard_proof_words[o->proof];
}

void guard_log_offence(const struct guard_offence *o, bool is_shared)
{
    char text[ADDR_TEXT_MAX];
    struct buf src;

    buf_init_fixed(&src, text, sizeof(text));
    addr_put_ip(&src, &o->source);
    log_security("security: event=%s src=%.*s sport=%u transport=%s verified=%s method=%.*s "
                 "user=\"%s\" ua=\"%s\"",
                 policy_event_words[o->event], SL_ARG(buf_sl(&src)), addr_port(&o->source),
                 o->transport, verified_by(o, is_shared), SL_ARG(word_or_dash(o->method)),
                 LOG_ESC(o->user), LOG_ESC(o->user_agent));
}

static void guard_put_place(struct buf *b, const struct policy_ban *ban)
{
    guard_put_prefix(b, &ban->prefix);
    if (ban->port != 0) {
        buf_putf(b, " port %u", ban->port);
    }
}

void guard_log_ban(const struct policy_ban *ban, const char *what)
{
    char text[ADDR_TEXT_MAX + 16];
    struct buf b;

    buf_init_fixed(&b, text, sizeof(text) - 1);
    guard_put_place(&b, ban);
    text[b.n] = '\0';
    log_warn(NULL, "%s %s for %lld s: %s, %u points, proof %s%s", text, what,
             (long long)((ban->until_ms - ban->since_ms) / 1000), policy_event_words[ban->event],
             ban->points, guard_proof_words[ban->proof],
             ban->port != 0 ? ", that flow alone: users have proven themselves behind the address"
             : ban->quiet   ? ", silence only: the source may be forged"
                            : "");
}

void guard_log_let_go(const struct policy_ban *ban)
{
    char text[ADDR_TEXT_MAX + 16];
    struct buf b;

    buf_init_fixed(&b, text, sizeof(text) - 1);
    guard_put_place(&b, ban);
    text[b.n] = '\0';
    log_warn(NULL, "%s let go by the operator, banned for %s", text,
             policy_event_words[ban->event]);
}

static const char *scope_of(const struct policy_ban *ban)
{
    bool is_network = ban->prefix.bits < (addr_family(&ban->prefix.addr) == AF_INET6 ? 64 : 32);

    return ban->port != 0 ? "flow" : is_network ? "network" : "address";
}

static const char *where_of(const struct guard *g, const struct policy_ban *ban)
{
    if (ban->dry_run) {
        return "nowhere";
    }
    return ban->firewall && firewall_is_up(g->firewall) ? "firewall" : "worker";
}

void guard_put_ban_members(const struct guard *g, struct json *j, const struct policy_ban *ban)
{
    int64_t wall_ms = guard_now(g).wall_ms;
    char text[ADDR_TEXT_MAX + 4], id[24];
    struct buf b;

    buf_init_fixed(&b, id, sizeof(id));
    buf_putu(&b, ban->id);
    json_kstr(j, "id", buf_sl(&b));
    buf_init_fixed(&b, text, sizeof(text));
    guard_put_prefix(&b, &ban->prefix);
    json_kstr(j, "prefix", buf_sl(&b));
    json_kcstr(j, "scope", scope_of(ban));
    if (ban->port != 0) {
        json_kint(j, "port", ban->port);
    }
    json_kcstr(j, "source", ban->event == POLICY_MANUAL ? "manual" : "auto");
    json_kcstr(j, "event", policy_event_words[ban->event]);
    json_kcstr(j, "kind", ban->quiet && ban->port == 0 ? "silence" : "ban");
    json_kcstr(j, "proof", guard_proof_words[ban->proof]);
    json_kcstr(j, "dropped_in", where_of(g, ban));
    json_kbool(j, "dry_run", ban->dry_run);
    json_kint(j, "points", ban->points);
    json_kint(j, "earlier_bans", ban->level);
    json_kcstr(j, "reason", ban->reason[0] != '\0' ? ban->reason : NULL);
    json_ktime(j, "since", ban->since_ms);
    json_ktime(j, "until", ban->until_ms);
    json_kint(j, "expires_in_s", (ban->until_ms - wall_ms + 999) / 1000);
    json_kint(j, "packets_dropped",
              (int64_t)policy_bans_packets(g->bans, ban, guard_now(g).mono_ms));
}
