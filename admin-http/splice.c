/* splice.c - the members of a stored JSON object become members of the object being written. The
 * text is our own; what is not an object of balanced members is left out from there on. */
#include "admin-http/admin_int.h"

static void splice_space(struct sl *in)
{
    while (in->n != 0 && memchr(" \t\r\n", in->p[0], 4) != NULL) {
        *in = sl_from(*in, 1);
    }
}

static bool splice_byte(struct sl *in, char c)
{
    splice_space(in);
    if (in->n == 0 || in->p[0] != c) {
        return false;
    }
    *in = sl_from(*in, 1);
    return true;
}

/* Past a string whose first quote is at in->p[0]. */
static bool splice_string(struct sl *in)
{
    for (size_t i = 1; i < in->n; i++) {
        if (in->p[i] == '"') {
            *in = sl_from(*in, i + 1);
            return true;
        }
        i += in->p[i] == '\\';
    }
    return false;
}

/* Past one value: brackets are counted, strings skipped, anything else ends before , } or ]. */
static bool splice_value(struct sl *in)
{
    size_t depth = 0, start = in->n;

    while (in->n != 0) {
        char c = in->p[0];

        if (c == '"') {
            if (!splice_string(in)) {
                return false;
            }
            continue;
        }
        if (depth == 0 && (c == ',' || c == '}' || c == ']')) {
            break;
        }
        depth += (c == '{' || c == '[');
        depth -= (c == '}' || c == ']');
        *in = sl_from(*in, 1);
    }
    return depth == 0 && in->n != start;
}

static bool splice_is_in(const char *const *names, struct sl name)
{
    for (size_t i = 0; names[i] != NULL; i++) {
        if (sl_eq(name, sl_str(names[i]))) {
            return true;
        }
    }
    return false;
}

/* The next member: its name without quotes and the whole of it. */
static bool splice_next(struct sl *in, struct sl *name, struct sl *member)
{
    struct sl at = *in;

    splice_space(&at);
    *member = at;
    if (at.n == 0 || at.p[0] != '"' || !splice_string(&at)) {
        return false;
    }
    *name = sl_make(member->p + 1, (size_t)(at.p - member->p) - 2);
    if (!splice_byte(&at, ':') || !splice_value(&at)) {
        return false;
    }
    *member = sl_trim(sl_head(*member, (size_t)(at.p - member->p)));
    *in = at;
    return true;
}

#define SPLICE_LISTS_MAX 8

void splice_members(struct json *j, struct sl object, const char *const *skip,
                    const char *const *lists)
{
    bool seen[SPLICE_LISTS_MAX] = {false};
    struct sl name, member;

    if (splice_byte(&object, '{')) {
        while (splice_next(&object, &name, &member)) {
            if (!splice_is_in(skip, name)) {
                json_raw(j, member);
            }
            for (size_t i = 0; i < SPLICE_LISTS_MAX && lists[i] != NULL; i++) {
                seen[i] = seen[i] || sl_eq(name, sl_str(lists[i]));
            }
            if (!splice_byte(&object, ',')) {
                break;
            }
        }
    }
    for (size_t i = 0; i < SPLICE_LISTS_MAX && lists[i] != NULL; i++) {
        if (!seen[i]) {
            json_key(j, lists[i]);
            json_raw(j, SL("[]"));
        }
    }
}
