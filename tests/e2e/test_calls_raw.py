"""Calls message by message: what SIPp cannot time or say. Carrier outside calls the PBX inside, unless said otherwise."""
import re
import time

import pytest

from kit import net
from kit.calls import established, hang_up, offer, settle
from kit.sip import digest, unique, write_sdp


def test_two_dialogs_have_nothing_in_common(house, pair):
    house()
    near, far = established(pair)
    assert near.invite.call_id != far.invite.call_id
    assert near.invite.tag("From") != far.invite.tag("From")
    assert near.invite.sdp.origin[:2] != far.invite.sdp.origin[:2]
    assert far.invite.sdp.address == net.IN and 30000 <= far.invite.sdp.port <= 30999
    assert far.invite.contact_uri.split("@")[1].startswith(net.IN)
    assert far.invite.get("Max-Forwards") == "69"
    assert len(far.invite.all("Via")) == 1 and not far.invite.get("Record-Route")
    assert "+15550111" in far.invite.get("From") and "Caller of carry" in far.invite.get("From")
    hang_up(near, far)


def test_contact_is_the_same_in_ringing_and_answer(house, pair):
    house()
    a, b = pair
    near = a.invite("+15550100", offer(a.ip, a.name))
    far = b.incoming()
    far.reply(183, offer(b.ip, b.name))
    first = near.wait(183)
    far.reply(200, offer(b.ip, b.name))
    second = near.result()
    assert first.get("Contact") == second.get("Contact") and first.tag("To") == second.tag("To")
    assert first.sdp.media == second.sdp.media
    near.ack()
    far.expect("ACK")
    hang_up(near, far)


def test_retransmitted_invite_makes_one_call(house, pair):
    daemon = house()
    a, b = pair
    near = a.invite("+15550100", offer(a.ip, a.name))
    for _ in range(3):
        a.send(near.invite)
    far = b.incoming()
    far.reply(180)
    near.wait(180)
    a.send(near.invite)
    b.nothing("INVITE", 0.2)
    far.reply(486)
    assert near.result().status == 486
    far.expect("ACK")
    daemon.wait_cdrs(1)


def test_answer_is_repeated_until_the_ack(house, pair):
    house()
    a, b = pair
    near = a.invite("+15550100", offer(a.ip, a.name))
    far = b.incoming()
    far.reply(200, offer(b.ip, b.name))
    near.result()
    repeats = a.repeats
    net.until(lambda: a.nothing(lambda m: m.status != 100, 0.1) or a.repeats - repeats >= 2, 5, "the answer is not repeated")
    near.ack()
    far.expect("ACK")
    hang_up(near, far)


def test_missing_ack_ends_the_call(house, pair):
    """64*T1 after the answer: BYE to both, one record."""
    daemon = house(sip={"t1": "100ms", "t2": "500ms"})
    a, b = pair
    near = a.invite("+15550100", offer(a.ip, a.name))
    far = b.incoming()
    far.reply(200, offer(b.ip, b.name))
    near.result()
    b.expect("ACK")
    far.take_bye(10)
    near.take_bye(10)
    record = daemon.cdr()
    assert record["end_by"] == "timeout" and "ACK" in record["end_reason"]


def test_repeated_answer_is_acknowledged_again(house, pair):
    house()
    a, b = pair
    near, far = established(pair)
    before = b.repeats
    far.reply(200, offer(b.ip, b.name), to=far.invite)
    net.until(lambda: b.nothing("BYE", 0.05) or b.repeats > before, 3, "no second ACK")
    hang_up(near, far)


@pytest.mark.parametrize("who", ["caller", "callee"])
def test_bye_by_either_side(house, pair, who):
    daemon = house()
    near, far = established(pair)
    (hang_up(near, far) if who == "caller" else hang_up(far, near))
    record = daemon.cdr()
    assert (record["end_by"], record["end_code"]) == (who, 200)


def test_bye_of_both_at_once(house, pair):
    daemon = house()
    near, far = established(pair)
    one, two = near.send("BYE"), far.send("BYE")
    near.answer_to(one, {200, 481})
    far.answer_to(two, {200, 481})
    daemon.wait_cdrs(1)


def test_bye_unanswered_by_the_other_side_still_ends_the_call(house, pair):
    daemon = house(sip={"t1": "100ms", "t2": "500ms"})
    near, far = established(pair)
    near.bye()
    record = daemon.cdr()
    assert record["end_by"] == "caller"
    far.expect("BYE")  # and no answer
    net.until(lambda: daemon.api.system()["calls"]["ending"] == 0, 10, "the zombie stays")


# --- giving up ---

def test_cancel_before_any_answer_of_the_callee(house, pair):
    """No provisional answer: CANCEL to the callee waits for one (RFC 3261 9.1)."""
    daemon = house()
    a, b = pair
    near = a.invite("+15550100", offer(a.ip, a.name))
    far = b.incoming()
    near.cancel()
    a.expect(lambda m: m.status == 200 and m.cseq[1] == "CANCEL")
    assert near.result().status == 487
    b.nothing("CANCEL", 0.2)
    far.reply(180)
    cancel = b.expect("CANCEL")
    b.respond(cancel, 200)
    far.reply(487)
    far.expect("ACK")
    assert daemon.cdr()["end_code"] == 487


def test_cancel_crossing_the_answer(house, pair):
    """The callee's 200 and the caller's CANCEL meet: the callee gets ACK and BYE, the caller 487, one record."""
    daemon = house()
    a, b = pair
    near = a.invite("+15550100", offer(a.ip, a.name))
    far = b.incoming()
    far.reply(180)
    near.wait(180)
    near.cancel()
    cancel = b.expect("CANCEL")
    far.reply(200, offer(b.ip, b.name))  # too late to give up
    b.respond(cancel, 200)
    assert near.result().status == 487
    far.expect("ACK")
    far.take_bye()
    record = daemon.cdr()
    assert (record["end_code"], record["end_by"]) == (487, "caller")


def test_cancel_after_the_answer_has_no_effect(house, pair):
    house()
    near, far = established(pair)
    near.cancel()
    near.ua.expect(lambda m: m.cseq[1] == "CANCEL" and m.status in (200, 481))
    near.ua.nothing("BYE", 0.2)
    hang_up(near, far)


def test_cancel_of_nothing_is_481(house, ua):
    house()
    a = ua(net.CARRIER, 5060)
    req = a.request("CANCEL", a.uri("+15550100"))
    assert a.expect(lambda m: m.call_id == req.call_id).status == 481


@pytest.mark.parametrize("status, seen", [(404, 404), (480, 480), (486, 486), (488, 488), (500, 500), (603, 603), (302, 480),
                                          (401, 502), (407, 502)])
def test_failures_as_the_caller_sees_them(house, pair, status, seen):
    daemon = house()
    a, b = pair
    near = a.invite("+15550100", offer(a.ip, a.name))
    far = b.incoming()
    extra = [("Contact", f"<sip:elsewhere@{net.SPARE}>")] if status == 302 else []
    far.reply(status, headers=extra, reason=f"Because {b.name} says so at {net.PBX}")
    far.expect("ACK")
    assert near.result().status == seen
    assert daemon.cdr()["end_code"] == seen


# --- failover ---

def two_targets(**more):
    return {"peers": {"pbx": {"targets": [f"sip:{net.PBX}:5070", f"sip:{net.PBX2}:5070"], **more}}}


def test_dead_target_is_left_within_two_seconds(house, ua):
    daemon = house(**two_targets())
    a, deaf, b = ua(net.CARRIER, 5060), ua(net.PBX, 5070, name="deaf"), ua(net.PBX2, 5070, name="second")
    start = time.monotonic()
    near = a.invite("+15550100", offer(a.ip, a.name))
    far = b.incoming(4)
    took = time.monotonic() - start
    assert 1.5 < took < 7, took  # the transaction alone would give up after 64 * 200 ms
    far.reply(200, offer(b.ip, b.name))
    assert near.result().status == 200
    near.ack()
    far.expect("ACK")
    hang_up(near, far)
    record = daemon.cdr()
    assert [(at["result"], at["status"]) for at in record["attempts"]] == [("timeout", 0), ("answered", 200)]
    assert len({m.call_id for m in deaf.inbox}) <= 1


def test_closed_port_is_left_at_once(house, ua):
    """Nobody listens at the first target: ICMP says so (or the time runs out)."""
    daemon = house(**two_targets())
    a, b = ua(net.CARRIER, 5060), ua(net.PBX2, 5070)
    near = a.invite("+15550100", offer(a.ip, a.name))
    far = b.incoming(4)
    far.reply(200, offer(b.ip, b.name))
    near.result()
    near.ack()
    far.expect("ACK")
    hang_up(near, far)
    assert len(daemon.cdr()["attempts"]) == 2


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_503_goes_to_the_next_target(house, ua, transport):
    suffix = ";transport=tcp" if transport == "tcp" else ""
    daemon = house(peers={"pbx": {"targets": [f"sip:{net.PBX}:5070{suffix}", f"sip:{net.PBX2}:5070{suffix}"]}})
    a = ua(net.CARRIER, 5060)
    first, b = ua(net.PBX, 5070, transport=transport), ua(net.PBX2, 5070, transport=transport)
    near = a.invite("+15550100", offer(a.ip, a.name))
    gone = first.incoming()
    gone.reply(503, headers=[("Retry-After", "10")])
    gone.expect("ACK")
    far = b.incoming()
    far.reply(200, offer(b.ip, b.name))
    assert near.result().status == 200
    near.ack()
    far.expect("ACK")
    hang_up(near, far)
    assert [at["status"] for at in daemon.cdr()["attempts"]] == [503, 200]


def test_refused_tcp_connection_goes_to_the_next_target(house, ua):
    daemon = house(peers={"pbx": {"targets": [f"sip:{net.PBX}:5070;transport=tcp", f"sip:{net.PBX2}:5070"]}})
    a, b = ua(net.CARRIER, 5060), ua(net.PBX2, 5070)
    near = a.invite("+15550100", offer(a.ip, a.name))
    far = b.incoming(3)
    far.reply(486)
    far.expect("ACK")
    assert near.result().status == 486
    assert [at["result"] for at in daemon.cdr()["attempts"]] == ["unreachable", "refused"]


def test_busy_is_not_failed_over(house, ua):
    house(**two_targets())
    a, b, c = ua(net.CARRIER, 5060), ua(net.PBX, 5070), ua(net.PBX2, 5070)
    near = a.invite("+15550100", offer(a.ip, a.name))
    far = b.incoming()
    far.reply(486)
    far.expect("ACK")
    assert near.result().status == 486
    c.nothing("INVITE", 0.2)


def test_all_targets_dead(house, ua):
    daemon = house(**two_targets(failover={"timeout": "300ms"}))
    a, _, _ = ua(net.CARRIER, 5060), ua(net.PBX, 5070), ua(net.PBX2, 5070)
    near = a.invite("+15550100", offer(a.ip, a.name))
    assert near.result().status in (408, 480, 500, 502, 503, 504)
    assert len(daemon.cdr()["attempts"]) == 2


# --- inside the dialog ---

def test_reinvite_changes_the_address(house, pair, ear):
    house()
    a, b = pair
    first, second, callee = ear(net.CARRIER, 500), ear(net.CARRIER, 700), ear(net.PBX, 800)
    near = a.invite("+15550100", write_sdp(a.ip, first.port, a.name))
    far = b.incoming()
    far.reply(200, write_sdp(b.ip, callee.port, b.name))
    near.result()
    near.ack()
    far.expect("ACK")
    first.talk(near.answer.sdp.media)
    before = near.answer.sdp.media
    callee.talk(far.invite.sdp.media)
    first.hears(800)
    near.reinvite(write_sdp(a.ip, second.port, a.name, version=2))
    again = far.expect("INVITE")
    assert again.sdp.origin[1] == far.invite.sdp.origin[1] and again.sdp.origin[2] in (
        far.invite.sdp.origin[2], far.invite.sdp.origin[2] + 1)
    far.reply(200, write_sdp(b.ip, callee.port, b.name, version=2), to=again)
    answer = near.result()
    near.ack()
    far.expect("ACK")
    first.silence()
    second.talk(answer.sdp.media)
    second.hears(800)
    callee.hears(700, since=time.monotonic() + 1)  # what was under way has come
    assert before == answer.sdp.media
    hang_up(near, far)


def test_reinvite_without_offer(house, pair):
    house()
    near, far = established(pair)
    near.reinvite()
    again = far.expect("INVITE")
    assert again.body == b""
    far.reply(200, offer(far.ua.ip, far.ua.name, version=2), to=again)
    assert near.result().sdp.address == net.OUT
    near.ack(offer(near.ua.ip, near.ua.name, version=2))
    assert far.expect("ACK").sdp.address == net.IN
    hang_up(near, far)


def test_refused_reinvite_leaves_the_call_as_it_was(house, pair):
    house()
    near, far = established(pair)
    far.reinvite(offer(far.ua.ip, far.ua.name, version=2, direction="sendonly"))
    again = near.expect("INVITE")
    near.reply(488, to=again)
    near.expect("ACK")
    assert far.result().status == 488
    hang_up(near, far)


def test_glare_is_491_for_both_and_settled_by_trying_again(house, pair):
    house()
    near, far = established(pair)
    near.reinvite(offer(near.ua.ip, near.ua.name, version=2, direction="sendonly"))
    again = far.expect("INVITE")
    mine = far.reinvite(offer(far.ua.ip, far.ua.name, version=2))
    refused = far.ua.expect(lambda m: m.status and m.status >= 200 and m.cseq == mine.cseq)
    assert refused.status == 491
    far.offer = mine
    far.ack_failure(refused)
    far.reply(200, offer(far.ua.ip, far.ua.name, version=3, direction="recvonly"), to=again)
    assert near.result().sdp.direction == "recvonly"
    near.ack()
    far.expect("ACK")
    settle(near)
    far.reinvite(offer(far.ua.ip, far.ua.name, version=4))
    near.reply(200, offer(near.ua.ip, near.ua.name, version=4), to=near.expect("INVITE"))
    assert far.result().status == 200
    far.ack()
    near.expect("ACK")
    hang_up(near, far)


def test_second_reinvite_of_the_same_side_is_500(house, pair):
    house()
    near, far = established(pair)
    near.reinvite(offer(near.ua.ip, near.ua.name, version=2))
    again = far.expect("INVITE")
    first = near.offer
    near.reinvite(offer(near.ua.ip, near.ua.name, version=3))
    rsp = near.result()
    assert rsp.status == 500 and rsp.get("Retry-After")
    near.offer = first
    far.reply(200, offer(far.ua.ip, far.ua.name, version=2), to=again)
    near.result()
    near.ack()
    far.expect("ACK")
    hang_up(near, far)


@pytest.mark.parametrize("who", ["caller", "callee"])
def test_info_is_carried_with_its_body_and_answered_by_the_far_side(house, pair, who):
    house()
    near, far = established(pair)
    one, two = (near, far) if who == "caller" else (far, near)
    sent = one.send("INFO", body=b"Signal=5\r\nDuration=160\r\n", ctype="application/dtmf-relay")
    got = two.expect("INFO")
    assert got.body == b"Signal=5\r\nDuration=160\r\n" and got.get("Content-Type") == "application/dtmf-relay"
    two.ua.respond(got, 200)
    one.answer_to(sent, 200)
    hang_up(near, far)


def test_refusal_of_info_comes_back(house, pair):
    house()
    near, far = established(pair)
    sent = near.send("INFO", body=b"x", ctype="text/plain")
    far.ua.respond(far.expect("INFO"), 469)
    near.answer_to(sent, 469)
    hang_up(near, far)


@pytest.mark.parametrize("kind", ["application/sdp", "application/x-strange", "message/sipfrag"])
def test_bodies_that_may_name_the_other_side_are_not_carried(house, pair, kind):
    house()
    near, far = established(pair)
    near.answer_to(near.send("INFO", body=write_sdp(net.CARRIER, 4000, "carry"), ctype=kind), 415)
    far.ua.nothing("INFO", 0.1)
    hang_up(near, far)


def test_options_inside_and_outside_a_call(house, pair):
    house()
    near, far = established(pair)
    assert near.ua.options() == 200
    inside = near.send("OPTIONS")
    rsp = near.answer_to(inside, 200)
    assert "INVITE" in rsp.get("Allow")
    hang_up(near, far)


def test_message_outside_a_dialog_reaches_the_peer(house, ua):
    daemon = house()
    a, b = ua(net.CARRIER, 5060, name="carry"), ua(net.PBX, 5070, name="exchange", proxy=(net.IN, 5060))
    req = a.request("MESSAGE", a.uri("+15550100"), body=b"Good evening.", ctype="text/plain", contact=False)
    got = b.expect("MESSAGE")
    assert got.body == b"Good evening." and got.call_id != req.call_id and got.get("Content-Type") == "text/plain"
    b.respond(got, 202, tag=unique(), reason="Accepted")
    assert a.expect(lambda m: m.call_id == req.call_id and m.status >= 200).status in (200, 202)
    assert daemon.api.cdrs() == []


def test_message_inside_a_call(house, pair):
    house()
    near, far = established(pair)
    sent = far.send("MESSAGE", body=b"hello there", ctype="text/plain")
    got = near.expect("MESSAGE")
    assert got.body == b"hello there"
    near.ua.respond(got, 200)
    far.answer_to(sent, 200)
    hang_up(near, far)


def test_unknown_methods_are_refused_by_name(house, pair):
    house()
    near, far = established(pair)
    for method, status in (("REFER", {405, 501, 403, 603}), ("WHATEVER", {501, 405})):
        sent = near.send(method)
        near.answer_to(sent, status)
    hang_up(near, far)


def test_request_with_a_wrong_tag_is_481_and_changes_nothing(house, pair):
    house()
    near, far = established(pair)
    true_remote, true_local = near.remote, near.local
    near.remote = true_remote.replace("tag=", "tag=x")
    near.answer_to(near.send("BYE"), 481)
    near.remote = true_remote
    near.local = true_local + "x"
    near.answer_to(near.send("BYE"), 481)
    near.local = true_local
    far.ua.nothing("BYE", 0.2)
    hang_up(near, far)


def test_cseq_going_back_is_500(house, pair):
    house()
    near, far = established(pair)
    near.cseq += 5
    sent = near.send("INFO", body=b"x", ctype="text/plain")
    far.ua.respond(far.expect("INFO"), 200)
    near.answer_to(sent, 200)
    near.answer_to(near.send("INFO", cseq=2, body=b"x", ctype="text/plain"), 500)
    hang_up(near, far)


def test_stranger_can_not_end_a_call_with_stolen_tags(house, pair, ua):
    """All identifiers right, source wrong: not from where the dialog lives."""
    house()
    near, far = established(pair)
    stranger = ua(net.STRANGER, 5060, name="evil")
    near.send("BYE", ua=stranger)
    far.ua.nothing("BYE", 0.3)
    near.cseq -= 1
    hang_up(near, far)


def test_no_route_and_no_peer(house, ua):
    daemon = house(routes=[{"name": "inbound", "from": "carrier", "match": {"called": "+*"}, "to": ["pbx"]}])
    known, stranger = ua(net.PBX, 5070, proxy=(net.IN, 5060)), ua(net.STRANGER, 5060, proxy=(net.IN, 5060))
    assert known.invite("+15550100", offer(known.ip, "p")).result().status == 404
    call = stranger.invite("+15550100", offer(stranger.ip, "s"))
    assert call.result().status == 403
    records = daemon.wait_cdrs(1)  # strangers leave none
    assert records[0]["end_code"] == 404 and records[0]["source"] == "peer:pbx"


def test_refusal_by_route_says_status_and_reason(house, pair):
    daemon = house(routes=[{"name": "no-premium", "match": {"called": "+1900*"}, "refuse": {"status": 603, "reason": "premium"}},
                           {"name": "inbound", "from": "carrier", "to": ["pbx"]}])
    a, _ = pair
    rsp = a.invite("+19005550100", offer(a.ip, a.name)).result()
    assert rsp.status == 603
    record = daemon.cdr()
    assert record["route"] == "no-premium" and record["end_reason"] == "premium"
    assert any(step["name"] == "no-premium" for step in record["trace"])


def test_call_limits_of_a_peer(house, ua):
    daemon = house(peers={"carrier": {"limits": {"calls": 1}}})
    a, b = ua(net.CARRIER, 5060), ua(net.PBX, 5070, proxy=(net.IN, 5060))
    near, far = established((a, b))
    rsp = a.invite("+15550100", offer(a.ip, a.name)).result()
    assert rsp.status == 503 and rsp.get("Retry-After")
    hang_up(near, far)
    daemon.wait_quiet()
    near, far = established((a, b))
    hang_up(near, far)
    assert sorted(r["end_code"] for r in daemon.wait_cdrs(3)) == [200, 200, 503]


def test_answer_to_a_challenge_of_the_peer(house, ua):
    daemon = house(peers={"pbx": {"credentials": {"username": "acme", "password": "s3cret"}}})
    a, b = ua(net.CARRIER, 5060), ua(net.PBX, 5070, proxy=(net.IN, 5060))
    near = a.invite("+15550100", offer(a.ip, a.name))
    far = b.incoming()
    challenge = 'Digest realm="pbx.test", nonce="abc123", qop="auth", algorithm=MD5'
    far.reply(407, headers=[("Proxy-Authenticate", challenge)])
    far.expect("ACK")
    again = b.incoming()
    auth = again.invite.get("Proxy-Authorization")
    parts = dict(re.findall(r'(\w+)="?([^",]+)"?', auth))
    wanted = digest("INVITE", parts["uri"], "acme", "s3cret", challenge, nc=int(parts["nc"], 16), cnonce=parts["cnonce"])
    assert f'response="{parts["response"]}"' in wanted and parts["username"] == "acme"
    assert again.invite.cseq[0] > far.invite.cseq[0]
    again.reply(200, offer(b.ip, b.name))
    assert near.result().status == 200
    near.ack()
    again.expect("ACK")
    hang_up(near, again)
    daemon.wait_cdrs(1)


def test_hang_up_by_the_operator(house, pair):
    daemon = house()
    near, far = established(pair)
    live = daemon.live()
    assert daemon.api.delete("/v1/calls/" + live["id"]).status == 202
    near.take_bye()
    far.take_bye()
    record = daemon.cdr()
    assert record["end_by"] == "admin"
    assert daemon.api.delete("/v1/calls/" + live["id"]).status == 409


def test_hang_up_by_the_operator_while_it_rings(house, pair):
    daemon = house()
    a, b = pair
    near = a.invite("+15550100", offer(a.ip, a.name))
    far = b.incoming()
    far.reply(180)
    near.wait(180)
    live = daemon.live("ringing")
    assert daemon.api.delete("/v1/calls/" + live["id"]).status == 202
    cancel = b.expect("CANCEL")
    b.respond(cancel, 200)
    far.reply(487)
    far.expect("ACK")
    assert near.result().status >= 400
    assert daemon.cdr()["end_by"] == "admin"


def test_no_media_ends_the_call(house, pair, ear):
    """Both sides silent for the inactivity time (5 s is the least)."""
    daemon = house(media={"inactivity": "5s"})
    near, far = established(pair)
    near.take_bye(12)
    far.take_bye(5)
    record = daemon.cdr()
    assert record["end_by"] == "media", record["end_reason"]
