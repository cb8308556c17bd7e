#!/usr/bin/env python3
"""Measures the edge under a flood of strangers, in a network namespace of its own: NAME VALUE UNIT.

A trusted peer sets up 50 calls a second, first alone, then while 100,000 packets a second of OPTIONS and of INVITE come
from forged and real strangers. Then what a packet of a banned source costs, without and with nftables.
"""

import argparse
import os
import shutil
import socket
import subprocess
import sys
import time

import run
from run import OUTSIDE, STRANGER, BenchError, Daemon, Load, figure, pinned, remark

INSIDE_NS = "POSTERN_BENCH_NETNS"
CONFIG_BANS = run.CONFIG + "security: {{bans: {{threshold: 10}}}}\n"
CONFIG_NFT = run.CONFIG + "security: {{bans: {{threshold: 10, firewall: nftables}}}}\n"


def calls(load, args):
    """One phase of 50 calls/s; none may fail."""
    return load.run(["--rate", 50, "--duration", args.seconds])


def flooded(args, cores, daemon, load, method):
    command = pinned(cores[1], [args.flood, OUTSIDE, str(daemon.ports["outside_port"]), method, str(args.rate),
                                str(args.seconds + 2)])
    before = daemon.cpu_s()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        time.sleep(1)  # the flood stands before the first call comes
        result = calls(load, args)
    finally:
        out = process.communicate()[0]
    cpu = daemon.cpu_s() - before
    sent = dict((line.split()[0], float(line.split()[1])) for line in out.splitlines())
    remark(f"flood: {method}: {sent['flood_sent']:.0f} packets sent, {cpu / (args.seconds + 2):.0%} of the daemon's core")
    return result, sent


def bench_flood(args, cores):
    with Daemon(args, cores, CONFIG_BANS) as daemon:
        load = Load(args, cores, daemon)
        load.run(["--rate", 50, "--duration", 1])
        quiet = calls(load, args)
        figure("flood_setup_p99_quiet", quiet["setup_p99"], "ms")
        for method in ("OPTIONS", "INVITE"):
            result, sent = flooded(args, cores, daemon, load, method)
            name = "flood_" + method.lower()
            figure(name + "_rate", sent["flood_rate"], "packets/s")
            figure(name + "_calls", result["calls_completed"], "calls")
            figure(name + "_failed", result["calls_attempted"] - result["calls_completed"], "calls")
            figure(name + "_setup_p99", result["setup_p99"], "ms")
            figure(name + "_setup_p99_ratio", result["setup_p99"] / quiet["setup_p99"], "x")
        dropped = daemon.metric('postern_dropped_packets_total{reason="strangers_budget"}')
        remark(f"flood: {dropped:.0f} packets dropped for the strangers' budget")


def bench_denied_nft(args, cores):
    """CPU of the daemon while a source floods that the kernel holds; what that costs the kernel, the sender pays."""
    packets = 50000 if args.quick else 400000
    message = b"OPTIONS sip:x@y SIP/2.0\r\n" + b"X-Filler: " + b"x" * 380 + b"\r\n\r\n"
    with Daemon(args, cores, CONFIG_NFT) as daemon:
        wait_until(lambda: daemon.metric("postern_firewall_up") == 1, "the helper is not up")
        daemon.api("POST", f"/v1/bans?prefix={STRANGER}&for=1h")
        wait_until(lambda: STRANGER in kernel_text(), "the kernel does not hold the ban")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as flood:
            flood.bind((STRANGER, 0))
            flood.connect((OUTSIDE, daemon.ports["outside_port"]))
            before = daemon.settled_cpu_s()
            start = time.monotonic()
            for _ in range(packets):
                flood.send(message)
            cpu = daemon.settled_cpu_s() - before
            idle = idle_cpu_s(daemon, time.monotonic() - start)
        seen = daemon.metric('postern_dropped_packets_total{reason="banned"}')
    if seen != 0:
        raise BenchError(f"{seen:.0f} packets reached the daemon all the same")
    figure("denied_packet_nft", max(cpu - idle, 0) * 1e6 / packets, "us")


def idle_cpu_s(daemon, seconds):
    """What the daemon uses in the same time when nothing comes."""
    before = daemon.cpu_s()
    time.sleep(min(seconds, 3))
    return (daemon.cpu_s() - before) * seconds / min(seconds, 3)


def kernel_text():
    return subprocess.run(["nft", "list", "set", "inet", "postern", "hosts4"], stdout=subprocess.PIPE, check=False).stdout.decode()


def wait_until(what, say):
    deadline = time.monotonic() + 15
    while not what():
        if time.monotonic() > deadline:
            raise BenchError(say)
        time.sleep(0.05)


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="short runs, rougher figures")
    parser.add_argument("--rate", type=int, default=100000, help="packets a second of strangers")
    parser.add_argument("--log-level", default="info", help="of the daemon")
    parser.add_argument("--keep", metavar="PREFIX", help="keep the daemon's log as PREFIX.PID.log")
    args = parser.parse_args()
    args.seconds = 4 if args.quick else 20
    bench = os.path.dirname(os.environ.get("LOADGEN", os.path.join(run.ROOT, "build", "bench", "loadgen")))
    args.daemon = os.environ.get("POSTERN_BIN", os.path.join(run.ROOT, "build", "postern"))
    args.loadgen, args.flood = os.path.join(bench, "loadgen"), os.path.join(bench, "flood")
    return args


def main():
    args = parse_args()
    if INSIDE_NS not in os.environ:
        os.environ[INSIDE_NS] = "1"
        in_netns = os.path.join(run.ROOT, "scripts", "in-netns")
        os.execv(in_netns, [in_netns, sys.executable, os.path.abspath(__file__), *sys.argv[1:]])
    cpus = sorted(os.sched_getaffinity(0))
    cores = (cpus[0], cpus[1]) if len(cpus) > 1 else (None, None)
    failed = 0
    stages = [bench_flood, run.bench_denied]
    if shutil.which("nft", path=os.environ.get("PATH", "") + ":/usr/sbin"):
        stages.append(bench_denied_nft)
    else:
        remark("denied_packet_nft: no nft here to look with (scripts/setup --test)")
    for stage in stages:
        try:
            stage(args, cores)
        except BenchError as err:
            remark(str(err))
            failed = 1
    return failed


if __name__ == "__main__":
    sys.exit(main())
