"""The stage that measures TLS: server CPU of a full ECDSA handshake, the same for openssl s_server in the same run, and
whether handshakes at rate hold up the rest. `openssl s_time` is the client of both."""
import os
import re
import socket
import ssl
import subprocess
import sys
import threading
import time

OPTIONS = ("OPTIONS sip:bench@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {at};branch=z9hG4bK{n};rport\r\n"
           "From: <sip:bench@bench>;tag={n}\r\nTo: <sip:bench@bench>\r\nCall-ID: {n}\r\nCSeq: 1 OPTIONS\r\n"
           "Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n")
PING_S = 0.01


def make_certificate(directory):
    """A self-signed ECDSA certificate, P-256."""
    key, cert = os.path.join(directory, "server.key"), os.path.join(directory, "server.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-subj", "/CN=bench", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert],
                   check=True, capture_output=True)
    os.chmod(key, 0o600)
    return cert, key


def s_time(prefix, address, seconds, *args):
    """How many full handshakes openssl s_time has completed."""
    done = subprocess.run([*prefix, "openssl", "s_time", "-new", "-connect", address, "-time", str(seconds), *args],
                          capture_output=True, text=True, check=False)
    match = re.search(r"(\d+) connections in \d+ real seconds", done.stdout)
    return int(match.group(1)) if match else 0


def process_cpu_s(pid):
    return time.clock_gettime_ns((~pid << 3) | 2) / 1e9


class SServer:
    """openssl s_server with the same certificate, on the daemon's core."""

    def __init__(self, prefix, port, cert, key):
        self.address = f"127.0.0.1:{port}"
        self.process = subprocess.Popen([*prefix, "openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert", cert, "-key",
                                         key, "-quiet"], stdin=subprocess.PIPE,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.05)

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Pinger(threading.Thread):
    """OPTIONS over UDP at an even pace; keeps the round-trip times in ms."""

    def __init__(self, target):
        super().__init__(daemon=True)
        self.target, self.over, self.times = target, threading.Event(), []

    def run(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind(("127.0.0.1", 0))
            sock.settimeout(1)
            at = "127.0.0.1:%d" % sock.getsockname()[1]
            n = 0
            while not self.over.wait(PING_S):
                n += 1
                start = time.monotonic()
                sock.sendto(OPTIONS.format(at=at, n=f"{os.getpid()}x{n}").encode(), self.target)
                try:
                    sock.recv(65536)
                except socket.timeout:
                    pass
                self.times.append((time.monotonic() - start) * 1e3)

    def p99(self):
        self.over.set()
        self.join()
        return sorted(self.times)[len(self.times) * 99 // 100] if self.times else 0.0


def quiet_and_busy(target, flood):
    """(p99 at rest, p99 while flood() runs) of an OPTIONS over UDP, in ms."""
    found = []
    for load in (lambda: time.sleep(1), flood):
        pinger = Pinger(target)
        pinger.start()
        load()
        found.append(pinger.p99())
    return found


class Flood:
    """Full handshakes with an address at an even rate, from a process of its own, behind all others in precedence."""

    THREADS = 8

    def __init__(self, prefix, address, rate):
        host, port = address.rsplit(":", 1)
        self.process = subprocess.Popen([*prefix, "nice", "-n", "5", sys.executable, __file__, host, port, str(rate)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def stop(self):
        """Handshakes a second that came to an end."""
        said, _ = self.process.communicate()
        return float(said or 0)

    @staticmethod
    def run(host, port, rate):
        """Until standard input ends."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        over, lock, done = threading.Event(), threading.Lock(), [0]
        start = time.monotonic()

        def worker(first):
            due = start + first / rate
            while not over.wait(max(0, due - time.monotonic())):
                due += Flood.THREADS / rate
                try:
                    with socket.create_connection((host, port), timeout=5) as sock, context.wrap_socket(sock):
                        with lock:
                            done[0] += 1
                except OSError:
                    pass  # refused for once: it does not count

        threads = [threading.Thread(target=worker, args=(i,), daemon=True) for i in range(Flood.THREADS)]
        for thread in threads:
            thread.start()
        sys.stdin.read()
        over.set()
        print(done[0] / (time.monotonic() - start), flush=True)


if __name__ == "__main__":
    Flood.run(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
