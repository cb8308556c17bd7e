"""The edge where real sockets matter: connections that strangers hold, and what everybody is sent."""
import os
import re
import socket

from kit import net
from kit.calls import established, hang_up
from test_guard import metric
from test_torture import OWN, index


def test_connections_held_by_strangers_leave_room_for_the_known(house, ua, pair):
    """Slowloris from several addresses: idle, half a line, a body that never comes."""
    beginnings = (b"", b"INVITE sip:", b"INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/TCP x\r\nContent-Length: 500\r\n\r\nv=0")
    # Of 16 connections a quarter is kept for sources that are known.
    daemon = house(node={"workers": 1}, sip={"tcp_connections": 16, "tcp_per_source": 6})
    full = 'postern_limit_reached_total{limit="connections"}'
    held = []
    for n in range(30):
        s = socket.socket()
        s.bind(((net.STRANGER, net.SPARE, net.PHONE2)[n % 3], 0))
        s.connect((net.OUT, 5060))
        s.sendall(beginnings[n // 3 % 3])
        held.append(s)
    net.until(lambda: metric(daemon, full) >= 30 - 12, 5, "nobody was turned away")
    hang_up(*established(pair))  # by UDP
    a = ua(net.CARRIER, 0, transport="tcp", name="carrytcp")
    assert a.options() == 200, "a peer gets one of the last connections"
    assert metric(daemon, full) == 30 - 12
    for s in held:
        s.close()


def fields_of(payload):
    head, _, body = payload.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    return lines[0], [line.split(b":", 1) for line in lines[1:]], body


def complaint(payload):
    """What a careful middlebox could choke on; None: nothing."""
    start, fields, body = fields_of(payload)
    names = [f[0].lower() for f in fields]
    values = {f[0].lower(): f[1].strip() for f in fields if len(f) == 2}
    if b"\0" in payload or re.search(rb"(?<!\r)\n|\r(?!\n)", payload.partition(b"\r\n\r\n")[0]):
        return "a control character where a line end should be"
    if not re.fullmatch(rb"SIP/2\.0 [1-6]\d\d [ -~\x80-\xff]*|[A-Z]+ sips?:\S+ SIP/2\.0", start):
        return f"start line {start!r}"
    if any(len(f) != 2 or not re.fullmatch(rb"[A-Za-z][A-Za-z0-9-]*", f[0]) for f in fields):
        return "a field line without name or value"
    for once in (b"from", b"to", b"call-id", b"cseq", b"content-length"):
        if names.count(once) > 1 or (names.count(once) == 0 and not start.startswith(b"SIP/2.0 400 ")):  # it was not asked
            return f"{names.count(once)} fields {once!r}"
    if b"via" not in names or b"0.0.0.0" in values[b"via"]:
        return "no Via, or one of nobody"
    if int(values[b"content-length"]) != len(body):
        return "Content-Length is not the body's"
    own = [line for line in payload.split(b"\r\n") if not line.startswith(b"Via:")]  # those come back as they came
    if len(payload) > 8192 or max(map(len, own)) > 1024:
        return f"{len(payload)} bytes, or a line without end"
    return None


def test_whatever_comes_in_what_goes_out_is_plain_and_bounded(house, ua, pair):
    """Inspection in firewalls in front of us falls over odd messages: none of ours is one."""
    daemon = house()
    house.scan = False  # the messages name addresses of ours
    hang_up(*established(pair))
    shooter = ua(net.STRANGER, 5060)
    friend = ua(net.CARRIER, 5066)  # a peer: more is answered
    sent = 0
    for path, _ in index(OWN):
        with open(path, "rb") as f:
            data = f.read()
        for gun in (shooter, friend):
            gun.send(data)
            sent += 1
    assert sent > 20 and daemon.alive()
    assert ua(net.CARRIER, 5067).options() == 200
    daemon.wait_quiet(10)  # what became a call has been given up: nobody took it
    ours = [p.payload for p in house.capture.packets() if p.src in house.ours and p.proto == "udp" and p.sport == 5060 and p.payload.strip()]
    ours = [payload for payload in ours if payload[:2] != b"\x01\x01"]  # what STUN asked for
    assert len(ours) > 20
    wrong = {complaint(payload): payload[:400] for payload in ours}
    wrong.pop(None, None)
    assert not wrong, wrong


def test_every_attack_of_the_list_has_its_test():
    """tests/attacks.md: each name that it gives is a test that exists."""
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    text = ""
    for folder, _, files in os.walk(root):
        for name in files:
            if name.endswith((".c", ".py")) and name.startswith("test_"):
                with open(os.path.join(folder, name), encoding="utf-8") as f:
                    text += f.read()
    with open(os.path.join(root, "attacks.md"), encoding="utf-8") as f:
        rows = [line for line in f if re.match(r"\| \d+ \|", line)]
    numbers = [*range(25, 35), *range(51, 89)]
    assert [int(row.split("|")[1]) for row in rows] == numbers, "rows 25 to 34 and 51 to 88, in order"
    for row in rows:
        names = re.findall(r"`(\w+)`", row.split("|")[3])
        assert names or "does not exist" in row, row
        missing = [n for n in names if not re.search(rf"\b{n}\((void \*\*|\w|\))", text)]
        assert not missing, missing
