/* test_config_errors.c - mistakes in the plain sections and in the YAML itself: each line that an
 * operator would read, byte for byte. */
#include "config_rig.h"

static const struct rig_case node_cases[] = {
    {"node: {nmae: x}\n", "t:2:8: node.nmae: unknown setting; did you mean 'name'?\n"},
    {"node: {name: \"a b\"}\n", "t:2:14: node.name: 'a b' may hold only letters, digits and ._-\n"},
    {"node: {name: \"\"}\n", "t:2:14: node.name: must have 1 to 64 characters, not 0\n"},
    {"node: {name: [a]}\n", "t:2:14: node.name: must be a single value, not a list\n"},
    {"node: {name: {a: b}}\n", "t:2:14: node.name: must be a single value, not a map\n"},
    {"node: {name: }\n", "t:2:14: node.name: a value is missing\n"},
    {"node: {name: ~}\n", "t:2:14: node.name: a value is missing\n"},
    {"node: {id: 1024}\n", "t:2:12: node.id: '1024' is out of range: 0 to 1023\n"},
    {"node: {id: -1}\n", "t:2:12: node.id: '-1' is not a whole number\n"},
    {"node: {id: 1.5}\n", "t:2:12: node.id: '1.5' is not a whole number\n"},
    {"node: {id: 99999999999}\n", "t:2:12: node.id: '99999999999' is out of range: 0 to 1023\n"},
    {"node: {workers: 0}\n", "t:2:17: node.workers: '0' is out of range: 1 to 64, or auto\n"},
    {"node: {workers: 65}\n", "t:2:17: node.workers: '65' is out of range: 1 to 64, or auto\n"},
    {"node: {workers: atuo}\n",
     "t:2:17: node.workers: 'atuo' is neither a whole number nor auto\n"},
    {"node: {workers: auto, workers: 2}\n",
     "t:2:23: node.workers: is there twice; the first is at 2:8\n"},
    {"node: {key: \"\"}\n", "t:2:13: node.key: must have 1 to 4096 characters, not 0\n"},
    {"node: {drain: 30}\n", "t:2:15: node.drain: '30' has no unit: ms, s, m, h or d, as in 30s\n"},
    {"node: {drain: 30 s}\n",
     "t:2:15: node.drain: '30 s' is not a duration such as 500ms, 30s, 5m, 1h or 1d\n"},
    {"node: {drain: s}\n",
     "t:2:15: node.drain: 's' is not a duration such as 500ms, 30s, 5m, 1h or 1d\n"},
    {"node: {drain: 30sec}\n",
     "t:2:15: node.drain: '30sec' is not a duration such as 500ms, 30s, 5m, 1h or 1d\n"},
    {"node: {drain: -1s}\n",
     "t:2:15: node.drain: '-1s' is not a duration such as 500ms, 30s, 5m, 1h or 1d\n"},
    {"node: {drain: 1.5h}\n",
     "t:2:15: node.drain: '1.5h' is not a duration such as 500ms, 30s, 5m, 1h or 1d\n"},
    {"node: {drain: 25h}\n", "t:2:15: node.drain: '25h' is out of range: 0s to 1d\n"},
    {"node: {drain: 2d}\n", "t:2:15: node.drain: '2d' is out of range: 0s to 1d\n"},
    {"node: {drain: 99999999999999999999s}\n",
     "t:2:15: node.drain: '99999999999999999999s' is out of range: 0s to 1d\n"},
    {"node: {drain: 18446744073709551615h}\n",
     "t:2:15: node.drain: '18446744073709551615h' is out of range: 0s to 1d\n"},
    {"node: {drain: \"\"}\n",
     "t:2:15: node.drain: '' is not a duration such as 500ms, 30s, 5m, 1h or 1d\n"},
    {"node: {log: {level: inof}}\n", "t:2:21: node.log.level: 'inof' is not one of error, warn, "
                                     "info, debug; did you mean 'info'?\n"},
    {"node: {log: {level: INFO}}\n", "t:2:21: node.log.level: 'INFO' is not one of error, warn, "
                                     "info, debug; did you mean 'info'?\n"},
    {"node: {log: {level: verbose}}\n",
     "t:2:21: node.log.level: 'verbose' is not one of error, warn, info, debug\n"},
    {"node: {log: {format: xml}}\n", "t:2:22: node.log.format: 'xml' is not one of text, json\n"},
    {"node: {log: debug}\n", "t:2:13: node.log: must be a map, not a single value\n"},
    {"node: {log: [debug]}\n", "t:2:13: node.log: must be a map, not a list\n"},
    {"node: {log: {levle: info}}\n",
     "t:2:14: node.log.levle: unknown setting; did you mean 'level'?\n"},
    {"node: 5\n", "t:2:7: node: must be a map, not a single value\n"},
    {"node: [1]\n", "t:2:7: node: must be a map, not a list\n"},
    {"nodes: {}\n", "t:2:1: nodes: unknown setting; did you mean 'node'?\n"},
    {"Node: {}\n", "t:2:1: Node: unknown setting; did you mean 'node'?\n"},
    {"zzz: 1\n", "t:2:1: zzz: unknown setting\n"},
    {"\"\": 1\n", "t:2:1: '': unknown setting\n"},
    {"store: {path: [x]}\n", "t:2:15: store.path: must be a single value, not a list\n"},
    {"store: {paht: x}\n", "t:2:9: store.paht: unknown setting; did you mean 'path'?\n"},
    {"store: x\n", "t:2:8: store: must be a map, not a single value\n"},
};

static void a_bad_node_or_store_is_refused_line_by_line(void **state)
{
    (void)state;
    rig_refused(RIG_BASE, node_cases, COUNT_OF(node_cases));
}

static const struct rig_case admin_cases[] = {
    {"admin: {listen: 0.0.0.0:8080}\n",
     "t:2:17: admin.listen: '0.0.0.0:8080' is not a loopback address: the token would cross the "
     "network in plain text, and TLS is not supported by this version\n"},
    {"admin: {listen: 192.0.2.1:8080}\n",
     "t:2:17: admin.listen: '192.0.2.1:8080' is not a loopback address: the token would cross the "
     "network in plain text, and TLS is not supported by this version\n"},
    {"admin: {listen: \"[2001:db8::1]:8080\"}\n",
     "t:2:17: admin.listen: '[2001:db8::1]:8080' is not a loopback address: the token would cross "
     "the network in plain text, and TLS is not supported by this version\n"},
    {"admin: {listen: \"[::]:8080\"}\n",
     "t:2:17: admin.listen: '[::]:8080' is not a loopback address: the token would cross the "
     "network in plain text, and TLS is not supported by this version\n"},
    {"admin: {listen: localhost:8080}\n",
     "t:2:17: admin.listen: 'localhost:8080' is not an address such as 127.0.0.1:8080, [::1]:8080 "
     "or unix:PATH\n"},
    {"admin: {listen: 127.0.0.1}\n", "t:2:17: admin.listen: '127.0.0.1' has no port\n"},
    {"admin: {listen: 127.0.0.1:0}\n", "t:2:17: admin.listen: '127.0.0.1:0' has no port\n"},
    {"admin: {listen: 127.0.0.1:70000}\n",
     "t:2:17: admin.listen: '127.0.0.1:70000' is not an address such as 127.0.0.1:8080, [::1]:8080 "
     "or unix:PATH\n"},
    {"admin: {listen: \"unix:\"}\n",
     "t:2:17: admin.listen: the path of a socket has 1 to 107 characters\n"},
    {"admin: {listen: 8080}\n", "t:2:17: admin.listen: '8080' is not an address such as "
                                "127.0.0.1:8080, [::1]:8080 or unix:PATH\n"},
    {"admin: {listen: [127.0.0.1:8080]}\n",
     "t:2:17: admin.listen: must be a single value, not a list\n"},
    {"admin: {token: short}\n", "t:2:16: admin.token: a token has at least 16 characters\n"},
    {"admin: {token: {file: a, env: b}}\n",
     "t:2:16: admin.token: must be text, {file: PATH} or {env: NAME}\n"},
    {"admin: {token: {fiel: a}}\n",
     "t:2:16: admin.token: must be text, {file: PATH} or {env: NAME}\n"},
    {"admin: {token: {}}\n", "t:2:16: admin.token: must be text, {file: PATH} or {env: NAME}\n"},
    {"admin: {token: [a]}\n", "t:2:16: admin.token: must be text, {file: PATH} or {env: NAME}\n"},
    {"admin: {token: {env: POSTERN_TEST_NONE}}\n",
     "t:2:22: admin.token.env: the environment has no 'POSTERN_TEST_NONE'\n"},
    {"admin: {token: {file: }}\n", "t:2:23: admin.token.file: a value is missing\n"},
    {"admin: {token: {file: [a]}}\n",
     "t:2:23: admin.token.file: must be a single value, not a list\n"},
    {"admin: {token: \"\"}\n", "t:2:16: admin.token: is empty\n"},
    {"admin: {token: }\n", "t:2:16: admin.token: a value is missing\n"},
    {"admin: {tls: {certificate: a}}\n",
     "t:2:9: admin.tls: 'tls' is not supported by this version\n"},
    {"admin: {tls: }\n", "t:2:9: admin.tls: 'tls' is not supported by this version\n"},
    {"admin: {tokn: x}\n", "t:2:9: admin.tokn: unknown setting; did you mean 'token'?\n"},
};

static void a_bad_admin_section_is_refused_line_by_line(void **state)
{
    (void)state;
    rig_refused(RIG_BASE, admin_cases, COUNT_OF(admin_cases));
}

static const struct rig_case sip_cases[] = {
    {"media: {gather: 250}\n",
     "t:2:17: media.gather: '250' has no unit: us, ms or s, as in 250us\n"},
    {"media: {gather: 1m}\n",
     "t:2:17: media.gather: '1m' is not a duration such as 250us or 2ms\n"},
    {"media: {gather: 3ms}\n", "t:2:17: media.gather: '3ms' is out of range: 0us to 2ms\n"},
    {"media: {io: uring}\n", "t:2:13: media.io: 'uring' is not one of auto, epoll, io_uring\n"},
    {"sip: {t1: 500}\n", "t:2:11: sip.t1: '500' has no unit: ms, s, m, h or d, as in 500ms\n"},
    {"sip: {t1: 50ms}\n", "t:2:11: sip.t1: '50ms' is out of range: 100ms to 5s\n"},
    {"sip: {t1: 6s}\n", "t:2:11: sip.t1: '6s' is out of range: 100ms to 5s\n"},
    {"sip: {t1: off}\n",
     "t:2:11: sip.t1: 'off' is not a duration such as 500ms, 30s, 5m, 1h or 1d\n"},
    {"sip: {t2: 100ms}\n", "t:2:11: sip.t2: '100ms' is out of range: 500ms to 30s\n"},
    {"sip: {t1: 5s}\n", "t:2:6: sip: 't2' is shorter than 't1'\n"},
    {"sip: {t1: 3s, t2: 2s}\n", "t:2:19: sip.t2: 't2' is shorter than 't1'\n"},
    {"sip: {t4: 31s}\n", "t:2:11: sip.t4: '31s' is out of range: 500ms to 30s\n"},
    {"sip: {max_message: 65536}\n",
     "t:2:20: sip.max_message: '65536' has no unit: B, KiB, MiB or GiB, as in 64KiB\n"},
    {"sip: {max_message: 64kib}\n",
     "t:2:20: sip.max_message: '64kib' is not a size such as 512B, 64KiB or 1MiB\n"},
    {"sip: {max_message: 1KiB}\n",
     "t:2:20: sip.max_message: '1KiB' is out of range: 4KiB to 64KiB\n"},
    {"sip: {max_message: 65KiB}\n",
     "t:2:20: sip.max_message: '65KiB' is out of range: 4KiB to 64KiB\n"},
    {"sip: {max_message: 1GiB}\n",
     "t:2:20: sip.max_message: '1GiB' is out of range: 4KiB to 64KiB\n"},
    {"sip: {max_message: KiB}\n",
     "t:2:20: sip.max_message: 'KiB' is not a size such as 512B, 64KiB or 1MiB\n"},
    {"sip: {max_message: 18446744073709551615GiB}\n",
     "t:2:20: sip.max_message: '18446744073709551615GiB' is out of range: 4KiB to 64KiB\n"},
    {"sip: {tcp_connections: 0}\n",
     "t:2:24: sip.tcp_connections: '0' is out of range: 1 to 1000000\n"},
    {"sip: {tcp_connections: 1000001}\n",
     "t:2:24: sip.tcp_connections: '1000001' is out of range: 1 to 1000000\n"},
    {"sip: {tcp_connections: many}\n",
     "t:2:24: sip.tcp_connections: 'many' is not a whole number\n"},
    {"sip: {tcp_conections: 5}\n",
     "t:2:7: sip.tcp_conections: unknown setting; did you mean 'tcp_connections'?\n"},
    {"sip: {tcp_per_source: 0}\n",
     "t:2:23: sip.tcp_per_source: '0' is out of range: 1 to 1000000\n"},
    {"sip: {tcp_idle: 1s}\n", "t:2:17: sip.tcp_idle: '1s' is out of range: 10s to 1d\n"},
};

static void a_bad_sip_section_is_refused_line_by_line(void **state)
{
    (void)state;
    rig_refused(RIG_BASE, sip_cases, COUNT_OF(sip_cases));
}

static const struct rig_case media_cases[] = {
    {"media: {inactivity: 1s}\n",
     "t:2:21: media.inactivity: '1s' is out of range: 5s to 1d, or off\n"},
    {"media: {inactivity: 0s}\n",
     "t:2:21: media.inactivity: '0s' is out of range: 5s to 1d, or off\n"},
    {"media: {inactivity: of}\n",
     "t:2:21: media.inactivity: 'of' is not a duration such as 500ms, 30s, 5m, 1h or 1d, or off\n"},
    {"media: {inactivity: 60}\n",
     "t:2:21: media.inactivity: '60' has no unit: ms, s, m, h or d, as in 60s\n"},
    {"media: {learn: 0s}\n", "t:2:16: media.learn: '0s' is out of range: 100ms to 1m\n"},
    {"media: {learn: 2m}\n", "t:2:16: media.learn: '2m' is out of range: 100ms to 1m\n"},
    {"media: {lern: 2s}\n", "t:2:9: media.lern: unknown setting; did you mean 'learn'?\n"},
};

static void a_bad_media_section_is_refused_line_by_line(void **state)
{
    (void)state;
    rig_refused(RIG_BASE, media_cases, COUNT_OF(media_cases));
}

static const struct rig_case limits_cases[] = {
    {"limits: {calls: 0}\n", "t:2:17: limits.calls: '0' is out of range: 1 to 1000000, or off\n"},
    {"limits: {calls: 1000001}\n",
     "t:2:17: limits.calls: '1000001' is out of range: 1 to 1000000, or off\n"},
    {"limits: {calls: x}\n", "t:2:17: limits.calls: 'x' is neither a whole number nor off\n"},
    {"limits: {calls: 5.0}\n", "t:2:17: limits.calls: '5.0' is neither a whole number nor off\n"},
    {"limits: {calls_per_second: 0}\n",
     "t:2:28: limits.calls_per_second: '0' is out of range: 1 to 1000000, or off\n"},
    {"limits: {calls_per_secnod: 5}\n",
     "t:2:10: limits.calls_per_secnod: unknown setting; did you mean 'calls_per_second'?\n"},
    {"limits: {setup: 5s}\n", "t:2:17: limits.setup: '5s' is out of range: 10s to 1h\n"},
    {"limits: {setup: 2h}\n", "t:2:17: limits.setup: '2h' is out of range: 10s to 1h\n"},
    {"limits: {duration: 30s}\n", "t:2:20: limits.duration: '30s' is out of range: 1m to 7d\n"},
    {"limits: {duration: 8d}\n", "t:2:20: limits.duration: '8d' is out of range: 1m to 7d\n"},
    {"limits: {transactions: 99}\n",
     "t:2:24: limits.transactions: '99' is out of range: 100 to 10000000\n"},
    {"limits: {transactions: off}\n", "t:2:24: limits.transactions: 'off' is not a whole number\n"},
};

static void bad_limits_are_refused_line_by_line(void **state)
{
    (void)state;
    rig_refused(RIG_BASE, limits_cases, COUNT_OF(limits_cases));
}

static const struct rig_case security_cases[] = {
    {"security: {allow: [127.0.0.1/8]}\n",
     "t:2:20: security.allow[0]: '127.0.0.1/8' is not a network such as 192.0.2.0/24 or "
     "2001:db8::/32\n"},
    {"security: {unknown_sources: {packets_per_second: 0, each: -1}}\n",
     "t:2:50: security.unknown_sources.packets_per_second: '0' is out of range: 1 to 1000000, or "
     "off\n"
     "t:2:59: security.unknown_sources.each: '-1' is neither a whole number nor off\n"},
    {"security: {trusted_sources: {packets_per_second: many}}\n",
     "t:2:50: security.trusted_sources.packets_per_second: 'many' is neither a whole number nor "
     "off\n"},
    {"security: {bans: {durations: [5m, 46d, 1]}}\n",
     "t:2:35: security.bans.durations[1]: '46d' is out of range: 1s to 45d\n"
     "t:2:40: security.bans.durations[2]: '1' has no unit: ms, s, m, h or d, as in 5m\n"},
    {"security: {bans: {firewall: iptables, networks: 1, dry_run: maybe}}\n",
     "t:2:29: security.bans.firewall: 'iptables' is not one of off, nftables; did you mean "
     "'nftables'?\n"
     "t:2:49: security.bans.networks: '1' is out of range: 2 to 256, or off\n"
     "t:2:61: security.bans.dry_run: 'maybe' is not one of false, true\n"},
    {"security: {bnas: {}}\n", "t:2:12: security.bnas: unknown setting; did you mean 'bans'?\n"},
    {"security: 1\n", "t:2:11: security: must be a map, not a single value\n"},
};

static void bad_security_settings_are_refused_line_by_line(void **state)
{
    (void)state;
    rig_refused(RIG_BASE, security_cases, COUNT_OF(security_cases));
}

static const struct rig_case media_profiles_cases[] = {
    {"media_profiles: {secure: {security: rpt}}\n",
     "t:2:37: media_profiles.secure.security: 'rpt' is not one of rtp, sdes, dtls; did you mean "
     "'rtp'?\n"},
    {"media_profiles: {secure: {security: SDES}}\n",
     "t:2:37: media_profiles.secure.security: 'SDES' is not one of rtp, sdes, dtls; did you mean "
     "'sdes'?\n"},
    {"media_profiles: {secure: {security: sdes, suites: [AEAD_AES_128_GMC]}}\n",
     "t:2:52: media_profiles.secure.suites[0]: 'AEAD_AES_128_GMC' is not one of "
     "AES_CM_128_HMAC_SHA1_80, AES_CM_128_HMAC_SHA1_32, AES_256_CM_HMAC_SHA1_80, "
     "AES_256_CM_HMAC_SHA1_32, "
     "AEAD_AES_128_GCM, AEAD_AES_256_GCM; did you mean 'AEAD_AES_128_GCM'?\n"},
    {"media_profiles: {secure: {security: sdes, suites: []}}\n",
     "t:2:51: media_profiles.secure.suites: must name at least one\n"},
    {"media_profiles: {secure: {security: sdes, suites: [AEAD_AES_128_GCM, "
     "AES_CM_128_HMAC_SHA1_80, "
     "AEAD_AES_128_GCM]}}\n",
     "t:2:95: media_profiles.secure.suites[2]: is there twice\n"},
    {"media_profiles: {a: {suites: [AEAD_AES_128_GCM]}, b: {optional: true}, c: {security: dtls, "
     "rekey: {after: 1h}}}\n",
     "t:2:22: media_profiles.a.suites: needs security: sdes\n"
     "t:2:55: media_profiles.b.optional: needs security: sdes\n"
     "t:2:92: media_profiles.c.rekey: needs security: sdes\n"},
    {"media_profiles: {secure: {security: sdes, optional: maybe}}\n",
     "t:2:53: media_profiles.secure.optional: 'maybe' is not one of false, true\n"},
    {"media_profiles: {secure: {security: dtls, avpf: false}}\n",
     "t:2:49: media_profiles.secure.avpf: must be true with security: dtls\n"},
    {"media_profiles: {secure: {ice: full, dtmf: inband, dscp: 64}}\n",
     "t:2:32: media_profiles.secure.ice: 'full' is not one of off, lite\n"
     "t:2:44: media_profiles.secure.dtmf: 'inband' is not one of pass, rfc4733, info\n"
     "t:2:58: media_profiles.secure.dscp: '64' is out of range: 0 to 63\n"},
    {"media_profiles: {secure: {security: sdes, rekey: {after: 1s, packets: 5}}}\n",
     "t:2:58: media_profiles.secure.rekey.after: '1s' is out of range: 10s to 1d, or off\n"
     "t:2:71: media_profiles.secure.rekey.packets: '5' is out of range: 1000 to 4294967295, or "
     "off\n"},
    {"media_profiles: {secure: {codecs: [\"PC MA\"]}}\n",
     "t:2:36: media_profiles.secure.codecs[0]: 'PC MA' may hold only letters, digits and ._-\n"},
    {"media_profiles: {secure: {secuirty: rtp}}\n",
     "t:2:27: media_profiles.secure.secuirty: unknown setting; did you mean 'security'?\n"},
    {"media_profiles: {\"a b\": {}}\n", "t:2:18: media_profiles.a b: a name has 1 to 64 letters, "
                                        "digits, dots, hyphens or underscores\n"},
    {"media_profiles: {\"\": {}}\n", "t:2:18: media_profiles.'': a name has 1 to 64 letters, "
                                     "digits, dots, hyphens or underscores\n"},
    {"media_profiles: {a: 5}\n", "t:2:21: media_profiles.a: must be a map, not a single value\n"},
    {"media_profiles: [a]\n", "t:2:17: media_profiles: must be a map, not a list\n"},
    {"media_profiles: a\n", "t:2:17: media_profiles: must be a map, not a single value\n"},
    {"media_profiles: {a: {}, a: {}}\n",
     "t:2:25: media_profiles.a: is there twice; the first is at 2:18\n"},
};

static void a_bad_media_profile_is_refused_line_by_line(void **state)
{
    (void)state;
    rig_refused(RIG_BASE, media_profiles_cases, COUNT_OF(media_profiles_cases));
}

static const struct rig_case yaml_cases[] = {
    {"node: {name: \xff}\n", "t:2:14: invalid leading UTF-8 octet\n"},
    {"# \xc3\xa4\r\n# \xc3\xa4\r# \xc3\xa4\xc3\xa4 \x01\n",
     "t:4:6: control characters are not allowed\n"},
    {"# \xc0\x80\n", "t:2:3: invalid length of a UTF-8 sequence\n"},
    {"node: &x {name: a}\n", "t:2:7: anchors and aliases are not allowed\n"},
    {"node: {name: &x a}\n", "t:2:14: anchors and aliases are not allowed\n"},
    {"node: *x\n", "t:2:7: anchors and aliases are not allowed\n"},
    {"node: !!map {name: a}\n", "t:2:7: tags are not allowed\n"},
    {"node: {name: !!str a}\n", "t:2:14: tags are not allowed\n"},
    {"node: {name: ! a}\n", "t:2:14: tags are not allowed\n"},
    {"*x : 1\n", "t:2:1: anchors and aliases are not allowed\n"},
    {"&k node: {name: a}\n", "t:2:1: anchors and aliases are not allowed\n"},
    {"? [a]\n: 1\n", "t:2:3: a key must be a word, not a list or map\n"},
    {"? {a: b}\n: 1\n", "t:2:3: a key must be a word, not a list or map\n"},
    {"node: {name: \"a\\0b\"}\n",
     "t:2:14: control characters and line ends are not allowed in a value\n"},
    {"node: {name: \"a\\x1bb\"}\n",
     "t:2:14: control characters and line ends are not allowed in a value\n"},
    {"node: {\"na\\ame\": b}\n",
     "t:2:8: control characters and line ends are not allowed in a value\n"},
    {"node: {name: \"a\n",
     "t:3:1: while scanning a quoted scalar found unexpected end of stream\n"},
    {"node: {name: a\n", "t:3:1: while parsing a flow mapping did not find expected ',' or '}'\n"},
    {"node: [a}\n", "t:2:9: while parsing a flow sequence did not find expected ',' or ']'\n"},
    {"node: {name: a}}\n", "t:2:16: while parsing a block mapping did not find expected key\n"},
    {"\tnode: 1\n",
     "t:2:1: while scanning for the next token found character that cannot start any token\n"},
    {"node: a: b\n", "t:2:8: mapping values are not allowed in this context\n"},
    {"node: {name: a}\n--- \nnode: {name: b}\n", "t:3:1: only one document is allowed\n"},
    {"%TAG ! x\n\n", "t:4:1: did not find expected <document start>\n"},
    {"node: {name: `a`}\n",
     "t:2:14: while scanning for the next token found character that cannot start any token\n"},
    {"node: {name: @a}\n",
     "t:2:14: while scanning for the next token found character that cannot start any token\n"},
    {"node: \"\\q\"\n", "t:2:8: while parsing a quoted scalar found unknown escape character\n"},
    {"? node\n: {name: b c}\n", "t:3:10: node.name: 'b c' may hold only letters, digits and ._-\n"},
};

static void what_is_not_plain_yaml_is_refused(void **state)
{
    (void)state;
    rig_refused(RIG_BASE, yaml_cases, COUNT_OF(yaml_cases));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bad_node_or_store_is_refused_line_by_line),
        cmocka_unit_test(a_bad_admin_section_is_refused_line_by_line),
        cmocka_unit_test(a_bad_sip_section_is_refused_line_by_line),
        cmocka_unit_test(a_bad_media_section_is_refused_line_by_line),
        cmocka_unit_test(bad_limits_are_refused_line_by_line),
        cmocka_unit_test(bad_security_settings_are_refused_line_by_line),
        cmocka_unit_test(a_bad_media_profile_is_refused_line_by_line),
        cmocka_unit_test(what_is_not_plain_yaml_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
