/* id.c - call ids as text: 13 characters that sort like the numbers. */
#include "store/store.h"

static const char id_digits[] = "0123456789abcdefghjkmnpqrstvwxyz"; /* Crockford: no i l o u */

void store_id_text(uint64_t id, char out[STORE_ID_LEN + 1])
{
    for (size_t i = STORE_ID_LEN; i-- > 0; id >>= 5) {
        out[i] = id_digits[id & 31];
    }
    out[STORE_ID_LEN] = '\0';
}

static const char *id_find(char c)
{
    char lower = c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;

    return memchr(id_digits, lower, sizeof(id_digits) - 1);
}

bool store_id_parse(struct sl text, uint64_t *id)
{
    uint64_t v = 0;

    if (text.n != STORE_ID_LEN || text.p[0] < '0' || text.p[0] > '7') { /* 3 + 12 * 5 bits */
        return false;
    }
    for (size_t i = 0; i < STORE_ID_LEN; i++) {
        const char *hit = id_find(text.p[i]);

        if (hit == NULL) {
            return false;
        }
        v = v << 5 | (uint64_t)(hit - id_digits);
    }
    *id = v;
    return true;
}
