"""Messages full of identities: every header and every description that could tell one side about the other."""
import os
import re

import pytest

from kit import net
from kit.calls import hang_up, offer
from kit.registering import listed, register
from kit.sip import unique, write_sdp

HERE = os.path.dirname(os.path.abspath(__file__))
SAMPLES = os.path.join(os.path.dirname(HERE), "data", "sdp")

TELLING = [(name, value.replace("SECRET", f"zq7{i:02d}secret")) for i, (name, value) in enumerate([
    ("P-Asserted-Identity", '"SECRET" <sip:SECRET@SECRET.lab.invalid>'), ("P-Preferred-Identity", "<sip:SECRET@lab.invalid>"),
    ("Remote-Party-ID", "<sip:SECRET@lab.invalid>;party=calling"), ("History-Info", "<sip:SECRET@lab.invalid>;index=1"),
    ("Diversion", "<sip:SECRET@lab.invalid>;reason=unconditional"), ("Call-Info", "<http://SECRET.lab.invalid/x>;purpose=icon"),
    ("Alert-Info", "<http://SECRET.lab.invalid/x>"), ("Error-Info", "<sip:SECRET@lab.invalid>"), ("Organization", "SECRET"),
    ("Reply-To", "<sip:SECRET@lab.invalid>"), ("In-Reply-To", "SECRET"), ("Subject", "SECRET"), ("Warning", '399 SECRET "x"'),
    ("X-Inner-Host", "SECRET"), ("Geolocation", "<cid:SECRET@lab.invalid>"), ("Session-ID", "abcdefSECRET"),
    ("P-Charging-Vector", "icid-value=SECRET;icid-generated-at=SECRET.lab"), ("P-Access-Network-Info", "IEEE-802.11;SECRET"),
    ("Reason", 'Q.850;cause=16;text="SECRET"'), ("User-to-User", "SECRET;encoding=hex"), ("Accept-Contact", "*;SECRET"),
    ("Referred-By", "<sip:SECRET@lab.invalid>"), ("Replaces", "SECRET;to-tag=a;from-tag=b"), ("Server", "SECRET"),
    ("Supported", "path, SECRET"), ("Allow-Events", "SECRET"), ("Path", "<sip:SECRET.lab.invalid;lr>"),
    ("Service-Route", "<sip:SECRET.lab.invalid;lr>"), ("P-Early-Media", "SECRET"), ("Date", "Sat, 13 Nov 2010 23:29:00 GMT"),
    ("Timestamp", "5470SECRET"), ("MIME-Version", "1.0"), ("Content-Language", "SECRET"), ("Privacy", "none"),
    ("Retry-After", "10 (SECRET)"), ("Authentication-Info", 'nextnonce="SECRET"')])]


def no_secret(msg):
    found = re.findall(rb"zq7\d\dsecret", bytes(msg))
    assert not found, [TELLING[int(f[3:5])] for f in found]


def test_no_header_of_the_caller_reaches_the_callee(house, pair):
    house()
    a, b = pair
    near = a.invite("+15550100", offer(a.ip, a.name), headers=TELLING)
    far = b.incoming()
    no_secret(far.invite)
    far.reply(180, headers=TELLING)
    no_secret(near.wait(180))
    far.reply(200, offer(b.ip, b.name), headers=TELLING)
    no_secret(near.result())
    near.ack(headers=TELLING)
    no_secret(far.expect("ACK"))
    for method in ("INFO", "MESSAGE"):
        sent = near.send(method, body=b"x", ctype="text/plain", headers=TELLING)
        got = far.expect(method)
        no_secret(got)
        far.ua.respond(got, 200, headers=TELLING)
        no_secret(near.answer_to(sent))
    near.reinvite(offer(a.ip, a.name, version=2), headers=TELLING)
    again = far.expect("INVITE")
    no_secret(again)
    far.reply(200, offer(b.ip, b.name, version=2), to=again, headers=TELLING)
    no_secret(near.result())
    near.ack(headers=TELLING)
    no_secret(far.expect("ACK"))
    bye = near.send("BYE", headers=TELLING)
    got = far.take_bye()
    no_secret(got)
    near.answer_to(bye)


def test_no_header_of_a_refusal_reaches_the_caller(house, pair):
    house()
    a, b = pair
    near = a.invite("+15550100", offer(a.ip, a.name))
    far = b.incoming()
    far.reply(503, headers=TELLING, reason="zq705secret is down at 10.1.2.3")
    far.expect("ACK")
    rsp = near.result()
    no_secret(rsp)
    assert "10.1.2.3" not in rsp.start


def test_no_header_of_a_message_reaches_the_other_side(house, ua):
    house()
    a, b = ua(net.CARRIER, 5060, name="carry"), ua(net.PBX, 5070, name="exchange", proxy=(net.IN, 5060))
    req = a.request("MESSAGE", a.uri("+15550100"), body=b"hi", ctype="text/plain", contact=False, headers=TELLING)
    got = b.expect("MESSAGE")
    no_secret(got)
    b.respond(got, 200, tag=unique(), headers=TELLING)
    no_secret(a.expect(lambda m: m.call_id == req.call_id and m.status >= 200))


def test_own_domain_and_realm_stay_on_their_side(house, ua):
    """The users' domain is not told to a peer."""
    daemon = house()
    device, carrier = ua(net.PHONE1, 5062, name="device", user="1001"), ua(net.CARRIER, 5060, name="carry")
    register(device, "1001", "one-secret")
    listed(daemon, 1)
    near = carrier.invite("1001", write_sdp(carrier.ip, 44000, "carry"))
    far = device.incoming()
    far.reply(486)
    far.expect("ACK")
    near.result()
    to_carrier = b"".join(p.payload for p in house.capture.packets() if p.dst == net.CARRIER)
    assert b"example.test" not in to_carrier


def secrets_of(sdp):
    """Addresses, names, keys and other identities in a description."""
    text = sdp.decode(errors="replace")
    words = set(re.findall(r"\b\d+\.\d+\.\d+\.\d+\b", text)) | set(re.findall(r"[0-9a-fA-F]*:[0-9a-fA-F:]*:[0-9a-fA-F:.]+", text))
    for line in re.split(r"[\r\n]+", text):
        for pattern in (r"^o=(\S+) (\S+)", r"^[siuep]=(.+)", r"cname:(\S+)", r"msid:(\S+)", r"ice-ufrag:(\S+)", r"ice-pwd:(\S+)",
                        r"fingerprint:\S+ (\S+)", r"inline:([^|\s]+)", r"^a=tool:(.+)", r"^a=candidate:(\S+)", r"^c=IN IP. (\S+)",
                        r"zrtp-hash:(.+)", r"^k=(.+)", r"^a=path:(.+)", r"tls-id:(\S+)"):
            match = re.search(pattern, line)
            words |= set(match.groups()) if match else set()
    harmless = {"0.0.0.0", "127.0.0.1", net.IN}
    return {w for w in words if w and len(w) >= 5 and w not in harmless}


def samples():
    return sorted(name for name in os.listdir(SAMPLES) if name.endswith(".sdp"))


def answer_for(offered, name):
    """A plain answer: the first audio stream is taken, the others are refused."""
    text, taken = write_sdp(net.PBX, 44002, name).split("m=audio")[0], False
    for line in offered.sdp.lines:
        if line.startswith("m="):
            kind, _, proto, *formats = line[2:].split()
            take = kind == "audio" and not taken and line.split()[1] != "0"
            taken = taken or take
            text += f"m={kind} {44002 if take else 0} {proto} {formats[0] if formats else 0}\r\n"
    return text if taken else None


def test_descriptions_of_all_sorts_carry_no_identity(house, pair):
    """Each sample as the caller's offer: refused, or written afresh for the callee without what it said."""
    house(sip={"t1": "100ms", "t2": "500ms"})
    house.scan = False  # the samples name our own addresses; here each word is looked for
    a, b = pair
    carried = 0
    for name in samples():
        with open(os.path.join(SAMPLES, name), "rb") as f:
            sdp = f.read()
        near = a.invite("+15550100", sdp)
        got = net.until(lambda: first_of(a, b, near.call_id), 5, f"{name}: neither refused nor carried")
        if got is a:
            assert near.result().status in (400, 415, 488, 500, 606), name
            continue
        far = b.incoming()
        carried += 1
        body = far.invite.body.decode()
        leaked = [word for word in secrets_of(sdp) if word in body]
        assert not leaked, f"{name}: {leaked} in\n{body}"
        assert not sdp or far.invite.sdp.address == net.IN, name
        sdp_answer = answer_for(far.invite, b.name) if sdp else None
        if sdp_answer is None:
            far.reply(488)
            far.expect("ACK")
            near.result()
            continue
        far.reply(200, sdp_answer)
        rsp = near.result()
        if rsp.status == 200:
            assert [line.split()[0] for line in rsp.sdp.lines if line.startswith("m=")] == [
                "m=" + kind for kind in re.findall(rb"(?m)^m=(\w+)", sdp.replace(b"\r", b"\n")) for kind in [kind.decode()]], name
            near.ack()
            far.expect("ACK")
            hang_up(near, far)
        else:
            far.expect("ACK")
            far.take_bye()
    assert carried > 30


def first_of(a, b, call_id):
    """Who heard first: the caller of a failure, or the callee of a call."""
    a.pump(0)
    b.pump(0)
    if any(m.call_id == call_id and m.status and m.status >= 300 for m in a.inbox):
        return a
    return b if any(m.is_request and m.method == "INVITE" for m in b.inbox) else None


@pytest.mark.parametrize("display", ['"evil\\" <sip:x@y>;tag=1"', '"a\\\\"', '"' + "x" * 200 + '"', '"\u00fcber"', "two words"])
def test_display_names_stay_display_names(house, pair, display):
    house()
    a, b = pair
    near = a.invite("+15550100", offer(a.ip, a.name), from_=f"{display} <sip:+15550111@{net.CARRIER}>;tag={unique()}")
    far = b.incoming()
    from_header = far.invite.get("From")
    assert from_header.count(";tag=") <= 2 and far.invite.tag("From")
    assert re.search(r"<sip:\+15550111@[^>]*>;tag=[a-z0-9]+$", from_header), from_header
    far.reply(486)
    far.expect("ACK")
    near.result()
