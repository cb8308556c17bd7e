/* privileges.c - the helper gives up everything but the right to change the packet filter. */
#include "nft/nft.h"

#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NOBODY 65534u

/* glibc has no wrapper. */
static int privileges_set(uint32_t effective, uint32_t permitted)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {{.effective = effective, .permitted = permitted}};

    return syscall(SYS_capset, &head, data) == 0 ? 0 : errno;
}

static int privileges_has_admin(void)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {{0}};

    if (syscall(SYS_capget, &head, data) != 0) {
        return errno;
    }
    return (data[0].permitted & 1u << CAP_NET_ADMIN) != 0 ? 0 : EPERM;
}

/* Root without capabilities still owns root's files. In a user namespace without that user (EINVAL)
 * root is nobody outside already. */
static int privileges_become_nobody(void)
{
    if (geteuid() != 0 && getuid() != 0) {
        return 0;
    }
    if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0) {
        return errno;
    }
    (void)setgroups(0, NULL); /* EPERM in a user namespace: there are none to lose */
    if ((setresgid(NOBODY, NOBODY, NOBODY) != 0 || setresuid(NOBODY, NOBODY, NOBODY) != 0) &&
        errno != EINVAL) {
        return errno;
    }
    return 0;
}

/* Needs CAP_SETPCAP; who has not even that can gain nothing by executing files either, as
 * no_new_privs says. */
static void privileges_empty_bounding_set(void)
{
    for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++) {
        (void)prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
    }
}

int nft_drop_privileges(void)
{
    const uint32_t admin = 1u << CAP_NET_ADMIN;
    struct rlimit none = {0, 0};
    int err = privileges_has_admin();

    if (err != 0) {
        return err;
    }
    privileges_empty_bounding_set();
    err = privileges_become_nobody();
    if (err == 0) {
        err = privileges_set(admin, admin);
    }
    if (err == 0 && (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0 ||
                     prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
                     setrlimit(RLIMIT_CORE, &none) != 0 || chdir("/") != 0)) {
        err = errno;
    }
    return err;
}
