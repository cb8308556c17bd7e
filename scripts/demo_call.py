#!/usr/bin/python3
"""One demonstration call: SIPp signals at both ends, and this program is both ends' telephone: it sends a
tone in G.711 A-law from each announced media address and listens there for the other end's tone.

    demo_call.py [--to HOST:PORT] [--number N] [--caller HOST:PORT] [--callee HOST:PORT] [--work DIR]

Prints what each end heard. Exit status 0 only if the call was complete and heard both ways."""
import argparse
import math
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
RATE, FRAME, PAYLOAD_PCMA = 8000, 160, 8
CALLER_HZ, CALLEE_HZ = 700, 1100
MIN_PACKETS = 100  # two seconds; the call lasts five
CALL_SECONDS = 40  # hard end of everything


def alaw_encode(sample):
    """G.711 A-law of a 16-bit sample."""
    sign = 0x80 if sample >= 0 else 0
    value = min(sample if sample >= 0 else -sample - 1, 32767) >> 3
    exponent = max(0, value.bit_length() - 5)
    mantissa = value >> max(1, exponent) & 0x0F
    return (sign | exponent << 4 | mantissa) ^ 0x55


def alaw_decode(byte):
    byte ^= 0x55
    exponent, value = byte >> 4 & 7, (byte & 0x0F) << 4 | 8
    value = value if exponent == 0 else (value + 0x100) << (exponent - 1)
    return value if byte & 0x80 else -value


ALAW_TO_LINEAR = [alaw_decode(b) for b in range(256)]


def tone_power(samples, hz, rate=RATE):
    """Goertzel: the share of the samples' energy that lies at hz, 0 to 1."""
    energy = sum(s * s for s in samples)
    if not samples or energy == 0:
        return 0.0
    coeff = 2 * math.cos(2 * math.pi * hz / rate)
    s1 = s2 = 0.0
    for s in samples:
        s1, s2 = s + coeff * s1 - s2, s1
    return (s1 * s1 + s2 * s2 - coeff * s1 * s2) / (energy * len(samples) / 2)


def bind_outside_the_relay(sock, ip):
    """A free port that is none of the relay's (20000-39999 in the embedded configuration): the callee shares the
    address of a listener, and nobody may be sent media at our own ports."""
    for port in range(40000 + os.getpid() % 10000, 60000):
        try:
            sock.bind((ip, port))
            return
        except OSError:
            continue
    raise OSError("no free UDP port at " + ip)


class Phone:
    """One end's ear and mouth."""

    def __init__(self, name, ip, own_hz, other_hz):
        self.name, self.own_hz, self.other_hz = name, own_hz, other_hz
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        bind_outside_the_relay(self.sock, ip)
        self.sock.settimeout(0.2)
        self.address = self.sock.getsockname()
        self.heard, self.sources, self.sent, self.received, self.target = [], set(), 0, 0, None
        self.stop = threading.Event()
        self.threads = [threading.Thread(target=self.listen, daemon=True)]
        self.threads[0].start()

    def listen(self):
        while not self.stop.is_set():
            try:
                packet, source = self.sock.recvfrom(2048)
            except socket.timeout:
                continue
            except OSError:
                return
            if len(packet) > 12 and packet[0] >> 6 == 2 and packet[1] & 0x7F == PAYLOAD_PCMA:
                self.received += 1
                self.sources.add(source)
                self.heard += [ALAW_TO_LINEAR[b] for b in packet[12:]]

    def talk(self, target):
        if target is None:
            return
        self.target = target
        thread = threading.Thread(target=self.send_tone, args=(target,), daemon=True)
        self.threads.append(thread)
        thread.start()

    def send_tone(self, target):
        step = 2 * math.pi * self.own_hz / RATE
        ssrc = int.from_bytes(os.urandom(4), "big")
        start = time.monotonic()
        while not self.stop.is_set():
            first = self.sent * FRAME
            body = bytes(alaw_encode(int(8000 * math.sin(step * (first + i)))) for i in range(FRAME))
            header = struct.pack("!BBHII", 0x80, PAYLOAD_PCMA, self.sent & 0xFFFF, first, ssrc)
            try:
                self.sock.sendto(header + body, target)
            except (OSError, OverflowError):
                pass  # the far port may be closed already; what was heard decides
            self.sent += 1
            self.stop.wait(max(0.0, start + self.sent * FRAME / RATE - time.monotonic()))

    def close(self):
        self.stop.set()
        for thread in self.threads:
            thread.join()
        self.sock.close()

    def verdict(self):
        """(heard well, line for people)"""
        theirs, own = tone_power(self.heard, self.other_hz), tone_power(self.heard, self.own_hz)
        good = self.received >= MIN_PACKETS and theirs > 0.5 and own < 0.05
        good = good and self.sources == {self.target}  # from the announced address and nowhere else
        source = ", ".join("%s:%d" % s for s in sorted(self.sources)) or "nobody"
        return good, (f"{self.name}: sent {self.sent} packets of {self.own_hz} Hz, heard {self.received} from {source}: "
                      f"{theirs:.0%} of it is the other end's {self.other_hz} Hz" + ("" if good else "  NOT HEARD"))


class Sipp:
    """One SIPp, one call. Its log tells where the far side wants the media."""

    def __init__(self, name, local, remote, phone, work, extra):
        self.name, self.phone = name, phone
        self.log = os.path.join(work, f"{name}-media.log")
        self.messages = os.path.join(work, f"{name}-messages.log")
        self.errors = os.path.join(work, f"{name}-errors.log")
        for path in (self.log, self.messages, self.errors):
            if os.path.exists(path):
                os.unlink(path)
        ip, port = phone.address
        command = ["sipp", "-sf", os.path.join(HERE, "demo", f"{name}.xml"), "-i", local[0], "-p", str(local[1]),
                   "-t", "u1", "-nostdin", "-timeout", str(CALL_SECONDS), "-timeout_error",
                   "-key", "rtp_ip", ip, "-key", "rtp_port", str(port), "-trace_logs", "-log_file", self.log,
                   "-trace_msg", "-message_file", self.messages, "-trace_err", "-error_file", self.errors]
        command += extra + (["%s:%d" % remote] if remote else [])
        self.process = subprocess.Popen(command, cwd=work, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL, start_new_session=True)

    def logged(self, pattern):
        try:
            with open(self.log, encoding="utf-8") as f:
                return re.search(pattern, f.read())
        except OSError:
            return None

    def media_target(self):
        match = self.logged(r"media +([0-9.]+) +([0-9]+)")
        return (match.group(1), int(match.group(2))) if match else None

    def completed(self, deadline):
        """The caller's SIPp ends with its one call; the callee's stays, and logs the call's end."""
        while time.monotonic() < deadline:
            status = self.process.poll()
            if status is not None:
                return status == 0
            if self.logged(r"(?m)^bye"):
                return True
            time.sleep(0.02)
        return False

    def end(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()

    def complaint(self):
        for path in (self.errors, self.messages):
            if os.path.exists(path) and os.path.getsize(path):
                with open(path, encoding="utf-8", errors="replace") as f:
                    return "".join("    " + line for line in f.read().splitlines(True)[-25:])
        return ""


def wait_bound(address, process, deadline):
    """SIPp says nothing when it listens: the kernel's table does."""
    want = "%08X:%04X" % (struct.unpack("<I", socket.inet_aton(address[0]))[0], address[1])
    while time.monotonic() < deadline and process.poll() is None:
        with open("/proc/net/udp", encoding="ascii") as f:
            if any(line.split()[1] == want for line in f.readlines()[1:]):
                return True
        time.sleep(0.02)
    return False


def host_port(text):
    host, port = text.rsplit(":", 1)
    return host, int(port)


def run_call(args, out=print):
    """True when the call was complete and heard both ways."""
    os.makedirs(args.work, exist_ok=True)
    deadline = time.monotonic() + CALL_SECONDS
    phones = {"caller": Phone("caller", args.caller[0], CALLER_HZ, CALLEE_HZ),
              "callee": Phone("callee", args.callee[0], CALLEE_HZ, CALLER_HZ)}
    ends, completed = {}, {"caller": False, "callee": False}
    try:
        ends["callee"] = Sipp("callee", args.callee, None, phones["callee"], args.work, [])
        if not wait_bound(args.callee, ends["callee"].process, deadline):
            out("demo: SIPp could not listen at %s:%d\n%s" % (*args.callee, ends["callee"].complaint()))
            return False
        ends["caller"] = Sipp("caller", args.caller, args.to, phones["caller"], args.work, ["-m", "1", "-s", args.number])
        while ends["caller"].process.poll() is None and time.monotonic() < deadline:
            if ends["caller"].media_target():  # answered
                for name, end in ends.items():
                    phones[name].talk(end.media_target())
                break
            time.sleep(0.02)
        completed["caller"] = ends["caller"].completed(deadline)
        completed["callee"] = ends["callee"].completed(min(deadline, time.monotonic() + 5))
    finally:
        for end in ends.values():
            end.end()
        for phone in phones.values():
            phone.close()
    return report(ends, phones, completed, out)


def report(ends, phones, completed, out):
    good = True
    for name, end in ends.items():
        if not completed[name]:
            good = False
            out(f"demo: the {name}'s signalling did not complete\n{end.complaint()}")
    for name in ("caller", "callee"):
        heard, line = phones[name].verdict()
        good = good and heard
        out("  " + line)
    return good


def parse(argv):
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--to", type=host_port, default=("127.0.0.1", 5060))
    parser.add_argument("--number", default="+15550100")
    parser.add_argument("--caller", type=host_port, default=("127.0.0.3", 5060))
    parser.add_argument("--callee", type=host_port, default=("127.0.0.2", 5070))
    parser.add_argument("--work", default="demo-call")
    args = parser.parse_args(argv)
    args.work = os.path.abspath(args.work)
    return args


if __name__ == "__main__":
    sys.exit(0 if run_call(parse(sys.argv[1:])) else 1)
