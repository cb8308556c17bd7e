#!/usr/bin/env python3
"""Measures the daemon with the load generator and prints one figure a line: NAME VALUE UNIT.

The daemon runs with one worker on one core, the load generator on another. Figures go to standard
output, remarks to standard error; a failed or lossy run exits 1 and prints no figure of its stage.
"""

import argparse
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

import tls

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
OUTSIDE, INSIDE, CALLEE, CALLER = "127.0.0.1", "127.0.0.2", "127.0.0.2", "127.0.0.3"
STRANGER = "127.0.0.9"
RETRANSMITTED_MAX = 0.001  # of all calls; above, a run counts as lossy

CONFIG = """\
node:
  name: bench
  workers: 1
  drain: 1s
  log: {{level: {level}, format: json}}
store:
  path: {dir}/bench.db
admin:
  listen: 127.0.0.1:{admin}
  token: {{file: {dir}/admin.token}}
listeners:
  outside:
    address: {outside}
    sip: {{udp: {outside_port}, tls: {tls_port}}}
    rtp: {{ports: 20000-29999}}
    tls: {{certificate: {dir}/server.pem, key: {dir}/server.key}}
  inside:
    address: {inside}
    sip: {{udp: {inside_port}}}
    rtp: {{ports: 30000-39999}}
media_profiles:
  plain: {{security: rtp}}
peers:
  caller:
    listener: outside
    sources: [{caller}/32]
    targets: ["sip:{caller}:{caller_port}"]
    media: plain
  callee:
    listener: inside
    sources: [{callee}/32]
    targets: ["sip:{callee}:{callee_port}"]
    media: plain
routes:
  - {{name: bench, from: caller, match: {{called: "+*"}}, to: [callee]}}
limits: {{calls: 20000, calls_per_second: 20000}}
"""
# The client of the handshakes is a stranger, who has a budget otherwise.
CONFIG_STRANGERS = CONFIG + "security: {{unknown_sources: {{packets_per_second: off}}}}\n"


class BenchError(Exception):
    """A run that gives no figure, with the reason for the operator."""


def remark(text):
    print(text, file=sys.stderr, flush=True)


def figure(name, value, unit):
    digits = 0 if unit == "bytes" or value >= 1000 else 3
    print(f"{name} {value:.{digits}f} {unit}", flush=True)


def free_port(kind, address, taken):
    """A port near 5060 that nobody holds, outside the range of ports that the kernel hands out."""
    for port in range(5060, 5560, 2):
        if (address, port) in taken:
            continue
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind((address, port))
            except OSError:
                continue
        taken.add((address, port))
        return port
    raise BenchError(f"no free port on {address}")


def pinned(core, command):
    return ["taskset", "-c", str(core)] + command if core is not None else command


def process_cpu_s(pid):
    """utime + stime of all threads; the process clock counts the same in nanoseconds."""
    try:
        return time.clock_gettime_ns((~pid << 3) | 2) / 1e9
    except OSError:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Daemon:
    """One run of the daemon with a database and a configuration of its own."""

    def __init__(self, args, cores, template=CONFIG, taken=None):
        self.args = args
        self.template = template
        self.core = cores[0]
        self.process = None
        self.directory = tempfile.TemporaryDirectory(prefix="postern-bench-")
        self.log_path = os.path.join(self.directory.name, "daemon.log")
        taken = taken if taken is not None else set()
        self.ports = {
            "outside_port": free_port(socket.SOCK_DGRAM, OUTSIDE, taken),
            "inside_port": free_port(socket.SOCK_DGRAM, INSIDE, taken),
            "caller_port": free_port(socket.SOCK_DGRAM, CALLER, taken),
            "callee_port": free_port(socket.SOCK_DGRAM, CALLEE, taken),
            "admin": free_port(socket.SOCK_STREAM, "127.0.0.1", taken),
            "tls_port": free_port(socket.SOCK_STREAM, OUTSIDE, taken),
        }

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *exc):
        self.stop()

    def start(self):
        config = os.path.join(self.directory.name, "bench.yaml")
        token = os.path.join(self.directory.name, "admin.token")
        self.certificate = tls.make_certificate(self.directory.name)
        with open(config, "w", encoding="ascii") as out:
            out.write(self.template.format(dir=self.directory.name, level=self.args.log_level,
                                    outside=OUTSIDE, inside=INSIDE, caller=CALLER, callee=CALLEE,
                                    **self.ports))
        with os.fdopen(os.open(token, os.O_WRONLY | os.O_CREAT, 0o600), "w") as out:
            out.write(os.urandom(24).hex() + "\n")
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                pinned(self.core, [self.args.daemon, "serve", "--config", config]),
                stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        self.wait_ready()

    def wait_ready(self):
        url = f"http://127.0.0.1:{self.ports['admin']}/readyz"
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise BenchError(f"daemon ended with {self.process.returncode}: {self.last_log()}")
            try:
                with opener.open(url, timeout=1) as answer:
                    if answer.status == 200:
                        return
            except OSError:
                pass
            time.sleep(0.02)
        raise BenchError(f"daemon is not ready after 15 s: {self.last_log()}")

    def api(self, method, path, data=None, more=None):
        """The text of an answer of the admin API."""
        with open(os.path.join(self.directory.name, "admin.token"), encoding="ascii") as token:
            headers = {"Authorization": "Bearer " + token.read().strip(), **(more or {})}
        request = urllib.request.Request(f"http://127.0.0.1:{self.ports['admin']}{path}",
                                         method=method, headers=headers, data=data)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=30) as answer:
            return answer.read().decode()

    def metric(self, name):
        for line in self.api("GET", "/metrics").splitlines():
            if line.startswith(name + " "):
                return float(line.rsplit(" ", 1)[1])
        raise BenchError(f"no metric {name}")

    def last_log(self):
        with open(self.log_path, "rb") as log:
            return log.read()[-2000:].decode(errors="replace").strip()

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                remark("daemon did not end within 20 s of SIGTERM")
                self.process.kill()
                self.process.wait()
        if self.args.keep and self.process is not None:
            shutil.copy(self.log_path, f"{self.args.keep}.{self.process.pid}.log")
        self.directory.cleanup()

    def cpu_s(self):
        if self.process.poll() is not None:
            raise BenchError(f"daemon ended with {self.process.returncode}: {self.last_log()}")
        return process_cpu_s(self.process.pid)

    def settled_cpu_s(self):
        """CPU once the work left behind (rows to write) is done: less than 1 % busy, or 3 s."""
        before = self.cpu_s()
        for _ in range(30):
            time.sleep(0.1)
            after = self.cpu_s()
            if after - before < 0.001:
                return after
            before = after
        return before

    def pss_bytes(self):
        with open(f"/proc/{self.process.pid}/smaps_rollup", encoding="ascii") as rollup:
            for line in rollup:
                if line.startswith("Pss:"):
                    return int(line.split()[1]) * 1024
        raise BenchError("no Pss in smaps_rollup")


class Load:
    """Runs the load generator; its marks (phases) reach a callback while it runs."""

    def __init__(self, args, cores, daemon):
        self.command = pinned(cores[1], [
            args.loadgen, "--json",
            "--target", f"{OUTSIDE}:{daemon.ports['outside_port']}",
            "--caller", f"{CALLER}:{daemon.ports['caller_port']}",
            "--callee", f"{CALLEE}:{daemon.ports['callee_port']}"])

    def run(self, options, on_mark=None, judged=True):
        process = subprocess.Popen(self.command + [str(o) for o in options],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            said = self.follow(process, on_mark)
            text = process.stdout.read()
            status = process.wait()
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
        if not text.startswith("{"):
            raise BenchError("load generator: " + " ".join(said))
        result = json.loads(text)
        if judged:
            self.judge(status, result)
        return result

    @staticmethod
    def follow(process, on_mark):
        said = []
        for line in process.stderr:
            words = line.split()
            if words and words[0] == "mark":
                if on_mark is not None:
                    on_mark(words[1], dict(w.split("=") for w in words[2:]))
            else:
                said.append(line.strip())
        return said

    @staticmethod
    def judge(status, result):
        calls = result["calls_attempted"]
        repeated = result["retransmissions_sent"] + result["retransmissions_seen"]
        if status != 0:
            raise BenchError(f"failed run (exit {status}): " + ", ".join(
                f"{k}={v}" for k, v in result.items()
                if v and not k.startswith(("setup", "own", "wall", "rtp_latency"))))
        if calls == 0 or repeated > calls * RETRANSMITTED_MAX:
            raise BenchError(f"lossy run: {repeated} retransmissions in {calls} calls")


def bench_saturation(args, cores):
    seconds = 1.5 if args.quick else 5
    rates, costs = [], []
    with Daemon(args, cores) as daemon:
        load = Load(args, cores, daemon)
        load.run(["--inflight", 20, "--duration", 1])
        for _ in range(3):
            before, start = daemon.settled_cpu_s(), time.monotonic()
            result = load.run(["--inflight", args.inflight, "--duration", seconds])
            busy = (daemon.cpu_s() - before) / (time.monotonic() - start)
            cpu = daemon.settled_cpu_s() - before
            rates.append(result["calls_per_s"])
            costs.append(cpu * 1e6 / result["calls_completed"])
            remark(f"saturation: {rates[-1]:.0f} calls/s, {costs[-1]:.1f} us a call, core "
                   f"{busy:.0%} busy, setup p50 {result['setup_p50']:.2f} ms")
            if busy < 0.8:
                remark("saturation: the core was not full, calls_per_s_per_core is a lower bound")
    figure("calls_per_s_per_core", statistics.median(rates), "calls/s")
    figure("cpu_per_call", statistics.median(costs), "us")


def bench_200(args, cores):
    seconds = 3 if args.quick else 15
    with Daemon(args, cores) as daemon:
        load = Load(args, cores, daemon)
        load.run(["--rate", 200, "--duration", 1])
        before = daemon.settled_cpu_s()
        result = load.run(["--rate", 200, "--duration", seconds])
        cpu = daemon.settled_cpu_s() - before
    figure("cpu_per_call_200", cpu * 1e6 / result["calls_completed"], "us")
    figure("setup_p50", result["setup_p50"], "ms")
    figure("setup_p99", result["setup_p99"], "ms")


def bench_memory(args, cores):
    calls = 200 if args.quick else 1000
    samples = []
    with Daemon(args, cores) as daemon:
        load = Load(args, cores, daemon)
        # A few calls first, so that code and tables touched once are not charged to the calls.
        load.run(["--rate", 100, "--calls", 20, "--hold-ms", 200, "--media"])
        before = daemon.pss_bytes()

        def on_mark(name, _counts):
            if name in ("hold", "quiet"):
                samples.append(daemon.pss_bytes())

        # A few packets in each stream: latched, as in a real call, but no load.
        load.run(["--held", "--calls", calls, "--rate", 200, "--duration", 3, "--media",
                  "--packets", 5], on_mark)
    figure("memory_per_call", (max(samples) - before) / calls, "bytes")


def bench_rtp(args, cores):
    seconds = 3 if args.quick else 10
    marks = {}
    with Daemon(args, cores) as daemon:
        load = Load(args, cores, daemon)

        def on_mark(name, counts):
            if name in ("hold", "quiet"):
                marks[name] = (daemon.cpu_s(), int(counts["rtp_received"]))

        result = load.run(["--held", "--calls", 200, "--rate", 100, "--duration", seconds,
                           "--media"], on_mark)
    cpu = marks["quiet"][0] - marks["hold"][0]
    packets = marks["quiet"][1] - marks["hold"][1]
    if result["rtp_slots_skipped"] > 0:
        remark(f"rtp: the load generator stalled for {result['rtp_slots_skipped']} ms in all")
    remark(f"rtp: {packets} packets relayed, latency p50 {result['rtp_latency_p50']:.3f} ms, "
           f"p99 {result['rtp_latency_p99']:.3f} ms, {cpu / seconds:.0%} of the core")
    figure("cpu_per_rtp_packet", cpu * 1e6 / packets, "us")


def bench_tls(args, cores):
    """Client on the load's core; the daemon's worker and its crypto thread share the other one, as s_server has it."""
    seconds = 2 if args.quick else 5
    prefixes = [pinned(core, []) for core in cores]
    with Daemon(args, cores, CONFIG_STRANGERS) as daemon:
        address = f"{OUTSIDE}:{daemon.ports['tls_port']}"
        server = tls.SServer(prefixes[0], free_port(socket.SOCK_STREAM, OUTSIDE, set()), *daemon.certificate)
        try:
            for version in ("-tls1_3", "-tls1_2"):
                costs = {}
                for name, where, cpu in (("tls_handshake", address, daemon.cpu_s),
                                         ("tls_handshake_openssl", server.address,
                                          lambda: tls.process_cpu_s(server.process.pid))):
                    tls.s_time(prefixes[1], where, 1, version)
                    before = cpu()
                    done = tls.s_time(prefixes[1], where, seconds, version)
                    if done == 0:
                        raise BenchError(f"{name}: no handshake with {where}")
                    costs[name] = (cpu() - before) * 1e6 / done
                    remark(f"tls: {name} {version[1:]}: {done} handshakes in {seconds} s")
                    if version == "-tls1_3":
                        figure(name, costs[name], "us")
                remark(f"tls: {version[1:]}: {costs['tls_handshake'] / costs['tls_handshake_openssl']:.2f} of s_server")
        finally:
            server.stop()
        rest, busy = tls.quiet_and_busy((OUTSIDE, daemon.ports["outside_port"]),
                                        lambda: tls.s_time(prefixes[1], address, seconds, "-tls1_3"))
        figure("options_p99", rest, "ms")
        figure("options_p99_under_handshakes", busy, "ms")


def bench_denied(args, cores):
    """A banned source floods; the queue of the socket is kept full, as in a real flood."""
    packets = 50000 if args.quick else 400000
    message = b"OPTIONS sip:x@y SIP/2.0\r\n" + b"X-Filler: " + b"x" * 380 + b"\r\n\r\n"
    with Daemon(args, cores) as daemon:
        daemon.api("POST", f"/v1/bans?prefix={STRANGER}&for=1h")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as flood:
            flood.bind((STRANGER, 0))
            flood.connect((OUTSIDE, daemon.ports["outside_port"]))
            before = daemon.settled_cpu_s()
            for _ in range(packets // 2000):
                daemon.process.send_signal(signal.SIGSTOP)
                for _ in range(2000):
                    flood.send(message)
                daemon.process.send_signal(signal.SIGCONT)
                time.sleep(0.002)
            cpu = daemon.settled_cpu_s() - before
        dropped = daemon.metric('postern_dropped_packets_total{reason="banned"}')
    if dropped < packets * 0.9:
        raise BenchError(f"only {dropped:.0f} of {packets} denied packets arrived")
    figure("denied_packet", cpu * 1e6 / dropped, "us")


def goodput(load, daemon, options, seconds):
    """Complete calls a second, whatever became of the others; and the CPU that all of them took."""
    before = daemon.settled_cpu_s()
    result = load.run(options + ["--duration", seconds], judged=False)
    result["cpu_us"] = (daemon.settled_cpu_s() - before) * 1e6
    return result["calls_completed"] / seconds, result


OVERLOAD_REFUSED = 'postern_overload_refused_total{class="peer"}'


def bench_overload(args, cores):
    """Good-put at twice the most that the daemon can do. A second process takes half of the daemon's
    core, so that the load generator, which is caller and callee in one thread, is the faster one."""
    seconds, rounds = (3, 1) if args.quick else (8, 5)
    with Daemon(args, cores) as daemon:
        rival = subprocess.Popen(pinned(cores[0], [sys.executable, "-c", "while True: pass"]))
        try:
            load = Load(args, cores, daemon)
            load.run(["--inflight", 20, "--duration", 1])
            best, twice, ratios = [], [], []
            for _ in range(rounds):  # in turns, as the machine is not always equally fast
                # of what comes at a rate of its own, as callers do; a closed loop waits for the slow
                closed, _ = goodput(load, daemon, ["--inflight", args.inflight], seconds / 2)
                most = 0
                for part in (0.9, 1.0, 1.1):
                    rate, _ = goodput(load, daemon, ["--rate", int(closed * part)], seconds / 2)
                    most = max(most, rate)
                time.sleep(3)  # so that nothing of it counts below
                before = daemon.metric(OVERLOAD_REFUSED)
                rate, result = goodput(load, daemon, ["--rate", int(most * 2)], seconds)
                refused = daemon.metric(OVERLOAD_REFUSED) - before
                time.sleep(3)
                remark(f"overload: at most {most:.0f} calls/s; offered {most * 2:.0f}, completed {rate:.0f}, "
                       f"setup p50 {result.get('setup_p50', 0):.1f} ms, retransmissions "
                       f"{result['retransmissions_sent']:.0f}, refused {refused:.0f}")
                best.append(most)
                twice.append(rate)
                ratios.append(rate / most)
        finally:
            rival.kill()
            rival.wait()
    figure("goodput_max", statistics.median(best), "calls/s")
    figure("goodput_at_2x", statistics.median(twice), "calls/s")
    figure("goodput_ratio", statistics.median(ratios), "of 1")


def reload_config(peers, users, tag):
    """A configuration of so many peers and users, in the daemon's own terms; tag makes it another one."""
    lines = [CONFIG.replace("limits: {{", "config: {{source: api}}\nlimits: {{").rstrip("\n")]
    text = "\n".join(lines) + "\n"
    more = "".join(
        f"  p{i}: {{{{listener: inside, sources: [10.{i >> 16}.{i >> 8 & 255}.{i & 255}/32], "
        f"targets: [\"sip:10.{i >> 16}.{i >> 8 & 255}.{i & 255}\"], limits: {{{{calls: 100}}}}}}}}\n"
        for i in range(peers - 2))  # beside caller and callee
    text = text.replace("peers:\n", "peers:\n" + more, 1)
    text += "users:\n  domain: bench.test\n  listener: outside\n  accounts:\n"
    return text + "".join(f"    - {{{{name: \"{100000 + i}\", password: {tag}-{i}}}}}\n" for i in range(users))


def bench_reload(args, cores):
    """New versions of a large configuration by the API; meanwhile a peer asks OPTIONS all the time."""
    peers, users, rounds = (10000, 100000, 3 if args.quick else 7)
    small = CONFIG.replace("limits: {{", "config: {{source: api}}\nlimits: {{")
    took, pauses, asked, cpu = [], [], [], []
    with Daemon(args, (None,), small) as daemon:  # compiling is not done on the worker's core
        texts = [reload_config(peers, users, tag).format(
            dir=daemon.directory.name, level=args.log_level, outside=OUTSIDE, inside=INSIDE,
            caller=CALLER, callee=CALLEE, **daemon.ports).encode() for tag in ("a", "b")]
        for i in range(rounds):
            def change(text=texts[i % 2]):
                start = time.monotonic()
                daemon.api("PUT", "/v1/config", text, {"If-Match": "*"})
                took.append(time.monotonic() - start)
            before = daemon.settled_cpu_s()
            asked.append(tls.quiet_and_busy((OUTSIDE, daemon.ports["outside_port"]), change)[1])
            cpu.append(daemon.settled_cpu_s() - before)
            deadline = time.monotonic() + 5
            while daemon.metric("postern_config_version") < i + 2 and time.monotonic() < deadline:
                time.sleep(0.05)
            pauses.append(daemon.metric("postern_config_pause_seconds") * 1000)
    figure("reload", statistics.median(took), "s")
    figure("reload_cpu", statistics.median(cpu), "s")
    figure("reload_worst", max(took), "s")
    figure("reload_worker_pause_worst", max(pauses), "ms")
    figure("options_p99_under_reload", statistics.median(asked), "ms")


STAGES = {"saturation": bench_saturation, "200": bench_200, "memory": bench_memory,
          "rtp": bench_rtp, "tls": bench_tls, "denied": bench_denied, "overload": bench_overload,
          "reload": bench_reload}


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="short runs, rougher figures")
    parser.add_argument("--stage", action="append", choices=STAGES, help="only this one (repeat)")
    parser.add_argument("--inflight", type=int, default=50, help="transactions at saturation")
    parser.add_argument("--log-level", default="info", help="of the daemon")
    parser.add_argument("--keep", metavar="PREFIX", help="keep the daemon's log as PREFIX.PID.log")
    args = parser.parse_args()
    args.daemon = os.environ.get("POSTERN_BIN", os.path.join(ROOT, "build", "postern"))
    args.loadgen = os.environ.get("LOADGEN", os.path.join(ROOT, "build", "bench", "loadgen"))
    for path in (args.daemon, args.loadgen):
        if not os.access(path, os.X_OK):
            parser.error(f"{path} is not there: run make first")
    return args


def main():
    args = parse_args()
    cpus = sorted(os.sched_getaffinity(0))
    cores = (cpus[0], cpus[1]) if len(cpus) > 1 else (None, None)
    failed = 0
    if len(cpus) < 2:
        remark("one core only: daemon and load share it, so rates and latencies are too bad")
    # A terminated bench still has to end its daemon: let the with blocks run.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    for name in args.stage or STAGES:
        try:
            STAGES[name](args, cores)
        except BenchError as err:
            remark(f"{name}: {err}")
            failed = 1
    return failed


if __name__ == "__main__":
    sys.exit(main())
