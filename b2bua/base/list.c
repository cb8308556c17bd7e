/* list.c - the one list function that walks. */
#include "base/base.h"

size_t list_len(const struct list *head)
{
    size_t n = 0;

    for (const struct list *it = head->next; it != head; it = it->next) {
        n++;
    }
    return n;
}
