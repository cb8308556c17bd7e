"""A side in IPv6: signalling and media between the families."""
import pytest

from kit import net
from kit.calls import hang_up
from kit.sip import write_sdp

pytestmark = pytest.mark.skipif(not net.can_bind(net.IN6), reason="no IPv6 here")


@pytest.fixture
def mixed(house):
    """Carrier outside in IPv4, the PBX inside in IPv6."""
    house.parties = {"carrier": {net.CARRIER}, "pbx": {net.PBX6}}
    return lambda suffix="": house(
        listeners={"inside": {"address": net.IN6}},
        peers={"pbx": {"sources": [net.PBX6 + "/128"], "targets": [f"sip:[{net.PBX6}]:5070{suffix}"]}},
        routes=[{"name": "inbound", "from": "carrier", "to": ["pbx"]}, {"name": "outbound", "from": "pbx", "to": ["carrier"]}])


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_call_from_ipv4_to_ipv6_is_heard_both_ways(mixed, ua, ear, transport):
    daemon = mixed(";transport=tcp" if transport == "tcp" else "")
    a = ua(net.CARRIER, 5060, name="carry")
    b = ua(net.PBX6, 5070, name="exchange", proxy=(net.IN6, 5060), transport=transport)
    mouth, listener = ear(net.CARRIER, 500), ear(net.PBX6, 800)
    near = a.invite("+15550100", write_sdp(a.ip, mouth.port, a.name))
    far = b.incoming()
    assert far.invite.sdp.address == net.IN6 and "IN IP6" in far.invite.sdp.text and "IP4" not in far.invite.sdp.text
    assert f"[{net.IN6}]" in far.invite.get("Via") and f"[{net.IN6}]" in far.invite.get("Contact")
    far.reply(200, write_sdp(b.ip, listener.port, b.name))
    assert near.result().sdp.address == net.OUT and "IP6" not in near.answer.sdp.text
    near.ack()
    far.expect("ACK")
    mouth.talk(near.answer.sdp.media)
    listener.talk(far.invite.sdp.media)
    listener.hears(500)
    mouth.hears(800)
    hang_up(near, far)
    assert daemon.cdr()["end_code"] == 200


def test_call_from_ipv6_to_ipv4(mixed, ua, ear):
    mixed()
    a = ua(net.PBX6, 5070, name="exchange", proxy=(net.IN6, 5060), user="+15550100")
    b = ua(net.CARRIER, 5060, name="carry")
    mouth, listener = ear(net.PBX6, 500), ear(net.CARRIER, 800)
    near = a.invite("+15550111", write_sdp(a.ip, mouth.port, a.name))
    far = b.incoming()
    far.reply(200, write_sdp(b.ip, listener.port, b.name))
    near.result()
    near.ack()
    far.expect("ACK")
    mouth.talk(near.answer.sdp.media)
    listener.talk(far.invite.sdp.media)
    listener.hears(500)
    mouth.hears(800)
    bye = far.send("BYE")
    near.take_bye()
    far.answer_to(bye)
