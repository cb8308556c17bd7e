"""A telephone's mouth and ear: sends a tone as G.711 over RTP and tells what it hears."""
import math
import os
import socket
import struct
import sys
import threading
import time
import wave

from . import net

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.append(os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(HERE))), "scripts"))

from demo_call import ALAW_TO_LINEAR, alaw_encode, tone_power as tone_share  # noqa: E402

RATE, FRAME, PCMU, PCMA = 8000, 160, 0, 8


def sine(hz, count, rate=RATE, amplitude=8000):
    return [int(amplitude * math.sin(2 * math.pi * hz * i / rate)) for i in range(count)]


def write_wav(path, samples, rate=RATE):
    with wave.open(path, "wb") as w:
        w.setnchannels(1)
        w.setsampwidth(2)
        w.setframerate(rate)
        w.writeframes(struct.pack(f"<{len(samples)}h", *samples))


def read_wav(path):
    """(samples of the first channel, rate)"""
    with wave.open(path, "rb") as w:
        channels, rate, raw = w.getnchannels(), w.getframerate(), w.readframes(w.getnframes())
    samples = struct.unpack(f"<{len(raw) // 2}h", raw)
    return list(samples[::channels]), rate


def rtp_packet(seq, timestamp, ssrc, payload, kind=PCMA):
    return struct.pack("!BBHII", 0x80, kind, seq & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc) + payload


class Ear:
    """One media address. hz is a multiple of 50, so that each frame of 20 ms is the same. RTCP on the next port."""

    def __init__(self, ip, hz=400):
        assert hz % 50 == 0
        self.ip, self.hz = ip, hz
        self.rtp, self.rtcp = self.bind_pair(ip)
        self.port = self.rtp.getsockname()[1]
        self.payload = bytes(alaw_encode(s) for s in sine(hz, FRAME))
        self.packets = []  # (time, source, packet)
        self.control = []  # the same of RTCP
        self.sent, self.ssrc, self.target = 0, int.from_bytes(os.urandom(4), "big"), None
        self.stopped, self.hush = threading.Event(), threading.Event()
        self.threads = []
        for sock, kept in ((self.rtp, self.packets), (self.rtcp, self.control)):
            self.spawn(self.listen, sock, kept)

    @staticmethod
    def bind_pair(ip):
        for _ in range(100):
            rtp = socket.socket(net.family(ip), socket.SOCK_DGRAM)
            rtp.bind((ip, 0))
            port = rtp.getsockname()[1]
            rtcp = socket.socket(net.family(ip), socket.SOCK_DGRAM)
            try:
                if port % 2 == 0:
                    rtcp.bind((ip, port + 1))
                    return rtp, rtcp
            except OSError:
                pass
            rtp.close()
            rtcp.close()
        raise AssertionError("no free pair of ports")

    def spawn(self, fn, *args):
        thread = threading.Thread(target=fn, args=args, daemon=True)
        self.threads.append(thread)
        thread.start()

    def listen(self, sock, kept):
        sock.settimeout(0.1)
        while not self.stopped.is_set():
            try:
                packet, source = sock.recvfrom(4096)
            except socket.timeout:
                continue
            except OSError:
                return
            if not packet:
                continue
            kept.append((time.monotonic(), source[:2], packet))

    def talk(self, target):
        """Sends the tone to target until silenced; again: to another target."""
        first, self.target = self.target is None, target
        self.hush.clear()
        if first:
            self.spawn(self.send_tone)
        return self

    def silence(self):
        self.hush.set()

    def send_tone(self):
        start, slots = time.monotonic(), 0
        while not self.stopped.is_set():
            if not self.hush.is_set():
                packet = rtp_packet(self.sent, slots * FRAME, self.ssrc, self.payload)
                try:
                    self.rtp.sendto(packet, self.target)
                    self.sent += 1
                except OSError:
                    pass  # the far port may be closed already; what was heard decides
            slots += 1
            self.stopped.wait(max(0.0, start + slots * FRAME / RATE - time.monotonic()))

    def heard(self, since=0.0, before=math.inf):
        out = []
        for when, _, packet in list(self.packets):
            if since <= when < before and len(packet) > 12 and packet[1] & 0x7F == PCMA:
                out += [ALAW_TO_LINEAR[b] for b in packet[12:]]
        return out

    def count(self, since=0.0):
        return sum(1 for when, _, _ in list(self.packets) if when >= since)

    def share(self, hz, since=0.0):
        return tone_share(self.heard(since), hz)

    def sources(self, since=0.0):
        return {source for when, source, _ in list(self.packets) if when >= since}

    def hears(self, hz, packets=25, seconds=5.0, since=None):
        """Waits until so many packets of that tone came after `since` (default: now)."""
        since = time.monotonic() if since is None else since
        net.until(lambda: self.count(since) >= packets, seconds,
                  f"the ear at {self.ip}:{self.port} heard {self.count(since)} packets")
        share = self.share(hz, since)
        assert share > 0.9, f"{self.ip}:{self.port} hears {share:.0%} of {hz} Hz"

    def close(self):
        self.stopped.set()
        for sock in (self.rtp, self.rtcp):
            sock.sendto(b"", sock.getsockname())  # wakes the listener
        for thread in self.threads:
            thread.join()
        self.rtp.close()
        self.rtcp.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
