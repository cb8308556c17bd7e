/* config_int.h - what the two files of /v1/config share. */
#ifndef POSTERN_ADMIN_CONFIG_INT_H
#define POSTERN_ADMIN_CONFIG_INT_H

#include "admin-http/admin_int.h"
#include "life/life.h"

route_fn resource_config, resource_config_put, resource_config_validate, resource_config_confirm;
route_fn resource_config_rollback, resource_config_versions, resource_config_version;
route_fn resource_config_version_diff;
extern const char *const config_params[], *const config_confirm_params[];
extern const char *const config_rollback_params[], *const config_versions_params[];
extern const char *const config_version_params[], *const config_version_diff_params[];

bool config_has_life(struct request *rq); /* else the 503 is written */
/* These write a problem instead when the store has no such version, or does not answer. */
void config_put_text(struct request *rq, uint64_t version); /* a member of the open object */
void config_put_yaml(struct request *rq, uint64_t version); /* the whole answer */
/* What is written differently in another version or, without one, in a text: members. */
void config_put_changes(struct request *rq, uint64_t from, uint64_t to, const struct sl *text);

#endif
