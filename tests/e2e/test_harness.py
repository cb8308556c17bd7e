"""The tools prove themselves, without a daemon: what cannot fail proves nothing."""
import os
import struct
import subprocess

import pytest

from kit import capture, net, rtp, yamlout
from kit.leak import Scanner
from kit.sip import Msg, Sdp, Ua, digest, write_sdp
from kit.sipp import SCENARIOS, wait_all

PAIRS = [("uac_basic", "uas_basic"), ("uac_hung_up", "uas_hangs_up"), ("uac_busy", "uas_busy"), ("uac_cancel", "uas_cancelled"),
         ("uac_late", "uas_late"), ("uac_early", "uas_early"), ("uac_hold", "uas_held")]


def test_every_scenario_file_is_used():
    paired = {name for pair in PAIRS for name in pair}
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "test_calls_sipp.py"), encoding="utf-8") as f:
        text = f.read()
    there = {name[:-4] for name in os.listdir(SCENARIOS)}
    assert paired <= there and [name for name in there - paired if f'"{name}"' not in text] == []


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_sipp_scenarios_fit_each_other(sipp, ear, transport):
    running = []
    for i, (caller, callee) in enumerate(PAIRS):
        far = sipp(callee, net.PBX, 5070 + i, ear=ear(net.PBX, 800), extra=["-d", "400"], transport=transport)
        near = sipp(caller, net.CARRIER, 5070 + i, (net.PBX, 5070 + i), ear=ear(net.CARRIER, 500), extra=["-d", "400"],
                    transport=transport)
        running += [near, far]
    wait_all(*running)
    assert running[0].medias()[0] == (net.PBX, running[1].ear.port)


def test_sipp_that_meets_the_wrong_answer_fails(sipp, ear):
    far = sipp("uas_busy", net.PBX, 5070, ear=ear(net.PBX))
    near = sipp("uac_basic", net.CARRIER, 5060, (net.PBX, 5070), ear=ear(net.CARRIER))
    with pytest.raises(AssertionError, match="486"):
        wait_all(near, far, seconds=5)


def test_ears_hear_the_tone_that_was_sent_and_no_other(ear):
    a, b = ear(net.CARRIER, 500), ear(net.PBX, 800)
    a.talk((b.ip, b.port))
    b.hears(500)
    assert b.share(800) < 0.05 and a.count() == 0


def test_goertzel_tells_frequencies_apart():
    both = [x + y for x, y in zip(rtp.sine(500, 8000), rtp.sine(800, 8000))]
    assert 0.45 < rtp.tone_share(both, 500) < 0.55
    assert rtp.tone_share(rtp.sine(500, 8000), 500) > 0.99
    assert rtp.tone_share(rtp.sine(500, 8000), 550) < 0.01
    assert rtp.tone_share([0] * 800, 500) == 0.0


def test_wav_files_come_back_as_written(tmp_path):
    path = str(tmp_path / "t.wav")
    rtp.write_wav(path, rtp.sine(500, 1600))
    assert rtp.read_wav(path) == (rtp.sine(500, 1600), 8000)


def test_yaml_says_what_the_dictionary_said():
    assert yamlout.dump({"a": {"b": 1, "c": "off"}, "d": [{"e": "1???", "f": ["x", "port"]}], "g": {"h": {"i": "20000-2"}}}) == (
        'a: {b: 1, c: "off"}\nd:\n  - {e: "1???", f: [x, port]}\ng:\n  h: {i: "20000-2"}\n')


def test_digest_fits_the_example_of_rfc_2617():
    challenge = 'Digest realm="testrealm@host.com", qop="auth", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093"'
    assert 'response="6629fae49393a05397450978507c4ef1"' in digest(
        "GET", "/dir/index.html", "Mufasa", "Circle Of Life", challenge)


def test_raw_user_agents_hold_a_call_over_tcp_and_udp(ua):
    for transport in ("udp", "tcp"):
        b = ua(net.PBX, 5070, transport=transport, proxy=(net.CARRIER, 5060))
        a = ua(net.CARRIER, 5060, transport=transport, proxy=(net.PBX, 5070))
        near = a.invite("+15550100", write_sdp(net.CARRIER, 4000, "a"))
        far = b.incoming()
        far.reply(180)
        assert near.wait(180).status == 180
        far.reply(200, write_sdp(net.PBX, 4002, "b"))
        assert near.result().sdp.media == (net.PBX, 4002)
        near.ack()
        far.expect("ACK")
        hang = near.send("BYE")
        far.take_bye()
        near.answer_to(hang, 200)
        a.close()
        b.close()


def talk_through(capturing, ua, leaky):
    """A B2BUA of three lines between carrier and pbx, which leaks or not."""
    outside, inside = ua(net.OUT, 5060, name="outer"), ua(net.IN, 5060, name="inner", proxy=(net.PBX, 5070))
    carrier, pbx = ua(net.CARRIER, 5060, name="carry"), ua(net.PBX, 5070, name="exchange", proxy=(net.IN, 5060))
    carrier.invite("+15550100", write_sdp(net.CARRIER, 4000, "carry"))
    first = outside.expect("INVITE")
    outside.respond(first, 100)
    inside.request("INVITE", "sip:+15550100@" + net.PBX, body=write_sdp(net.IN, 4100, "inner"), **leaky(first))
    pbx.respond(pbx.expect("INVITE"), 486)
    inside.expect(486)
    outside.respond(first, 486, tag="ourtag")
    carrier.expect(486)
    capturing.stop()
    scanner = Scanner({"carrier": {net.CARRIER}, "pbx": {net.PBX}}, {net.OUT, net.IN})
    return scanner, scanner.scan(capturing.packets()), capturing.packets()


def test_leak_scanner_is_content_with_two_separate_dialogs(ua):
    scanner, leaks, packets = talk_through(capture.Capture(), ua, lambda first: {})
    assert leaks == []
    identifiers, sent = scanner.coverage(packets)
    assert identifiers >= 20 and sent > 500


@pytest.mark.parametrize("what, leak", [
    ("call id", lambda m: {"call_id": m.call_id}),
    ("tag", lambda m: {"from_": f"<sip:x@{net.IN}>;tag={m.tag('From')}"}),
    ("branch", lambda m: {"headers": [("X-Old", m.get("Via").split("branch=")[1].split(";")[0])]}),
    ("address", lambda m: {"headers": [("History-Info", f"<sip:{net.CARRIER}>")]}),
    ("our other address", lambda m: {"headers": [("X-Via", f"{net.OUT}:5060")]}),
    ("our other address as host", lambda m: {"from_": f"<sip:x@{net.OUT}>;tag=nothing"}),
    ("agent", lambda m: {"headers": [("X-Agent", m.get("User-Agent"))]}),
    ("contact user", lambda m: {"headers": [("X-Contact", "ct-carry")]}),
    ("origin of the description", lambda m: {"headers": [("X-O", m.sdp.value("o").split()[1])]}),
    ("session name in another case", lambda m: {"headers": [("X-S", "SESSION OF CARRY")]}),
])
def test_leak_scanner_finds_what_was_planted(ua, what, leak):
    _, leaks, _ = talk_through(capture.Capture(), ua, leak)
    assert leaks and all(to == "pbx" and whose == "carrier" for to, whose, _, _ in leaks), (what, leaks)


def test_leak_scanner_reads_tcp_as_a_stream():
    def packet(seq, payload):
        return capture.Packet(0, net.IN, 5060, net.PBX, 9999, "tcp", payload, seq)
    carrier = capture.Packet(0, net.CARRIER, 5060, net.OUT, 5060, "udp",
                             b"OPTIONS sip:a@b SIP/2.0\r\nCall-ID: very-secret-id\r\n\r\n", 0)
    scanner = Scanner({"carrier": {net.CARRIER}, "pbx": {net.PBX}}, {net.OUT, net.IN})
    cut = [packet(1000, b"X: very-se"), packet(1010, b"cret-id\r\n")]
    assert [leak[2] for leak in scanner.scan([carrier, cut[0], cut[0], cut[1]])] == ["very-secret-id"]


def test_capture_sees_udp_and_leaves_media_out_when_asked(ua):
    everything, signalling = capture.Capture(), capture.Capture(media=False)
    a, b = ua(net.CARRIER, 5060), ua(net.PBX, 40000)
    a.send(b"low", (net.PBX, 40000))
    b.sock.sendto(b"high", (net.PBX, 40002))
    everything.stop()
    signalling.stop()
    assert {b"low", b"high"} <= {p.payload for p in everything.packets()}
    assert b"high" not in {p.payload for p in signalling.packets()}
    assert b"low" in {p.payload for p in signalling.packets()}


def test_messages_are_parsed_with_folds_and_compact_names():
    msg = Msg.parse(b"SIP/2.0 200 OK\r\nv: SIP/2.0/UDP a;branch=b\r\nt: <sip:x>\r\n ;tag=77\r\nCSeq: 4 INVITE\r\n"
                    b"m: \"x\" <sip:me@1.2.3.4:99;transport=tcp>;q=1\r\n\r\n" + write_sdp("1.2.3.4", 8000, "n").encode())
    assert (msg.status, msg.method, msg.tag("To"), msg.contact_uri) == (200, "INVITE", "77", "sip:me@1.2.3.4:99;transport=tcp")
    assert msg.sdp.media == ("1.2.3.4", 8000) and Sdp("a=inactive").direction == "inactive"


def test_rtp_packets_are_rtp():
    assert struct.unpack("!BBHII", rtp.rtp_packet(70000, 5, 9, b"x")[:12]) == (0x80, 8, 4464, 5, 9)


def test_a_missing_message_is_said_with_what_came_instead():
    with Ua(net.CARRIER, name="lonely") as a, pytest.raises(AssertionError, match="lonely: no BYE"):
        a.expect("BYE", 0.05)


def test_the_closing_lines_name_what_was_skipped(tmp_path):
    env = {**os.environ, "POSTERN_TALLY": str(tmp_path / "tally"), "PYTHONDONTWRITEBYTECODE": "1"}
    program = tmp_path / "test_some"
    program.write_text("#!/bin/sh\nprintf '[  SKIPPED ] left out\\n[  PASSED  ] 2 test(s).\\n"
                       "[  SKIPPED ] 1 test(s), listed below:\\n[  SKIPPED ] left out\\n'\n")
    program.chmod(0o755)
    scripts = os.path.join(os.path.dirname(__file__), "..", "..", "scripts")
    subprocess.run([os.path.join(scripts, "run-tests"), "--logs", str(tmp_path), "unit", str(program)], env=env, check=True)
    done = subprocess.run([os.path.join(scripts, "tally.py"), "summary"], env=env, capture_output=True, text=True, check=True)
    assert "=== skipped: 1\n  unit: test_some: left out\n" in done.stdout
    assert done.stdout.splitlines()[-1] == "2 passed, 0 failed, 1 skipped"
    program.write_text("#!/bin/sh\necho '[  PASSED  ] 2 test(s).'\n")
    (tmp_path / "tally").unlink()
    (tmp_path / "tally.skipped").unlink()
    subprocess.run([os.path.join(scripts, "run-tests"), "--logs", str(tmp_path), "unit", str(program)], env=env, check=True)
    done = subprocess.run([os.path.join(scripts, "tally.py"), "summary"], env=env, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "2 passed, 0 failed"
