/* oom.c - linked into each test program of the asan variant: allocation number POSTERN_OOM_AT of
 * the process fails, once. The number of allocations seen goes to the file POSTERN_OOM_COUNT at
 * exit.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);

static atomic_ulong oom_seen;
static unsigned long oom_at;

static void oom_report(void)
{
    const char *path = getenv("POSTERN_OOM_COUNT");
    FILE *f = path != NULL ? fopen(path, "w") : NULL;

    if (f != NULL) {
        fprintf(f, "%lu\n", (unsigned long)oom_seen);
        fclose(f);
    }
}

__attribute__((constructor)) static void oom_start(void)
{
    const char *at = getenv("POSTERN_OOM_AT");

    oom_at = at != NULL ? strtoul(at, NULL, 10) : 0;
    atexit(oom_report);
}

static bool oom_now(void)
{
    return atomic_fetch_add(&oom_seen, 1) + 1 == oom_at;
}

void *__wrap_malloc(size_t n)
{
    return oom_now() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return oom_now() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n)
{
    return oom_now() ? NULL : __real_realloc(p, n);
}
