"""What goes wrong around the daemon: the database, the disk, ports, signals, crashes, strangers, rude connections."""
import os
import signal
import socket
import sqlite3
import stat
import subprocess
import time

import pytest

from kit import net, yamlout
from kit.calls import established, hang_up, offer
from kit.daemon import merged
from kit.rtp import rtp_packet
from kit.sip import fits, write_sdp


def one_call(pair):
    near, far = established(pair)
    hang_up(near, far)


def rows(daemon, sql="SELECT id, end_by, end_reason, end_code, state FROM calls ORDER BY id"):
    with sqlite3.connect(daemon.db_path, timeout=5) as db:
        return db.execute(sql).fetchall()


# --- store ---

def test_locked_database_stops_no_call(house, pair):
    daemon = house()
    one_call(pair)
    daemon.wait_cdrs(1)
    locker = sqlite3.connect(daemon.db_path, isolation_level=None)
    locker.execute("BEGIN EXCLUSIVE")
    for _ in range(3):
        one_call(pair)
    answer = net.until(lambda: (lambda r: r if not r[0] else None)(daemon.api.ready()), 5, "/readyz does not complain")
    assert "store" in answer[1]
    assert daemon.api.metrics()["postern_store_backlog"] >= 3
    one_call(pair)
    locker.execute("ROLLBACK")
    locker.close()
    daemon.wait_cdrs(5, 10)
    net.until(lambda: daemon.api.ready()[0], 5, "/readyz does not recover")
    assert all(r["end_code"] == 200 for r in daemon.api.cdrs())


def test_full_disk_stops_no_call(house, pair, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(disk)], check=False).returncode != 0:
        pytest.skip("no tmpfs can be mounted here")
    try:
        daemon = house(store={"path": str(disk / "postern.db")})
        one_call(pair)
        daemon.wait_cdrs(1)
        filler = disk / "filler"
        with open(filler, "wb", buffering=0) as f:
            try:
                while f.write(b"x" * 4096):
                    pass
            except OSError:
                pass
        for _ in range(6):
            one_call(pair)
            if not daemon.api.ready()[0]:
                break
        net.until(lambda: not daemon.api.ready()[0], 8, "/readyz does not complain about a full disk")
        one_call(pair)
        filler.unlink()
        net.until(lambda: daemon.api.ready()[0], 10, "/readyz does not recover")
        ended = daemon.api.metrics()["postern_calls_ended_total"]
        daemon.wait_cdrs(int(ended), 10)
        assert daemon.stop() == 0
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=False)


def test_records_that_can_not_be_written_at_the_end_wait_for_the_next_start(house, pair):
    """The database is locked while the daemon ends: its records are kept in a file beside it, and written later."""
    house.check_end = False  # its exit status says that something was left
    daemon = house()
    one_call(pair)
    daemon.wait_cdrs(1)
    locker = sqlite3.connect(daemon.db_path, isolation_level=None)
    locker.execute("BEGIN EXCLUSIVE")
    one_call(pair)
    assert daemon.stop(15) != 0
    pending = daemon.db_path + ".pending"
    assert stat.S_IMODE(os.stat(pending).st_mode) == 0o600
    locker.execute("ROLLBACK")
    locker.close()
    daemon.start()
    assert [r["end_code"] for r in daemon.wait_cdrs(2)] == [200, 200]
    assert not os.path.exists(pending)
    assert daemon.stop() == 0


def test_second_daemon_on_the_same_database_does_not_start(house, postern_bin, tmp_path):
    daemon = house()
    other = merged(daemon.config, {"admin": {"listen": "127.0.0.1:8099"},
                                   "listeners": {"outside": {"address": net.SPARE}, "inside": {"address": "127.0.0.9"}}})
    path = tmp_path / "other.yaml"
    path.write_text(yamlout.dump(other), encoding="utf-8")
    done = subprocess.run([postern_bin, "serve", "--config", str(path)], cwd=tmp_path, capture_output=True, text=True,
                          timeout=20 * net.patience, check=False)
    assert done.returncode != 0 and "store" in done.stdout
    assert daemon.api.ready()[0]


def test_call_killed_with_the_daemon_is_recorded_as_crash(house, pair):
    daemon = house()
    one_call(pair)
    near, far = established(pair)
    daemon.live()
    daemon.wait_cdrs(1)
    daemon.kill()
    daemon.start()
    records = daemon.wait_cdrs(2)
    crashed = [r for r in records if r["end_reason"] == "crash"]
    assert len(crashed) == 1 and crashed[0]["end_by"] == "system"
    assert daemon.api.calls(state="live") == []
    near.ua.inbox.clear()
    near.answer_to(near.send("BYE"), 481)  # nobody remembers the dialog
    far.ua.nothing("BYE", 0.1)


def test_foreign_database_is_refused_with_a_reason(house, tmp_path):
    house.check_end = False
    with open(tmp_path / "postern.db", "wb") as f:
        f.write(b"this is no database of ours" * 400)
    daemon = house(ready=False)
    net.until(lambda: not daemon.alive(), 10, "the daemon runs on a file that is no database")
    assert daemon.process.returncode != 0 and daemon.logged("store")
    daemon.status = daemon.process.returncode


# --- ports ---

def test_exhausted_ports_are_503_with_reason_and_counter(house, ua):
    """Room for two calls inside."""
    daemon = house(node={"workers": 1}, listeners={"inside": {"rtp": {"ports": "30000-30003"}}})
    a = ua(net.CARRIER, 5060, name="carry")
    b = ua(net.PBX, 5070, name="exchange", proxy=(net.IN, 5060))
    calls = [established((a, b)) for _ in range(2)]
    third = a.invite("+15550100", offer(a.ip, a.name))
    assert third.result().status == 503
    assert daemon.api.metrics()['postern_limit_reached_total{limit="rtp_ports"}'] >= 1
    record = daemon.wait_cdrs(1)[0]
    assert record["end_code"] == 503 and "port" in record["end_reason"]
    for near, far in calls:
        hang_up(near, far)
    daemon.wait_quiet()
    near, far = established((a, b))
    hang_up(near, far)
    daemon.wait_cdrs(4)


def test_limits_of_the_node(house, pair):
    daemon = house(limits={"calls": 1})
    near, far = established(pair)
    rsp = pair[0].invite("+15550100", offer(pair[0].ip, "more")).result()
    assert rsp.status == 503 and rsp.get("Retry-After")
    hang_up(near, far)
    daemon.wait_quiet()
    one_call(pair)
    assert sorted(r["end_code"] for r in daemon.wait_cdrs(3)) == [200, 200, 503]


def test_rate_of_new_calls(house, ua):
    """Three a second, with a burst of as many: of ten at once, three pass; one more may, as sending ten takes a while."""
    daemon = house(limits={"calls_per_second": 3})
    a, b = ua(net.CARRIER, 5060), ua(net.PBX, 5070, proxy=(net.IN, 5060))
    calls = [a.invite("+15550100", offer(a.ip, f"n{i}")) for i in range(10)]

    def refused():
        rsp = a.expect(503)
        next(c for c in calls if c.call_id == rsp.call_id).ack_failure(rsp)

    def tenth():
        a.pump(0.05)
        b.pump(0.05)
        return next((m for m in a.inbox + b.inbox if fits(m, 503) or fits(m, "INVITE")), None)
    for _ in range(6):
        refused()
    for _ in range(3):
        b.respond(b.expect("INVITE"), 486, tag="t")
    net.until(tenth, 5, "there is nothing of one of the calls")
    if tenth().is_request:
        b.respond(b.expect("INVITE"), 486, tag="t")
    else:
        refused()
    ends = sorted(r["end_code"] for r in daemon.wait_cdrs(10))
    assert ends in ([486] * 3 + [503] * 7, [486] * 4 + [503] * 6)


def test_refused_calls_take_no_ports(house, ua):
    daemon = house(routes=[{"name": "inbound", "from": "carrier", "match": {"called": "+*"}, "to": ["pbx"]}])
    a = ua(net.CARRIER, 5060)
    calls = [a.invite("900", offer(a.ip, "x")) for _ in range(5)]
    assert {call.result().status for call in calls} == {404}
    assert daemon.api.system()["media"]["ports_used"] == 0


# --- media from strangers ---

def test_third_partys_packets_are_dropped_and_counted(house, pair, ear):
    daemon = house()
    a, b = pair
    mouth, listener = ear(net.CARRIER, 500), ear(net.PBX, 800)
    near = a.invite("+15550100", write_sdp(a.ip, mouth.port, a.name))
    far = b.incoming()
    far.reply(200, write_sdp(b.ip, listener.port, b.name))
    near.result()
    near.ack()
    far.expect("ACK")
    mouth.talk(near.answer.sdp.media)
    listener.talk(far.invite.sdp.media)
    listener.hears(500)
    mouth.hears(800)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as evil:
        evil.bind((net.STRANGER, 0))
        for i in range(50):
            evil.sendto(rtp_packet(i, i * 160, 0xEEEEEEEE, b"\xee" * 160), near.answer.sdp.media)
            evil.sendto(rtp_packet(i, i * 160, 0xEEEEEEEE, b"\xee" * 160), far.invite.sdp.media)
    live = daemon.live()["id"]

    def strangers():
        media = daemon.api.get("/v1/calls/" + live)["media"][0]
        return media["caller"]["strangers"], media["callee"]["strangers"]
    net.until(lambda: strangers() == (50, 50), 3, f"strangers are not counted: {strangers()}")
    listener.hears(500)
    mouth.hears(800)
    for one in (mouth, listener):
        assert not any(b"\xee" * 160 in packet for _, _, packet in one.packets)
    assert daemon.api.metrics()['postern_rtp_dropped_total{reason="stranger"}'] >= 100
    hang_up(near, far)


def test_silent_partys_address_is_not_taken_by_a_stranger(house, pair, ear):
    """Before the callee has said anything, a stranger of another address can not latch in its place."""
    house()
    a, b = pair
    mouth, listener, evil = ear(net.CARRIER, 500), ear(net.PBX, 800), ear(net.STRANGER, 900)
    near = a.invite("+15550100", write_sdp(a.ip, mouth.port, a.name))
    far = b.incoming()
    far.reply(200, write_sdp(b.ip, listener.port, b.name))
    near.result()
    near.ack()
    far.expect("ACK")
    evil.talk(far.invite.sdp.media)
    mouth.talk(near.answer.sdp.media)
    listener.hears(500)
    assert evil.count() == 0
    listener.talk(far.invite.sdp.media)
    mouth.hears(800)
    assert evil.count() == 0
    hang_up(near, far)


def test_media_behind_nat_is_found_by_its_source(house, pair, ear):
    """The description names an address that is not where the packets come from: the signalling address decides."""
    house()
    a, b = pair
    mouth, listener = ear(net.CARRIER, 500), ear(net.PBX, 800)
    near = a.invite("+15550100", write_sdp("192.168.44.4", 7000, a.name))
    far = b.incoming()
    far.reply(200, write_sdp(b.ip, listener.port, b.name))
    near.result()
    near.ack()
    far.expect("ACK")
    mouth.talk(near.answer.sdp.media)
    listener.talk(far.invite.sdp.media)
    listener.hears(500)
    mouth.hears(800)
    hang_up(near, far)


# --- signals ---

def test_term_refuses_new_calls_and_ends_running_ones_after_the_drain_time(house, pair):
    daemon = house(node={"drain": "5s"})
    near, far = established(pair)
    start = time.monotonic()
    daemon.signal(signal.SIGTERM)
    net.until(lambda: not daemon.api.ready()[0], 2, "/readyz still says yes")
    refused = pair[0].invite("+15550100", offer(pair[0].ip, "late")).result()
    assert refused.status == 503 and refused.get("Retry-After")
    sent = near.send("INFO", body=b"x", ctype="text/plain")  # inside the call all goes on
    far.ua.respond(far.expect("INFO"), 200)
    near.answer_to(sent, 200)
    near.take_bye(10)
    assert time.monotonic() - start > 4.5
    far.take_bye(3)
    assert daemon.wait(10) == 0
    records = rows(daemon)
    assert len(records) == 1 and records[0][1] == "system" and "drain" in records[0][2]


def test_term_without_calls_ends_at_once(house):
    daemon = house(node={"drain": "30s"})
    start = time.monotonic()
    assert daemon.stop() == 0
    assert time.monotonic() - start < 15


def test_term_while_a_call_ends_by_itself_does_not_wait_longer(house, pair):
    daemon = house(node={"drain": "30s"})
    near, far = established(pair)
    daemon.signal(signal.SIGTERM)
    net.until(lambda: not daemon.api.ready()[0], 2, "/readyz still says yes")
    hang_up(near, far)
    assert daemon.wait(10) == 0
    assert rows(daemon)[0][1:4] == ("caller", rows(daemon)[0][2], 200)


def test_term_while_ringing_cancels_and_says_503(house, pair):
    daemon = house(node={"drain": "1s"})
    a, b = pair
    near = a.invite("+15550100", offer(a.ip, a.name))
    far = b.incoming()
    far.reply(180)
    near.wait(180)
    daemon.signal(signal.SIGTERM)
    cancel = b.expect("CANCEL")
    b.respond(cancel, 200)
    far.reply(487)
    assert near.result().status == 503
    assert daemon.wait(10) == 0
    assert rows(daemon)[0][3] == 503


def reload(daemon, config, said):
    """SIGHUP, and wait for a line in the log."""
    daemon.write_config(config)
    before = daemon.log().count(said.encode())
    daemon.signal(signal.SIGHUP)
    net.until(lambda: daemon.log().count(said.encode()) > before, 5, f"the log does not say {said!r}")


def test_reload_changes_new_calls_and_leaves_running_ones(house, pair):
    daemon = house()
    near, far = established(pair)
    changed = {**daemon.config, "routes": [{"name": "closed", "from": "carrier", "refuse": {"status": 480}}]}
    version = daemon.api.system()["config_version"]
    reload(daemon, changed, "in force")
    assert daemon.api.system()["config_version"] == version + 1
    assert pair[0].invite("+15550100", offer(pair[0].ip, "x")).result().status == 480
    sent = near.send("INFO", body=b"x", ctype="text/plain")
    far.ua.respond(far.expect("INFO"), 200)
    near.answer_to(sent, 200)
    hang_up(near, far)
    assert {r["route"] for r in daemon.wait_cdrs(2)} == {"closed", "inbound"}


def test_bad_file_changes_nothing(house, pair):
    daemon = house()
    reload(daemon, {**daemon.config, "routes": [{"name": "x", "from": "nobody", "to": ["pbx"]}]}, "not reloaded")
    assert daemon.api.system()["config_version"] == 1
    one_call(pair)


def test_what_needs_a_restart_is_said_and_stays_as_it_is(house, pair):
    daemon = house()
    reload(daemon, {**daemon.config, "node": {**daemon.config["node"], "workers": 3}}, "need a restart")
    assert daemon.api.system()["workers"] == 2 and daemon.logged("node.workers")
    assert daemon.api.get("/v1/config")["needs_restart"] == ["node.workers"]
    one_call(pair)


def test_check_names_file_line_and_column(house, postern_bin, tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text("listeners:\n  outside: {address: 127.0.0.1, sip: {udp: 5060}}\npeers:\n  p: {lisener: outside}\n"
                    "routes:\n  - {name: a, to: [nobody]}\n", encoding="utf-8")
    done = subprocess.run([postern_bin, "check", "--config", str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and done.stdout == ""
    assert f"{path}:4:" in done.stderr and "listener" in done.stderr and f"{path}:6:" in done.stderr
    assert len(done.stderr.splitlines()) >= 2


# --- rude connections ---

def tcp_to(ip=net.OUT, source=net.STRANGER):
    s = socket.create_connection((ip, 5060), timeout=20, source_address=(source, 0))
    s.settimeout(20)
    return s


def read_all(sock, seconds=20):
    """What comes until the far end closes or the time is over; (bytes, closed)"""
    data, deadline = b"", time.monotonic() + seconds
    while time.monotonic() < deadline:
        sock.settimeout(max(0.01, deadline - time.monotonic()))
        try:
            chunk = sock.recv(65536)
        except socket.timeout:
            break
        except OSError:
            return data, True
        if not chunk:
            return data, True
        data += chunk
    return data, False


HOPELESS = {
    "garbage": bytes(range(256)),
    "an http request": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "a header without end": b"OPTIONS sip:x SIP/2.0\r\nX: " + b"a" * 200000,
    "a body beyond the limit": b"MESSAGE sip:x SIP/2.0\r\nContent-Length: 99999999\r\n\r\n",
    "a negative length": b"MESSAGE sip:x SIP/2.0\r\nContent-Length: -1\r\n\r\n",
    "two lengths": b"OPTIONS sip:x SIP/2.0\r\nContent-Length: 0\r\nContent-Length: 9\r\n\r\n",
}


@pytest.mark.parametrize("what", HOPELESS)
def test_hopeless_connections_are_closed(house, ua, what):
    house()
    s = tcp_to()
    try:
        s.sendall(HOPELESS[what])
    except OSError:
        pass
    _, closed = read_all(s)
    s.close()
    assert closed, f"{what}: the connection stays open"
    assert ua(net.CARRIER, 5060).options() == 200


def test_messages_in_pieces_and_in_one_write(house, ua):
    house()
    a = ua(net.CARRIER, 0, transport="tcp")
    one, two = (a.build("OPTIONS", f"sip:{net.OUT}") for _ in range(2))
    stream = a.connect()
    for byte in bytes(one):
        stream.sock.sendall(bytes([byte]))
    assert a.expect(200).call_id == one.call_id
    stream.sock.sendall(bytes(two) + bytes(one).replace(one.call_id.encode(), b"third"))
    assert {a.expect(200).call_id, a.expect(200).call_id} == {two.call_id, "third"}


def test_half_messages_hold_nobody_up(house, ua):
    """Thirty connections that never finish their message; others are served."""
    house()
    slow = [tcp_to() for _ in range(30)]
    for s in slow:
        s.sendall(b"INVITE sip:x@y SIP/2.0\r\nVia: SIP/2.0/TCP x;br")
    assert ua(net.CARRIER, 5060).options() == 200
    assert ua(net.CARRIER, 0, transport="tcp").options() == 200
    for s in slow:
        s.close()


def test_connections_of_one_source_are_limited(house, ua):
    daemon = house(sip={"tcp_per_source": 8}, node={"workers": 1})
    socks = [tcp_to() for _ in range(12)]
    net.until(lambda: daemon.api.metrics()['postern_limit_reached_total{limit="connections"}'] >= 4, 5, "nobody is turned away")
    open_ones = sum(1 for s in socks if not read_all(s, 0.3)[1])
    for s in socks:
        s.close()
    assert open_ones == 8
    assert ua(net.CARRIER, 0, transport="tcp").options() == 200


def test_keepalives_are_answered_on_streams_and_ignored_in_datagrams(house, ua):
    house()
    s = tcp_to(source=net.CARRIER)
    s.sendall(b"\r\n\r\n")
    assert s.recv(10) == b"\r\n"  # RFC 5626 3.5.1
    s.close()
    a = ua(net.CARRIER, 5060)
    a.send(b"\r\n\r\n")
    a.send(b"\0")
    assert a.options() == 200


def test_flood_of_strangers_leaves_room_for_the_known(house, ua):
    daemon = house()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as evil:
        evil.bind((net.STRANGER, 0))
        for i in range(2000):
            evil.sendto(f"INVITE sip:+{i}@x SIP/2.0\r\nVia: SIP/2.0/UDP x;branch=z9hG4bK{i}\r\nFrom: <sip:a@b>;tag={i}\r\n"
                        f"To: <sip:c@d>\r\nCall-ID: {i}\r\nCSeq: 1 INVITE\r\nContact: <sip:a@b>\r\nMax-Forwards: 70\r\n"
                        f"Content-Length: 0\r\n\r\n".encode(), (net.OUT, 5060))
    a = ua(net.CARRIER, 5060)
    assert a.options() == 200
    system = daemon.api.system()
    assert sum(system["transactions"][k] for k in ("invite_server", "invite_client")) == 0  # no state for strangers
    assert daemon.api.cdrs() == []
