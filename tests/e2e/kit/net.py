"""The addresses of the test network (scripts/in-netns puts them on lo), and waiting with a deadline."""
import socket
import time

OUT, IN = "198.51.100.1", "198.51.100.2"  # the daemon's two listeners
CARRIER, PBX, PBX2 = "198.51.100.3", "198.51.100.4", "198.51.100.5"  # peers: outside, inside (two targets)
PHONE1, PHONE2 = "198.51.100.6", "198.51.100.7"  # users, outside
STRANGER, SPARE = "198.51.100.8", "198.51.100.9"
IN6, PBX6 = "2001:db8::1", "2001:db8::2"
SIP = 5060

# Deadlines of what has to happen are multiplied by this: far more than it takes, since a wait ends with what it waits for.
# Slow builds (sanitizers) get more still.
patience = 3.0
slow = False


def family(ip):
    return socket.AF_INET6 if ":" in ip else socket.AF_INET


def host_port(ip, port):
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"


def can_bind(ip):
    with socket.socket(family(ip), socket.SOCK_DGRAM) as s:
        try:
            s.bind((ip, 0))
        except OSError:
            return False
    return True


def until(what, seconds=5.0, say="it did not happen", every=0.01):
    """Calls `what` until it gives something true, and returns that."""
    deadline = time.monotonic() + seconds * patience
    while True:
        got = what()
        if got:
            return got
        if time.monotonic() > deadline:
            raise AssertionError(f"{say} within {seconds * patience:g} s (last: {got!r})")
        time.sleep(every)


def udp_bound(ip, port):
    """Whether somebody has this UDP port; asks the kernel, disturbs nobody."""
    if ":" in ip:
        packed = socket.inet_pton(socket.AF_INET6, ip)
        want = "".join(packed[i:i + 4][::-1].hex().upper() for i in range(0, 16, 4)) + ":%04X" % port
        table = "/proc/net/udp6"
    else:
        want = socket.inet_aton(ip)[::-1].hex().upper() + ":%04X" % port
        table = "/proc/net/udp"
    with open(table, encoding="ascii") as f:
        return any(line.split()[1] == want for line in f.readlines()[1:])


def tcp_listening(ip, port):
    want = socket.inet_aton(ip)[::-1].hex().upper() + ":%04X" % port
    with open("/proc/net/tcp", encoding="ascii") as f:
        return any(line.split()[1] == want and line.split()[3] == "0A" for line in f.readlines()[1:])
