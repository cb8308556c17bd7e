/* edge.h - what the configuration says of a side's place in the network: what it may learn of the
 * other, and how it is reached behind address translation. */
#ifndef POSTERN_POLICY_EDGE_H
#define POSTERN_POLICY_EDGE_H

#ifndef POSTERN_POLICY_H
#error "include sbc-policy/policy.h"
#endif

/* What is done when a message names what its receiver may not learn. */
enum policy_on_leak { POLICY_LEAK_MASK, POLICY_LEAK_REFUSE, POLICY_LEAK_REPORT };
struct policy_topology {
    uint8_t on_leak;
};

enum policy_nat { POLICY_NAT_AUTO, POLICY_NAT_ON, POLICY_NAT_OFF };
enum policy_keep { POLICY_KEEP_CRLF, POLICY_KEEP_OPTIONS, POLICY_KEEP_OFF };

#endif
