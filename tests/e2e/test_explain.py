"""One call explained before, recorded after, and replayed against other configurations: the answers agree. Explaining
sends nothing, counts nothing, bans nobody."""
import copy
import json
import os
import re
import subprocess

from kit import net, yamlout
from kit.calls import established, hang_up, offer
from kit.registering import register
from kit.sip import Msg

NOISE = re.compile(r"(?m)^(Via|From|To|Call-ID|Contact|Content-Length|o=|m=).*$")


def lines_of(message):
    """A message without what is new in each: tokens, versions and ports."""
    return NOISE.sub(r"\1", message.replace("\r", "")).split("\n")


def explain(daemon, message=b"", **query):
    answer = daemon.api.request("POST", "/v1/explain", query, data=bytes(message))
    assert answer.status == 200, answer
    return answer.json


def diff(daemon, config, **query):
    return daemon.api.request("POST", "/v1/config/diff", query, data=yamlout.dump(config).encode())


def offline(daemon, message, *options):
    done = subprocess.run([daemon.binary, "explain", "--config", daemon.config_path, "--json", *options], cwd=daemon.work,
                          input=bytes(message), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def invites(answer):
    return [m for m in answer["messages"] if m["text"].startswith("INVITE")]


def carrier_invite(a, number="+15550100"):
    return a.build("INVITE", f"sip:{number}@{net.OUT}", body=offer(a.ip, a.name), ctype="application/sdp")



def test_before_recorded_and_replayed_agree(house, pair):
    daemon = house(peers={"pbx": {"headers": [{"action": "set", "name": "X-Edge", "value": "seen", "direction": "out"}]}})
    a, b = pair
    invite = carrier_invite(a)
    before = explain(daemon, invite, source=f"{net.CARRIER}:5060", listener="outside")
    assert before["verdict"]["action"] == "route" and before["verdict"]["route"] == "inbound"
    assert before["verdict"]["targets"] == ["peer:pbx"] and before["class"] == "trusted"
    assert {"step": "route", "name": "outbound", "result": "not from this source"} in before["trace"]
    assert [m["address"] for m in invites(before)] == [f"{net.PBX}:5070"]
    assert before["messages"][0]["text"].startswith("SIP/2.0 100 ") and before["answer"] is None
    assert before["headers"] == [{"peer": "pbx", "direction": "out", "rule": 0, "action": "set", "name": "X-Edge"}]
    b.nothing()
    a.nothing()
    same = offline(daemon, invite, "--source", f"{net.CARRIER}:5060", "--listener", "outside")
    assert same["verdict"] == before["verdict"] and same["trace"] == before["trace"]
    near, far = established(pair)
    sent = bytes(far.invite).decode()
    assert lines_of(invites(before)[0]["text"]) == lines_of(sent) and "X-Edge: seen" in lines_of(sent)
    hang_up(near, far)
    call = daemon.cdr()
    assert call["verdict"] == before["verdict"] and call["trace"] == before["trace"]
    after = explain(daemon, call=call["id"])
    assert after["verdict"] == before["verdict"] and after["trace"] == before["trace"]
    assert lines_of(invites(after)[0]["text"]) == lines_of(invites(before)[0]["text"])
    running = diff(daemon, daemon.config).json
    assert (running["compared"], running["same"], running["changed"], running["items"]) == (1, 1, 0, [])
    candidate = copy.deepcopy(daemon.config)
    candidate["routes"].insert(0, {"name": "closed", "match": {"called": "+1555*"}, "refuse": {"status": 603, "reason": "Closed"}})
    changed = diff(daemon, candidate).json
    assert (changed["compared"], changed["changed"]) == (1, 1)
    item = changed["items"][0]
    assert item["id"] == call["id"] and item["old"] == before["verdict"]
    assert item["new"]["action"] == "refuse" and item["new"]["status"] == 603 and item["new"]["route"] == "closed"
    assert item["trace"][-1] == {"step": "route", "name": "closed", "result": "matched"} and item["why"] == "Closed"
    daemon.write_config(candidate)
    assert offline(daemon, invite, "--source", net.CARRIER)["verdict"] == item["new"]


def test_nothing_is_sent_counted_or_banned(house, ua):
    daemon = house(security={"bans": {"threshold": 10, "window": "5m", "durations": ["5m"]}})
    before = {k: v for k, v in daemon.api.metrics().items() if re.match(r"postern_(sip|calls|bans|auth|offence|limit)", k)}
    log = len(daemon.log_lines())
    scanner = b"OPTIONS sip:100@x SIP/2.0\r\nVia: SIP/2.0/UDP 10.9.9.9;branch=z9hG4bKq\r\nFrom: \"sipvicious\"<sip:100@1.1.1.1>;tag=6\r\n" \
        b"To: <sip:100@1.1.1.1>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nUser-Agent: friendly-scanner\r\n\r\n"
    for _ in range(30):
        answer = explain(daemon, scanner, source=net.STRANGER)
        assert answer["messages"] == [] and answer["verdict"] is None
        explain(daemon, carrier_invite(ua(net.SPARE), "900"), source=net.STRANGER)
        explain(daemon, carrier_invite(ua(net.SPARE), "+15550100"), source=net.CARRIER)
    after = daemon.api.metrics()
    assert {k: after[k] for k in before} == before
    assert daemon.api.get(f"/v1/bans/{net.STRANGER}")["points_unproven"] == 0 and daemon.api.get("/v1/bans")["items"] == []
    news = [line for line in daemon.log_lines()[log:] if "admin: POST" not in str(line)]
    assert news == []
    assert daemon.api.cdrs() == [] and daemon.api.system()["media"]["sockets"] == 0


def test_limits_are_seen_and_not_taken(house, pair):
    daemon = house(peers={"carrier": {"limits": {"calls": 1}}})
    a, _ = pair
    invite = carrier_invite(a)
    for _ in range(3):
        assert explain(daemon, invite, source=net.CARRIER)["verdict"]["action"] == "route"
    near, far = established(pair)
    full = explain(daemon, invite, source=net.CARRIER)
    assert full["verdict"]["action"] == "refuse" and full["answer"].startswith("503 ")
    assert full["trace"][-1] == {"step": "over", "name": "peers.carrier.limits.calls",
                                 "result": "1 of 1 in use: Peer has too many calls"}
    state = {x["limit"]: x for x in full["limits"]}
    assert state["peers.carrier.limits.calls"] == next(x for x in daemon.api.get("/v1/limits", scope="peer")["items"]
                                                       if x["limit"] == "peers.carrier.limits.calls")
    assert state["peers.carrier.limits.calls"]["use"] == 1 and state["limits.calls"]["use"] == 1
    hang_up(near, far)
    daemon.wait_quiet()
    assert explain(daemon, invite, source=net.CARRIER)["verdict"]["action"] == "route"


def test_a_registered_user_is_found_and_one_who_asks_is_taken_at_his_word(house, ua):
    daemon = house()
    desk = ua(net.PHONE1, 5062, user="1001")
    assert register(desk, "1001", "one-secret").status == 200
    invite = carrier_invite(ua(net.CARRIER, 5060), "1001")
    found = explain(daemon, invite, source=net.CARRIER)
    assert [m["address"] for m in invites(found)] == [f"{net.PHONE1}:5062"] and invites(found)[0]["to"] == "user:1001"
    missing = explain(daemon, carrier_invite(ua(net.SPARE), "1002"), source=net.CARRIER)
    assert missing["answer"].startswith("480 ") and missing["ended"]["reason"] == "nobody to call"
    asks = desk.build("INVITE", f"sip:1001@{net.OUT}", body=offer(desk.ip, desk.name), ctype="application/sdp")
    assert explain(daemon, asks, source=net.PHONE1)["verdict"]["action"] == "challenge"
    proven = explain(daemon, asks, source=net.PHONE1, user="1002")
    assert proven["verdict"]["source"] == "user:1002" and proven["verdict"]["route"] == "internal"
    desk.nothing("INVITE")


def test_secrets_are_not_kept(house, pair, ua):
    daemon = house(peers={"carrier": {"trusted_network": True, "media": "secure"}},
                   media_profiles={"secure": {"security": "sdes"}})
    a, b = pair
    key = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz"
    sdp = offer(a.ip, a.name).replace("RTP/AVP", "RTP/SAVP") + f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{key}|2^20\r\n"
    near = a.invite("+15550100", sdp, headers=[("Authorization", 'Digest username="x", response="0123456789abcdef"')])
    far = b.incoming()
    far.reply(486)
    assert near.result().status == 486
    far.expect("ACK")
    call = daemon.cdr()
    again = explain(daemon, call=call["id"])
    assert again["verdict"] == call["verdict"] and len(invites(again)) == 1
    assert daemon.stop() == 0
    kept = b"".join(open(path, "rb").read() for path in (daemon.db_path, daemon.db_path + "-wal") if os.path.exists(path))
    assert b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:AAAA" in kept
    assert key.encode() not in kept and b"0123456789abcdef" not in kept


def test_wrong_questions_are_problems(house, ua):
    daemon = house()
    invite = bytes(carrier_invite(ua(net.CARRIER, 5060)))

    def problem(status, path, data=b"", text="", **query):
        answer = daemon.api.request("POST", path, query, data=data)
        assert answer.status == status and answer.headers["Content-Type"].startswith("application/problem+json"), answer
        assert text in answer.body, answer
        return answer.json
    problem(400, "/v1/explain", text="?call=ID")
    problem(400, "/v1/explain", invite, text="?call=ID", call="0000000000000")
    problem(404, "/v1/explain", call="0000000000000")
    problem(400, "/v1/explain", call="!!")
    problem(400, "/v1/explain", invite, text="source", source="nowhere")
    problem(400, "/v1/explain", invite, text="listener", source=net.CARRIER, listener="roof")
    problem(400, "/v1/explain", invite, text="transport", source=net.CARRIER, transport="pigeon")
    problem(400, "/v1/explain", invite, text="user", source=net.CARRIER, user="nobody")
    problem(400, "/v1/explain", invite, text="such peer", source=net.CARRIER, peer="nobody", transport="tls")
    problem(400, "/v1/explain", invite, text="only over TLS", source=net.CARRIER, peer="pbx")
    problem(413, "/v1/explain", b"x" * 70000)
    problem(400, "/v1/config/diff")
    wrong = problem(422, "/v1/config/diff", b"listeners: {}\nnonsense: 1\n")
    assert any(re.match(r"candidate:\d+:\d+: ", e) for e in wrong["errors"]), wrong
    problem(400, "/v1/config/diff", b"x: 1", text="limit", limit="0")
    assert daemon.api.request("POST", "/v1/explain", {}, data=invite, token=False).status == 401
    assert daemon.api.request("GET", "/v1/explain").status == 405
    garbage = explain(daemon, b"hello there", source=net.STRANGER)
    assert garbage["malformed"] and garbage["messages"] == [] and garbage["verdict"] is None
    assert Msg.parse(invites(explain(daemon, invite, source=net.CARRIER))[0]["text"].encode()).sdp
