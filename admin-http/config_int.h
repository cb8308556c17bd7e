/* config_int.h - what the two files of /v1/config share. */
#ifndef POSTERN_ADMIN_CONFIG_INT_H
#define POSTERN_ADMIN_CONFIG_INT_H

#include "admin-http/admin_int.h"
#include "life/life.h"

bool config_has_life(struct request *rq); /* else the 503 is written */
/* These write a problem instead when the store has no such version, or does not answer. */
void config_put_text(struct request *rq, uint64_t version); /* a member of the open object */
void config_put_yaml(struct request *rq, uint64_t version); /* the whole answer */
/* What is written differently in another version or, without one, in a text: members. */
void config_put_changes(struct request *rq, uint64_t from, uint64_t to, const struct sl *text);

#endif
