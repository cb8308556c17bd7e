/* json.h - small streaming JSON writer over a buf: commas and escaping are its business; invalid
 * UTF-8 is repaired with U+FFFD. Errors stick in the buf. Thread: the owner. */
#ifndef POSTERN_BASE_JSON_H
#define POSTERN_BASE_JSON_H

#include "base/addr.h"
#include "base/buf.h"
#include "base/sl.h"

#include <stdbool.h>
#include <stdint.h>

#define JSON_DEPTH_MAX 16
struct json {
    struct buf *b;
    uint8_t depth;
    bool comma[JSON_DEPTH_MAX]; /* the next member needs one */
    bool after_key;
};

void json_init(struct json *j, struct buf *b);
void json_obj(struct json *j);     /* { */
void json_obj_end(struct json *j); /* } */
void json_arr(struct json *j);
void json_arr_end(struct json *j);
/* Written as it is: a word of ours. */
void json_key_n(struct json *j, const char *key, size_t n);
static inline void json_key(struct json *j, const char *key)
{
    json_key_n(j, key, strlen(key));
}
void json_str(struct json *j, struct sl s);
void json_cstr(struct json *j, const char *s); /* NULL writes null */
void json_int(struct json *j, int64_t v);
void json_f(struct json *j, double v, int decimals);
void json_bool(struct json *j, bool v);
void json_none(struct json *j);
void json_raw(struct json *j, struct sl s);           /* already JSON */
void json_time(struct json *j, int64_t wall_ms);      /* RFC 3339 string; 0 writes null */
void json_addr(struct json *j, const struct addr *a); /* "ip:port" or null */
/* key + value in one call */
static inline void json_kstr(struct json *j, const char *key, struct sl s)
{
    json_key(j, key);
    json_str(j, s);
}
static inline void json_kcstr(struct json *j, const char *key, const char *s)
{
    json_key(j, key);
    json_cstr(j, s);
}
static inline void json_kint(struct json *j, const char *key, int64_t v)
{
    json_key(j, key);
    json_int(j, v);
}
static inline void json_kbool(struct json *j, const char *key, bool v)
{
    json_key(j, key);
    json_bool(j, v);
}
static inline void json_ktime(struct json *j, const char *key, int64_t wall_ms)
{
    json_key(j, key);
    json_time(j, wall_ms);
}
static inline void json_kaddr(struct json *j, const char *key, const struct addr *a)
{
    json_key(j, key);
    json_addr(j, a);
}

#endif
