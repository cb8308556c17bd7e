"""A small client of rtpengine's NG protocol (bencode over UDP), and the daemon itself in user space."""

import base64
import os
import re
import socket
import subprocess
import tempfile
import time

PORTS = (20000, 39999)
SUITE = "AES_CM_128_HMAC_SHA1_80"


class NgError(Exception):
    """rtpengine refused, or does not answer."""


def bencode(value):
    if isinstance(value, int):
        return b"i%de" % value
    if isinstance(value, str):
        value = value.encode()
    if isinstance(value, bytes):
        return b"%d:%s" % (len(value), value)
    if isinstance(value, dict):
        return b"d" + b"".join(bencode(k) + bencode(value[k]) for k in sorted(value)) + b"e"
    return b"l" + b"".join(bencode(v) for v in value) + b"e"


def bdecode(data, at=0):
    """The value at an offset, and the offset behind it."""
    kind = data[at:at + 1]
    if kind == b"i":
        end = data.index(b"e", at)
        return int(data[at + 1:end]), end + 1
    if kind in (b"l", b"d"):
        items, at = [], at + 1
        while data[at:at + 1] != b"e":
            item, at = bdecode(data, at)
            items.append(item)
        if kind == b"l":
            return items, at + 1
        return dict(zip((k.decode() for k in items[::2]), items[1::2])), at + 1
    colon = data.index(b":", at)
    end = colon + 1 + int(data[at:colon])
    return data[colon + 1:end], end


def make_key():
    return base64.b64encode(os.urandom(30)).decode()


def sdp(address, port, key):
    crypto = f"a=crypto:1 {SUITE} inline:{key}\r\n" if key else ""
    return (f"v=0\r\no=- 1 1 IN IP4 {address}\r\ns=-\r\nc=IN IP4 {address}\r\nt=0 0\r\n"
            f"m=audio {port} RTP/{'S' if key else ''}AVP 0\r\na=rtpmap:0 PCMU/8000\r\n{crypto}")


def parse_sdp(text):
    """Address, port and SDES key (None: plain RTP)."""
    text = text.decode()
    key = re.search(rf"a=crypto:\d+ {SUITE} inline:([A-Za-z0-9+/=]{{40}})", text)
    return (re.search(r"c=IN IP4 (\S+)", text).group(1), int(re.search(r"m=audio (\d+)", text).group(1)),
            key.group(1) if key else None)


class Rtpengine:
    """One rtpengine with one worker thread, packets in user space (no kernel table)."""

    def __init__(self, core_command, outside, inside, ng_port):
        self.addresses = (outside, inside)
        self.ng_port = ng_port
        self.command = core_command([
            "rtpengine", "--foreground", "--config-file=none", "--table=-1", "--log-stderr", "--log-level=3",
            f"--interface=outside/{outside}", f"--interface=inside/{inside}", f"--listen-ng=127.0.0.1:{ng_port}",
            f"--port-min={PORTS[0]}", f"--port-max={PORTS[1]}", "--num-threads=1", "--media-num-threads=1",
            "--delete-delay=0"])
        self.process = self.socket = self.log = None
        self.serial = 0

    def __enter__(self):
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(self.command, stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.connect(("127.0.0.1", self.ng_port))
        self.socket.settimeout(0.2)
        deadline = time.monotonic() + 15
        while True:
            try:
                self.ask({"command": "ping"}, tries=1)
                return self
            except (NgError, OSError) as err:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    self.__exit__()
                    raise NgError(f"rtpengine is not ready: {err}") from err
                time.sleep(0.05)

    def __exit__(self, *exc):
        self.socket.close()
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.log.close()

    def ask(self, command, tries=10):
        self.serial += 1
        cookie = b"%d " % self.serial
        for _ in range(tries):
            self.socket.send(cookie + bencode(command))
            try:
                while True:
                    answer = self.socket.recv(65535)
                    if answer.startswith(cookie):
                        break
            except TimeoutError:
                continue
            result = bdecode(answer, len(cookie))[0]
            if result.get("result") not in (b"ok", b"pong"):
                raise NgError(f"{command['command']}: {result}")
            return result
        raise NgError(f"{command['command']}: no answer")

    def call(self, number, caller, callee, srtp):
        """Sets one call up; returns its line for `loadgen --streams`. caller and callee: (address, port);
        srtp: whether the caller and the callee use it."""
        keys = [make_key() if s else None for s in srtp]
        base = {"call-id": f"bench-{number}", "from-tag": "a", "ICE": "remove", "DTLS": "off"}
        offer = self.ask({**base, "command": "offer", "sdp": sdp(*caller, keys[0]), "direction": ["outside", "inside"],
                          "transport-protocol": "RTP/SAVP" if srtp[1] else "RTP/AVP", "SDES": [f"only-{SUITE}"]})
        answer = self.ask({**base, "command": "answer", "to-tag": "b", "sdp": sdp(*callee, keys[1])})
        to_callee, to_caller = parse_sdp(offer["sdp"]), parse_sdp(answer["sdp"])
        return " ".join([f"{to_caller[0]}:{to_caller[1]}", f"{to_callee[0]}:{to_callee[1]}",
                         f"{keys[0]},{to_caller[2]}" if srtp[0] else "-",
                         f"{keys[1]},{to_callee[2]}" if srtp[1] else "-"])

    def end(self, number):
        self.ask({"command": "delete", "call-id": f"bench-{number}", "from-tag": "a"})
