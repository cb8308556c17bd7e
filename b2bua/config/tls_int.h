/* tls_int.h - the part of the configuration that speaks of certificates. Files are read while the
 * configuration is, so that a mistake in one is a mistake in the other. */
#ifndef POSTERN_CONFIG_TLS_INT_H
#define POSTERN_CONFIG_TLS_INT_H

#include "config/config_int.h"
#include "crypto/crypto.h"

#define CFG_CERTIFICATES_MAX 16 /* of one listener, beside the first */

extern const struct cfg_object cfg_listener_tls, cfg_peer_tls; /* schema_tls.c */

/* Around a load. */
void cfg_tls_begin(struct cfg *c);
void cfg_tls_end(struct cfg *c);
/* Of a snapshot that dies; entries themselves are of its arena. */
void cfg_tls_free(struct cfg_tls_ref *refs);

void cfg_check_listener_tls(struct cfg *c, const struct cfg_node *node, void *at);
/* Called when the whole of a listener or peer was read: makes what it presents or demands. */
void cfg_tls_listener(struct cfg *c, const struct cfg_node *node, struct config_listener *l);
void cfg_tls_peer(struct cfg *c, const struct cfg_node *node, const struct policy_peer *peer,
                  const struct config_listener *l);

#endif
