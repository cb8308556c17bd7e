/* readers.c - read-only connections to the database: as many as requests run at once. */
#include "admin-http/admin_int.h"

int reader_take(struct admin *a, struct store_reader **rp)
{
    int err;

    *rp = NULL;
    (void)pthread_mutex_lock(&a->readers_lock);
    if (a->n_readers != 0) {
        *rp = a->readers[--a->n_readers];
    }
    (void)pthread_mutex_unlock(&a->readers_lock);
    if (*rp != NULL && store_reader_is_stale(*rp)) {
        store_reader_close(rp);
    }
    err = *rp != NULL ? 0 : store_reader_open(rp, a->store_path);
    return err == ENOENT ? EIO : err; /* the database is missing, not what is asked for */
}

/* After an error the next request gets a new connection: the file may be another one by then. */
void reader_give(struct admin *a, struct store_reader *r, int err)
{
    (void)pthread_mutex_lock(&a->readers_lock);
    if ((err == 0 || err == ENOENT || err == ETIMEDOUT) && a->n_readers < ADMIN_THREADS) {
        a->readers[a->n_readers++] = r;
        r = NULL;
    }
    (void)pthread_mutex_unlock(&a->readers_lock);
    store_reader_close(&r);
}

void readers_close(struct admin *a)
{
    while (a->n_readers != 0) {
        store_reader_close(&a->readers[--a->n_readers]);
    }
}
