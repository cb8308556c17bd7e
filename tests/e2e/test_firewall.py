"""Bans in the kernel: postern-nft and its table, in the network namespace of these tests."""
import json
import os
import shutil
import signal
import socket
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
def walled(house):
    if not os.access("/usr/sbin/nft", os.X_OK):
        pytest.skip("no nft here: scripts/setup --test")

    def start(**bans_changes):
        daemon = house(security={"bans": {**BANS["bans"], **bans_changes}})
        net.until(lambda: is_up(daemon), 10, "the helper is not up")
        return daemon
    yield start
    nft("delete", "table", "inet", "postern", check=False)


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
    """It answers our nonces, so its address is proven; as it comes, it is silenced at its first packet (test_guard)."""
    daemon = walled()
    words = tmp_path / "words"
    words.write_text("".join(f"guess{i}\n" for i in range(200)) + "one-secret\n")
    out = attack("svcrack", "-u", "1001", "-d", str(words), net.OUT, disguise=DISGUISE)
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
