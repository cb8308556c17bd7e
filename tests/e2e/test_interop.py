"""Habits of real peers: proxies with Record-Route, host names in Contacts, answers in odd places, early BYE, odd users."""
import re
import time

import pytest

from kit import net
from kit.calls import established, hang_up, offer, settle
from kit.registering import listed, register
from kit.rtp import rtp_packet
from kit.sip import unique, write_sdp


def test_record_route_of_the_callees_proxy_is_obeyed(house, ua, pair):
    """ACK and BYE go to the proxy, with a Route; the Request-URI is the callee's Contact (RFC 3261 12.2.1.1)."""
    house()
    a, b = pair
    proxy = ua(net.PBX2, 5090, name="routing", proxy=(net.IN, 5060))
    near = a.invite("+15550100", offer(a.ip, a.name))
    far = b.incoming()
    route = f"<sip:{net.PBX2}:5090;lr>"
    far.reply(200, offer(b.ip, b.name), headers=[("Record-Route", route)])
    near.result()
    near.ack()
    ack = proxy.expect("ACK")
    assert ack.get("Route") == route and ack.uri == far.ua.contact()[1:-1]
    bye = near.send("BYE")
    got = proxy.expect("BYE")
    assert got.get("Route") == route
    proxy.respond(got, 200)
    near.answer_to(bye)
    b.nothing("ACK", 0.1)


def test_record_route_of_the_callers_proxy_is_obeyed(house, ua, pair):
    house()
    a, b = pair
    proxy = ua(net.CARRIER, 5090, name="routing")
    route = f"<sip:{net.CARRIER}:5090;lr>"
    near = a.invite("+15550100", offer(a.ip, a.name), headers=[("Record-Route", route)])
    far = b.incoming()
    assert "Record-Route" not in str(bytes(far.invite)) and "Route" not in dict(far.invite.headers)
    far.reply(200, offer(b.ip, b.name))
    assert near.result().all("Record-Route") == [route]
    near.ack()
    far.expect("ACK")
    bye = far.send("BYE")
    got = proxy.expect("BYE")
    assert got.get("Route") == route and got.uri == a.contact()[1:-1]
    proxy.respond(got, 200)
    far.answer_to(bye)


@pytest.mark.parametrize("who", ["caller", "callee"])
def test_contact_with_a_host_name_does_not_lose_the_call(house, pair, who):
    """Nothing is looked up: requests go where the dialog's messages come from."""
    house()
    a, b = pair
    named = "<sip:somebody@pbx.lab.invalid>"
    if who == "caller":
        a.contact = lambda: named
    else:
        b.contact = lambda: named
    near = a.invite("+15550100", offer(a.ip, a.name))
    far = b.incoming()
    far.reply(200, offer(b.ip, b.name))
    assert near.result().status == 200
    near.ack()
    ack = far.expect("ACK")
    if who == "callee":
        assert ack.uri == named[1:-1]
        hang_up(near, far)
    else:
        hang_up(far, near)


def test_via_without_rport_is_answered_at_its_port(house, ua, pair):
    """RFC 3261 18.2.2: the source address, but the port of sent-by."""
    house()
    a, b = pair
    other = ua(net.CARRIER, 5099)
    req = a.build("OPTIONS", a.uri("x"))
    req.headers[0] = ("Via", f"SIP/2.0/UDP {net.CARRIER}:5099;branch=z9hG4bK{unique()}")
    a.send(req)
    assert other.expect(200).call_id == req.call_id


def test_answer_in_183_only(house, pair):
    """200 repeats no description: the one of the 183 counts."""
    house()
    a, b = pair
    near = a.invite("+15550100", offer(a.ip, a.name))
    far = b.incoming()
    far.reply(183, offer(b.ip, b.name))
    early = near.wait(183)
    far.reply(200)
    final = near.result()
    assert final.status == 200 and final.sdp is not None and final.sdp.media == early.sdp.media
    near.ack()
    far.expect("ACK")
    hang_up(near, far)


def test_answer_without_any_description_ends_the_call(house, pair):
    daemon = house()
    a, b = pair
    near = a.invite("+15550100", offer(a.ip, a.name))
    far = b.incoming()
    far.reply(200)
    far.expect("ACK")
    far.take_bye()
    assert near.result().status >= 400
    daemon.wait_cdrs(1)


def test_bye_before_the_ack(house, pair):
    """The callee hangs up as soon as it has answered."""
    daemon = house()
    a, b = pair
    near = a.invite("+15550100", offer(a.ip, a.name))
    far = b.incoming()
    far.reply(200, offer(b.ip, b.name))
    near.result()
    bye = far.send("BYE")
    far.answer_to(bye, 200)
    near.ack()
    near.take_bye()
    daemon.wait_cdrs(1)


def test_ringing_twice_and_progress_in_between(house, pair):
    house()
    a, b = pair
    near = a.invite("+15550100", offer(a.ip, a.name))
    far = b.incoming()
    far.reply(180)
    near.wait(180)
    far.reply(183, offer(b.ip, b.name))
    assert near.wait(183).sdp is not None
    far.reply(200, offer(b.ip, b.name))
    near.result()
    near.ack()
    far.expect("ACK")
    hang_up(near, far)


def test_video_that_the_callee_refuses_stays_in_its_place(house, pair):
    house()
    a, b = pair
    video = "m=video 45000 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"
    near = a.invite("+15550100", write_sdp(a.ip, 44000, a.name) + video)
    far = b.incoming()
    lines = [line for line in far.invite.sdp.lines if line.startswith("m=")]
    assert [line.split()[0] for line in lines] == ["m=audio", "m=video"]
    far.reply(200, write_sdp(b.ip, 44002, b.name) + "m=video 0 RTP/AVP 96\r\n")
    answer = near.result()
    ports = [int(line.split()[1]) for line in answer.sdp.lines if line.startswith("m=")]
    assert ports[0] != 0 and ports[1] == 0
    near.ack()
    far.expect("ACK")
    hang_up(near, far)


def test_audio_video_and_text_are_carried_each_by_itself(house, pair, ear):
    """Three streams of one call; what goes in at one is heard at the same one of the other side, and nowhere else."""
    house()
    a, b = pair
    near_ears, far_ears = ([ear(end.ip, 400) for _ in range(3)] for end in (a, b))
    kinds = (("video", "a=rtpmap:96 H264/90000"), ("text", "a=rtpmap:98 t140/1000"))

    def offer(end, ears):
        return write_sdp(end.ip, ears[0].port, end.name) + "".join(
            f"m={kind} {e.port} RTP/AVP {line.split()[0][-2:]}\r\n{line}\r\n" for (kind, line), e in zip(kinds, ears[1:]))
    near = a.invite("+15550100", offer(a, near_ears))
    far = b.incoming()
    far.reply(200, offer(b, far_ears))
    answer = near.result()
    near.ack()
    far.expect("ACK")
    for described, mine, theirs in ((answer.sdp, near_ears, far_ears), (far.invite.sdp, far_ears, near_ears)):
        lines = [line.split() for line in described.lines if line.startswith("m=")]
        assert [line[0] for line in lines] == ["m=audio", "m=video", "m=text"]
        ip = described.media[0]
        for i, line in enumerate(lines):
            ssrc, payload, got = 0x700 + i, (8, 96, 98)[i], theirs[i]
            before = len(got.packets)

            def heard():
                mine[i].rtp.sendto(rtp_packet(before, 0, ssrc, b"words", payload), (ip, int(line[1])))
                return any(packet[1] & 0x7F == payload for _, _, packet in got.packets[before:])
            net.until(heard, 5, f"{line} is not relayed")
    for ears in (near_ears, far_ears):
        assert [{packet[1] & 0x7F for _, _, packet in e.packets} for e in ears] == [{8}, {96}, {98}]
    hang_up(near, far)


def test_dtmf_events_and_rtcp_are_relayed(house, pair, ear):
    house()
    a, b = pair
    mouth, listener = ear(net.CARRIER, 500), ear(net.PBX, 800)
    near = a.invite("+15550100", write_sdp(a.ip, mouth.port, a.name))
    far = b.incoming()
    assert "a=rtpmap:101 telephone-event/8000" in far.invite.sdp.text and "a=fmtp:101 0-15" in far.invite.sdp.text
    far.reply(200, write_sdp(b.ip, listener.port, b.name))
    near.result()
    near.ack()
    far.expect("ACK")
    event = rtp_packet(7, 0, 77, bytes([5, 0x80, 0, 160]), kind=101)
    ip, port = near.answer.sdp.media
    mouth.rtp.sendto(event, (ip, port))
    net.until(lambda: any(p[1] & 0x7F == 101 and p[12:] == event[12:] for _, _, p in listener.packets), 3, "no event")
    report = b"\x80\xc8\x00\x06" + b"\0\0\0M" + b"\0" * 20
    mouth.rtcp.sendto(report, (ip, port + 1))
    net.until(lambda: listener.control, 3, "no RTCP")
    assert all(source == (net.IN, far.invite.sdp.port + 1) for _, source, _ in listener.control)
    hang_up(near, far)


def test_hold_in_the_old_way(house, pair):
    """c=0.0.0.0 (RFC 2543): the far side learns that nothing is to be sent, and no packet goes to 0.0.0.0."""
    house()
    near, far = established(pair)
    near.reinvite(offer(near.ua.ip, near.ua.name, version=2).replace(f"c=IN IP4 {net.CARRIER}", "c=IN IP4 0.0.0.0"))
    again = far.expect("INVITE")
    assert again.sdp.direction in ("sendonly", "inactive") or again.sdp.address == "0.0.0.0"
    far.reply(200, offer(far.ua.ip, far.ua.name, version=2, direction="recvonly"), to=again)
    near.result()
    near.ack()
    far.expect("ACK")
    hang_up(near, far)


def test_fax_reinvite_is_carried(house, pair):
    """T.38: an image stream over UDPTL takes the audio's place."""
    house()
    near, far = established(pair)
    t38 = write_sdp(net.PBX, 44444, "exchange", version=2).split("m=audio")[0] + (
        "m=image 44444 udptl t38\r\na=T38FaxVersion:0\r\na=T38MaxBitRate:14400\r\na=T38FaxRateManagement:transferredTCF\r\n"
        "a=T38FaxMaxDatagram:400\r\na=T38FaxUdpEC:t38UDPRedundancy\r\n")
    far.reinvite(t38)
    again = near.expect("INVITE")
    assert "m=image" in again.sdp.text and "udptl t38" in again.sdp.text and "T38FaxMaxDatagram:400" in again.sdp.text
    near.reply(200, t38.replace(net.PBX, net.CARRIER).replace("exchange", "carry"), to=again)
    assert "m=image" in far.result().sdp.text
    far.ack()
    near.expect("ACK")
    settle(far)
    hang_up(near, far)


def test_a_required_extension_is_refused_by_name(house, pair):
    house()
    a, _ = pair
    rsp = a.invite("+15550100", offer(a.ip, a.name), headers=[("Require", "precondition")]).result()
    assert rsp.status == 420 and "precondition" in rsp.get("Unsupported")


@pytest.mark.parametrize("hops, status", [("0", 483), ("1", 483), (None, 486)])
def test_max_forwards(house, pair, hops, status):
    house()
    a, b = pair
    req = a.build("INVITE", a.uri("+15550100"), body=offer(a.ip, a.name))
    req.headers = [(n, v if n != "Max-Forwards" else hops) for n, v in req.headers if n != "Max-Forwards" or hops is not None]
    a.send(req)
    if status == 486:
        far = b.incoming()
        assert far.invite.get("Max-Forwards") in ("69", "70")
        far.reply(486)
        far.expect("ACK")
    assert a.expect(lambda m: m.status and m.status >= 200).status == status


@pytest.mark.parametrize("user", ["alice%20b", "a;b=c", "%00%0d%0aX", "o'neill&co", "+1-(555)-0100", "%C3%BC"])
def test_odd_numbers_are_carried_as_they_are(house, pair, user):
    daemon = house()
    a, b = pair
    near = a.invite(user, offer(a.ip, a.name))
    far = b.incoming()
    carried = re.match(r"sip:(.*)@", far.invite.uri).group(1)
    assert carried.lower() == user.lower() or "%" in carried, carried
    assert len(bytes(far.invite).split(b"\r\n\r\n")[0].split(b"\r\n")) < 16
    far.reply(486)
    far.expect("ACK")
    near.result()
    daemon.wait_cdrs(1)


def test_early_media_of_a_second_device_after_the_first_failed(house, ua):
    daemon = house()
    caller = ua(net.CARRIER, 5060, name="carry")
    devices = [ua(net.PHONE1, 5062 + i, name=f"device{i}") for i in range(2)]
    for device in devices:
        register(device, "1001", "one-secret")
    listed(daemon, 2)
    near = caller.invite("1001", write_sdp(caller.ip, 44000, "carry"))
    one, two = (device.incoming() for device in devices)
    one.reply(183, write_sdp(net.PHONE1, 44002, "device0"))
    near.wait(183)
    one.reply(486)
    one.expect("ACK")
    two.reply(183, write_sdp(net.PHONE1, 44004, "device1"))
    two.reply(200, write_sdp(net.PHONE1, 44004, "device1"))
    assert near.result().status == 200
    near.ack()
    two.expect("ACK")
    hang_up(near, two)


def test_call_to_oneself(house, ua):
    """A user who calls the own number rings the own device."""
    from kit.sip import digest
    daemon = house()
    device = ua(net.PHONE1, 5062, name="device", user="1001")
    register(device, "1001", "one-secret")
    listed(daemon, 1)
    first = device.invite("1001", write_sdp(net.PHONE1, 44000, "device"))
    auth = digest("INVITE", first.invite.uri, "1001", "one-secret", first.result().get("Proxy-Authenticate"))
    near = device.invite("1001", write_sdp(net.PHONE1, 44000, "device"), headers=[("Proxy-Authorization", auth)], cseq=2)
    far = device.incoming()
    far.reply(486)
    far.expect("ACK")
    assert near.result().status == 486


def test_peer_that_calls_itself_through_us(house, ua):
    """Inbound and outbound are the same peer: still two dialogs, with media between them."""
    daemon = house(routes=[{"name": "back", "from": "carrier", "to": ["carrier"]}])
    a, b = ua(net.CARRIER, 5099, name="carry"), ua(net.CARRIER, 5060, name="carry2")
    near, far = established((a, b))
    assert near.call_id != far.call_id
    hang_up(near, far)
    daemon.wait_cdrs(1)


def test_retry_of_491_toward_the_callee_is_ours(house, pair):
    """The far side says 491: Postern tries again after the time of its role, the asker waits (RFC 3261 14.1)."""
    house()
    near, far = established(pair)
    near.reinvite(offer(near.ua.ip, near.ua.name, version=2))
    again = far.expect("INVITE")
    start = time.monotonic()
    far.reply(491, to=again)
    far.expect("ACK")
    second = far.expect("INVITE", 6)
    assert 1.9 < time.monotonic() - start < 10
    far.reply(200, offer(far.ua.ip, far.ua.name, version=2), to=second)
    assert near.result().status == 200
    near.ack()
    far.expect("ACK")
    hang_up(near, far)
