"""The life of the configuration: reloads with calls up, listeners that come and go, the window to confirm, two writers."""
import http.client
import os
import signal
import socket
import sqlite3
import threading

from kit import net, yamlout
from kit.api import Api
from kit.calls import established, hang_up, offer
from kit.daemon import merged

API = {"config": {"source": "api"}}


def put(daemon, config, match="*", **query):
    return daemon.api.request("PUT", "/v1/config", query, {"If-Match": match}, data=yamlout.dump(config).encode())


def state(daemon):
    return daemon.api.get("/v1/config")


def states(daemon):
    return {v["version"]: v["state"] for v in daemon.api.get("/v1/config/versions")["items"]}


def reload(daemon, config, said):
    daemon.write_config(config)
    before = daemon.log().count(said.encode())
    daemon.signal(signal.SIGHUP)
    net.until(lambda: daemon.log().count(said.encode()) > before, 5, f"the log does not say {said!r}")


def is_taken(port):
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", port))
            s.listen()
        except OSError:
            return True
    return False


def answers(address, port, source):
    """Does anybody answer an OPTIONS there?"""
    text = (f"OPTIONS sip:{address} SIP/2.0\r\nVia: SIP/2.0/UDP {source};rport;branch=z9hG4bKprobe{port}\r\n"
            f"From: <sip:x@{source}>;tag=1\r\nTo: <sip:{address}>\r\nCall-ID: probe-{port}\r\nCSeq: 1 OPTIONS\r\n"
            "Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind((source, 0))
        s.settimeout(1)
        try:
            s.sendto(text.encode(), (address, port))
            return s.recv(4096).split(b" ", 2)[1]
        except OSError:
            return None


def info(near, far):
    sent = near.send("INFO", body=b"x", ctype="text/plain")
    far.ua.respond(far.expect("INFO"), 200)
    near.answer_to(sent, 200)


# --- listeners come and go while a call goes on ---

def test_a_listener_is_added_and_taken_away_with_calls_up(house, pair):
    daemon = house()
    near, far = established(pair)
    extra = {"listeners": {"more": {"address": net.OUT, "sip": {"udp": 5080}}}}
    reload(daemon, merged(daemon.config, extra), "in force")
    net.until(lambda: answers(net.OUT, 5080, net.CARRIER) == b"200", 3, "the new listener does not answer")
    info(near, far)
    reload(daemon, merged(daemon.config, {"listeners": {"more": None}}), "in force")
    net.until(lambda: answers(net.OUT, 5080, net.CARRIER) == b"503", 3, "a listener that is gone takes new requests")
    info(near, far)
    hang_up(near, far)
    assert daemon.cdr()["end_code"] == 200


def test_a_listener_changes_under_a_call_and_new_calls_use_the_new_one(house, pair):
    daemon = house()
    near, far = established(pair)
    moved = merged(daemon.config, {"listeners": {"outside": {"sip": {"udp": 5060, "tcp": 5062}, "rtp": {"ports": "21000-21999"}}}})
    reload(daemon, moved, "in force")
    info(near, far)  # the UDP socket went over to the listener as it is now
    near2, far2 = established(pair)
    with socket.create_connection((net.OUT, 5062), timeout=3):
        pass
    hang_up(near2, far2)
    info(near, far)
    hang_up(near, far)
    assert all(r["end_code"] == 200 for r in daemon.wait_cdrs(2))


def test_calls_come_and_go_while_reload_after_reload_goes_round_the_workers(house, ua):
    """Each renumbers both listeners; what a call says meets either worker, before, after and between."""
    daemon = house(node={"workers": 2})
    callee = ua(net.PBX, 5070, name="exchange", proxy=(net.IN, 5060), user="+15550100")
    texts = [merged(daemon.config, {"listeners": {name: {"sip": {"udp": 5060, "tcp": 5060 + 2 * i}}
                                                  for name in ("outside", "inside")}}) for i in (1, 2)]
    for i in range(24):
        daemon.write_config(texts[i % 2])
        daemon.signal(signal.SIGHUP)  # and nobody waits for it
        near, far = established((ua(net.CARRIER, 0, name=f"carry{i}"), callee))
        for other in (ua(net.CARRIER, 0), ua(net.CARRIER, 0)):
            sent = near.send("INFO", ua=other, body=b"x", ctype="text/plain")
            callee.respond(far.expect("INFO"), 200)
            near.answer_to(sent, 200, ua=other)
        hang_up(near, far)
    assert all(r["end_code"] == 200 for r in daemon.wait_cdrs(24))
    assert daemon.api.metrics()["postern_sip_listener_left_total"] == 0


def test_a_call_goes_on_while_the_key_changes_again_and_again(house, pair, tmp_path):
    daemon = house()
    near, far = established(pair)
    for i in range(7):
        reload(daemon, merged(daemon.config, {"node": {"key": str(tmp_path / f"key{i}")}}), "in force")
        info(near, far)
    reload(daemon, merged(daemon.config, {"node": {"key": str(tmp_path / "one-more")}}),
           "node.key: calls may still know the last 8 keys")
    info(near, far)
    hang_up(near, far)
    assert daemon.cdr()["end_code"] == 200


def test_a_reload_changes_how_many_threads_do_the_handshakes(house):
    daemon = house({"node": {"crypto_threads": 1}})

    def threads():
        return len(os.listdir(f"/proc/{daemon.process.pid}/task"))
    before = threads()
    reload(daemon, merged(daemon.config, {"node": {"crypto_threads": 4}}), "in force")
    net.until(lambda: threads() == before + 3, 5, "there are not three more threads")


def test_a_port_that_is_taken_refuses_the_whole(house, pair):
    daemon = house()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind((net.OUT, 5090))
        reload(daemon, merged(daemon.config, {"listeners": {"new": {"address": net.OUT, "sip": {"udp": 5090, "tcp": 5090}}},
                                              "routes": []}), "was not reloaded")
    assert daemon.api.system()["config_version"] == 1 and daemon.logged("cannot bind")
    near, far = established(pair)  # the routes are as they were
    hang_up(near, far)


def test_the_admin_api_and_its_token_move(house, pair):
    daemon = house(**API)
    near, far = established(pair)
    changed = merged(daemon.config, {"admin": {"listen": "127.0.0.1:8099", "token": "another-token-0123456"}, "node": {"name": "other"},
                                     "sip": {"t1": "300ms", "tcp_connections": 99}, "limits": {"transactions": 5000}})
    assert put(daemon, changed).status == 200
    daemon.api.base = "http://127.0.0.1:8099"
    assert daemon.api.request("GET", "/v1/config").status == 401
    daemon.api.token = lambda: "another-token-0123456"
    assert state(daemon)["needs_restart"] == []
    assert daemon.api.system()["node"] == "other"
    info(near, far)
    hang_up(near, far)
    assert daemon.cdr()["end_code"] == 200


def test_the_first_request_of_all_may_be_a_change(house):
    daemon = house(**API)

    def first():
        try:
            return put(daemon, daemon.config)
        except OSError:  # nobody listens yet
            return None
    for _ in range(4):
        assert daemon.stop() == 0
        daemon.start(ready=False)
        answer = net.until(first, 20, "nobody answers", every=0)
        assert answer.status == 200, answer
        net.until(daemon.is_up, 20, "it is not ready")


# --- the window ---

def test_what_nobody_confirms_is_undone(house, pair):
    daemon = house(**API)
    closed = merged(daemon.config, {"routes": [{"name": "closed", "from": "carrier", "refuse": {"status": 480}}]})
    answer = put(daemon, closed, confirm_within="5s", comment="closed for tonight", who="al")
    assert answer.status == 200 and answer.json["waits"]["else_back_to"] == 1
    assert pair[0].invite("+15550100", offer(pair[0].ip, "x")).result().status == 480
    assert put(daemon, daemon.config).status == 409
    net.until(lambda: state(daemon)["version"] == 1, 15, "version 2 stays, though nobody confirmed it")
    near, far = established(pair)
    hang_up(near, far)
    row = daemon.api.get("/v1/config/versions/2")
    assert row["state"] == "rolled_back" and row["comment"] == "closed for tonight" and row["who"].startswith("al from ")
    assert put(daemon, closed, confirm_within="60s").status == 200
    assert daemon.api.request("POST", "/v1/config/confirm", {"version": 3}).status == 200
    assert state(daemon)["waits"] is None and states(daemon)[3] == "confirmed"


def test_every_error_of_a_reloaded_file_is_a_record_of_the_log(house):
    daemon = house()
    keys = [f"nonsense{i}x" for i in range(60)]
    reload(daemon, merged(daemon.config, {key: 1 for key in keys}), "was not reloaded")
    said = [line["msg"] for line in daemon.log_lines()]
    assert all(any(key in msg for msg in said) for key in keys)


def test_a_change_that_cannot_be_written_keeps_nobody_waiting(house):
    """Not even somebody who speaks to the place where the API would have been: it is left without waiting for him."""
    daemon = house(**API)
    moved = merged(daemon.config, {"admin": {"listen": "127.0.0.1:8099", "token": "another-token-0123456"}})
    there = Api("http://127.0.0.1:8099", None)
    there.token = lambda: "another-token-0123456"
    answers = []

    def change(api):
        try:
            answers.append(api.request("PUT", "/v1/config", {}, {"If-Match": "*"}, data=yamlout.dump(moved).encode()).status)
        except OSError:
            answers.append(None)
    with sqlite3.connect(daemon.db_path, isolation_level=None) as db:
        db.execute("BEGIN IMMEDIATE")  # nothing is written now
        first = threading.Thread(target=change, args=(daemon.api,))
        first.start()
        net.until(lambda: is_taken(8099), 5, "the new place is not open")
        second = threading.Thread(target=change, args=(there,))
        second.start()
        for thread in (first, second):
            thread.join(20 * net.patience)
        assert len(answers) == 2 and 200 not in answers
        db.execute("ROLLBACK")
    net.until(lambda: not is_taken(8099), 5, "the place that came to nothing is not left")
    assert state(daemon)["version"] == 1
    assert put(daemon, merged(daemon.config, {"node": {"drain": "3s"}})).status == 200


def test_going_back_takes_the_admin_api_and_its_token_along(house, pair):
    daemon = house(**API)
    base, token = daemon.api.base, daemon.api.token
    port = int(base.rpartition(":")[2])
    moved = merged(daemon.config, {"admin": {"listen": "127.0.0.1:8099", "token": "another-token-0123456"}})

    def go():
        assert put(daemon, moved, confirm_within="1h").status == 200
        daemon.api.base, daemon.api.token = "http://127.0.0.1:8099", lambda: "another-token-0123456"

    def is_back():
        daemon.api.base, daemon.api.token = base, token
        try:
            return daemon.api.request("GET", "/v1/config").status == 200
        except OSError:
            return False

    go()
    back = daemon.api.request("POST", "/v1/config/rollback", {})  # while the place before is being left
    assert back.status == 200, back
    net.until(is_back, 5, "the API is not where version 1 has it")
    assert state(daemon)["version"] == 1
    go()
    net.until(lambda: not is_taken(port), 5, "the place before was not left")
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", port))
        taken.listen()
        assert daemon.api.request("POST", "/v1/config/rollback", {}).status != 200
        net.until(lambda: daemon.logged("the rest is in force"), 20, "it is tried for ever")
        assert daemon.api.request("GET", "/v1/config").status == 401  # the token went back
        daemon.api.token = token
        assert state(daemon)["version"] == 1
    assert put(daemon, daemon.config).status == 200  # the same text again: the API goes where it belongs
    net.until(is_back, 5, "the API stays at the place that was undone")


def test_killed_within_the_window_it_starts_with_what_was_before(house, pair):
    daemon = house(**API)
    first = merged(daemon.config, {"node": {"drain": "3s"}})
    assert put(daemon, first).status == 200
    assert put(daemon, merged(first, {"routes": []}), confirm_within="1h").status == 200
    assert state(daemon)["version"] == 3
    daemon.kill()
    daemon.start()
    assert state(daemon)["version"] == 2 and states(daemon) == {1: "confirmed", 2: "confirmed", 3: "rolled_back"}
    assert "drain: 3s" in state(daemon)["text"] or '"3s"' in state(daemon)["text"]
    near, far = established(pair)
    hang_up(near, far)


# --- two writers ---

def test_of_two_writers_one_is_told_and_the_file_is_not_read(house, pair):
    daemon = house(**API)
    etag = daemon.api.request("GET", "/v1/config").headers["ETag"]
    one, two = merged(daemon.config, {"node": {"drain": "3s"}}), merged(daemon.config, {"node": {"drain": "4s"}})
    assert put(daemon, one, etag).status == 200
    assert put(daemon, two, etag).status == 412
    assert daemon.api.request("PUT", "/v1/config", data=yamlout.dump(two).encode()).status == 428
    reload(daemon, merged(daemon.config, {"routes": []}), "config.source is api")
    assert state(daemon)["version"] == 2
    diff = daemon.api.get("/v1/config/versions/1/diff", to=2)
    assert [(c["op"], c["path"], c["new"]) for c in diff["changes"]] == [("changed", "node.drain", "3s")]
    back = daemon.api.request("POST", "/v1/config/rollback", {"version": 1})
    assert back.status == 200 and back.json["version"] == 3
    assert state(daemon)["hash"] == daemon.api.get("/v1/config/versions/1")["hash"]


def test_changes_while_it_is_told_to_end_are_taken_whole_or_refused(house):
    daemon = house(**API)

    def change():
        for i in range(500):
            try:
                put(daemon, merged(daemon.config, {"node": {"drain": f"{3 + i % 2}s"}}))
            except (OSError, http.client.HTTPException):
                return  # it has ended

    writer = threading.Thread(target=change)
    writer.start()
    net.until(lambda: state(daemon)["version"] > 2, 10, "no change is in force")
    assert daemon.stop() == 0
    writer.join()


def test_while_the_file_writes_the_api_is_refused_and_all_errors_are_told(house, pair):
    daemon = house()
    answer = put(daemon, daemon.config)
    assert answer.status == 409 and "config.source is file" in answer.json["detail"]
    assert answer.json["type"] == "urn:postern:problem:config-managed-by-file"
    bad = daemon.api.request("POST", "/v1/config/validate", data=b"listeners:\n  a: {adress: 127.0.0.1}\npeers:\n  p: {lisener: a}\n")
    assert bad.status == 422 and len(bad.json["errors"]) >= 4
    assert {"file": "request", "line": 4, "column": 7} .items() <= next(
        e for e in bad.json["errors"] if "lisener" in e["message"]).items()
    good = daemon.api.request("POST", "/v1/config/validate",
                              data=yamlout.dump(merged(daemon.config, {"node": {"workers": 3}})).encode())
    assert good.status == 200 and good.json["needs_restart"] == ["node.workers"]
    assert [c["path"] for c in good.json["changes"]] == ["node.workers"]
    assert daemon.api.system()["config_version"] == 1
