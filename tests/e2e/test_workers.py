"""Two workers and more: SO_REUSEPORT hands datagrams out by addresses, so a call's messages come to any worker. The
tests send from many ports and look for messages that were handed over."""
import pytest

from kit import net
from kit.calls import established, hang_up, offer
from kit.registering import listed, register
from kit.sip import write_sdp

HANDOVERS = "postern_sip_handovers_total"


@pytest.fixture
def callee(ua):
    return ua(net.PBX, 5070, name="exchange", proxy=(net.IN, 5060), user="+15550100")


@pytest.mark.parametrize("workers", [2, 4])
def test_calls_whose_messages_come_from_many_ports(house, ua, callee, workers):
    """Every request of the dialog from a source port of its own; so about half of them meet the wrong worker."""
    daemon = house(node={"workers": workers})
    for i in range(6):
        near, far = established((ua(net.CARRIER, 0, name=f"carry{i}"), callee))
        for other in (ua(net.CARRIER, 0), ua(net.CARRIER, 0), ua(net.CARRIER, 0)):
            sent = near.send("INFO", ua=other, body=b"x", ctype="text/plain")
            callee.respond(far.expect("INFO"), 200)
            near.answer_to(sent, 200, ua=other)
        last = ua(net.CARRIER, 0)
        bye = near.send("BYE", ua=last)
        far.take_bye()
        near.answer_to(bye, 200, ua=last)
    daemon.wait_cdrs(6)
    assert daemon.api.metrics()[HANDOVERS] > 5


def test_callee_that_speaks_from_many_ports(house, ua, callee):
    daemon = house(node={"workers": 3})
    for i in range(5):
        near, far = established((ua(net.CARRIER, 0, name=f"carry{i}"), callee))
        other = ua(net.PBX, 0, proxy=(net.IN, 5060))
        far.reinvite(offer(net.PBX, "exchange", version=2), ua=other)
        near.reply(200, offer(net.CARRIER, near.ua.name, version=2), to=near.expect("INVITE"))
        rsp = other.expect(lambda m: m.status == 200 and m.cseq[1] == "INVITE")
        far.ack(ua=ua(net.PBX, 0, proxy=(net.IN, 5060)))
        near.expect("ACK")
        assert rsp.sdp.address == net.IN
        bye = far.send("BYE", ua=other)
        near.take_bye()
        far.answer_to(bye, 200, ua=other)
    daemon.wait_cdrs(5)
    assert daemon.api.metrics()[HANDOVERS] > 0


def test_ack_and_cancel_from_other_ports(house, ua, callee):
    """A NAT that changes its mapping between INVITE and CANCEL, INVITE and ACK: sent-by and branch stay."""
    daemon = house(node={"workers": 4})
    for i in range(6):
        a = ua(net.CARRIER, 0, name=f"carry{i}")
        near = a.invite("+15550100", offer(a.ip, a.name))
        far = callee.incoming()
        far.reply(180)
        near.wait(180)
        other = ua(net.CARRIER, 0)
        near.cancel(ua=other)
        cancel = callee.expect("CANCEL")
        callee.respond(cancel, 200)
        far.reply(487)
        far.expect("ACK")
        assert near.result().status == 487
    daemon.wait_cdrs(6)


def test_retransmissions_of_the_invite_from_another_port_make_one_call(house, ua, callee):
    daemon = house(node={"workers": 4})
    a = ua(net.CARRIER, 0, name="carry")
    near = a.invite("+15550100", offer(a.ip, a.name))
    far = callee.incoming()
    for _ in range(4):
        a.send(near.invite)
    far.reply(486)
    far.expect("ACK")
    assert near.result().status == 486
    callee.nothing("INVITE", 0.2)
    daemon.wait_cdrs(1)


def test_answers_that_come_back_from_another_port(house, ua, callee):
    """The callee answers from a port that it was not called at: the branch leads home."""
    daemon = house(node={"workers": 4})
    for i in range(5):
        a = ua(net.CARRIER, 0, name=f"carry{i}")
        near = a.invite("+15550100", offer(a.ip, a.name))
        far = callee.incoming()
        other = ua(net.PBX, 0, proxy=(net.IN, 5060))
        other.respond(far.invite, 180, tag=far.tag)
        near.wait(180)
        other.respond(far.invite, 200, offer(net.PBX, "exchange"), tag=far.tag,
                      headers=[("Contact", callee.contact())])
        assert near.result().status == 200
        near.ack()
        far.expect("ACK")
        hang_up(near, far)
    daemon.wait_cdrs(5)
    assert daemon.api.metrics()[HANDOVERS] > 0


def test_tcp_connections_reach_calls_of_other_workers(house, ua, callee):
    """The call came over one connection, its BYE comes over another, which another worker may have accepted."""
    daemon = house(node={"workers": 4})
    for i in range(6):
        a = ua(net.CARRIER, 0, transport="tcp", name=f"carry{i}")
        near, far = established((a, callee))
        other = ua(net.CARRIER, 0, transport="tcp")
        bye = near.send("BYE", ua=other)
        far.take_bye()
        near.answer_to(bye, 200, ua=other)
    daemon.wait_cdrs(6)


def test_operator_sees_and_ends_calls_of_every_worker(house, ua, callee):
    daemon = house(node={"workers": 4})
    calls = [established((ua(net.CARRIER, 0, name=f"carry{i}"), callee)) for i in range(8)]
    daemon.live(count=8)
    live = daemon.api.calls(state="live")
    for entry in live:
        assert daemon.api.get("/v1/calls/" + entry["id"])["live"] is True
        assert daemon.api.get("/v1/calls/" + entry["id"] + "/ladder")["items"]
        assert daemon.api.delete("/v1/calls/" + entry["id"]).status == 202
    for near, far in calls:
        near.take_bye()
        far.take_bye()
    daemon.wait_cdrs(8)


def test_registration_on_one_worker_is_known_to_all(house, ua):
    daemon = house(node={"workers": 4})
    device = ua(net.PHONE1, 5062, name="device", user="1001")
    register(device, "1001", "one-secret")
    listed(daemon, 1)
    for i in range(8):
        a = ua(net.CARRIER, 0, name=f"carry{i}")
        near = a.invite("1001", write_sdp(a.ip, 4000, a.name))
        far = device.incoming()
        far.reply(486)
        far.expect("ACK")
        assert near.result().status == 486
    daemon.wait_cdrs(8)
