"""Bans in the kernel: postern-nft and its table, in the network namespace of these tests."""
import errno
import ipaddress
import json
import os
import shutil
import signal
import socket
import struct
import subprocess

import pytest
from kit import net
from kit.registering import DOMAIN, register, send_register
from kit.sip import digest
from test_guard import DISGUISE, attack, ban_of, bans, metric, raw_options, received

BANS = {"bans": {"threshold": 10, "window": "5m", "durations": ["5m", "1h"], "firewall": "nftables"}}


def nft(*words, check=True):
    done = subprocess.run(["nft", "-j", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=30, check=False)
    assert done.returncode == 0 or not check, done.stderr.decode()
    return json.loads(done.stdout)["nftables"] if done.stdout.strip() else []


def table_is_there():
    return any("table" in x and x["table"]["name"] == "postern" for x in nft("list", "tables"))


def text_of(value):
    return value if isinstance(value, str) else f"{value['prefix']['addr']}/{value['prefix']['len']}"


def in_kernel():
    """{prefix: (seconds left, packets dropped)} of all sets; None: there is no table."""
    listing = nft("list", "table", "inet", "postern", check=False)
    if not listing:
        return None
    found = {}
    for entry in listing:
        for elem in entry.get("set", {}).get("elem", []):
            elem = elem["elem"]
            found[text_of(elem["val"])] = (elem["expires"], elem["counter"]["packets"])
    return found


def holds(*want, seconds=10):
    net.until(lambda: in_kernel() is not None and set(in_kernel()) == set(want), seconds,
              f"the kernel does not hold just {want}")


def helpers(daemon):
    """The processes that the daemon has started and that still live."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
                fields = f.read().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[1]) == daemon.process.pid and fields[0] != "Z":
            found.append(int(pid))
    return found


def is_up(daemon):
    return metric(daemon, "postern_firewall_up") == 1


@pytest.fixture
def walled_off():
    """No table before and after."""
    if not os.access("/usr/sbin/nft", os.X_OK):
        pytest.skip("no nft here: scripts/setup --test")
    yield
    nft("delete", "table", "inet", "postern", check=False)


@pytest.fixture
def walled(house, walled_off):
    def start(**bans_changes):
        daemon = house(security={"bans": {**BANS["bans"], **bans_changes}})
        net.until(lambda: is_up(daemon), 10, "the helper is not up")
        return daemon
    return start


def earn_a_ban(ip):
    """Rubbish over a connection: the handshake proves the source."""
    with socket.create_connection((net.OUT, 5060), source_address=(ip, 0)) as s:
        for _ in range(10):
            s.sendall(b"INVITE nothing SIP/2.0\r\nContent-Length: 0\r\n\r\n")
        s.settimeout(5)
        try:
            while s.recv(4096):
                pass
        except OSError:
            pass


def test_packets_of_a_banned_source_do_not_reach_the_socket_until_it_is_let_go(walled, ua):
    daemon = walled()
    guesser = ua(net.STRANGER, 5071)
    for i in range(5):
        first = send_register(guesser, "1001")
        auth = digest("REGISTER", f"sip:{DOMAIN}", "1001", f"guess{i}", first.get("WWW-Authenticate"))
        send_register(guesser, "1001", auth, cseq=2)
    ban = ban_of(daemon, net.STRANGER)
    assert (ban["kind"], ban["proof"], ban["dropped_in"]) == ("ban", "digest", "firewall")
    assert "REGISTER" in ban["evidence"]
    holds(net.STRANGER)
    assert 240 < in_kernel()[net.STRANGER][0] <= 300, "its time is the ban's"
    dropped, heard = metric(daemon, 'postern_dropped_packets_total{reason="banned"}'), received(daemon)
    before = in_kernel()[net.STRANGER][1]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind((net.STRANGER, 0))
        for n in range(50):
            s.sendto(raw_options(n), (net.OUT, 5060))
    net.until(lambda: in_kernel()[net.STRANGER][1] >= before + 50, 5, "the kernel did not drop them")
    phone = ua(net.PHONE1, 5060)  # others are served; what was sent before this was read before this
    assert register(phone, "1001", "one-secret").status == 200
    assert metric(daemon, 'postern_dropped_packets_total{reason="banned"}') == dropped, "the worker saw none of them"
    assert received(daemon) <= heard + 2
    assert daemon.api.delete(f"/v1/bans/{net.STRANGER}").status == 200
    holds()
    assert send_register(guesser, "1001").status == 401


def test_svcrack_in_disguise_ends_in_the_kernel_within_20_packets(walled, tmp_path, ua):
    """It answers our nonces, so its address is proven; as it comes, it is silenced at its first packet (test_guard).
    It pauses after a packet: else more than 20 are on their way before a busy machine reads the first."""
    daemon = walled()
    words = tmp_path / "words"
    words.write_text("".join(f"guess{i}\n" for i in range(100)) + "one-secret\n")
    out = attack("svcrack", "-t", "0.02", "-u", "1001", "-d", str(words), net.OUT, disguise=DISGUISE)
    assert "one-secret" not in out, out
    assert received(daemon) <= 20
    ban = ban_of(daemon, net.STRANGER)
    assert (ban["event"], ban["kind"], ban["proof"], ban["dropped_in"]) == ("auth_failed", "ban", "digest", "firewall")
    assert "REGISTER" in ban["evidence"] and "Digest" in ban["evidence"]
    holds(net.STRANGER)
    assert in_kernel()[net.STRANGER][1] > 0, "and the rest of its words met nobody"
    phone = ua(net.PHONE1, 5060)
    assert register(phone, "1001", "one-secret").status == 200


def test_a_helper_that_dies_is_started_again_and_finds_out_what_changed(walled):
    daemon = walled()
    for ip in (net.STRANGER, net.SPARE):
        daemon.api.request("POST", "/v1/bans", {"prefix": ip, "for": "1h"})
    holds(net.STRANGER, net.SPARE)
    first = helpers(daemon)
    assert len(first) == 1
    os.kill(first[0], signal.SIGSTOP)  # it hears nothing of this
    assert daemon.api.delete(f"/v1/bans/{net.SPARE}").status == 200
    daemon.api.request("POST", "/v1/bans", {"prefix": "203.0.113.0/24", "for": "1h"})
    os.kill(first[0], signal.SIGKILL)
    net.until(lambda: helpers(daemon) not in ([], first), 10, "no other helper comes")
    holds(net.STRANGER, "203.0.113.0/24")
    assert metric(daemon, "postern_firewall_helper_failures_total") == 1
    net.until(lambda: is_up(daemon), 10, "the helper is not up")
    assert daemon.logged("the firewall's helper is away")


def test_the_helper_has_one_right_and_no_files(walled):
    daemon = walled()
    pid = helpers(daemon)[0]
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        status = dict(line.split(":\t", 1) for line in f.read().splitlines() if ":\t" in line)
    assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == 1 << 12, "CAP_NET_ADMIN alone"
    assert int(status["CapBnd"], 16) == int(status["CapInh"], 16) == int(status["CapAmb"], 16) == 0
    assert status["NoNewPrivs"] == "1" and status["Uid"].split()[0] != "0"
    names = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd") if int(fd) > 2]
    assert sorted(name.split(":")[0] for name in names) == ["socket", "socket"], names  # the daemon, netlink


def test_a_killed_daemon_leaves_the_bans_and_the_next_one_compares_them(walled, house):
    house.check_end = False
    daemon = walled()
    daemon.api.request("POST", "/v1/bans", {"prefix": net.STRANGER, "for": "1h"})
    daemon.api.request("POST", "/v1/bans", {"prefix": "2001:db8:66::/48", "for": "1h"})
    holds(net.STRANGER, "2001:db8:66::/48")
    net.until(lambda: metric(daemon, "postern_store_backlog") == 0, 5, "the bans are not written")
    packets = in_kernel()[net.STRANGER][1]
    daemon.kill()
    assert set(in_kernel()) == {net.STRANGER, "2001:db8:66::/48"}, "they stay, with the time they have left"
    nft("add element inet postern hosts4 { 203.0.113.5 timeout 1h }")  # nobody's ban
    nft("delete element inet postern networks6 { 2001:db8:66::/48 }")  # somebody's, lost
    daemon.start()
    holds(net.STRANGER, "2001:db8:66::/48")
    assert in_kernel()[net.STRANGER][1] >= packets
    assert daemon.stop() == 0
    assert not table_is_there(), "who ends in order takes the table along"


def test_what_others_do_to_the_table_is_mended(walled):
    daemon = walled()
    daemon.api.request("POST", "/v1/bans", {"prefix": net.STRANGER, "for": "1h"})
    holds(net.STRANGER)
    nft("flush", "ruleset")
    daemon.api.request("POST", "/v1/bans", {"prefix": net.SPARE, "for": "1h"})
    holds(net.STRANGER, net.SPARE)
    assert metric(daemon, "postern_firewall_errors_total") >= 1


def test_networks_and_what_lies_in_them(walled):
    daemon = walled()
    for prefix in ("203.0.113.0/25", "203.0.113.0/24", "203.0.113.7", "2001:db8:1:2::/64", "2001:db8:1::/48", "2001:db8:9:9::/64"):
        assert daemon.api.request("POST", "/v1/bans", {"prefix": prefix, "for": "1h"}).status == 201
    holds("203.0.113.0/24", "2001:db8:1::/48", "2001:db8:9:9::/64")  # intervals do not overlap
    for ban in bans(daemon):
        if ban["prefix"] in ("203.0.113.0/24", "2001:db8:1::/48"):
            assert daemon.api.delete("/v1/bans/" + ban["id"]).status == 200
    holds("203.0.113.0/25", "2001:db8:1:2::/64", "2001:db8:9:9::/64")  # .7 lies in the first


def test_forged_sources_get_nobody_into_the_kernel(walled):
    daemon = walled()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind((net.STRANGER, 0))
        for n in range(100):
            s.sendto(raw_options(n, "friendly-scanner"), (net.OUT, 5060))
    assert ban_of(daemon, net.STRANGER)["kind"] == "silence"
    # The next one earns a real ban; whatever had been asked for the first one came before it.
    earn_a_ban(net.SPARE)
    assert ban_of(daemon, net.SPARE)["dropped_in"] == "firewall"
    holds(net.SPARE)


def test_it_is_switched_by_a_reload_and_a_dry_run_drops_nothing(walled):
    daemon = walled()
    daemon.api.request("POST", "/v1/bans", {"prefix": net.STRANGER, "for": "1h"})
    holds(net.STRANGER)
    daemon.config["security"]["bans"]["firewall"] = "off"
    daemon.write_config()
    daemon.signal(signal.SIGHUP)
    net.until(lambda: not table_is_there() and not helpers(daemon), 10, "the table is left")
    assert ban_of(daemon, net.STRANGER)["dropped_in"] == "worker"
    daemon.config["security"]["bans"].update(firewall="nftables", dry_run=True)
    daemon.write_config()
    daemon.signal(signal.SIGHUP)
    holds(net.STRANGER)  # an order of the operator is no dry run
    earn_a_ban(net.SPARE)
    assert ban_of(daemon, net.SPARE)["dropped_in"] == "nowhere"
    daemon.api.request("POST", "/v1/bans", {"prefix": "203.0.113.9", "for": "1h"})
    holds(net.STRANGER, "203.0.113.9")


def test_without_the_helper_the_workers_drop_alone(house, postern_bin, tmp_path):
    os.makedirs(tmp_path / "bin")
    house.binary = shutil.copy(postern_bin, tmp_path / "bin" / "postern")  # no postern-nft beside it
    daemon = house(security=BANS)
    net.until(lambda: metric(daemon, "postern_firewall_helper_failures_total") >= 1, 10, "nobody misses it")
    daemon.api.request("POST", "/v1/bans", {"prefix": net.STRANGER, "for": "1h"})
    assert ban_of(daemon, net.STRANGER)["dropped_in"] == "worker"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind((net.STRANGER, 0))
        s.sendto(raw_options(1), (net.OUT, 5060))
        net.until(lambda: metric(daemon, 'postern_dropped_packets_total{reason="banned"}') == 1, 5, "it is not dropped")
    assert not is_up(daemon)


FAKE = """#!/usr/bin/python3 -I
import socket, struct, sys
s = socket.socket(fileno=int(sys.argv[1]))
def say(op, err=0, magic=0x504e4631, more=b""):
    s.send(struct.pack("=IIIIQQ32x", magic, op, 0, err, 0, 0) + more)
%s
while s.recv(65536):
    pass
"""


@pytest.mark.parametrize("does, why", [
    ("say(6, err=1)", "Operation not permitted"),
    ("say(6, magic=1)", "it breaks the protocol"),
    ("say(7)", "it breaks the protocol"),  # an answer before its first word
    ("say(6, more=b'x')", "it breaks the protocol"),
    ("say(6)\nsay(6)", "it breaks the protocol"),
    ("say(6)\nsys.exit()", ""),  # noticed by the one or the other call
], ids=["may not", "magic", "order", "length", "twice", "dies"])
def test_a_helper_that_misbehaves_is_left_and_the_daemon_serves_on(house, postern_bin, tmp_path, ua, does, why):
    os.makedirs(tmp_path / "bin")
    house.binary = shutil.copy(postern_bin, tmp_path / "bin" / "postern")
    fake = tmp_path / "bin" / "postern-nft"
    fake.write_text(FAKE % does)
    fake.chmod(0o755)
    daemon = house(security=BANS)
    net.until(lambda: metric(daemon, "postern_firewall_helper_failures_total") >= 2, 15, "it is not tried again")
    away = [line["msg"] for line in daemon.log_lines() if "helper is away" in line.get("msg", "")]
    assert why in away[0] and "next start in 1000 ms" in away[0] and "next start in 2000 ms" in away[1], away
    assert ua(net.CARRIER, 5060).options() == 200
    assert not table_is_there()


class Wire:
    """The helper alone, and the daemon's end of its socket."""

    def __init__(self, helper, *prefix):
        self.sock, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.sock.settimeout(10 * net.patience)
        self.process = subprocess.Popen([*prefix, helper, str(other.fileno()), "text", "wire"], pass_fds=[other.fileno()])
        other.close()
        self.ready = self.read()

    def read(self):
        """(operation, error), or None at the end."""
        data = self.sock.recv(4096)
        return struct.unpack("=IIII", data[:16])[1::2] if data else None

    def end(self):
        self.sock.close()
        return self.process.wait(10 * net.patience)


def request(op, prefix=None, ms=0):
    elem = bytes(32)
    if prefix is not None:
        n = ipaddress.ip_network(prefix)
        elem = struct.pack("=BB6x16sQ", n.version, n.prefixlen, n.network_address.packed.ljust(16, b"\0"), ms)
    return struct.pack("=IIIIQQ", 0x504e4631, op, 1, 0, 0, 0) + elem


ADD, DEL, SYNC, SYNC_END, BYE, READY, DONE, SYNCED = range(1, 9)


def test_the_helper_without_the_right_says_so_and_ends(postern_bin, keep):
    wire = keep(Wire(postern_bin + "-nft", "setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin"))
    assert wire.ready == (READY, errno.EPERM)
    assert wire.read() is None and wire.end() == 1


def test_the_right_may_be_the_files_alone(walled_off, postern_bin, keep, tmp_path):
    """A daemon without any right starts a helper that was given its own: setcap cap_net_admin+ep."""
    helper = shutil.copy(postern_bin + "-nft", tmp_path)
    for folder in (tmp_path, tmp_path.parent, tmp_path.parent.parent):  # pytest's own, closed to others
        os.chmod(folder, 0o755)
    os.chown(helper, 0, 65534)
    if subprocess.run(["setcap", "cap_net_admin+ep", helper], stderr=subprocess.DEVNULL, check=False).returncode != 0:
        pytest.skip("files cannot be given rights here")
    user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all"]
    os.chmod(helper, 0o755)  # everybody's: refused
    refused = subprocess.run([*user, helper, "3", "json", "x"], stderr=subprocess.PIPE, check=False, text=True)
    assert refused.returncode == 2 and "chmod o-x" in refused.stderr
    os.chmod(helper, 0o750)
    wire = keep(Wire(helper, *user))
    assert wire.ready == (READY, 0)
    with open(f"/proc/{wire.process.pid}/status", encoding="ascii") as f:
        status = dict(line.split(":\t", 1) for line in f.read().splitlines() if ":\t" in line)
    assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == 1 << 12 and status["NoNewPrivs"] == "1"
    wire.sock.send(request(BYE))
    assert wire.read() is None and wire.end() == 0


@pytest.mark.parametrize("bad", [
    b"x", request(ADD, "203.0.113.5/32", 60000)[:-1], request(ADD, "203.0.113.5/32", 60000) + b"x", request(ADD, "203.0.113.5/32"),
    request(ADD, "0.0.0.0/0", 60000), request(ADD, "2001:db8::1/128", 60000), request(9), request(SYNC_END),
    request(SYNC) + request(DEL, "203.0.113.5/32"), request(ADD, "203.0.113.5/32", 60000) * 65], ids=range(10))
def test_the_helper_trusts_nobody(walled_off, postern_bin, keep, bad):
    """What is not to the letter of the protocol ends it, and what it had done stays as it was."""
    wire = keep(Wire(postern_bin + "-nft"))
    assert wire.ready == (READY, 0)
    wire.sock.send(request(ADD, "203.0.113.9/32", 60000))
    assert wire.read() == (DONE, 0)
    wire.sock.send(bad)
    assert wire.read() is None and wire.end() == 1
    assert set(in_kernel()) == {"203.0.113.9"}


def test_the_helper_ends_with_its_daemon_and_a_goodbye_takes_the_table(walled_off, postern_bin, keep):
    wire = keep(Wire(postern_bin + "-nft"))
    wire.sock.send(request(SYNC) + request(ADD, "255.255.255.0/24", 60000) + request(ADD, "2001:db8::/32", 60000) + request(SYNC_END))
    assert wire.read() == (SYNCED, 0)
    assert set(in_kernel()) == {"255.255.255.0/24", "2001:db8::/32"}
    assert wire.end() == 0 and table_is_there()
    wire = keep(Wire(postern_bin + "-nft"))
    wire.sock.send(request(SYNC) + request(ADD, "255.255.255.0/24", 60000) + request(SYNC_END))
    assert wire.read() == (SYNCED, 0)
    assert set(in_kernel()) == {"255.255.255.0/24"}, "the last network of all is read back, and stays"
    wire.sock.send(request(BYE))
    assert wire.read() is None and wire.end() == 0 and not table_is_there()


def test_a_table_of_somebody_else_makes_way(walled_off, postern_bin, keep):
    nft("add table inet postern { set hosts4 { type ipv6_addr; } ; chain edge { type filter hook input priority 0; } ; }")
    nft("add element inet postern hosts4 { 2001:db8::7 }")
    wire = keep(Wire(postern_bin + "-nft"))
    assert wire.ready == (READY, 0)
    wire.sock.send(request(SYNC) + request(ADD, "203.0.113.9/32", 60000) + request(SYNC_END))
    assert wire.read() == (SYNCED, 0)
    assert set(in_kernel()) == {"203.0.113.9"}
