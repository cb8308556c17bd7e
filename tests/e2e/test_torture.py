"""Hostile and odd messages over the wire: RFC 4475 and 5118 by their index (POSTERN_TORTURE names the folder;
besides the repository when it does not), and those
of tests/data/sip. Each is sent in one datagram, or one write over TCP when its Via says so; then the daemon still
answers OPTIONS."""
import os
import re
import time

import pytest

from kit import capture, net
from kit.sip import write_sdp

HERE = os.path.dirname(os.path.abspath(__file__))
OWN = os.path.join(os.path.dirname(HERE), "data", "sip")
ROOT = os.path.dirname(os.path.dirname(HERE))
TORTURE = os.environ.get("POSTERN_TORTURE", os.path.join(ROOT, "..", "shared", "torture"))
NOT_PROCESSED = {400, 413, 414, 416, 420, 493, 500, 501, 505, 513}  # what a well-formed request is not answered with


def index(folder):
    """[(path, row)] of a folder's index.tsv"""
    with open(os.path.join(folder, "index.tsv"), encoding="utf-8") as f:
        names, *rows = [line.rstrip("\n").split("\t") for line in f]
    return [(os.path.join(folder, row[0]), dict(zip(names, row))) for row in rows if row[0]]


def via_is_stream(data):
    head = data.partition(b"\r\n\r\n")[0].upper()
    at = head.find(b"SIP/2.0/")
    return head[at + 8:at + 11] in (b"TCP", b"TLS") if at >= 0 else False


def wanted(row):
    """(acceptable words, forbidden words); words are codes, accept, drop, any"""
    split = {key: set(row[key].replace("-", "").split(",")) - {""} for key in ("expect", "also_ok", "must_not")}
    return split["expect"] | split["also_ok"], split["must_not"]


def judge(row, statuses):
    """None, or what is wrong with the final answers that came."""
    good, bad = wanted(row)
    if not statuses:
        return None if "drop" in good else f"no answer, wanted {sorted(good)}"
    if len(statuses) > 1:
        return f"{statuses}: one answer is enough"
    code = str(statuses[0])
    if "any" in bad or code in bad:
        return f"{code} is forbidden"
    if code in good or ("accept" in good and statuses[0] not in NOT_PROCESSED):
        return None
    return f"{code}, wanted {sorted(good)}"


def rounds(entries):
    """[[(path, row, bytes)]]: no two messages of a round are one transaction (RFC 3261 17.2.3), though their Call-IDs
    differ; several of the RFC's share a branch."""
    out = []
    for path, row in entries:
        with open(path, "rb") as f:
            data = f.read()
        branch = re.search(rb"branch=\s*([^;,\s]+)", data)
        call_id = re.search(rb"(?im)^(?:call-id|i)[ \t]*:\s*(\S+)", data)
        keys = {m.group(1) for m in (branch, call_id) if m}
        for used, batch in out:
            if not used & keys:
                used |= keys
                batch.append((path, row, data))
                break
        else:
            out.append((keys, [(path, row, data)]))
    return [batch for _, batch in out]


class Range:
    """Sends messages to the daemon and sees what goes out, wherever it goes."""

    def __init__(self, house, ua, source, busy):
        self.house, self.ua, self.busy = house, ua, busy
        self.udp = ua(source, 5060, name="prober7")
        self.known, self.out = set(), Outgoing(house)

    def sent_to_us(self):
        """What the daemon sent to us since the last question, to any port; without the answers to our probes."""
        return [p.payload for p in self.out.take() if p.dst == self.udp.ip and self.udp.name.encode() not in p.payload]

    def serve_busy(self):
        """The PBX refuses whatever gets there."""
        self.busy.pump(0)
        for msg in list(self.busy.inbox):
            self.busy.inbox.remove(msg)
            if msg.is_request and msg.method != "ACK":
                self.busy.respond(msg, 486 if msg.method == "INVITE" else 200, tag="busytag")

    def over_udp(self, data):
        """Final statuses of the answers to data, without repetitions."""
        self.sent_to_us()
        self.udp.send(data)
        self.alive()
        finals, deadline = [], time.monotonic() + 0.05
        while time.monotonic() < deadline:
            self.serve_busy()
            for answer in self.sent_to_us():
                status = int(answer[8:11]) if answer.startswith(b"SIP/2.0 ") else 0
                if answer in self.known or status == 0:
                    continue
                self.known.add(answer)
                finals += [status] if status >= 200 else []
                deadline = time.monotonic() + (0.05 if finals else 5)  # 100: it is at work
            time.sleep(0.005)
        return finals

    def over_tcp(self, data):
        tcp = self.ua(self.udp.ip, 0, transport="tcp", name="prober7")
        tcp.send(data)
        deadline = time.monotonic() + 1.0
        while time.monotonic() < deadline and not tcp.uplink.closed:
            self.serve_busy()
            tcp.pump(0.02)
            if any(m.status and m.status >= 200 for m in tcp.inbox):
                break
        tcp.close()
        self.alive()
        return [m.status for m in tcp.inbox if m.status and m.status >= 200]

    def alive(self):
        assert self.udp.options() == 200


def replay(house, ua, entries):
    daemon = house(sip={"t1": "100ms", "t2": "500ms"}, limits={"setup": "10s"}, node={"workers": 1, "drain": "0s"},
                   routes=[{"name": "all", "from": "carrier", "to": ["pbx"]}])
    house.scan = False  # the messages name addresses of ours
    shooting = Range(house, ua, net.CARRIER, ua(net.PBX, 5070, proxy=(net.IN, 5060)))
    wrong = []
    for i, batch in enumerate(rounds(entries)):
        if i > 0:  # no transaction is remembered
            assert daemon.stop() == 0
            daemon.start()
        for path, row, data in batch:
            transport = row.get("ostensible_transport") or ("TCP" if via_is_stream(data) else "UDP")
            answers = shooting.over_tcp(data) if transport in ("TCP", "TLS") else shooting.over_udp(data)
            complaint = judge(row, answers)
            if complaint:
                wrong.append(f"{os.path.basename(path)}: {complaint}")
            assert daemon.alive(), f"{path} killed the daemon"
    assert not wrong, "\n" + "\n".join(wrong)
    near = shooting.udp.invite("+15550100", write_sdp(net.CARRIER, 4000))
    shooting.busy.inbox.clear()
    far = shooting.busy.incoming()
    far.reply(200, write_sdp(net.PBX, 4002))
    assert near.result().status == 200
    near.ack()
    far.expect("ACK")
    bye = near.send("BYE")
    far.take_bye()
    near.answer_to(bye)
    to_others = {p.dst for p in house.capture.packets() if p.src in house.ours and p.proto == "udp"}
    assert to_others <= {net.CARRIER, net.PBX, net.OUT, net.IN}, to_others


@pytest.mark.skipif("POSTERN_TORTURE" not in os.environ and not os.path.exists(os.path.join(TORTURE, "index.tsv")),
                    reason="no messages of the RFCs in " + TORTURE)
def test_torture_messages_of_the_rfcs(house, ua):
    replay(house, ua, index(TORTURE))


def test_traps_of_our_own(house, ua):
    replay(house, ua, index(OWN))


def test_strangers_get_at_most_twice_what_they_sent_and_nothing_twice(house, ua):
    """Every message again, from an address that nobody has proven: no third party is ever written to."""
    is_there = "POSTERN_TORTURE" in os.environ or os.path.exists(os.path.join(TORTURE, "index.tsv"))
    folders = [OWN] + ([TORTURE] if is_there else [])
    house(sip={"t1": "100ms", "t2": "500ms"}, node={"workers": 1}, security={"unknown_sources": {"each": "off"}})
    house.scan = False  # the messages name addresses of ours
    stranger = ua(net.STRANGER, 5060, name="prober8")
    out = Outgoing(house)
    files, too_much = 0, []
    for path, _ in [entry for folder in folders for entry in index(folder)]:
        with open(path, "rb") as f:
            data = f.read()
        files += 1
        out.take()
        stranger.send(data)
        probe = stranger.request("OPTIONS", f"sip:{net.OUT}").call_id.encode()
        got = []
        net.until(lambda got=got, probe=probe: got.extend(out.take()) or any(probe in p.payload for p in got), 3,
                  "no answer to OPTIONS")
        sizes = [len(p.payload) for p in got if b"@prober8" not in p.payload]
        if sum(sizes) > 2 * len(data) or len(sizes) > 1:
            too_much.append(f"{os.path.basename(path)}: {len(data)} bytes in, {sizes} out")
    time.sleep(1.0)  # retransmissions would come in this time
    late = out.take()
    assert not too_much, "\n" + "\n".join(too_much)
    assert not late, f"an answer to a stranger was repeated: {late}"
    assert {p.dst for p in out.all} == {net.STRANGER}
    assert len(out.all) > files


BRIEF = [f"{method} sip:a SIP/2.0\r\nv:SIP/2.0/UDP a;branch=z9hG4bK{i}\r\nf:<sip:a>;tag=1\r\nt:<sip:a>\r\ni:{i}\r\n"
         f"CSeq:1 {method}\r\nl:0\r\n\r\n".encode()
         for i, method in enumerate(["OPTIONS", "INVITE", "REGISTER", "MESSAGE", "BYE", "SUBSCRIBE", "X"])]


@pytest.mark.parametrize("data", BRIEF, ids=lambda data: data.split()[0].decode())
def test_brief_questions_of_strangers_get_no_long_answers(house, ua, data):
    daemon = house()
    stranger = ua(net.STRANGER, 5060)
    stranger.send(data)
    known = ua(net.CARRIER, 5060)
    for _ in range(4):  # whatever worker has the stranger's datagram is done with it
        assert ua(net.CARRIER, 0).options() == 200 == known.options()
    stranger.pump(0.1)
    got = [bytes(m) for m in stranger.inbox]
    if got:
        assert len(got) == 1 and len(got[0]) <= 2 * len(data)
    else:
        assert daemon.api.metrics()['postern_dropped_packets_total{reason="amplification"}'] == 1


class Outgoing:
    """Datagrams that the daemon sent, a few at a time."""

    def __init__(self, house):
        self.house, self.position, self.all = house, 0, []

    def take(self):
        raw = self.house.capture.raw[self.position:]
        self.position += len(raw)
        packets = [capture.parse(*entry) for entry in raw]
        new = [p for p in packets if p and p.proto == "udp" and p.payload and p.src in self.house.ours]
        self.all += new
        return new
