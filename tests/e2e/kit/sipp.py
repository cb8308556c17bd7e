"""SIPp at either end. Signalling by a scenario of ../sipp, media by an Ear of ours."""
import os
import re
import signal
import subprocess
import time

from . import net

SCENARIOS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "sipp")


class Sipp:
    def __init__(self, work, scenario, ip, port, remote=None, ear=None, keys=None, transport="udp", seconds=25, calls=1,
                 number="+15550100", extra=(), name=None):
        self.name, self.ear, self.seconds = name or scenario, ear, seconds
        base = os.path.join(str(work), f"{self.name}-{ip.replace(':', '_')}-{port}")
        self.log, self.messages, self.errors = base + ".log", base + ".msg", base + ".err"
        command = ["sipp", "-sf", os.path.join(SCENARIOS, scenario + ".xml"), "-i", self.bracket(ip), "-p", str(port),
                   "-t", {"udp": "u1", "tcp": "t1"}[transport], "-nostdin", "-timeout", str(int(seconds * net.patience)),
                   "-timeout_error", "-s", number, "-trace_logs", "-log_file", self.log, "-trace_msg", "-message_file",
                   self.messages, "-trace_err", "-error_file", self.errors, "-T2", "2000"]
        settings = {"who": self.name.replace("_", "-"), "rtp_ip": ear.ip if ear else ip, "rtp_port": ear.port if ear else 9,
                    "ipv": "6" if ":" in ip else "4", **(keys or {})}
        for key, value in settings.items():
            command += ["-key", key, str(value)]
        command += ["-m", str(calls)] + list(extra)
        command += [net.host_port(*remote)] if remote else []
        self.process = subprocess.Popen(command, cwd=str(work), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL, start_new_session=True)
        if remote is None:
            bound = net.udp_bound if transport == "udp" else net.tcp_listening
            net.until(lambda: self.process.poll() is not None or bound(ip, port), 5, "SIPp does not listen")

    @staticmethod
    def bracket(ip):
        return f"[{ip}]" if ":" in ip else ip

    def text(self, path):
        try:
            with open(path, encoding="utf-8", errors="replace") as f:
                return f.read()
        except OSError:
            return ""

    def medias(self):
        """Where the far side wanted its media, once for each description that the scenario logged."""
        return [(ip, int(port)) for ip, port in re.findall(r"media +([0-9a-fA-F.:]+) +([0-9]+)", self.text(self.log))]

    def logged(self, pattern):
        return re.search(pattern, self.text(self.log)) is not None

    def talk(self, seconds=10):
        """Lets the ear speak to where the far side listens."""
        net.until(lambda: self.medias() or self.process.poll() is not None, seconds, f"{self.name}: no media address")
        assert self.medias(), f"{self.name} ended early\n{self.complaint()}"
        self.ear.talk(self.medias()[-1])

    def wait(self, seconds=None):
        """Success, or what SIPp has to complain about."""
        try:
            status = self.process.wait((seconds or self.seconds) * net.patience + 1)
        except subprocess.TimeoutExpired:
            self.end()
            status = "it did not end"
        assert status == 0, f"SIPp {self.name}: {status}\n{self.complaint()}"

    def complaint(self):
        return "\n".join(f"--- {path}\n" + "".join(self.text(path).splitlines(True)[-60:])
                         for path in (self.errors, self.messages) if self.text(path))

    def end(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()


def wait_all(*ends, seconds=None):
    deadline = time.monotonic() + (seconds or max(e.seconds for e in ends)) * net.patience
    try:
        for end in ends:
            end.wait(max(0.1, deadline - time.monotonic()) / net.patience)
    finally:
        for end in ends:
            end.end()
