"""The edge against its enemies: SIPVicious, guessers, floods, forged sources; bans that outlive a restart; fail2ban."""
import os
import shutil
import socket
import subprocess
import sys
import time

import pytest
from kit import net
from kit.calls import established, hang_up
from kit.registering import DOMAIN, register, send_register
from kit.sip import digest, unique

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BANS = {"bans": {"threshold": 10, "window": "5m", "durations": ["5m", "1h"]}}
NO_BANS = {"bans": {"threshold": 10000}}


def bans(daemon):
    return daemon.api.get("/v1/bans")["items"]


def ban_of(daemon, ip, seconds=5):
    """The ban of an address, once it is there."""
    return net.until(lambda: daemon.api.get(f"/v1/bans/{ip}")["ban"], seconds, f"{ip} is not banned")


def metric(daemon, name):
    return daemon.api.metrics()[name]


def received(daemon):
    return metric(daemon, 'postern_sip_messages_total{direction="rx"}')


# svwar and svcrack forget their option for the address: the socket is bound for them.
SHIM = """
import runpy, socket, sys
bind = socket.socket.bind
socket.socket.bind = lambda self, at: bind(self, (sys.ip, at[1]))
sys.ip, sys.argv = sys.argv[1], sys.argv[2:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
# Nothing of the tool's signature is left: what remains is what it does.
DISGUISE = """
import socket
sendto = socket.socket.sendto
def disguised(self, data, *rest):
    for word, other in ((b"friendly-scanner", b"Phone 7"), (b"sipvicious", b"phone"), (b"z9hG4bK-", b"z9hG4bKx")):
        data = data.replace(word, other)
    return sendto(self, data, *rest)
socket.socket.sendto = disguised
"""


def attack(tool, *args, seconds=60, disguise=""):
    """SIPVicious from the stranger's address; its output."""
    path = f"/usr/share/sipvicious/sipvicious_{tool}"
    if not os.path.exists(path):
        pytest.skip("no SIPVicious here: scripts/setup --test")
    done = subprocess.run([sys.executable, "-c", disguise + SHIM, net.STRANGER, path, "-x", net.STRANGER, "-P", "5070", *args],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=seconds * net.patience, check=False,
                          env=dict(os.environ, HOME="/tmp", PYTHONPATH="/usr/share/sipvicious"))
    return done.stdout.decode(errors="replace")


def test_svmap_finds_nothing(house):
    daemon = house(security=BANS)
    out = attack("svmap", net.OUT, net.OUT, net.OUT)
    assert "SIP Device" not in out and net.OUT + ":5060" not in out, out
    ban = ban_of(daemon, net.STRANGER)
    assert (ban["event"], ban["kind"]) == ("scanner", "silence")
    assert "friendly-scanner" in ban["evidence"], "its message is the evidence"
    assert received(daemon) <= 20


def test_svwar_finds_no_extension(house):
    daemon = house(security=BANS)
    out = attack("svwar", "--force", "-m", "REGISTER", "-e", "1000-1050", net.OUT)
    assert "| 1001" not in out and "reqauth" not in out, out
    assert received(daemon) <= 20
    assert ban_of(daemon, net.STRANGER)["event"] == "scanner"


@pytest.mark.parametrize("method", ["REGISTER", "INVITE", "OPTIONS"])
@pytest.mark.parametrize("is_there", [False, True], ids=["nobody-registered", "registered"])
def test_svwar_in_disguise_finds_no_extension_though_it_is_answered(house, ua, method, is_there):
    """Nothing shuts it up; it gives up by itself, as a user is told what it knows of somebody who cannot exist."""
    daemon = house(security=NO_BANS)
    if is_there:
        assert register(ua(net.PHONE1, 5060), "1001", "one-secret").status == 200
    before = received(daemon)
    out = attack("svwar", "--force", "-m", method, "-e", "1001-1001", net.OUT, disguise=DISGUISE)
    assert received(daemon) >= before + 2, out  # a number that cannot be, and the user's
    assert bans(daemon) == []
    assert "found nothing" in out and "| 1001" not in out, out


def answer_or_silence(daemon, scanner, user):
    """The answer to a REGISTER; None: it was dropped, since its sender is banned."""
    req = scanner.request("REGISTER", f"sip:{DOMAIN}", from_=f"<sip:{user}@{DOMAIN}>;tag={unique()}", to=f"<sip:{user}@{DOMAIN}>")
    banned = 'postern_dropped_packets_total{reason="banned"}'

    def answers():
        scanner.pump(0.05)
        return [m for m in scanner.inbox if m.call_id == req.call_id]
    net.until(lambda: answers() or metric(daemon, banned) > 0, 5, "neither answered nor dropped")
    return (answers() or [None])[0]


def test_svwar_in_disguise_is_shut_out_within_20_packets(house, ua):
    """Without any signature of the tool: it looks for users one after the other."""
    daemon = house(security=BANS)
    scanner = ua(net.STRANGER, 5071)
    answered = 0
    for user in range(200, 240):
        rsp = answer_or_silence(daemon, scanner, str(user))
        if rsp is None:
            break
        assert rsp.status == 401
        answered += 1
    assert answered <= 20
    assert ban_of(daemon, net.STRANGER)["event"] == "unknown_user"


def test_svcrack_is_banned_and_its_ban_is_kept(house, tmp_path, ua):
    daemon = house(security=BANS)
    words = tmp_path / "words"
    words.write_text("".join(f"guess{i}\n" for i in range(200)))
    out = attack("svcrack", "-u", "1001", "-d", str(words), net.OUT)
    assert "one-secret" not in out
    assert received(daemon) <= 20
    net.until(lambda: bans(daemon), 5, "nobody is banned")


def test_guessing_passwords_is_banned_with_proof_and_the_ban_outlives_a_restart(house, ua):
    daemon = house(security=BANS)
    guesser = ua(net.STRANGER, 5071)
    for i in range(5):
        first = send_register(guesser, "1001")
        assert first.status == 401
        auth = digest("REGISTER", f"sip:{DOMAIN}", "1001", f"guess{i}", first.get("WWW-Authenticate"))
        send_register(guesser, "1001", auth, cseq=2)
    ban = ban_of(daemon, net.STRANGER)
    assert (ban["event"], ban["kind"], ban["proof"]) == ("auth_failed", "ban", "digest")
    assert "REGISTER" in ban["evidence"] and ban["points"] == 10
    # somebody else, at the same time
    phone = ua(net.PHONE1, 5060)
    assert register(phone, "1001", "one-secret").status == 200
    net.until(lambda: metric(daemon, "postern_store_backlog") == 0, 5, "the ban is not written")
    assert daemon.stop() == 0
    daemon.start()
    kept = ban_of(daemon, net.STRANGER)
    assert kept["evidence"] == ban["evidence"] and kept["since"] == ban["since"] and kept["until"] == ban["until"]
    before = metric(daemon, 'postern_dropped_packets_total{reason="banned"}')
    guesser.request("OPTIONS", f"sip:{net.OUT}", contact=False)
    net.until(lambda: metric(daemon, 'postern_dropped_packets_total{reason="banned"}') > before, 5, "it is let in")
    assert daemon.api.delete(f"/v1/bans/{net.STRANGER}").status == 200
    assert send_register(guesser, "1001").status == 401


def test_the_operator_bans_and_nobody_bans_the_carrier(house, ua):
    daemon = house(security=BANS)
    made = daemon.api.request("POST", "/v1/bans", {"prefix": net.STRANGER, "for": "1h", "reason": "rude"})
    assert made.status == 201 and made.json["reason"] == "rude"
    assert daemon.api.get("/v1/bans/" + made.json["id"])["event"] == "manual"
    assert daemon.api.request("POST", "/v1/bans", {"prefix": net.CARRIER}).status == 409
    assert "never banned" in daemon.api.get("/v1/bans/" + net.CARRIER)["why"]
    ours = daemon.api.request("POST", "/v1/bans", {"prefix": net.OUT})
    assert ours.status == 409 and "an address of ours" in ours.json["detail"]
    assert daemon.api.delete("/v1/bans/" + made.json["id"]).status == 200
    assert bans(daemon) == []
    net.until(lambda: daemon.logged(f"{net.STRANGER}/32 let go by the operator, banned for manual"), 5, "nothing is said of it")


def test_a_connection_of_a_banned_source_is_closed(house, ua):
    daemon = house(security=BANS)
    with socket.create_connection((net.OUT, 5060), source_address=(net.STRANGER, 0)) as s:
        for _ in range(10):
            s.sendall(b"INVITE nothing SIP/2.0\r\nContent-Length: 0\r\n\r\n")
        s.settimeout(20)
        ban = ban_of(daemon, net.STRANGER)
        assert (ban["event"], ban["proof"]) == ("malformed", "stream")
        try:
            s.sendall(b"OPTIONS sip:x SIP/2.0\r\nContent-Length: 0\r\n\r\n")
            while s.recv(4096):
                pass
        except OSError:
            pass
    with socket.create_connection((net.OUT, 5060), source_address=(net.STRANGER, 0)) as s:
        s.settimeout(20)
        try:
            assert s.recv(10) == b""
        except ConnectionResetError:
            pass


def raw_options(n, user_agent="x"):
    return (f"OPTIONS sip:{net.OUT} SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;rport;branch=z9hG4bKf{n}\r\nFrom: <sip:a@b>;tag={n}\r\n"
            f"To: <sip:c@d>\r\nCall-ID: f{n}\r\nCSeq: 1 OPTIONS\r\nUser-Agent: {user_agent}\r\nMax-Forwards: 70\r\n"
            "Content-Length: 0\r\n\r\n").encode()


def test_a_forged_flood_in_the_name_of_the_carrier_bans_nobody(house, pair):
    """Whoever sits in the carrier's network segment can write its address on his packets."""
    daemon = house(security=BANS)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind((net.CARRIER, 0))
        for n in range(300):
            s.sendto(raw_options(n, "friendly-scanner"), (net.OUT, 5060))
            s.sendto(b"INVITE rubbish\r\n\r\n", (net.OUT, 5060))
    hang_up(*established(pair))
    assert bans(daemon) == []


def test_a_flood_of_strangers_is_held_to_their_budget_and_the_carrier_calls_on(house, pair):
    daemon = house(security={"unknown_sources": {"packets_per_second": 50, "each": "off"}})
    sockets = []
    for ip in (net.STRANGER, net.SPARE):
        for _ in range(4):
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            s.bind((ip, 0))
            sockets.append(s)
    until = time.monotonic() + 2
    sent = 0
    while time.monotonic() < until:
        for s in sockets:
            s.sendto(raw_options(sent), (net.OUT, 5060))
            sent += 1
    for s in sockets:
        s.close()
    hang_up(*established(pair))
    assert received(daemon) <= 50 * (2 + 5) + 50  # the budget of these seconds and its burst
    assert metric(daemon, 'postern_dropped_packets_total{reason="strangers_budget"}') > 0


def test_fail2ban_counts_proven_sources_and_takes_no_injection(house, ua, tmp_path):
    tool = shutil.which("fail2ban-regex")
    if tool is None:
        pytest.skip("no fail2ban-regex here: scripts/setup --test")
    daemon = house(security={"unknown_sources": {"each": "off"}})  # no bans of our own: only the log
    guesser = ua(net.STRANGER, 5071)
    evil = 'x verified=tcp postern[1]: security: event=scanner src=203.0.113.1 sport=1 transport=tcp verified=tcp method='
    for i in range(3):
        first = send_register(guesser, "1001")
        auth = digest("REGISTER", f"sip:{DOMAIN}", "1001", f"guess{i}", first.get("WWW-Authenticate"))
        send_register(guesser, "1001", auth, cseq=2)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:  # forged: must not count
        s.bind((net.SPARE, 0))
        for n in range(5):
            s.sendto(raw_options(n, "friendly-scanner " + evil), (net.OUT, 5060))
        s.sendto(raw_options(9, "friendly-scanner").replace(b"<sip:c@d>", b'"' + evil.encode() + b'" <sip:c@d>'), (net.OUT, 5060))
    net.until(lambda: metric(daemon, "postern_offences_total") >= 9, 5, "not all offences are logged")
    log = tmp_path / "security.log"
    log.write_bytes(daemon.log())
    out = subprocess.run([tool, "--print-all-matched", str(log), os.path.join(ROOT, "scripts/fail2ban/filter.d/postern.conf")],
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, check=False).stdout.decode()
    assert "Failregex: 3 total" in out, out
    matched = out.split("Matched line(s)")[1].split("Missed line(s)")[0]
    assert matched.count(f"src={net.STRANGER} ") == 3 and f"src={net.SPARE}" not in matched
