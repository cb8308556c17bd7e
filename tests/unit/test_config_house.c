/* test_config_house.c - mistakes in listeners, peers, users and routes, and across them: each line
 * that an operator would read, byte for byte. */
#include "config_rig.h"

static const struct rig_case whole_cases[] = {
    {"", "t:1:1: listeners: is missing\n"},
    {"# nothing\n", "t:1:1: listeners: is missing\n"},
    {"---\n", "t:2:1: listeners: is missing\n"},
    {"...\n", "t:1:1: while parsing a block node did not find expected node content\n"},
    {"~\n", "t:1:1: listeners: is missing\n"},
    {"null\n", "t:1:1: listeners: is missing\n"},
    {"{}\n", "t:1:1: listeners: is missing\n"},
    {"[]\n", "t:1:1: must be a map, not a list\n"},
    {"x\n", "t:1:1: must be a map, not a single value\n"},
    {"5\n", "t:1:1: must be a map, not a single value\n"},
    {"listeners:\n", "t:1:1: listeners: at least one listener is needed\n"},
    {"listeners: {}\n", "t:1:1: listeners: at least one listener is needed\n"},
    {"listeners: []\n", "t:1:12: listeners: must be a map, not a list\n"},
    {"listeners: x\n", "t:1:12: listeners: must be a map, not a single value\n"},
    {"listeners: {a: }\n", "t:1:16: listeners.a.address: is missing\n"
                           "t:1:16: listeners.a: needs a SIP port: sip: {udp: 5060}\n"},
    {"listeners: {a: {}}\n", "t:1:16: listeners.a.address: is missing\n"
                             "t:1:16: listeners.a: needs a SIP port: sip: {udp: 5060}\n"},
    {"listeners: {a: {address: 127.0.0.1}}\n",
     "t:1:16: listeners.a: needs a SIP port: sip: {udp: 5060}\n"},
    {"listeners: {a: {address: 127.0.0.1, sip: {}}}\n",
     "t:1:42: listeners.a.sip: needs a SIP port: sip: {udp: 5060}\n"},
    {"listeners: {a: {address: 127.0.0.1, sip: 5060}}\n",
     "t:1:42: listeners.a.sip: must be a map, not a single value\n"},
    {"listeners: {a: {address: 127.0.0.1, sip: {udp: 0}}}\n",
     "t:1:48: listeners.a.sip.udp: '0' is out of range: 1 to 65535\n"},
    {"listeners: {a: {address: 127.0.0.1, sip: {udp: 65536}}}\n",
     "t:1:48: listeners.a.sip.udp: '65536' is out of range: 1 to 65535\n"},
    {"listeners: {a: {address: 127.0.0.1, sip: {udp: x}}}\n",
     "t:1:48: listeners.a.sip.udp: 'x' is not a whole number\n"},
    {"listeners: {a: {address: 127.0.0.1, sip: {tls: 5061}}}\n",
     "t:1:48: listeners.a.sip.tls: needs 'tls: {certificate: ..., key: ...}' of the listener\n"},
    {"listeners: {a: {address: 127.0.0.1, sip: {udp: 5060, ws: 5061, wss: 5062}}}\n",
     "t:1:54: listeners.a.sip.ws: 'ws' is not supported by this version\n"
     "t:1:64: listeners.a.sip.wss: 'wss' is not supported by this version\n"},
    {"listeners: {a: {address: 127.0.0.1, sip: {udp: 5060, sctp: 5061}}}\n",
     "t:1:54: listeners.a.sip.sctp: unknown setting; did you mean 'tcp'?\n"},
    {"listeners: {a: {address: localhost, sip: {udp: 5060}}}\n",
     "t:1:26: listeners.a.address: 'localhost' is not an IP address\n"},
    {"listeners: {a: {address: 127.0.0.1:5060, sip: {udp: 5060}}}\n",
     "t:1:26: listeners.a.address: '127.0.0.1:5060' is not an IP address\n"},
    {"listeners: {a: {address: 224.0.0.1, sip: {udp: 5060}}}\n",
     "t:1:26: listeners.a.address: '224.0.0.1' is a multicast address\n"},
    {"listeners: {a: {address: 0.0.0.0, sip: {udp: 5060}}}\n",
     "t:1:26: listeners.a.address: needs 'advertise': nobody can be told this address\n"},
    {"listeners: {a: {address: '::', sip: {udp: 5060}}}\n",
     "t:1:26: listeners.a.address: needs 'advertise': nobody can be told this address\n"},
    {"listeners: {a: {address: '::', advertise: 192.0.2.1, sip: {udp: 5060}}}\n",
     "t:1:43: listeners.a.advertise: must be of the same family as 'address'\n"},
    {"listeners: {a: {address: 127.0.0.1, advertise: '::1', sip: {udp: 5060}}}\n",
     "t:1:48: listeners.a.advertise: must be of the same family as 'address'\n"},
    {"listeners: {a: {address: 127.0.0.1, advertise: 0.0.0.0, sip: {udp: 5060}}}\n",
     "t:1:48: listeners.a.advertise: nobody can be told this address\n"},
    {"listeners: {a: {address: 127.0.0.1, advertise: x, sip: {udp: 5060}}}\n",
     "t:1:48: listeners.a.advertise: 'x' is not an IP address\n"},
    {"listeners: {a: {advertise: 127.0.0.1, sip: {udp: 5060}}}\n",
     "t:1:16: listeners.a.address: is missing\n"},
    {"listeners: {a: {address: 127.0.0.1, sip: {udp: 5060}, rtp: {}}}\n",
     "t:1:60: listeners.a.rtp.ports: is missing\n"},
    {"listeners: {a: {address: 127.0.0.1, sip: {udp: 5060}, rtp: 20000-20099}}\n",
     "t:1:60: listeners.a.rtp: must be a map, not a single value\n"},
    {"listeners: {a: {address: 127.0.0.1, sip: {udp: 5060}, rtp: {ports: 20000}}}\n",
     "t:1:68: listeners.a.rtp.ports: '20000' is not a range of ports such as 20000-29999\n"},
    {"listeners: {a: {address: 127.0.0.1, sip: {udp: 5060}, rtp: {ports: 20000-}}}\n",
     "t:1:68: listeners.a.rtp.ports: '20000-' is not a range of ports such as 20000-29999\n"},
    {"listeners: {a: {address: 127.0.0.1, sip: {udp: 5060}, rtp: {ports: 20000-20000}}}\n",
     "t:1:68: listeners.a.rtp.ports: must hold at least two ports, for RTP and RTCP\n"},
    {"listeners: {a: {address: 127.0.0.1, sip: {udp: 5060}, rtp: {ports: 20001-20100}}}\n",
     "t:1:68: listeners.a.rtp.ports: the first port must be even: RTP has the even port, RTCP the "
     "next\n"},
    {"listeners: {a: {address: 127.0.0.1, sip: {udp: 5060}, rtp: {ports: 20000-70000}}}\n",
     "t:1:68: listeners.a.rtp.ports: '20000-70000' is not a range of ports such as 20000-29999\n"},
    {"listeners: {a: {address: 127.0.0.1, sip: {udp: 5060}, rtp: {ports: 1000-2000}}}\n",
     "t:1:68: listeners.a.rtp.ports: ports below 1024 are not for media\n"},
    {"listeners: {a: {address: 127.0.0.1, sip: {udp: 5060}, rtp: {ports: 30000-20000}}}\n",
     "t:1:68: listeners.a.rtp.ports: must hold at least two ports, for RTP and RTCP\n"},
    {"listeners: {a: {address: 127.0.0.1, sip: {udp: 5060}, rtp: {ports: [20000, 20099]}}}\n",
     "t:1:68: listeners.a.rtp.ports: must be a single value, not a list\n"},
    {"listeners: {a: {address: 127.0.0.1, sip: {udp: 20010}, rtp: {ports: 20000-20099}}}\n",
     "t:1:69: listeners.a.rtp.ports: overlaps UDP port 20010 of listener 'a'\n"},
    {"listeners: {a: {address: 127.0.0.1, sip: {udp: 5060}, tls: {certificate: x}}}\n",
     "t:1:60: listeners.a.tls: needs both 'certificate' and 'key'\n"},
    {"listeners: {a: {adress: 127.0.0.1, sip: {udp: 5060}}}\n",
     "t:1:16: listeners.a.address: is missing\n"
     "t:1:17: listeners.a.adress: unknown setting; did you mean 'address'?\n"},
    {"listeners:\n  a: {address: 127.0.0.1, sip: {udp: 5060}}\n  a: {address: 127.0.0.2, sip: "
     "{udp: 5060}}\n",
     "t:3:3: listeners.a: is there twice; the first is at 2:3\n"},
    {"listeners:\n  a: {address: 127.0.0.1, sip: {udp: 5060}}\n  b: {address: 127.0.0.1, sip: "
     "{udp: 5060}}\n",
     "t:3:38: listeners.b.sip.udp: overlaps UDP port 5060 of listener 'a'\n"},
    {"listeners:\n  a: {address: 127.0.0.1, sip: {udp: 5060, tcp: 5060}}\n  b: {address: "
     "127.0.0.1, sip: {udp: 5061, tcp: 5060}}\n",
     "t:3:49: listeners.b.sip.tcp: overlaps TCP port 5060 of listener 'a'\n"},
    {"listeners:\n  a: {address: 127.0.0.1, sip: {udp: 5060}}\n  b: {address: 0.0.0.0, advertise: "
     "127.0.0.1, sip: {udp: 5060}}\n",
     "t:3:58: listeners.b.sip.udp: overlaps UDP port 5060 of listener 'a'\n"},
    {"listeners:\n  a: {address: 127.0.0.1, sip: {udp: 5060}, rtp: {ports: 20000-20099}}\n  b: "
     "{address: 127.0.0.1, sip: {udp: 5061}, rtp: {ports: 20098-20199}}\n",
     "t:3:58: listeners.b.rtp.ports: overlaps UDP ports 20000-20099 of listener 'a'\n"},
    {"listeners:\n  a: {address: 127.0.0.1, sip: {udp: 5060}, rtp: {ports: 20000-20099}}\n  b: "
     "{address: 127.0.0.1, sip: {udp: 20099}}\n",
     "t:3:38: listeners.b.sip.udp: overlaps UDP ports 20000-20099 of listener 'a'\n"},
    {"listeners: {a: {address: 127.0.0.1, sip: {udp: 5060}}}\npeers: {p: {listener: a, sources: "
     "127.0.0.2}}\n",
     "t:2:23: peers.p.listener: listener 'a' has no 'rtp': calls through it need ports for "
     "media\n"},
    {"listeners: {a: {address: 127.0.0.1, sip: {udp: 5060}}}\nusers: {domain: x.test, listener: "
     "a}\n",
     "t:2:35: users.listener: listener 'a' has no 'rtp': calls through it need ports for media\n"},
    {"listeners: {a: {address: 127.0.0.1, sip: {udp: 5060}}}\nuesrs: {domain: x.test, listener: "
     "a}\nnode: {id: 5000}\npeers: {p: {listener: c, sources: 127.0.0.2}}\n",
     "t:2:1: uesrs: unknown setting; did you mean 'users'?\n"
     "t:3:12: node.id: '5000' is out of range: 0 to 1023\n"
     "t:4:23: peers.p.listener: there is no listener 'c'\n"},
    {"peers: {p: {listener: a, sources: x}}\nlisteners: {a: {address: y, sip: {udp: 5060}}}\nnode: "
     "{id: 5000}\n",
     "t:1:23: peers.p.listener: listener 'a' has no 'rtp': calls through it need ports for media\n"
     "t:1:35: peers.p.sources: 'x' is not a network such as 192.0.2.0/24 or 2001:db8::/32\n"
     "t:2:26: listeners.a.address: 'y' is not an IP address\n"
     "t:3:12: node.id: '5000' is out of range: 0 to 1023\n"},
    {"%YAML 1.1\n---\nlisteners: {a: {address: 127.0.0.1, sip: {udp: 5060}, rtp: {}}}\n",
     "t:3:60: listeners.a.rtp.ports: is missing\n"},
};

static void a_bad_listener_is_refused_line_by_line(void **state)
{
    (void)state;
    rig_refused("", whole_cases, COUNT_OF(whole_cases));
}

static const struct rig_case peers_cases[] = {
    {"peers: {p: {}}\n", "t:2:12: peers.p.listener: is missing\n"
                         "t:2:12: peers.p: needs 'sources', 'targets' or both\n"},
    {"peers: {p: }\n", "t:2:12: peers.p.listener: is missing\n"
                       "t:2:12: peers.p: needs 'sources', 'targets' or both\n"},
    {"peers: {p: 5}\n", "t:2:12: peers.p: must be a map, not a single value\n"},
    {"peers: [p]\n", "t:2:8: peers: must be a map, not a list\n"},
    {"peers: {p: {listener: a}}\n", "t:2:12: peers.p: needs 'sources', 'targets' or both\n"},
    {"peers: {p: {listener: b, sources: [127.0.0.2]}}\n",
     "t:2:23: peers.p.listener: there is no listener 'b'\n"},
    {"peers: {p: {listener: A, sources: [127.0.0.2]}}\n",
     "t:2:23: peers.p.listener: there is no listener 'A'; did you mean 'a'?\n"},
    {"peers: {p: {listener: aa, sources: [127.0.0.2]}}\n",
     "t:2:23: peers.p.listener: there is no listener 'aa'\n"},
    {"peers: {p: {listener: [a], sources: [127.0.0.2]}}\n",
     "t:2:23: peers.p.listener: must be a single value, not a list\n"},
    {"peers: {p: {listener: , sources: [127.0.0.2]}}\n",
     "t:2:23: peers.p.listener: a value is missing\n"},
    {"peers: {users: {listener: a, sources: [127.0.0.2]}}\n",
     "t:2:9: peers.users: a peer cannot have this name: routes mean the users by it\n"},
    {"peers: {\"p q\": {listener: a, sources: [127.0.0.2]}}\n",
     "t:2:9: peers.p q: a name has 1 to 64 letters, digits, dots, hyphens or underscores\n"},
    {"peers: {p: {listener: a, sources: [127.0.0.300]}}\n",
     "t:2:36: peers.p.sources[0]: '127.0.0.300' is not a network such as 192.0.2.0/24 or "
     "2001:db8::/32\n"},
    {"peers: {p: {listener: a, sources: [127.0.0.1/33]}}\n",
     "t:2:36: peers.p.sources[0]: '127.0.0.1/33' is not a network such as 192.0.2.0/24 or "
     "2001:db8::/32\n"},
    {"peers: {p: {listener: a, sources: [127.0.0.1/8]}}\n",
     "t:2:36: peers.p.sources[0]: '127.0.0.1/8' is not a network such as 192.0.2.0/24 or "
     "2001:db8::/32\n"},
    {"peers: {p: {listener: a, sources: [host.example]}}\n",
     "t:2:36: peers.p.sources[0]: 'host.example' is not a network such as 192.0.2.0/24 or "
     "2001:db8::/32\n"},
    {"peers: {p: {listener: a, sources: [\"2001:db8::/32\"]}}\n",
     "t:2:36: peers.p.sources[0]: listener 'a' is of the other IP family\n"},
    {"peers: {p: {listener: a, sources: [127.0.0.2, 127.0.0.2/32]}}\n",
     "t:2:47: peers.p.sources[1]: is a source of listener 'a' twice; the first is on line 2\n"},
    {"peers: {p: {listener: a, sources: {a: b}}}\n",
     "t:2:35: peers.p.sources: must be a list, not a map\n"},
    {"peers: {p: {listener: a, sources: [[127.0.0.2]]}}\n",
     "t:2:36: peers.p.sources[0]: must be a single value, not a list\n"},
    {"peers: {p: {listener: a, sources: [~]}}\n",
     "t:2:36: peers.p.sources[0]: a value is missing\n"},
    {"peers: {p: {listener: a, sorces: [127.0.0.2]}}\n",
     "t:2:12: peers.p: needs 'sources', 'targets' or both\n"
     "t:2:26: peers.p.sorces: unknown setting; did you mean 'sources'?\n"},
    {"peers: {p: {listener: a, targets: [127.0.0.2]}}\n",
     "t:2:36: peers.p.targets[0]: '127.0.0.2' is not a URI such as "
     "sip:192.0.2.1:5060;transport=udp\n"},
    {"peers: {p: {listener: a, targets: [\"sip:pbx.example.test\"]}}\n",
     "t:2:36: peers.p.targets[0]: 'pbx.example.test' is not a numeric address with a port: host "
     "names are not supported by this version\n"},
    {"peers: {p: {listener: a, targets: [\"sip:127.0.0.2:0\"]}}\n",
     "t:2:36: peers.p.targets[0]: '127.0.0.2:0' cannot be called\n"},
    {"peers: {p: {listener: a, targets: [\"sip:127.0.0.2:70000\"]}}\n",
     "t:2:36: peers.p.targets[0]: '127.0.0.2:70000' is not a numeric address with a port: host "
     "names are not supported by this version\n"},
    {"peers: {p: {listener: a, targets: [\"sip:0.0.0.0\"]}}\n",
     "t:2:36: peers.p.targets[0]: '0.0.0.0' cannot be called\n"},
    {"peers: {p: {listener: a, targets: [\"sip:224.0.0.1\"]}}\n",
     "t:2:36: peers.p.targets[0]: '224.0.0.1' cannot be called\n"},
    {"peers: {p: {listener: a, targets: [\"sip:1001@127.0.0.2\"]}}\n",
     "t:2:36: peers.p.targets[0]: a target has no user part\n"},
    {"peers: {p: {listener: a, targets: [\"sips:127.0.0.2\"]}}\n",
     "t:2:36: peers.p.targets[0]: listener 'a' does not open tls\n"},
    {"peers: {p: {listener: a, targets: [\"tel:+123\"]}}\n",
     "t:2:36: peers.p.targets[0]: 'tel:+123' is not a URI such as "
     "sip:192.0.2.1:5060;transport=udp\n"},
    {"peers: {p: {listener: a, targets: [\"sip:\"]}}\n",
     "t:2:36: peers.p.targets[0]: '' is not a numeric address with a port: host names are not "
     "supported by this version\n"},
    {"peers: {p: {listener: a, targets: [\"sip:127.0.0.2;transport=tls\"]}}\n",
     "t:2:36: peers.p.targets[0]: listener 'a' does not open tls\n"},
    {"peers: {p: {listener: a, targets: [\"sip:127.0.0.2;transport=wss\"]}}\n",
     "t:2:36: peers.p.targets[0]: 'transport=wss' is not supported by this version\n"},
    {"peers: {p: {listener: a, targets: [\"sip:127.0.0.2;transport=upd\"]}}\n",
     "t:2:36: peers.p.targets[0]: 'transport=upd' is not one of udp, tcp, tls\n"},
    {"peers: {p: {listener: a, targets: [\"sip:127.0.0.2;lr\"]}}\n",
     "t:2:36: peers.p.targets[0]: ';lr' is not a parameter of a target; transport is the only "
     "one\n"},
    {"peers: {p: {listener: a, targets: [\"sip:127.0.0.2;transport\"]}}\n",
     "t:2:36: peers.p.targets[0]: ';transport' is not a parameter of a target; transport is the "
     "only one\n"},
    {"peers: {p: {listener: a, targets: [\"sip:127.0.0.2?x=y\"]}}\n",
     "t:2:36: peers.p.targets[0]: '127.0.0.2?x=y' is not a numeric address with a port: host names "
     "are not supported by this version\n"},
    {"peers: {p: {listener: a, targets: [\"sip:127.0.0.2;transport=tcp\"]}}\n",
     "t:2:36: peers.p.targets[0]: listener 'a' does not open tcp\n"},
    {"peers: {p: {listener: a, targets: [\"sip:[::1]:5060\"]}}\n",
     "t:2:36: peers.p.targets[0]: listener 'a' is of the other IP family\n"},
    {"peers: {p: {listener: a, targets: [{uri: \"sip:127.0.0.2\", weight: 65536}]}}\n",
     "t:2:67: peers.p.targets[0].weight: '65536' is out of range: 0 to 65535\n"},
    {"peers: {p: {listener: a, targets: [{priority: -1, uri: \"sip:127.0.0.2\"}]}}\n",
     "t:2:47: peers.p.targets[0].priority: '-1' is not a whole number\n"},
    {"peers: {p: {listener: a, targets: [{url: \"sip:127.0.0.2\"}]}}\n",
     "t:2:36: peers.p.targets[0].uri: is missing\n"
     "t:2:37: peers.p.targets[0].url: unknown setting; did you mean 'uri'?\n"},
    {"peers: {p: {listener: a, targets: [{uri: [x]}]}}\n",
     "t:2:42: peers.p.targets[0].uri: must be a single value, not a list\n"},
    {"peers: {p: {listener: a, targets: [{}]}}\n", "t:2:36: peers.p.targets[0].uri: is missing\n"},
    {"peers: {p: {listener: a, targets: [a, b, c, d, e, f, g, h, i]}}\n",
     "t:2:35: peers.p.targets: 9 are too many; at most 8\n"},
    {"peers: {p: {listener: a, targets: [\"\"]}}\n",
     "t:2:36: peers.p.targets[0]: '' is not a URI such as sip:192.0.2.1:5060;transport=udp\n"},
    {"peers: {p: {listener: a, sources: 127.0.0.2, media: plian}}\n",
     "t:2:53: peers.p.media: there is no media profile 'plian'; did you mean 'plain'?\n"},
    {"peers: {p: {listener: a, sources: 127.0.0.2, media: {}}}\n",
     "t:2:53: peers.p.media: must be a single value, not a map\n"},
    {"peers: {p: {listener: a, sources: 127.0.0.2, credentials: {}}}\n",
     "t:2:59: peers.p.credentials.username: is missing\n"
     "t:2:59: peers.p.credentials.password: is missing\n"},
    {"peers: {p: {listener: a, sources: 127.0.0.2, credentials: {username: a}}}\n",
     "t:2:59: peers.p.credentials.password: is missing\n"},
    {"peers: {p: {listener: a, sources: 127.0.0.2, credentials: {username: a, passwrod: b}}}\n",
     "t:2:59: peers.p.credentials.password: is missing\n"
     "t:2:73: peers.p.credentials.passwrod: unknown setting; did you mean 'password'?\n"},
    {"peers: {p: {listener: a, sources: 127.0.0.2, credentials: {username: a, password: {env: "
     "POSTERN_TEST_NONE}}}}\n",
     "t:2:89: peers.p.credentials.password.env: the environment has no 'POSTERN_TEST_NONE'\n"},
    {"peers: {p: {listener: a, sources: 127.0.0.2, credentials: {username: \"\", password: b}}}\n",
     "t:2:70: peers.p.credentials.username: must have 1 to 256 characters, not 0\n"},
    {"peers: {p: {listener: a, sources: 127.0.0.2, limits: {calls: 0}}}\n",
     "t:2:62: peers.p.limits.calls: '0' is out of range: 1 to 1000000, or off\n"},
    {"peers: {p: {listener: a, sources: 127.0.0.2, limits: {cals: 5}}}\n",
     "t:2:55: peers.p.limits.cals: unknown setting; did you mean 'calls'?\n"},
    {"peers: {p: {listener: a, sources: 127.0.0.2, limits: 5}}\n",
     "t:2:54: peers.p.limits: must be a map, not a single value\n"},
    {"peers: {p: {listener: a, sources: 127.0.0.2, failover: {timeout: 2}}}\n",
     "t:2:66: peers.p.failover.timeout: '2' has no unit: ms, s, m, h or d, as in 2s\n"},
    {"peers: {p: {listener: a, sources: 127.0.0.2, failover: {timeout: 1m}}}\n",
     "t:2:66: peers.p.failover.timeout: '1m' is out of range: 100ms to 32s\n"},
    {"peers: {p: {listener: a, sources: 127.0.0.2, failover: 2s}}\n",
     "t:2:56: peers.p.failover: must be a map, not a single value\n"},
    {"peers: {p: {listener: a, sources: 127.0.0.2, topology: {hide: none}}}\n",
     "t:2:63: peers.p.topology.hide: 'none' is not supported by this version\n"},
    {"peers: {p: {listener: a, sources: 127.0.0.2, topology: {hide: [all]}}}\n",
     "t:2:63: peers.p.topology.hide: must be a single value, not a list\n"},
    {"peers: {p: {listener: a, sources: 127.0.0.2, topology: {hide: all, show: x}}}\n",
     "t:2:68: peers.p.topology.show: unknown setting\n"},
    {"peers: {p: {listener: a, sources: 127.0.0.2, headers: {x: y}}}\n",
     "t:2:55: peers.p.headers: must be a list, not a map\n"},
    {"peers: {p: {listener: a, sources: 127.0.0.2, headers: x}}\n",
     "t:2:55: peers.p.headers: must be a list, not a single value\n"},
    {"peers: {p: {listener: a, sources: 127.0.0.2, probe: {every: 2s, timeout: 3s}}}\n",
     "t:2:74: peers.p.probe.timeout: is longer than 'every': one probe of a target at a time\n"},
    {"peers: {p: {listener: a, sources: 127.0.0.2, breaker: {answer_ratio: 101}}}\n",
     "t:2:70: peers.p.breaker.answer_ratio: '101' is out of range: 1 to 100, or off\n"},
    {"peers: {p: {listener: a, sources: 127.0.0.2}, p: {listener: a, sources: 127.0.0.3}}\n",
     "t:2:47: peers.p: is there twice; the first is at 2:9\n"},
    {"peers: {p: {listener: a, sources: 127.0.0.2}, q: {listener: a, sources: [127.0.0.3, "
     "127.0.0.2]}}\n",
     "t:2:85: peers.q.sources[1]: is a source of listener 'a' twice; the first is on line 2\n"},
    {"peers: {p: {listener: a, sources: []}}\n",
     "t:2:12: peers.p: needs 'sources', 'targets' or both\n"},
    {"peers: {p: {listener: a, sources: , targets: []}}\n",
     "t:2:12: peers.p: needs 'sources', 'targets' or both\n"},
};

static void a_bad_peer_is_refused_line_by_line(void **state)
{
    (void)state;
    rig_refused(RIG_BASE, peers_cases, COUNT_OF(peers_cases));
}

static const struct rig_case users_cases[] = {
    {"users: {}\n", "t:2:8: users.domain: is missing\n"
                    "t:2:8: users.listener: is missing\n"},
    {"users:\n", "t:2:7: users.domain: is missing\n"
                 "t:2:7: users.listener: is missing\n"},
    {"users: x\n", "t:2:8: users: must be a map, not a single value\n"},
    {"users: {domain: example.test}\n", "t:2:8: users.listener: is missing\n"},
    {"users: {domain: \"a b\", listener: a}\n",
     "t:2:17: users.domain: 'a b' may hold only letters, digits and .-_:[]\n"},
    {"users: {domain: \".example_\", listener: b}\n",
     "t:2:40: users.listener: there is no listener 'b'\n"},
    {"users: {domain: example.test, listener: a, registrar: {relay: pbx}}\n",
     "t:2:56: users.registrar.relay: 'relay' is not supported by this version\n"},
    {"users: {domain: example.test, listener: a, registrar: relay}\n",
     "t:2:55: users.registrar: 'relay' is not supported by this version\n"},
    {"users: {domain: example.test, listener: a, registrar: remote}\n",
     "t:2:55: users.registrar: 'remote' is not local\n"},
    {"users: {domain: example.test, listener: a, registrar: {remote: pbx}}\n",
     "t:2:55: users.registrar: must be a single value, not a map\n"},
    {"users: {domain: example.test, listener: a, media: secure}\n",
     "t:2:51: users.media: there is no media profile 'secure'\n"},
    {"users: {domain: example.test, listener: a, algorithm: sha256}\n",
     "t:2:55: users.algorithm: 'sha256' is not one of md5, sha-256; did you mean 'sha-256'?\n"},
    {"users: {domain: example.test, listener: a, algorithm: SHA-256}\n",
     "t:2:55: users.algorithm: 'SHA-256' is not one of md5, sha-256; did you mean 'sha-256'?\n"},
    {"users: {domain: example.test, listener: a, expires: 1h}\n",
     "t:2:53: users.expires: must be a map, not a single value\n"},
    {"users: {domain: example.test, listener: a, expires: {min: 500ms}}\n",
     "t:2:59: users.expires.min: '500ms' is out of range: 1s to 1d\n"},
    {"users: {domain: example.test, listener: a, expires: {min: 1500ms}}\n",
     "t:2:59: users.expires.min: '1500ms' must be whole seconds\n"},
    {"users: {domain: example.test, listener: a, expires: {min: 2h}}\n",
     "t:2:59: users.expires.min: 'min' is longer than 'max'\n"},
    {"users: {domain: example.test, listener: a, expires: {default: 30s}}\n",
     "t:2:63: users.expires.default: 'default' must be from 'min' to 'max'\n"},
    {"users: {domain: example.test, listener: a, expires: {max: 30m, default: 1h}}\n",
     "t:2:73: users.expires.default: 'default' must be from 'min' to 'max'\n"},
    {"users: {domain: example.test, listener: a, expires: {min: 60}}\n",
     "t:2:59: users.expires.min: '60' has no unit: ms, s, m, h or d, as in 60s\n"},
    {"users: {domain: example.test, listener: a, contacts: 17}\n",
     "t:2:54: users.contacts: '17' is out of range: 1 to 16\n"},
    {"users: {domain: example.test, listener: a, contacts: 0}\n",
     "t:2:54: users.contacts: '0' is out of range: 1 to 16\n"},
    {"users: {domain: example.test, listener: a, nonce_life: 5s}\n",
     "t:2:56: users.nonce_life: '5s' is out of range: 10s to 1h\n"},
    {"users: {domain: example.test, listener: a, nonce_life: 300}\n",
     "t:2:56: users.nonce_life: '300' has no unit: ms, s, m, h or d, as in 5m\n"},
    {"users: {domain: example.test, listener: a, accounts: {a: b}}\n",
     "t:2:54: users.accounts: must be a list, not a map\n"},
    {"users: {domain: example.test, listener: a, accounts: x}\n",
     "t:2:54: users.accounts: must be a list, not a single value\n"},
    {"users: {domain: example.test, listener: a, accounts: [x]}\n",
     "t:2:55: users.accounts[0]: must be a map, not a single value\n"},
    {"users: {domain: example.test, listener: a, accounts: [{}]}\n",
     "t:2:55: users.accounts[0].name: is missing\n"
     "t:2:55: users.accounts[0].password: is missing\n"},
    {"users: {domain: example.test, listener: a, accounts: [{name: \"1\"}]}\n",
     "t:2:55: users.accounts[0].password: is missing\n"},
    {"users: {domain: example.test, listener: a, accounts: [{name: \"1\", password: \"\"}]}\n",
     "t:2:77: users.accounts[0].password: is empty\n"},
    {"users: {domain: example.test, listener: a, accounts: [{name: \"a b\", password: x}]}\n",
     "t:2:62: users.accounts[0].name: 'a b' may hold only letters, digits and -_.!~*'()&=+$,?/#\n"},
    {"users: {domain: example.test, listener: a, accounts: [{name: \"a@b\", password: x}]}\n",
     "t:2:62: users.accounts[0].name: 'a@b' may hold only letters, digits and -_.!~*'()&=+$,?/#\n"},
    {"users: {domain: example.test, listener: a, accounts: [{name: \"\303\251\", password: x}]}\n",
     "t:2:62: users.accounts[0].name: '\303\251' may hold only letters, digits and "
     "-_.!~*'()&=+$,?/#\n"},
    {"users: {domain: example.test, listener: a, accounts: [{name: \"1\", password: {file: "
     "./there/is/none}}]}\n",
     "t:2:84: users.accounts[0].password.file: cannot read './there/is/none': No such file or "
     "directory\n"},
    {"users: {domain: example.test, listener: a, accounts: [{name: \"1\", password: {file: "
     "/dev/null}}]}\n",
     "t:2:84: users.accounts[0].password.file: cannot read '/dev/null': not a plain file\n"},
    {"users: {domain: example.test, listener: a, accounts: [{name: \"1\", password: {file: .}}]}\n",
     "t:2:84: users.accounts[0].password.file: cannot read '.': not a plain file\n"},
    {"users: {domain: example.test, listener: a, accounts: [{name: \"1\", password: x}, {name: "
     "\"1\", password: y}]}\n",
     "t:2:88: users.accounts[1].name: account '1' is there twice; the first is on line 2\n"},
    {"users: {domain: example.test, listener: a, acounts: []}\n",
     "t:2:44: users.acounts: unknown setting; did you mean 'accounts'?\n"},
};

static void bad_users_are_refused_line_by_line(void **state)
{
    (void)state;
    rig_refused(RIG_BASE, users_cases, COUNT_OF(users_cases));
}

static const struct rig_case routes_cases[] = {
    {"routes: {a: b}\n", "t:2:9: routes: must be a list, not a map\n"},
    {"routes: x\n", "t:2:9: routes: must be a list, not a single value\n"},
    {"routes: [x]\n", "t:2:10: routes[0]: must be a map, not a single value\n"},
    {"routes: [{}]\n",
     "t:2:10: routes[0].name: is missing\n"
     "t:2:10: routes[0]: needs 'to', 'redirect', 'refuse', 'callout' or 'continue: true'\n"},
    {"routes: [{name: r}]\n",
     "t:2:10: routes[0]: needs 'to', 'redirect', 'refuse', 'callout' or 'continue: true'\n"},
    {"routes: [{to: users}]\n",
     "t:2:10: routes[0].name: is missing\n"
     "t:2:15: routes[0].to: there are no users: the section 'users' is missing\n"},
    {"routes: [{name: r, to: users}]\n",
     "t:2:24: routes[0].to: there are no users: the section 'users' is missing\n"},
    {"routes: [{name: r, to: p}]\n", "t:2:24: routes[0].to: there is no peer 'p'\n"},
    {"routes: [{name: r, to: []}]\n", "t:2:24: routes[0].to: must name at least one\n"},
    {"routes: [{name: r, to: [[users]]}]\n",
     "t:2:25: routes[0].to[0]: must be a single value, not a list\n"},
    {"routes: [{name: r, to: }]\n", "t:2:24: routes[0].to: must name at least one\n"},
    {"routes: [{name: r, to: {}}]\n", "t:2:24: routes[0].to.peer: is missing\n"},
    {"routes: [{name: r, from: , refuse: {}}]\n",
     "t:2:26: routes[0].from: must name at least one; without 'from' anybody known may come\n"},
    {"routes: [{name: r, from: [], refuse: {}}]\n",
     "t:2:26: routes[0].from: must name at least one; without 'from' anybody known may come\n"},
    {"routes: [{name: r, from: nobody, refuse: {}}]\n",
     "t:2:26: routes[0].from: there is no peer 'nobody'\n"},
    {"routes: [{name: r, refuse: {status: 200}}]\n",
     "t:2:37: routes[0].refuse.status: '200' is out of range: 400 to 699\n"},
    {"routes: [{name: r, refuse: {status: 700}}]\n",
     "t:2:37: routes[0].refuse.status: '700' is out of range: 400 to 699\n"},
    {"routes: [{name: r, refuse: {code: 500}}]\n",
     "t:2:29: routes[0].refuse.code: unknown setting\n"},
    {"routes: [{name: r, refuse: {reason: \"\"}}]\n",
     "t:2:37: routes[0].refuse.reason: must have 1 to 128 characters, not 0\n"},
    {"routes: [{name: r, refuse: {reason: \"a\\nb\"}}]\n",
     "t:2:37: control characters and line ends are not allowed in a value\n"},
    {"routes: [{name: r, refuse: 403}]\n",
     "t:2:28: routes[0].refuse: must be a map, not a single value\n"},
    {"routes: [{name: r, refuse: {}, match: {caled: x}}]\n",
     "t:2:40: routes[0].match.caled: unknown setting; did you mean 'called'?\n"},
    {"routes: [{name: r, refuse: {}, match: {called: }}]\n",
     "t:2:48: routes[0].match.called: a value is missing\n"},
    {"routes: [{name: r, refuse: {}, match: {called: \"\"}}]\n",
     "t:2:48: routes[0].match.called: must have 1 to 256 characters, not 0\n"},
    {"routes: [{name: r, refuse: {}, match: {called: [a]}}]\n",
     "t:2:48: routes[0].match.called: must be a single value, not a list\n"},
    {"routes: [{name: r, refuse: {}, match: {method: INVIT}}]\n",
     "t:2:48: routes[0].match.method: fits neither INVITE nor MESSAGE\n"},
    {"routes: [{name: r, refuse: {}, match: {method: BYE}}]\n",
     "t:2:48: routes[0].match.method: fits neither INVITE nor MESSAGE\n"},
    {"routes: [{name: r, refuse: {}, match: x}]\n",
     "t:2:39: routes[0].match: must be a map, not a single value\n"},
    {"routes: [{name: r, refuse: {}}, {name: r, refuse: {}}]\n",
     "t:2:40: routes[1].name: route 'r' is there twice; the first is on line 2\n"},
    {"routes: [{name: \"r s\", refuse: {}}]\n",
     "t:2:17: routes[0].name: 'r s' may hold only letters, digits and ._-\n"},
    {"routes: [{name: r, refuse: {}, form: users}]\n",
     "t:2:32: routes[0].form: unknown setting; did you mean 'from'?\n"},
    {"routes: [{name: r, refuse: {}, from: [users, users]}]\n",
     "t:2:39: routes[0].from[0]: there are no users: the section 'users' is missing\n"
     "t:2:46: routes[0].from[1]: there are no users: the section 'users' is missing\n"},
    {"peers: {pbx: {listener: a, sources: 127.0.0.2}}\nroutes: [{name: r, to: pbx}]\n",
     "t:3:24: routes[0].to: peer 'pbx' has no targets\n"},
    {"peers: {pbx: {listener: a, sources: 127.0.0.2}}\nroutes: [{name: r, from: pxb, refuse: "
     "{}}]\n",
     "t:3:26: routes[0].from: there is no peer 'pxb'; did you mean 'pbx'?\n"},
    {"peers: {pbx: {listener: a, targets: \"sip:127.0.0.2\"}}\nroutes: [{name: r, to: pbx, refuse: "
     "{}}]\n",
     "t:3:29: routes[0].refuse: a route has either 'to' or 'refuse'\n"},
    {"peers: {pbx: {listener: a, targets: \"sip:127.0.0.2\"}}\nroutes: [{name: r, to: [pbx, pbx, "
     "pbx, pbx, pbx, pbx, pbx, pbx, pbx]}]\n",
     "t:3:24: routes[0].to: 9 are too many; at most 8\n"},
    {"users: {domain: x.test, listener: a}\nroutes: [{name: r, to: user}]\n",
     "t:3:24: routes[0].to: there is no peer 'user'; did you mean 'users'?\n"},
};

static void a_bad_route_is_refused_line_by_line(void **state)
{
    (void)state;
    rig_refused(RIG_BASE, routes_cases, COUNT_OF(routes_cases));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bad_listener_is_refused_line_by_line),
        cmocka_unit_test(a_bad_peer_is_refused_line_by_line),
        cmocka_unit_test(bad_users_are_refused_line_by_line),
        cmocka_unit_test(a_bad_route_is_refused_line_by_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
