"""Registrations: digest, bindings, parallel ringing, flows, persistence."""
import time

import pytest

from kit import net
from kit.registering import AOR, DOMAIN, bindings, challenge_of, listed, register, send_register
from kit.sip import digest, unique, write_sdp

def test_challenge_is_one_md5_with_qop_auth(house, ua):
    house()
    rsp = send_register(ua(net.PHONE1, 5062), "1001")
    assert rsp.status == 401
    assert len(rsp.all("WWW-Authenticate")) == 1
    value = rsp.get("WWW-Authenticate")
    assert f'realm="{DOMAIN}"' in value and 'qop="auth"' in value and "auth-int" not in value
    assert "SHA" not in value


def test_right_password_registers_and_the_contact_comes_back_clean(house, ua):
    daemon = house()
    device = ua(net.PHONE1, 5062, name="device")
    rsp = register(device, "1001", "one-secret", expires=300)
    assert rsp.status == 200
    assert rsp.get("Contact") == f"<{device.contact()[1:-1]}>;expires=300"
    binding = listed(daemon, 1)[0]
    assert binding["user"] == "1001" and binding["contact"] == device.contact()[1:-1]


def test_wrong_password_and_unknown_user_look_the_same(house, ua):
    house()
    device = ua(net.PHONE1, 5062)
    wrong = register(device, "1001", "wrong")
    unknown = register(device, "4711", "wrong")
    assert wrong.status == unknown.status

    def shape(msg):
        return [name for name, _ in msg.headers], msg.start
    assert shape(wrong) == shape(unknown)
    assert shape(send_register(device, "1001")) == shape(send_register(device, "4711"))


def test_timing_does_not_tell_users_apart_grossly(house, ua):
    house()
    device = ua(net.PHONE1, 5062)
    took = {"1001": [], "4711": []}
    for user in list(took) * 15:
        first = send_register(device, user)
        auth = digest("REGISTER", f"sip:{DOMAIN}", user, "wrong", first.get("WWW-Authenticate"))
        start = time.monotonic()
        send_register(device, user, auth, cseq=2)
        took[user].append(time.monotonic() - start)
    best = {user: min(times) for user, times in took.items()}  # on a busy machine only the best says something
    assert abs(best["1001"] - best["4711"]) < 0.003, best


def test_replayed_credentials_are_stale(house, ua):
    house()
    device = ua(net.PHONE1, 5062)
    challenge = challenge_of(device, "1001")
    auth = digest("REGISTER", f"sip:{DOMAIN}", "1001", "one-secret", challenge)
    assert send_register(device, "1001", auth, cseq=2).status == 200
    again = send_register(device, "1001", auth, cseq=3)
    assert again.status == 401 and "stale=true" in again.get("WWW-Authenticate").lower()
    higher = digest("REGISTER", f"sip:{DOMAIN}", "1001", "one-secret", challenge, nc=2)
    assert send_register(device, "1001", higher, cseq=4).status == 200


def test_replay_is_seen_whatever_worker_gets_it(house, ua):
    house(node={"workers": 4})
    device = ua(net.PHONE1, 5062)
    auth = digest("REGISTER", f"sip:{DOMAIN}", "1001", "one-secret", challenge_of(device, "1001"))
    assert send_register(device, "1001", auth, cseq=2).status == 200
    for i in range(8):
        other = ua(net.PHONE1, 0)
        assert send_register(other, "1001", auth, cseq=3 + i).status == 401


def test_credentials_of_another_address_are_worth_nothing(house, ua):
    house()
    auth = digest("REGISTER", f"sip:{DOMAIN}", "1001", "one-secret", challenge_of(ua(net.PHONE1, 5062), "1001"))
    assert send_register(ua(net.STRANGER, 5062), "1001", auth, cseq=2).status == 401


def test_one_user_can_not_register_for_another(house, ua):
    daemon = house()
    device = ua(net.PHONE1, 5062)
    auth = digest("REGISTER", f"sip:{DOMAIN}", "1002", "two-secret", challenge_of(device, "1001"))
    rsp = send_register(device, "1001", auth, cseq=2, to=AOR.format("1001"))
    assert rsp.status in (401, 403) and bindings(daemon) == []


def test_expiry_rules(house, ua):
    daemon = house(users={"expires": {"min": "60s", "max": "10m", "default": "5m"}})
    device = ua(net.PHONE1, 5062)
    brief = register(device, "1001", "one-secret", expires=10)
    assert brief.status == 423 and brief.get("Min-Expires") == "60"
    assert register(device, "1001", "one-secret", expires=86400).get("Contact").endswith("expires=600")
    assert register(device, "1001", "one-secret", expires=None).get("Contact").endswith("expires=300")
    gone = register(device, "1001", "one-secret", expires=0)
    assert gone.status == 200 and not gone.get("Contact")
    listed(daemon, 0, 5)


def test_bindings_expire_by_themselves(house, ua):
    daemon = house(users={"expires": {"min": "1s", "max": "10m", "default": "5m"}})
    device, caller = ua(net.PHONE1, 5062), ua(net.CARRIER, 5060)
    assert register(device, "1001", "one-secret", expires=4).status == 200
    listed(daemon, 1)
    listed(daemon, 0, 8)
    assert caller.invite("1001", write_sdp(caller.ip, 4000)).result().status == 480


def test_star_removes_everything(house, ua):
    daemon = house()
    house.parties = {"phones": {net.PHONE1, net.PHONE2}}  # one user: each device is told of all (RFC 3261 10.3)
    one, two = ua(net.PHONE1, 5062, name="first"), ua(net.PHONE2, 5062, name="second")
    register(one, "1001", "one-secret")
    register(two, "1001", "one-secret")
    listed(daemon, 2)
    assert register(one, "1001", "one-secret", expires=0, contact="*").status == 200
    listed(daemon, 0, 5)


def test_query_lists_without_changing(house, ua):
    house()
    device = ua(net.PHONE1, 5062)
    register(device, "1001", "one-secret")
    rsp = register(device, "1001", "one-secret", contact=False, expires=None)
    assert rsp.status == 200 and rsp.get("Contact").startswith(device.contact()[:-1])


def test_older_cseq_of_the_same_call_id_changes_nothing(house, ua):
    daemon = house()
    device = ua(net.PHONE1, 5062)
    register(device, "1001", "one-secret", call_id="same", cseq=10)
    assert register(device, "1001", "one-secret", call_id="same", cseq=4, expires=0).status in (400, 500)
    listed(daemon, 1)


def test_instance_replaces_its_older_binding(house, ua):
    daemon = house()
    device = ua(net.PHONE1, 5062)
    for port in (6001, 6002, 6003):
        contact = f'<sip:1001@{net.PHONE1}:{port}>;+sip.instance="<urn:uuid:0000-1>";reg-id=1'
        assert register(device, "1001", "one-secret", contact=contact).status == 200
    net.until(lambda: [b["contact"] for b in bindings(daemon)] == [f"sip:1001@{net.PHONE1}:6003"], 3,
              f"one binding is due: {bindings(daemon)}")


def test_required_extension_is_420(house, ua):
    house()
    rsp = send_register(ua(net.PHONE1, 5062), "1001", headers=[("Require", "gruu")])
    assert rsp.status in (420, 401)
    if rsp.status == 420:
        assert "gruu" in rsp.get("Unsupported")


# --- calls to registered users ---

def test_call_between_users_needs_the_callers_credentials(house, ua):
    daemon = house()
    one, two = ua(net.PHONE1, 5062, name="first", user="1001"), ua(net.PHONE2, 5062, name="second", user="1002")
    register(one, "1001", "one-secret")
    register(two, "1002", "two-secret")
    listed(daemon, 2)
    near = one.invite("1002", write_sdp(one.ip, 4000, "first"), from_=f"<{AOR.format('1001')}>;tag={unique()}")
    refused = near.result()
    assert refused.status == 407 and len(refused.all("Proxy-Authenticate")) == 1
    auth = digest("INVITE", near.invite.uri, "1001", "one-secret", refused.get("Proxy-Authenticate"))
    near = one.invite("1002", write_sdp(one.ip, 4000, "first"), from_=f"<{AOR.format('1001')}>;tag={unique()}",
                      headers=[("Proxy-Authorization", auth)], cseq=2)
    far = two.incoming()
    assert not far.invite.get("Proxy-Authorization") and "one-secret" not in str(bytes(far.invite))
    assert f"sip:1001@{DOMAIN}" in far.invite.get("From")
    far.reply(200, write_sdp(two.ip, 4002, "second"))
    assert near.result().status == 200
    near.ack()
    far.expect("ACK")
    near.bye_later = near.send("BYE")
    far.take_bye()
    near.answer_to(near.bye_later)
    record = daemon.cdr()
    assert (record["source"], record["target"], record["calling"]) == ("user:1001", "user:1002", "1001")


def test_users_identity_is_the_account_and_not_its_from(house, ua):
    daemon = house()
    one, two = ua(net.PHONE1, 5062, name="first"), ua(net.PHONE2, 5062, name="second")
    register(two, "1002", "two-secret")
    listed(daemon, 1)
    liar = f'<sip:+15559999999@{DOMAIN}>;tag='
    first = one.invite("1002", write_sdp(one.ip, 4000, "first"), from_=liar + unique())
    auth = digest("INVITE", first.invite.uri, "1001", "one-secret", first.result().get("Proxy-Authenticate"))
    near = one.invite("1002", write_sdp(one.ip, 4000, "first"), from_=liar + unique(), headers=[("Proxy-Authorization", auth)])
    far = two.incoming()
    assert "9999999" not in str(bytes(far.invite)) and "1001" in far.invite.get("From")
    far.reply(486)
    far.expect("ACK")
    near.result()
    assert daemon.cdr()["calling"] == "1001"


def test_all_contacts_ring_and_the_first_answer_wins(house, ua):
    daemon = house()
    caller = ua(net.CARRIER, 5060, name="carry")
    devices = [ua(net.PHONE1, 5062 + i, name=f"device{i}", user="1001") for i in range(3)]
    for device in devices:
        register(device, "1001", "one-secret")
    listed(daemon, 3)
    near = caller.invite("1001", write_sdp(caller.ip, 4000, "carry"))
    legs = [device.incoming() for device in devices]
    assert len({leg.call_id for leg in legs}) == 3
    for leg in legs:
        leg.reply(180)
    near.wait(180)
    winner = legs.pop(1)
    winner.reply(200, write_sdp(net.PHONE1, 4002, "device1"))
    assert near.result().status == 200
    near.ack()
    winner.expect("ACK")
    for leg in legs:
        cancel = leg.expect("CANCEL")
        leg.ua.respond(cancel, 200)
        leg.reply(487)
        leg.expect("ACK")
    near_bye = near.send("BYE")
    winner.take_bye()
    near.answer_to(near_bye)
    record = daemon.cdr()
    assert sorted(at["status"] for at in record["attempts"])[0] == 200 and len(record["attempts"]) == 3


def test_two_devices_answering_at_once_leave_one_call(house, ua):
    """Both 200s cross: the later one gets ACK and BYE."""
    daemon = house()
    caller = ua(net.CARRIER, 5060, name="carry")
    devices = [ua(net.PHONE1, 5062 + i, name=f"device{i}", user="1001") for i in range(2)]
    for device in devices:
        register(device, "1001", "one-secret")
    listed(daemon, 2)
    near = caller.invite("1001", write_sdp(caller.ip, 4000, "carry"))
    legs = [device.incoming() for device in devices]
    for leg in legs:
        leg.reply(180)
    near.wait(180)
    for leg in legs:
        leg.reply(200, write_sdp(net.PHONE1, 4002, leg.ua.name))
    assert near.result().status == 200
    near.ack()
    for leg in legs:
        leg.expect("ACK")
    late = net.until(lambda: [leg for leg in legs if leg.ua.pump(0.05) or any(m.method == "BYE" for m in leg.ua.inbox)], 5,
                     "nobody got BYE")
    assert len(late) == 1
    late[0].take_bye()
    legs.remove(late[0])
    bye = near.send("BYE")
    legs[0].take_bye()
    near.answer_to(bye)
    daemon.wait_cdrs(1)


def test_busy_device_does_not_stop_the_others(house, ua):
    daemon = house()
    caller = ua(net.CARRIER, 5060, name="carry")
    devices = [ua(net.PHONE1, 5062 + i, name=f"device{i}") for i in range(2)]
    for device in devices:
        register(device, "1001", "one-secret")
    listed(daemon, 2)
    near = caller.invite("1001", write_sdp(caller.ip, 4000, "carry"))
    legs = [device.incoming() for device in devices]
    legs[0].reply(486)
    legs[0].expect("ACK")
    caller.nothing(lambda m: m.status == 486, 0.2)
    legs[1].reply(480)
    legs[1].expect("ACK")
    assert near.result().status in (480, 486)


def test_call_goes_to_the_source_of_the_registration_and_not_to_its_contact(house, ua):
    """NAT: the Contact is a private address; the flow is the REGISTER's source."""
    daemon = house()
    device, caller = ua(net.PHONE1, 0, name="device", user="1001"), ua(net.CARRIER, 5060, name="carry")
    assert register(device, "1001", "one-secret", contact="<sip:ct-device@192.168.7.7:5060>").status == 200
    listed(daemon, 1)
    near = caller.invite("1001", write_sdp(caller.ip, 4000, "carry"))
    far = device.incoming()
    assert far.invite.uri.startswith("sip:ct-device@192.168.7.7")
    far.reply(200, write_sdp(net.PHONE1, 4002, "device"))
    near.result()
    near.ack()
    far.expect("ACK")
    bye = near.send("BYE")
    far.take_bye()
    near.answer_to(bye)


def test_tcp_registration_is_called_by_its_connection_and_gone_with_it(house, ua):
    daemon = house()
    device, caller = ua(net.PHONE1, 0, transport="tcp", name="device"), ua(net.CARRIER, 5060, name="carry")
    assert register(device, "1001", "one-secret", contact="<sip:ct-device@192.168.7.7:5060;transport=tcp>").status == 200
    listed(daemon, 1)
    near = caller.invite("1001", write_sdp(caller.ip, 4000, "carry"))
    far = device.incoming()
    assert far.invite.conn is device.uplink
    far.reply(486)
    far.expect("ACK")
    assert near.result().status == 486
    device.uplink.sock.close()
    device.close()
    listed(daemon, 0, 5)
    assert caller.invite("1001", write_sdp(caller.ip, 4000, "carry")).result().status == 480


def test_message_to_a_registered_user(house, ua):
    daemon = house()
    device, peer = ua(net.PHONE1, 5062, name="device"), ua(net.CARRIER, 5060, name="carry")
    register(device, "1001", "one-secret")
    listed(daemon, 1)
    req = peer.request("MESSAGE", peer.uri("1001"), body=b"Hello", ctype="text/plain", contact=False)
    got = device.expect("MESSAGE")
    assert got.body == b"Hello"
    device.respond(got, 200, tag=unique())
    assert peer.expect(lambda m: m.call_id == req.call_id and m.status >= 200).status == 200


def test_contact_with_headers_never_turns_into_headers(house, ua):
    """RFC 4475 regescrt: the escaped Route stays in the binding and out of requests."""
    daemon = house()
    device, caller = ua(net.PHONE1, 5062, name="device"), ua(net.CARRIER, 5060, name="carry")
    contact = f"<sip:ct-device@{net.PHONE1}:5062?Route=%3Csip:evil.example.com%3E>"
    assert register(device, "1001", "one-secret", contact=contact).status == 200
    listed(daemon, 1)
    near = caller.invite("1001", write_sdp(caller.ip, 4000, "carry"))
    far = device.incoming()
    assert "Route" not in str(bytes(far.invite)) and "evil" not in str(bytes(far.invite))
    far.reply(486)
    far.expect("ACK")
    near.result()


# --- across restarts ---

def test_udp_binding_outlives_a_restart_and_a_tcp_one_does_not(house, ua):
    daemon = house()
    device, other = ua(net.PHONE1, 5062, name="device"), ua(net.PHONE2, 0, transport="tcp", name="other")
    register(device, "1001", "one-secret")
    register(other, "1002", "two-secret")
    listed(daemon, 2)
    assert daemon.stop() == 0
    daemon.start()
    assert listed(daemon, 1)[0]["user"] == "1001"
    caller = ua(net.CARRIER, 5060, name="carry")
    near = caller.invite("1001", write_sdp(caller.ip, 4000, "carry"))
    far = device.incoming()
    far.reply(486)
    far.expect("ACK")
    assert near.result().status == 486


@pytest.mark.parametrize("algorithm", ["sha-256"])
def test_sha_256_by_setting(house, ua, algorithm):
    house(users={"algorithm": algorithm})
    device = ua(net.PHONE1, 5062)
    first = send_register(device, "1001")
    assert "algorithm=SHA-256" in first.get("WWW-Authenticate")
    assert register(device, "1001", "one-secret").status == 200


# --- one account, guessed at from many addresses ---

def test_strangers_wait_while_many_guess_and_the_owner_does_not_also_after_a_restart(house, ua):
    daemon = house(users={"guesses": {"failures": 3, "block": "1h"}})
    owner = ua(net.PHONE1, 5062, user="1001")
    assert register(owner, "1001", "one-secret").status == 200
    listed(daemon, 1)

    def guess_until_held(daemon, begin):
        for i in range(20):  # each wait is twice as long as the one before, so one comes in which somebody is held
            ip = (net.STRANGER, net.SPARE, net.PHONE2, net.CARRIER)[i % 4]
            assert register(ua(ip, 5071 + begin + i), "1001", "wrong").status == 401
            state = daemon.api.get("/v1/limits")["password_guesses"]
            if state["accounts"] and state["accounts"][0]["strangers_wait_s"] > 2:
                break
        assert state["max"] == 3 and state["block_s"] == 3600
        assert state["accounts"][0]["user"] == "1001" and state["accounts"][0]["failures"] >= 3
    guess_until_held(daemon, 0)
    assert register(owner, "1001", "one-secret").status == 200
    assert daemon.stop() == 0
    daemon.start()
    owner = ua(net.PHONE1, 5064, user="1001")
    guess_until_held(daemon, 30)
    assert register(owner, "1001", "one-secret").status == 200
