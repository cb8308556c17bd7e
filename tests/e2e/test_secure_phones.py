"""baresip phones on both sides of every pair of RTP, SDES-SRTP and DTLS-SRTP: each hears the tone of the other, before and
after hold. A user speaks through one media profile, the carrier through another; either side calls."""
import itertools
import re

import pytest

from kit import net
from kit.phone import both_hear, check_tone, media_of

# What a phone is told, the profile of its side, and what the API has to say of it.
KINDS = {
    "rtp": ({}, {"security": "rtp"}),
    "sdes": ({"mediaenc": "srtp-mand"}, {"security": "sdes"}),
    "dtls": ({"mediaenc": "dtls_srtp"}, {"security": "dtls"}),
}
PAIRS = list(itertools.product(KINDS, KINDS))
NUMBER = "+15550199"


def profiles(user, carrier):
    return {"media_profiles": {"near": KINDS[user][1], "far": KINDS[carrier][1]},
            "peers": {"carrier": {"media": "far", "trusted_network": True}},
            "users": {"media": "near", "trusted_network": True}}


@pytest.mark.parametrize("caller", ["user", "carrier"])
@pytest.mark.parametrize("near,far", PAIRS)
def test_two_phones_hear_each_other_whatever_protects_them(house, phone, near, far, caller):
    daemon = house(**profiles(near, far))
    user = phone(net.PHONE1, "1001", "one-secret", hz=500, **KINDS[near][0]).connect().registered()
    carrier = phone(net.CARRIER, NUMBER, hz=900, register=False, port=5060, domain=net.OUT, **KINDS[far][0]).connect()
    one, two = (user, carrier) if caller == "user" else (carrier, user)
    one.dial(two.user)
    one.wait("CALL_ESTABLISHED")
    two.wait("CALL_ESTABLISHED")
    live = daemon.live()
    both_hear(daemon, live["id"])
    one.command("hold")
    net.until(lambda: "a=sendonly" in two.text() or "a=inactive" in two.text(), 5, "the other phone sees no hold")
    one.command("resume")
    net.until(lambda: sum(1 for e in daemon.api.get(f"/v1/calls/{live['id']}/ladder")["items"]
                          if e["message"].startswith("INVITE")) == 6, 5, "two re-INVITEs on both legs are due")
    both_hear(daemon, live["id"])
    one.command("hangup")
    one.wait("CALL_CLOSED")
    two.wait("CALL_CLOSED")
    assert daemon.cdr()["end_code"] == 200
    one.end()
    two.end()
    check_tone(one, two.hz)
    check_tone(two, one.hz)


def talk_and_hang_up(daemon, one, two):
    live = daemon.live()
    both_hear(daemon, live["id"])
    one.command("hangup")
    one.wait("CALL_CLOSED")
    two.wait("CALL_CLOSED")
    record = daemon.cdr()
    one.end()
    two.end()
    check_tone(one, two.hz)
    check_tone(two, one.hz)
    return record


def call_carrier(phone, near, far):
    """A user's phone in a call with the carrier's; (user, carrier)."""
    user = phone(net.PHONE1, "1001", "one-secret", hz=500, **near).connect().registered()
    carrier = phone(net.CARRIER, NUMBER, hz=900, register=False, port=5060, domain=net.OUT, **far).connect()
    user.dial(NUMBER)
    user.wait("CALL_ESTABLISHED")
    carrier.wait("CALL_ESTABLISHED")
    return user, carrier


@pytest.mark.parametrize("mediaenc,secured", [("srtp", True), (None, False)])
def test_offered_security_is_taken_or_left(house, phone, mediaenc, secured):
    """Profile `offered` of the example: SRTP with whoever takes it, RTP with who does not."""
    daemon = house(media_profiles={"offered": {"security": "sdes", "optional": True}},
                   users={"media": "offered", "trusted_network": True},
                   peers={"carrier": {"media": "offered", "trusted_network": True}})
    user, carrier = call_carrier(phone, {"mediaenc": mediaenc}, {"mediaenc": mediaenc})
    record = talk_and_hang_up(daemon, user, carrier)
    assert ("AES" in str(record["media"])) == secured, record["media"]


def test_phone_with_ice_and_one_port_talks_to_a_plain_one(house, phone):
    """As a browser does: DTLS-SRTP, ICE, RTCP on the RTP port."""
    daemon = house(media_profiles={"browser": {"security": "dtls", "ice": "lite", "rtcp_mux": True}},
                   users={"media": "browser"})
    user, carrier = call_carrier(phone, {"mediaenc": "dtls_srtp", "medianat": "ice", "mux": True}, {})
    talk_and_hang_up(daemon, user, carrier)


def test_fresh_keys_in_a_running_call_lose_no_sound(house, phone):
    daemon = house(**profiles("sdes", "sdes"))
    user, carrier = call_carrier(phone, KINDS["sdes"][0], KINDS["sdes"][0])
    live = daemon.live()["id"]
    both_hear(daemon, live)
    keys = inline_keys(house)
    answer = daemon.api.request("POST", f"/v1/calls/{live}/rekey")
    assert answer.status in (202, 204), answer
    net.until(lambda: len(inline_keys(house)) >= len(keys) + 2, 5, "both legs are due fresh keys")
    both_hear(daemon, live)
    media = media_of(daemon, live)
    assert max(media[side]["srtp_auth_failed"] for side in ("caller", "callee")) <= 5, media
    talk_and_hang_up(daemon, user, carrier)


def inline_keys(house):
    """Each key that was on the wire in a description that the daemon sent."""
    found = set()
    for packet in house.capture.packets():
        if packet.src in house.ours and packet.proto == "udp":
            found |= set(re.findall(rb"a=crypto:\S+ \S+ inline:([^|\s]+)", packet.payload))
    return found


def test_keys_are_nowhere_but_in_the_descriptions(house, phone, tmp_path):
    """Not in the log, not in the database, not in the API; and no key is used twice (attacks.md 82, 83)."""
    daemon = house(**profiles("sdes", "sdes"))
    user, carrier = call_carrier(phone, KINDS["sdes"][0], KINDS["sdes"][0])
    live = daemon.live()["id"]
    both_hear(daemon, live)
    told = "".join(daemon.api.request("GET", path).body
                   for path in (f"/v1/calls/{live}", f"/v1/calls/{live}/ladder", "/v1/calls", "/metrics")).encode()
    talk_and_hang_up(daemon, user, carrier)
    sides = {}
    for packet in house.capture.packets():
        for key in re.findall(rb"inline:([^|\s]+)", packet.payload):
            sides.setdefault(key, set()).add((packet.src, packet.dst))
    assert len(sides) >= 4 and all(len(s) == 1 for s in sides.values()), sides
    with open(daemon.db_path, "rb") as db:
        places = {"log": daemon.log(), "database": db.read(), "API": told}
    for place, content in places.items():
        assert not [key for key in sides if key in content], place
