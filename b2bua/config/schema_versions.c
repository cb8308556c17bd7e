/* schema_versions.c - the section `config`: who writes configurations, and what is kept of them. */
#include "config/schema_int.h"

static const char *const words_source[] = {"file", "api", NULL}; /* enum config_source */
static const char *const words_confirm[] = {"off", NULL};

static const struct cfg_key cfg_config_section_keys[] = {
    {.key = "source",
     .type = CFG_ENUM,
     AT(config, source),
     .dflt = "file",
     .words = words_source,
     .help = "Who writes: this file (a signal HUP reads it again), or the API, whose versions in "
             "the store then count and this file only until there is one."},
    {.key = "confirm_within",
     .type = CFG_DURATION,
     AT(config, confirm_ms),
     .dflt = "off",
     .min = MS_S,
     .max = MS_D,
     .words = words_confirm,
     .help = "A file that is read again is undone unless POST /v1/config/confirm comes within "
             "this. Changes by the API say it themselves."},
    {.key = "keep",
     .type = CFG_INT,
     AT(config, keep),
     .dflt = "100",
     .min = 2,
     .max = 10000,
     .help = "Versions kept in the store; older ones are forgotten."},
};
OBJECT_PUBLIC(cfg_config_section, config, NULL);
