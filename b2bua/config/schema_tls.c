/* schema_tls.c - the settings of TLS: what a listener presents and asks for, what a peer has to
 * prove when we dial it. */
#include "config/schema_int.h"
#include "config/tls_int.h"

#define PATH(word, owner, field, text)                                                             \
    {                                                                                              \
        .key = (word), .type = CFG_STRING, AT(owner, field), .min = 1, .max = CFG_TEXT_MAX,        \
        .help = (text)                                                                             \
    }

static const char *const words_verify_client[] = {"off", "optional", "required", NULL};
static const char *const words_verify[] = {"off", "on", NULL};

static const struct cfg_key cfg_more_keys[] = {
    PATH("certificate", tls_identity, certificate, "PEM file of the certificate with its chain."),
    PATH("key", tls_identity, key, "PEM file of its key."),
};
static const struct cfg_object cfg_more = {
    .keys = cfg_more_keys, .n_keys = COUNT_OF(cfg_more_keys), .size = sizeof(struct tls_identity)};

static const struct cfg_key cfg_listener_tls_keys[] = {
    PATH("certificate", config_listener, tls.own.certificate,
         "PEM file of our certificate, with its chain behind it."),
    PATH("key", config_listener, tls.own.key, "PEM file of its key, without a passphrase."),
    {.key = "more",
     ITEMS(config_listener, tls.more, tls.n_more, cfg_more),
     .max = CFG_CERTIFICATES_MAX,
     .help = "Further certificates, for clients that ask for their names (SNI)."},
    PATH("client_ca", config_listener, tls.client_ca,
         "PEM file of the authorities that vouch for clients; revocation lists in it count."),
    {.key = "verify_client",
     .type = CFG_ENUM,
     AT(config_listener, tls.verify_client),
     .dflt = "off",
     .words = words_verify_client,
     .help = "Whether clients are asked for a certificate, and whether they may go without."},
};
const struct cfg_object cfg_listener_tls = {.keys = cfg_listener_tls_keys,
                                            .n_keys = COUNT_OF(cfg_listener_tls_keys),
                                            .size = sizeof(struct config_listener),
                                            .check = cfg_check_listener_tls};

static const struct cfg_key cfg_peer_tls_keys[] = {
    {.key = "verify",
     .type = CFG_ENUM,
     AT(policy_peer, tls.verify),
     .dflt = "on",
     .words = words_verify,
     .help = "Whether the peer must prove who it is when we dial it."},
    PATH("ca", policy_peer, tls.ca,
         "PEM file of the authorities that vouch for the peer; the system's when not set."),
    {.key = "names",
     LIST(policy_peer, tls.names, tls.n_names, CFG_CERTNAME),
     .max = CFG_CERTNAMES_MAX,
     .help = "One of these must be in its certificate, as SIP domain, DNS name or address (RFC "
             "5922); the target's address when not set."},
    PATH("certificate", policy_peer, tls.certificate,
         "PEM file of our certificate towards this peer."),
    PATH("key", policy_peer, tls.key, "PEM file of its key."),
};
const struct cfg_object cfg_peer_tls = {.keys = cfg_peer_tls_keys,
                                        .n_keys = COUNT_OF(cfg_peer_tls_keys),
                                        .size = sizeof(struct policy_peer)};
