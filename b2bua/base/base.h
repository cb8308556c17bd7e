/* base.h - the leaf of the house: slices, writers, memory, containers, clock, counters, logs.
 * Depends on libc only. Nothing here knows SIP. Thread rules stand in each part. */
#ifndef POSTERN_BASE_H
#define POSTERN_BASE_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MUST_USE __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))
#define CONTAINER_OF(ptr, type, member)                                                            \
    ((type *)(void *)((char *)(uintptr_t)(ptr)-offsetof(type, member)))
#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

/* Errors: 0 or a positive errno with one meaning each. EBADMSG malformed, EPROTO illegal in this
 * state, EMSGSIZE over a limit, ENOBUFS table or queue full, ENODATA need more, ENOENT not there,
 * EEXIST there already, ENOMEM out of memory. */

#include "base/mem.h"
#include "base/sl.h"
#include "base/buf.h"
#include "base/list.h"
#include "base/map.h"
#include "base/slot.h"
#include "base/arena.h"
#include "base/addr.h"
#include "base/fingerprint.h"
#include "base/clock.h"
#include "base/stat.h"
#include "base/hist.h"
#include "base/log.h"
#include "base/json.h"

#endif
