"""SIP by hand: messages, a user agent over UDP, TCP or TLS, and calls as one side sees them. For tests that have to be
rude, or exact. Nothing happens behind the test's back except the ACK of a failure that Call.result() sends."""
import hashlib
import os
import re
import selectors
import socket
import ssl
import time

from . import net, plain

COMPACT = {"v": "via", "f": "from", "t": "to", "i": "call-id", "m": "contact", "l": "content-length",
           "c": "content-type", "k": "supported", "e": "content-encoding", "s": "subject"}
REASONS = {100: "Trying", 180: "Ringing", 183: "Session Progress", 200: "OK", 302: "Moved Temporarily", 404: "Not Found",
           408: "Request Timeout", 480: "Temporarily Unavailable", 486: "Busy Here", 487: "Request Terminated",
           488: "Not Acceptable Here", 491: "Request Pending", 500: "Server Internal Error", 503: "Service Unavailable",
           603: "Decline"}


def unique(n=8):
    return os.urandom(n).hex()


class Msg:
    """One message, parsed just enough for a test."""

    def __init__(self, start, headers, body=b""):
        self.start, self.headers, self.body = start, headers, body
        self.source = self.conn = self.when = None
        parts = start.split(" ", 2)
        self.is_request = not start.startswith("SIP/2.0 ")
        self.method = parts[0] if self.is_request else self.cseq[1]
        self.uri = parts[1] if self.is_request else None
        self.status = None if self.is_request else int(parts[1])

    @classmethod
    def parse(cls, data):
        head, _, body = data.partition(b"\r\n\r\n")
        lines = re.sub(r"\r\n[ \t]+", " ", head.decode(errors="surrogateescape")).split("\r\n")
        headers = []
        for line in lines[1:]:
            name, _, value = line.partition(":")
            name = name.strip()
            headers.append((COMPACT.get(name.lower(), name), value.strip()))
        return cls(lines[0], headers, body)

    def all(self, name):
        return [v for n, v in self.headers if n.lower() == name.lower()]

    def get(self, name, default=""):
        values = self.all(name)
        return values[0] if values else default

    def tag(self, name):
        match = re.search(r";\s*tag=([^;,\s]+)", self.get(name).rpartition(">")[2] or self.get(name))
        return match.group(1) if match else None

    @property
    def cseq(self):
        number, _, method = self.get("CSeq").partition(" ")
        return int(number) if number.isascii() and number.isdigit() else 0, method.strip()

    @property
    def call_id(self):
        return self.get("Call-ID")

    @property
    def contact_uri(self):
        return uri_of(self.get("Contact"))

    @property
    def sdp(self):
        return Sdp(self.body.decode(errors="surrogateescape")) if self.body else None

    def __bytes__(self):
        head = "".join(f"{n}: {v}\r\n" for n, v in self.headers)
        return f"{self.start}\r\n{head}\r\n".encode(errors="surrogateescape") + self.body

    def __repr__(self):
        return f"<{self.start} | {self.get('CSeq')} | {self.call_id[:20]}>"


def uri_of(value):
    match = re.search(r"<([^>]*)>", value)
    return match.group(1) if match else value.split(";")[0].strip()


def uri_addr(uri):
    """(ip, port, transport) of a SIP URI with a numeric host."""
    match = re.match(r"sips?:(?:[^@]*@)?(\[[0-9a-fA-F:.]+\]|[^:;?>]+)(?::(\d+))?(.*)", uri)
    transport = "tcp" if "transport=tcp" in match.group(3).lower() else "udp"
    return match.group(1).strip("[]"), int(match.group(2) or 5060), transport


class Sdp:
    def __init__(self, text):
        self.text, self.lines = text, text.split("\r\n")

    def value(self, letter):
        found = [line[2:] for line in self.lines if line.startswith(letter + "=")]
        return found[0] if found else None

    @property
    def address(self):
        return self.value("c").split()[-1]

    @property
    def port(self):
        return int(self.value("m").split()[1])

    @property
    def media(self):
        """Where RTP goes."""
        return self.address, self.port

    @property
    def direction(self):
        for word in ("sendrecv", "sendonly", "recvonly", "inactive"):
            if f"a={word}" in self.lines:
                return word
        return "sendrecv"

    @property
    def origin(self):
        """(user, id, version)"""
        user, number, version = self.value("o").split()[:3]
        return user, number, int(version)


def write_sdp(ip, port, name="ua", version=1, direction="sendrecv", number=None, extra=""):
    """A description whose o= and s= are recognisable anywhere."""
    kind = "IP6" if ":" in ip else "IP4"
    number = number or int.from_bytes(hashlib.sha256(name.encode()).digest()[:5], "big")
    return (f"v=0\r\no=org-{name} {number} {version} IN {kind} {ip}\r\ns=session of {name}\r\nc=IN {kind} {ip}\r\n"
            f"t=0 0\r\nm=audio {port} RTP/AVP 8 0 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\n"
            f"a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na={direction}\r\n{extra}")


class Stream:
    """Bytes of one TCP connection, cut into messages."""

    def __init__(self, sock):
        self.sock, self.buf, self.closed = sock, b"", False

    def messages(self):
        while True:
            self.buf = self.buf.lstrip(b"\r\n")
            head, sep, rest = self.buf.partition(b"\r\n\r\n")
            if not sep:
                return
            match = re.search(rb"(?im)^(?:content-length|l)\s*:\s*(\d+)", head)
            length = int(match.group(1)) if match else 0
            if len(rest) < length:
                return
            yield head + sep + rest[:length]
            self.buf = rest[length:]


class Ua:
    """One SIP endpoint. name colours everything that it writes, so that it can be recognised on the other side."""

    def __init__(self, ip, port=0, proxy=(net.OUT, net.SIP), transport="udp", user="+15550111", name=None, dial=None,
                 serve=None):
        """transport tls: dial and serve are contexts of kit.pki for the connections that we open and that we get."""
        self.ip, self.proxy, self.transport, self.user = ip, proxy, transport, user
        self.dial_context, self.serve_context, self.refused = dial, serve, []
        self.name = name or "ua" + unique(4)
        self.inbox, self.seen, self.repeats = [], set(), 0
        self.selector = selectors.DefaultSelector()
        self.streams, self.uplink = {}, None
        kind = socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM
        self.sock = socket.socket(net.family(ip), kind)
        if transport != "udp":
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.sock.bind((ip, port))
        if transport != "udp":
            self.sock.listen(16)
        self.port = self.sock.getsockname()[1]
        self.selector.register(self.sock, selectors.EVENT_READ)

    # --- bytes ---
    def connect(self):
        """A connection of our own to the proxy; requests go there from now on."""
        sock = socket.socket(net.family(self.ip), socket.SOCK_STREAM)
        sock.bind((self.ip, 0))
        sock.settimeout(20)
        sock.connect(self.proxy)
        if self.transport == "tls":
            sock = self.dial_context.wrap_socket(sock)
        return self.adopt(sock)

    def adopt(self, sock):
        sock.setblocking(True)
        stream = self.streams[sock] = Stream(sock)
        self.selector.register(sock, selectors.EVENT_READ)
        return stream

    def accept(self):
        sock = self.sock.accept()[0]
        if self.transport == "tls":
            sock.settimeout(20)
            try:
                sock = self.serve_context.wrap_socket(sock, server_side=True)
            except (OSError, ssl.SSLError) as e:
                self.refused.append(str(e))
                sock.close()
                return
        self.adopt(sock)

    def send(self, data, to=None, stream=None):
        data = bytes(data)
        if self.transport == "udp":
            self.sock.sendto(data, to or self.proxy)
            return
        if stream is None:
            if self.uplink is None or self.uplink.closed:
                self.uplink = self.connect()
            stream = self.uplink
        if self.transport == "tls":
            plain.note(stream.sock.getsockname(), stream.sock.getpeername(), data)
        stream.sock.sendall(data)

    def pump(self, seconds):
        """Takes in what comes within the time; returns after the first arrival."""
        for key, _ in self.selector.select(max(0.0, seconds)):
            sock = key.fileobj
            if sock is self.sock and self.transport == "udp":
                data, source = sock.recvfrom(65536)
                self.take(data, source[:2], None)
            elif sock is self.sock:
                self.accept()
            else:
                self.read_stream(sock)

    def read_stream(self, sock):
        stream = self.streams[sock]
        try:
            data = sock.recv(65536)
            while self.transport == "tls" and sock.pending():  # no selector sees what TLS holds
                data += sock.recv(65536)
        except OSError:
            data = b""
        if not data:
            stream.closed = True
            self.selector.unregister(sock)
            return
        stream.buf += data
        for message in stream.messages():
            if self.transport == "tls":
                plain.note(sock.getpeername(), sock.getsockname(), message)
            self.take(message, sock.getpeername()[:2], stream)

    def take(self, data, source, stream):
        if not data.strip():
            return
        if stream is None and (data, source) in self.seen:
            self.repeats += 1  # a retransmission
            return
        self.seen.add((data, source))
        msg = Msg.parse(data)
        msg.source, msg.conn, msg.when = source, stream, time.monotonic()
        self.inbox.append(msg)

    def expect(self, what, seconds=5.0, call_id=None):
        """The first message that fits: a method, a status, a set of statuses, or a function. Others stay queued."""
        deadline = time.monotonic() + seconds * net.patience
        while True:
            for i, msg in enumerate(self.inbox):
                if fits(msg, what) and call_id in (None, msg.call_id):
                    return self.inbox.pop(i)
            left = deadline - time.monotonic()
            if left <= 0:
                raise AssertionError(f"{self.name}: no {what} within {seconds * net.patience:g} s; "
                                     f"there is {self.inbox}, {self.repeats} repeats")
            self.pump(left)

    def nothing(self, what=lambda m: True, seconds=0.3):
        """Nothing that fits comes for so long."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.pump(deadline - time.monotonic())
        found = [m for m in self.inbox if fits(m, what)]
        assert not found, f"{self.name}: unexpected {found}"

    # --- messages ---
    def via(self, branch=None):
        where = net.host_port(self.ip, self.port)
        return f"SIP/2.0/{self.transport.upper()} {where};branch={branch or 'z9hG4bK' + unique()};rport"

    def contact(self):
        return f"<sip:ct-{self.name}@{net.host_port(self.ip, self.port)};transport={self.transport}>"

    def own_uri(self):
        return f"sip:{self.user}@{net.host_port(self.ip, self.port)}"

    def uri(self, user, domain=None):
        return f"sip:{user}@{domain or net.host_port(*self.proxy)}"

    def build(self, method, uri, from_=None, to=None, call_id=None, cseq=1, branch=None, body=b"", ctype=None,
              headers=(), contact=True):
        body = body.encode() if isinstance(body, str) else body
        lines = [("Via", self.via(branch)), ("Max-Forwards", "70"),
                 ("From", from_ or f'"Caller of {self.name}" <{self.own_uri()}>;tag={unique()}'),
                 ("To", to or f"<{uri}>"), ("Call-ID", call_id or f"{unique()}@{self.name}"), ("CSeq", f"{cseq} {method}")]
        if contact:
            lines.append(("Contact", self.contact()))
        lines += [("User-Agent", f"Agent-{self.name}/1")] + list(headers)
        if body:
            lines.append(("Content-Type", ctype or "application/sdp"))
        lines.append(("Content-Length", str(len(body))))
        return Msg(f"{method} {uri} SIP/2.0", lines, body)

    def request(self, method, uri, to_addr=None, stream=None, **how):
        msg = self.build(method, uri, **how)
        self.send(msg, to_addr, stream)
        return msg

    def respond(self, req, status, body=b"", headers=(), tag=None, contact=False, ctype="application/sdp", reason=None):
        body = body.encode() if isinstance(body, str) else body
        to = req.get("To")
        if tag and not req.tag("To"):
            to += f";tag={tag}"
        lines = [("Via", v) for v in req.all("Via")] + [("Record-Route", v) for v in req.all("Record-Route")]
        lines += [("From", req.get("From")), ("To", to), ("Call-ID", req.call_id), ("CSeq", req.get("CSeq"))]
        if contact:
            lines.append(("Contact", self.contact()))
        lines += [("Server", f"Agent-{self.name}/1")] + list(headers)
        if body:
            lines.append(("Content-Type", ctype))
        lines.append(("Content-Length", str(len(body))))
        msg = Msg(f"SIP/2.0 {status} {reason or REASONS.get(status, 'Whatever')}", lines, body)
        self.send(msg, req.source, req.conn)
        return msg

    # --- calls ---
    def invite(self, user, sdp=b"", uri=None, headers=(), **how):
        """Starts a call to user at the proxy."""
        uri = uri or self.uri(user)
        msg = self.request("INVITE", uri, body=sdp, headers=headers, **how)
        return Call(self, msg)

    def incoming(self, seconds=5.0):
        """The next INVITE that starts a call."""
        return Call(self, self.expect(lambda m: m.is_request and m.method == "INVITE" and not m.tag("To"), seconds))

    def options(self, seconds=5.0):
        """Asks the proxy whether it lives; the status."""
        req = self.request("OPTIONS", f"sip:{net.host_port(*self.proxy)}")
        return self.expect(lambda m: not m.is_request and m.call_id == req.call_id, seconds).status

    def close(self):
        for sock in list(self.streams):
            sock.close()
        self.sock.close()
        self.selector.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def fits(msg, what):
    if callable(what):
        return what(msg)
    if isinstance(what, str):
        return msg.is_request and msg.method == what
    if isinstance(what, int):
        return msg.status == what
    return msg.status in what


class Call:
    """One dialog from one side: caller (made by Ua.invite) or callee (Ua.incoming)."""

    def __init__(self, ua, invite):
        self.ua, self.invite = ua, invite
        self.is_caller = invite.source is None
        self.call_id = invite.call_id
        self.answer = None  # the response that brought a description last
        if self.is_caller:
            self.local, self.remote, self.cseq = invite.get("From"), invite.get("To"), invite.cseq[0]
            self.target, self.tag = None, invite.tag("From")
        else:
            self.tag = unique()
            self.local, self.remote, self.cseq = invite.get("To") + ";tag=" + self.tag, invite.get("From"), 0
            self.target = invite.contact_uri
        self.offer = invite  # the INVITE in work, ours or theirs

    # as caller
    def wait(self, what, seconds=5.0):
        """A response to our INVITE. The dialog learns from it; failures are acknowledged."""
        number = self.offer.cseq[0]

        def mine(m):
            return not m.is_request and m.call_id == self.call_id and m.cseq == (number, "INVITE") and fits(m, what)
        rsp = self.ua.expect(mine, seconds)
        self.answer = rsp if rsp.body else self.answer
        if 101 <= rsp.status < 300:
            self.remote, self.target = rsp.get("To"), rsp.contact_uri or self.target
        elif rsp.status >= 300:
            self.ack_failure(rsp)
        return rsp

    def result(self, seconds=5.0):
        return self.wait(lambda m: m.status >= 200, seconds)

    def ack_failure(self, rsp):
        req = self.offer
        headers = [("Via", req.get("Via")), ("Max-Forwards", "70"), ("From", req.get("From")), ("To", rsp.get("To")),
                   ("Call-ID", self.call_id), ("CSeq", f"{req.cseq[0]} ACK"), ("Content-Length", "0")]
        self.ua.send(Msg(f"ACK {req.uri} SIP/2.0", headers), rsp.source, rsp.conn)

    def ack(self, sdp=b"", **how):
        return self.send("ACK", cseq=self.offer.cseq[0], body=sdp, contact=False, **how)

    def cancel(self, ua=None):
        req = self.invite
        headers = [("Via", req.get("Via")), ("Max-Forwards", "70"), ("From", req.get("From")), ("To", req.get("To")),
                   ("Call-ID", self.call_id), ("CSeq", f"{req.cseq[0]} CANCEL"), ("Content-Length", "0")]
        (ua or self.ua).send(Msg(f"CANCEL {req.uri} SIP/2.0", headers))

    # as callee
    def reply(self, status, sdp=b"", to=None, **how):
        return self.ua.respond(to or self.offer, status, sdp, tag=self.tag, contact=101 <= status < 300, **how)

    # both
    def destination(self):
        host, port, _ = uri_addr(self.target)
        return host, port

    def send(self, method, cseq=None, ua=None, **how):
        """A request inside the dialog; ua: from another socket."""
        if cseq is None:
            self.cseq += 1
            cseq = self.cseq
        stream = self.offer.conn if not self.is_caller else None
        return (ua or self.ua).request(method, self.target, to_addr=self.destination(), stream=stream, from_=self.local,
                                       to=self.remote, call_id=self.call_id, cseq=cseq, **how)

    def answer_to(self, req, what=200, seconds=5.0, ua=None):
        return (ua or self.ua).expect(lambda m: not m.is_request and m.call_id == self.call_id and
                                      m.cseq == req.cseq and fits(m, what), seconds)

    def reinvite(self, sdp=b"", **how):
        self.offer = self.send("INVITE", body=sdp, **how)
        return self.offer

    def expect(self, method, seconds=5.0):
        """A request of the other side inside this dialog."""
        req = self.ua.expect(lambda m: m.is_request and m.method == method and m.call_id == self.call_id, seconds)
        if method == "INVITE":
            self.offer = req
            self.target = req.contact_uri or self.target
        return req

    def bye(self, seconds=5.0, **how):
        return self.answer_to(self.send("BYE", **how), 200, seconds)

    def take_bye(self, seconds=5.0):
        req = self.expect("BYE", seconds)
        self.ua.respond(req, 200)
        return req


def digest(method, uri, user, password, challenge, nc=1, algorithm=None, realm=None, cnonce="0a4f113b", body=None):
    """The value of an Authorization header for a challenge (RFC 2617, RFC 7616)."""
    p = dict(re.findall(r'(\w+)="?([^",]+)"?', challenge.partition(" ")[2]))
    name = algorithm or p.get("algorithm", "MD5")
    h = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}[name.upper()]

    def hexof(text):
        return h(text.encode()).hexdigest()
    realm = realm or p["realm"]
    nonce = p["nonce"]
    ha1, ha2 = hexof(f"{user}:{realm}:{password}"), hexof(f"{method}:{uri}")
    head = f'Digest username="{user}", realm="{realm}", nonce="{nonce}", uri="{uri}", algorithm={name}'
    if "qop" in p:
        response = hexof(f"{ha1}:{nonce}:{nc:08x}:{cnonce}:auth:{ha2}")
        return f'{head}, response="{response}", qop=auth, nc={nc:08x}, cnonce="{cnonce}"'
    response = hexof(f"{ha1}:{nonce}:{ha2}")
    return f'{head}, response="{response}"'
