"""Two baresip phones register, call each other, and each records the tone that the other sent."""
import pytest

from kit import net, rtp
from kit.phone import both_hear, check_tone


def check_recording(phone, other_hz):
    samples, rate = phone.recorded()
    samples = samples[rate // 4:]  # without the start, where the far end was not there yet
    assert len(samples) > rate, f"{phone.user} recorded {len(samples)} samples"
    loud = [s for s in samples if abs(s) > 100]
    assert len(loud) > rate // 2, f"{phone.user} heard silence"
    share, own = rtp.tone_share(samples, other_hz, rate), rtp.tone_share(samples, phone.hz, rate)
    assert share > 0.8 and own < 0.05, f"{phone.user} hears {share:.0%} of {other_hz} Hz, {own:.0%} of its own"


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_two_phones_hear_each_other(house, phone, transport):
    daemon = house()
    one = phone(net.PHONE1, "1001", "one-secret", hz=500, transport=transport).connect()
    two = phone(net.PHONE2, "1002", "two-secret", hz=900, transport=transport).connect()
    one.registered()
    two.registered()
    net.until(lambda: sorted(r["user"] for r in daemon.api.get("/v1/registrations")["items"]) == ["1001", "1002"], 3,
              "two registrations are due")
    one.dial("1002")
    one.wait("CALL_ESTABLISHED")
    two.wait("CALL_ESTABLISHED")
    live = daemon.live()
    assert (live["source"], live["target"]) == ("user:1001", "user:1002")

    def counted():
        media = daemon.api.get("/v1/calls/" + live["id"])["media"][0]
        return min(media["caller"]["rx_packets"], media["callee"]["rx_packets"]) > 110
    net.until(counted, 10, "two seconds of media did not come through")
    one.command("hangup")
    one.wait("CALL_CLOSED")
    two.wait("CALL_CLOSED")
    record = daemon.cdr()
    assert (record["end_by"], record["end_code"], record["route"]) == ("caller", 200, "internal")
    one.end()
    two.end()
    check_recording(one, two.hz)
    check_recording(two, one.hz)


def test_callee_phone_rejects(house, phone):
    daemon = house()
    one = phone(net.PHONE1, "1001", "one-secret", hz=500).connect().registered()
    two = phone(net.PHONE2, "1002", "two-secret", hz=900, answer="manual").connect().registered()
    one.dial("1002")
    two.wait("CALL_INCOMING")
    two.command("hangup")
    one.wait("CALL_CLOSED")
    assert daemon.cdr()["end_code"] in (486, 603)


def test_caller_phone_gives_up(house, phone):
    daemon = house()
    one = phone(net.PHONE1, "1001", "one-secret", hz=500).connect().registered()
    two = phone(net.PHONE2, "1002", "two-secret", hz=900, answer="manual").connect().registered()
    one.dial("1002")
    two.wait("CALL_INCOMING")
    one.command("hangup")
    two.wait("CALL_CLOSED")
    assert daemon.cdr()["end_code"] == 487


def test_phone_holds_and_resumes(house, phone):
    daemon = house()
    one = phone(net.PHONE1, "1001", "one-secret", hz=500).connect().registered()
    two = phone(net.PHONE2, "1002", "two-secret", hz=900).connect().registered()
    one.dial("1002")
    one.wait("CALL_ESTABLISHED")
    two.wait("CALL_ESTABLISHED")
    live = daemon.live()["id"]
    both_hear(daemon, live)
    one.command("hold")
    net.until(lambda: "a=sendonly" in two.text() or "a=inactive" in two.text(), 5, "the other phone sees no hold")
    one.command("resume")

    def ladder():
        return sum(1 for e in daemon.api.get(f"/v1/calls/{live}/ladder")["items"] if e["message"].startswith("INVITE"))
    net.until(lambda: ladder() == 6, 5, f"two re-INVITEs on both legs are due: {ladder()}")
    both_hear(daemon, live)
    one.command("hangup")
    one.wait("CALL_CLOSED")
    two.wait("CALL_CLOSED")
    daemon.wait_cdrs(1)
    one.end()
    two.end()
    check_tone(one, two.hz)
    check_tone(two, one.hz)


def test_phone_calls_the_carrier_and_is_called_by_it(house, phone, ua, ear):
    from kit.sip import write_sdp
    daemon = house()
    one = phone(net.PHONE1, "1001", "one-secret", hz=500).connect().registered()
    carrier, far_ear = ua(net.CARRIER, 5060, name="carry"), ear(net.CARRIER, 800)
    one.dial("+15550199")
    call = carrier.incoming()
    call.reply(180)
    call.reply(200, write_sdp(net.CARRIER, far_ear.port, "carry"))
    call.expect("ACK")
    far_ear.talk(call.invite.sdp.media)
    far_ear.hears(500)
    call.bye()
    one.wait("CALL_CLOSED")
    back = carrier.invite("1001", write_sdp(net.CARRIER, far_ear.port, "carry"))
    assert back.result().status == 200
    back.ack()
    one.wait("CALL_ESTABLISHED")
    back.bye()
    routes = [r["route"] for r in daemon.wait_cdrs(2)]
    assert sorted(routes) == ["outbound", "to-users"]
