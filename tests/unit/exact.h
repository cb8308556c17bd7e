/* exact.h - bytes as they come off the wire: nothing stands behind them. */
#ifndef POSTERN_TESTS_EXACT_H
#define POSTERN_TESTS_EXACT_H

#include "base/base.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

/* A copy, to be freed by its p, so that a sanitizer sees the first byte too many. */
static inline struct sl exact(const char *text)
{
    size_t n = strlen(text);
    char *p = malloc(n != 0 ? n : 1);

    assert_non_null(p);
    memcpy(p, text, n);
    return sl_make(p, n);
}

#endif
