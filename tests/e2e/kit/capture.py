"""Every packet that this network namespace sees, as it was sent: a raw socket in a thread. TCP is put together again."""
import ctypes
import socket
import struct
import threading
import time

ETH_P_ALL, SO_ATTACH_FILTER = 3, 26
LOW_PORTS = 10000  # signalling lives below


class Packet:
    __slots__ = ("when", "src", "sport", "dst", "dport", "proto", "payload", "seq")

    def __init__(self, when, src, sport, dst, dport, proto, payload, seq):
        self.when, self.src, self.sport, self.dst, self.dport = when, src, sport, dst, dport
        self.proto, self.payload, self.seq = proto, payload, seq

    def __repr__(self):
        return f"<{self.proto} {self.src}:{self.sport} > {self.dst}:{self.dport} {self.payload[:40]!r}>"


def no_media_filter():
    """Classic BPF: IPv4 with both ports above LOW_PORTS is not even copied to us."""
    code = [(0x30, 0, 0, 0), (0x74, 0, 0, 4), (0x15, 0, 6, 4),  # version; not 4: accept
            (0xb1, 0, 0, 0), (0x48, 0, 0, 0), (0x35, 0, 3, LOW_PORTS),  # source port
            (0x48, 0, 0, 2), (0x35, 0, 1, LOW_PORTS),  # destination port
            (0x06, 0, 0, 0), (0x06, 0, 0, 0x40000)]
    raw = b"".join(struct.pack("HBBI", *c) for c in code)
    keep = ctypes.create_string_buffer(raw)
    return struct.pack("HL", len(code), ctypes.addressof(keep)), keep


def parse_ip(data):
    """(source, destination, protocol, payload) or None"""
    version = data[0] >> 4 if data else 0
    if version == 4 and len(data) >= 20:
        head, total = (data[0] & 15) * 4, struct.unpack("!H", data[2:4])[0]
        return socket.inet_ntoa(data[12:16]), socket.inet_ntoa(data[16:20]), data[9], data[head:total or None]
    if version == 6 and len(data) >= 40:
        return (socket.inet_ntop(socket.AF_INET6, data[8:24]), socket.inet_ntop(socket.AF_INET6, data[24:40]), data[6],
                data[40:])
    return None


def parse(when, data):
    ip = parse_ip(data)
    if ip is None:
        return None
    src, dst, proto, rest = ip
    if proto == 17 and len(rest) >= 8:
        sport, dport = struct.unpack("!HH", rest[:4])
        return Packet(when, src, sport, dst, dport, "udp", rest[8:], 0)
    if proto == 6 and len(rest) >= 20:
        sport, dport, seq = struct.unpack("!HHI", rest[:8])
        return Packet(when, src, sport, dst, dport, "tcp", rest[(rest[12] >> 4) * 4:], seq)
    return None


class Capture:
    def __init__(self, media=True):
        self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL))
        self.sock.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE
        if not media:
            program, self.keep = no_media_filter()
            self.sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)
        self.sock.settimeout(0.05)
        self.raw, self.dropped, self.stopped = [], 0, False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        end = None
        while end is None or time.monotonic() < end:
            try:
                data, meta = self.sock.recvfrom(70000)
                if meta[0] != "lo" or meta[2] == socket.PACKET_OUTGOING:  # lo shows everything twice
                    self.raw.append((time.monotonic(), data))
            except socket.timeout:
                if self.stopped:
                    return
            if self.stopped and end is None:
                end = time.monotonic() + 0.5  # for what is in the socket still

    def stop(self):
        if self.sock.fileno() >= 0:
            self.stopped = True
            self.thread.join()
            received, self.dropped = struct.unpack("II", self.sock.getsockopt(263, 6, 8))  # PACKET_STATISTICS
            self.sock.close()

    def packets(self):
        out = [parse(when, data) for when, data in list(self.raw)]
        return [p for p in out if p is not None and p.payload]

    def messages(self):
        """(packet, bytes) of every SIP message, TCP ones put together."""
        return sip_messages(self.packets())


def tcp_streams(packets):
    """{(src, sport, dst, dport): bytes} in order, without repeats."""
    return {key: data for key, (data, _) in timed_streams(packets).items()}


def timed_streams(packets):
    """The same with the time of each chunk: {key: (bytes, [(offset, time)])}."""
    parts = {}
    for p in packets:
        if p.proto == "tcp":
            parts.setdefault((p.src, p.sport, p.dst, p.dport), []).append((p.seq, p.payload, p.when))
    out = {}
    for key, chunks in parts.items():
        first, data, times = chunks[0][0], bytearray(), []
        for seq, payload, when in chunks:
            at = (seq - first) & 0xFFFFFFFF
            if at <= len(data):
                data[at:at + len(payload)] = payload
                times.append((at, when))
        out[key] = bytes(data), times
    return out


def is_sip(payload):
    return b"SIP/2.0" in payload.partition(b"\r\n")[0]


def sip_messages(packets):
    """(packet, bytes) of every SIP message, in the order of time."""
    from .sip import Stream
    out = [(p, p.payload) for p in packets if p.proto == "udp" and is_sip(p.payload)]
    for (src, sport, dst, dport), (data, times) in timed_streams(packets).items():
        stream = Stream(None)
        stream.buf = data
        for message in stream.messages():
            if is_sip(message):
                at = data.find(message)
                when = max((t for offset, t in times if offset <= at), default=0.0)
                out.append((Packet(when, src, sport, dst, dport, "tcp", message, 0), message))
    return sorted(out, key=lambda entry: entry[0].when)
