#!/usr/bin/env python3
"""Measures the relay of media, beside rtpengine under the same load: one figure a line, NAME VALUE UNIT.

The relay under test has the first core, the load generator the second. Each figure is the median of
alternating runs; CPU is that of all threads of the relay, divided by the packets that arrived.
"""

import argparse
import contextlib
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

import tls
from rtpengine import NgError, Rtpengine
from run import (CALLEE, CALLER, CONFIG, INSIDE, OUTSIDE, ROOT, BenchError, Daemon, Load, figure, free_port, pinned,
                 process_cpu_s, remark)

RAMP_RATE = 250  # calls a second
RTP_FIRST = 40000
GATHER_US = 250  # media.gather of the daemon
PEER_LOST_MAX = 0.05  # of what rtpengine is sent; the daemon may lose nothing
SRTP_PROFILE = "srtp: {{security: sdes, suites: [AES_CM_128_HMAC_SHA1_80]}}"


def config(args, srtp):
    """The bench's configuration; srtp: whether the caller and the callee use it."""
    text = CONFIG + args.media_section
    if any(srtp):
        text = text.replace("  plain: {{security: rtp}}", "  plain: {{security: rtp}}\n  " + SRTP_PROFILE)
        for side, wanted in zip(("caller", "callee"), srtp):
            if wanted:
                head, tail = text.split(f"  {side}:\n", 1)
                text = head + f"  {side}:\n" + tail.replace("media: plain", args.srtp_peer, 1)
    return text


def side_options(srtp):
    return [name for name, wanted in zip(("--srtp-caller", "--srtp-callee"), srtp) if wanted]


class Marks:
    """What the relay's CPU and the load's counters were when a phase began."""

    def __init__(self, pid, on_hold=None):
        self.pid = pid
        self.on_hold = on_hold
        self.at = {}

    def __call__(self, name, counts):
        self.at[name] = (process_cpu_s(self.pid), int(counts["rtp_received"]), time.monotonic())
        if name == "hold" and self.on_hold is not None:
            self.on_hold()

    def figures(self, result):
        cpu, packets, seconds = (b - a for a, b in zip(self.at["hold"], self.at["quiet"]))
        return {"us": cpu * 1e6 / packets, "busy": cpu / seconds, "packets": packets,
                "p50": result["rtp_latency_p50"], "p99": result["rtp_latency_p99"], "max": result["rtp_latency_max"],
                "skipped_ms": result["rtp_slots_skipped"], "burst_us": result.get("burst_cpu")}


class PosternRelay:
    """Calls through the daemon, set up by SIP."""

    name = "postern"

    def __init__(self, args, cores, srtp=(False, False)):
        self.srtp = srtp
        self.load_options = args.load_options
        self.daemon = Daemon(args, cores, config(args, srtp), args.taken)
        self.load = Load(args, cores, self.daemon)

    def __enter__(self):
        self.daemon.__enter__()
        return self

    def __exit__(self, *exc):
        self.daemon.__exit__(*exc)

    @property
    def pid(self):
        return self.daemon.process.pid

    def run(self, calls, seconds, options=(), on_hold=None):
        marks = Marks(self.pid, on_hold)
        result = self.load.run(["--held", "--calls", calls, "--rate", RAMP_RATE, "--duration", seconds, "--media",
                                *side_options(self.srtp), *self.load_options, *options], marks)
        return marks.figures(result)


class StreamsRelay:
    """The same media through another relay, which is told of it by other means than SIP."""

    name = pid = process = lines = None

    def __init__(self, args, cores):
        self.args, self.cores = args, cores
        self.sip = [free_port(socket.SOCK_DGRAM, a, args.taken) for a in (CALLER, CALLEE)]

    def carry(self, lines, seconds, options, on_hold):
        """lines: where the parties of each call send to."""
        with tempfile.NamedTemporaryFile("w", suffix=".streams") as streams:
            streams.write("".join(lines))
            streams.flush()
            marks = Marks(self.pid, on_hold)
            load = Load.__new__(Load)
            load.command = pinned(self.cores[1], [self.args.loadgen, "--json", "--caller", f"{CALLER}:{self.sip[0]}",
                                                  "--callee", f"{CALLEE}:{self.sip[1]}"])
            load.judge = self.judge
            result = load.run(["--streams", streams.name, "--duration", seconds, *self.args.load_options, *options], marks)
        return marks.figures(result)

    def judge(self, status, result):
        """A peer that has more to do than it can loses some, and still has a cost for those that arrive."""
        lost = result["rtp_lost"]
        if status not in (0, 1) or lost > PEER_LOST_MAX * result["rtp_sent"] or (status == 1 and lost == 0):
            raise BenchError(f"{self.name}: failed run (exit {status}), {lost:.0f} packets lost")
        if lost > 0:
            remark(f"{self.name}: {lost:.0f} of {result['rtp_sent']:.0f} packets lost")


def wait_for_ports(calls):
    """The kernel takes its time to close what a ring of the load before still had."""
    deadline = time.monotonic() + 10
    for address, port in ((a, RTP_FIRST + 2 * i) for a in (CALLER, CALLEE) for i in range(calls)):
        while True:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                try:
                    probe.bind((address, port))
                    break
                except OSError as err:
                    if time.monotonic() > deadline:
                        raise BenchError(f"{address}:{port} does not become free") from err
            time.sleep(0.02)


class FloorRelay(StreamsRelay):
    """A relay that reads nothing: what the system calls and wake-ups of a packet cost on this machine."""

    name = "floor"

    def __enter__(self):
        calls = 3 * self.args.calls  # as many as any stage wants
        self.process = subprocess.Popen(
            pinned(self.cores[0], [os.path.join(os.path.dirname(self.args.loadgen), "floor_rtp"), OUTSIDE, INSIDE,
                                   CALLER, CALLEE, str(calls), str(GATHER_US)]), stdout=subprocess.PIPE, text=True)
        self.lines = [self.process.stdout.readline() for _ in range(calls)]
        return self

    def __exit__(self, *exc):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    @property
    def pid(self):
        return self.process.pid

    def run(self, calls, seconds, options=(), on_hold=None):
        wait_for_ports(calls)  # here every call's are known beforehand
        return self.carry(self.lines[:calls], seconds, options, on_hold)


class RtpengineRelay(StreamsRelay):
    """The same media through rtpengine, set up by its NG protocol."""

    name = "rtpengine"

    def __init__(self, args, cores, srtp=(False, False)):
        super().__init__(args, cores)
        self.srtp = srtp
        self.engine = Rtpengine(lambda command: pinned(cores[0], command), OUTSIDE, INSIDE,
                                free_port(socket.SOCK_DGRAM, "127.0.0.1", args.taken))
        self.calls = 0

    def __enter__(self):
        try:
            self.engine.__enter__()
        except FileNotFoundError as err:
            raise BenchError("rtpengine is not installed: scripts/setup --bench") from err
        return self

    def __exit__(self, *exc):
        self.engine.__exit__(*exc)

    @property
    def pid(self):
        return self.engine.process.pid

    def run(self, calls, seconds, options=(), on_hold=None):
        first, self.calls = self.calls, self.calls + calls
        ports = [RTP_FIRST + 2 * i for i in range(calls)]
        lines = [self.engine.call(first + i, (CALLER, port), (CALLEE, port), self.srtp) + "\n"
                 for i, port in enumerate(ports)]
        try:
            return self.carry(lines, seconds, options, on_hold)
        finally:
            for i in range(calls):
                self.engine.end(first + i)


def alternate(args, relays, calls, seconds, options=()):
    """Median figures per relay; each repetition gives every relay its turn. None for another relay that could not
    carry so much in any of its turns."""
    rows = {r: [] for r in relays}
    for _ in range(args.repeat):
        for relay in relays:
            pid_options = ["--stop-pid", relay.pid] if "--burst" in options else []
            try:
                row = relay.run(calls, seconds, [*options, *pid_options])
            except BenchError as err:
                if isinstance(relay, PosternRelay):
                    raise
                remark(str(err))
                continue
            rows[relay].append(row)
            cost = row["us"] if row["burst_us"] is None else row["burst_us"]
            remark(f"{relay.name}: {calls} calls, {cost:.2f} us a packet, core {row['busy']:.0%} busy, latency "
                   f"p50 {row['p50']:.3f} p99 {row['p99']:.3f} ms"
                   + (f", load stalled {row['skipped_ms']:.0f} ms" if row["skipped_ms"] else ""))
    return [medians(rows[r]) for r in relays]


def medians(rows):
    return {k: statistics.median(row[k] for row in rows) for k in rows[0] if rows[0][k] is not None} if rows else None


def has_peer(args):
    return not args.no_rtpengine and shutil.which("rtpengine") is not None


def with_peer(args, cores, stage):
    """Runs stage([postern, floor, rtpengine]); without rtpengine installed, stage([postern, floor])."""
    with PosternRelay(args, cores) as ours, FloorRelay(args, cores) as floor:
        if not has_peer(args):
            remark("no rtpengine, no comparison")
            return stage([ours, floor])
        with RtpengineRelay(args, cores) as peer:
            return stage([ours, floor, peer])


def figures(name, rows, key, unit):
    """relay_NAME; the same of the floor and of rtpengine, and the first as a part of each."""
    figure(f"relay_{name}", rows[0][key], unit)
    for peer, row in zip(("floor", "rtpengine"), rows[1:]):
        if row is not None:
            figure(f"relay_{peer}" + ("" if name == "plain" else "_" + name.removeprefix("plain_")), row[key], unit)
            figure(f"relay_{name}_" + ("of_floor" if peer == "floor" else "ratio"), rows[0][key] / row[key], "x")


def bench_plain(args, cores):
    def stage(relays):
        for name, calls in (("plain", args.calls), ("plain_500", args.calls // 2), ("plain_200", args.calls // 5)):
            figures(name, alternate(args, relays, calls, args.seconds), "us", "us")
    with_peer(args, cores, stage)


def bench_back_to_back(args, cores):
    def stage(relays):
        rows = alternate(args, relays, args.calls, 600, ["--burst", 10, "--rounds", 5 if args.quick else 20])
        figures("back_to_back", rows, "burst_us", "us")
    with_peer(args, cores, stage)


def bench_srtp(args, cores):
    """What keys on one side and on both add to the plain relay of the same run; then beside rtpengine, which
    passes packets between two sides with the same suite on without opening them."""
    ways = (("plain", (False, False)), ("srtp_one", (True, False)), ("srtp_both", (True, True)))
    with contextlib.ExitStack() as stack:
        relays = [stack.enter_context(PosternRelay(args, cores, srtp)) for _, srtp in ways]
        rows = alternate(args, relays, args.calls, args.seconds)
    for (name, _), row in zip(ways[1:], rows[1:]):
        figure(f"relay_{name}", row["us"], "us")
        figure(f"relay_{name}_added", row["us"] - rows[0]["us"], "us")
    if has_peer(args):
        for name, srtp in ways[1:]:
            with RtpengineRelay(args, cores, srtp) as peer:
                row = alternate(args, [peer], args.calls, args.seconds)[0]
                if row is not None:
                    figure(f"relay_rtpengine_{name}", row["us"], "us")


def bench_latency(args, cores):
    """At the load that keeps the core 60 % busy, found by what 500 calls cost."""
    def stage(relays):
        probe = relays[0].run(args.calls // 2, args.seconds / 2)
        calls = min(int(0.6 / (probe["us"] / 1e6 * 100)), 3 * args.calls)
        rows = alternate(args, relays, calls, args.seconds)
        remark(f"latency: {calls} calls, core {rows[0]['busy']:.0%} busy")
        figures("latency_p50", rows, "p50", "ms")
        figures("latency_p99", rows, "p99", "ms")
    with_peer(args, cores, stage)


def bench_stall(args, cores):
    """Zero loss: the daemon stands still for 50 ms at a time under paced load, once for 0.8 s, and once more
    with three packets waiting in each socket of 3,000 calls (60 ms of theirs)."""
    with PosternRelay(args, cores) as ours:
        def freeze(times, seconds):
            for _ in range(times):
                time.sleep(0.2)
                os.kill(ours.pid, signal.SIGSTOP)
                time.sleep(seconds)
                os.kill(ours.pid, signal.SIGCONT)

        for times, seconds in ((10, 0.05), (1, 0.8)):
            row = ours.run(args.calls // 2, 4, on_hold=lambda t=times, s=seconds: freeze(t, s))
            remark(f"stall: {row['packets']} packets through {times} of {seconds} s, none lost, p99 {row['p99']:.1f} ms")
        row = ours.run(3 * args.calls, 600, ["--burst", 3, "--rounds", 5, "--packets", 5, "--stop-pid", ours.pid])
        remark(f"stall: {row['packets']} packets in bursts of three a socket, none lost")
    figure("relay_stall_lost", 0, "packets")


def bench_memory(args, cores):
    calls, samples = args.calls // (5 if args.quick else 1), []
    with PosternRelay(args, cores, (True, True)) as ours:
        ours.run(20, 1, ["--packets", 5])
        before = ours.daemon.pss_bytes()
        ours.run(calls, 3, ["--packets", 5], on_hold=lambda: samples.append(ours.daemon.pss_bytes()))
    figure("memory_per_srtp_call", (samples[0] - before) / calls, "bytes")


HANDSHAKES = 500  # a second


def bench_handshakes(args, cores):
    """What TLS handshakes at a rate add to the latency of media: they run on threads of their own, and by precedence
    of the scheduler behind it where both share a core, as here."""
    calls, rows = args.calls // 5, {}
    with PosternRelay(args, cores) as ours:
        address = f"{OUTSIDE}:{ours.daemon.ports['tls_port']}"
        for _ in range(args.repeat):
            for name in ("quiet", "handshakes"):
                flood = tls.Flood(pinned(cores[1], []), address, HANDSHAKES) if name == "handshakes" else None
                try:
                    row = ours.run(calls, args.seconds)
                finally:
                    row_rate = flood.stop() if flood else 0
                rows.setdefault(name, []).append(row)
                remark(f"handshakes: {name}: {row_rate:.0f} a second, latency p50 {row['p50']:.3f} p99 {row['p99']:.3f} "
                       f"max {row['max']:.3f} ms"
                       + (f", load stalled {row['skipped_ms']:.0f} ms" if row["skipped_ms"] else ""))
                if flood:
                    rows.setdefault("rate", []).append(row_rate)
    figure("handshakes_per_s", statistics.median(rows["rate"]), "1/s")
    for key in ("p99", "max"):
        quiet, busy = (statistics.median(row[key] for row in rows[name]) for name in ("quiet", "handshakes"))
        figure(f"relay_latency_{key}_quiet", quiet, "ms")
        figure(f"relay_latency_{key}_handshakes", busy, "ms")


def ports_in_use(daemon):
    return sum(float(line.rsplit(" ", 1)[1]) for line in daemon.api("GET", "/metrics").splitlines()
               if line.startswith("postern_rtp_ports{") and 'state="used"' in line)


def settled_ports(daemon):
    """Ports in use once there are none, or after 5 s."""
    deadline = time.monotonic() + 5
    while ports_in_use(daemon) != 0 and time.monotonic() < deadline:
        time.sleep(0.1)
    return ports_in_use(daemon)


def soak(args, cores, name, srtp):
    seconds, pss = 10 if args.quick else 60, {}
    with PosternRelay(args, cores, srtp) as ours:
        ours.run(args.calls, 2)  # whatever is touched once
        ours.load.judge = lambda status, result: None
        marks = Marks(ours.pid)

        def on_mark(mark, counts):
            marks(mark, counts)
            pss[mark] = ours.daemon.pss_bytes()

        result = ours.load.run(["--held", "--calls", args.calls, "--rate", RAMP_RATE, "--duration", seconds, "--media",
                                *side_options(srtp), *args.load_options], on_mark)
        left = settled_ports(ours.daemon)
        growth = pss["quiet"] - pss["hold"]
        lost = sum(result[k] for k in ("rtp_lost", "rtp_malformed", "rtp_wrong_stream", "rtp_wrong_source"))
    remark(f"soak: {name}: {args.calls} calls for {seconds} s, {result['rtp_sent']} packets sent, core "
           f"{marks.figures(result)['busy']:.0%} busy, latency p99 {result['rtp_latency_p99']:.3f} ms, "
           f"{result['calls_completed']} calls completed, load stalled {result['rtp_slots_skipped']:.0f} ms")
    figure(f"soak_{name}_lost", lost, "packets")
    figure(f"soak_{name}_growth", growth, "bytes")
    figure(f"soak_{name}_ports_left", left, "ports")
    return lost == 0 and left == 0 and result["calls_completed"] == result["calls_attempted"]


def bench_soak(args, cores):
    """Calls with media for a minute: no packet lost, no memory taken, every port back."""
    clean = [soak(args, cores, name, srtp) for name, srtp in (("plain", (False, False)), ("srtp", (True, True)))]
    if not all(clean):
        raise BenchError("packets, calls or ports were lost")


STAGES = {"plain": bench_plain, "back": bench_back_to_back, "latency": bench_latency, "stall": bench_stall,
          "srtp": bench_srtp, "memory": bench_memory, "handshakes": bench_handshakes, "soak": bench_soak}


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="short runs, rougher figures")
    parser.add_argument("--stage", action="append", choices=STAGES, help="only this one (repeat)")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each kind; the median counts")
    parser.add_argument("--calls", type=int, default=1000, help="calls of the full load")
    parser.add_argument("--seconds", type=float, help="of each run")
    parser.add_argument("--no-rtpengine", action="store_true", help="no comparison")
    parser.add_argument("--even", action="store_true", help="packets evenly spread instead of in slots of 1 ms")
    parser.add_argument("--nice", type=int, default=0, help="of relay and load, on a machine that others use")
    parser.add_argument("--media", default="", help="members of the daemon's media section, e.g. 'gather: 1ms'")
    parser.add_argument("--log-level", default="info", help="of the daemon")
    parser.add_argument("--keep", metavar="PREFIX", help="keep the daemon's log as PREFIX.PID.log")
    args = parser.parse_args()
    args.seconds = args.seconds or (3 if args.quick else 8)
    args.media_section = f"media: {{{{{args.media}}}}}\n" if args.media else ""
    args.taken = set()  # ports of all relays and loads, as several are up at once
    args.load_options = ["--even"] if args.even else []
    args.srtp_peer = "media: srtp\n    trusted_network: true"
    args.daemon = os.environ.get("POSTERN_BIN", os.path.join(ROOT, "build", "postern"))
    args.loadgen = os.environ.get("LOADGEN", os.path.join(ROOT, "build", "bench", "loadgen"))
    for path in (args.daemon, args.loadgen):
        if not os.access(path, os.X_OK):
            parser.error(f"{path} is not there: run make first")
    return args


def take_precedence(nice):
    """On a machine that others use: nice counts within a session only, sessions have their own (sched(7))."""
    if nice == 0:
        return
    if os.getsid(0) != os.getpid():
        os.execvp("setsid", ["setsid", "--wait", sys.executable, *sys.argv])
    os.setpriority(os.PRIO_PROCESS, 0, nice)  # inherited, as the session is
    with open("/proc/self/autogroup", "w", encoding="ascii") as group:
        group.write(str(nice))


def main():
    args = parse_args()
    cpus = sorted(os.sched_getaffinity(0))
    cores = (cpus[0], cpus[1]) if len(cpus) > 1 else (None, None)
    failed = 0
    take_precedence(args.nice)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    for name in args.stage or STAGES:
        try:
            STAGES[name](args, cores)
        except (BenchError, NgError) as err:
            remark(f"{name}: {err}")
            failed = 1
    return failed


if __name__ == "__main__":
    sys.exit(main())
