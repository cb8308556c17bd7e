#!/usr/bin/env python3
"""The same calls through Postern and through Kamailio (stateful proxy with record-route and dialog), in turns: what a call
costs at a fixed rate on this machine, and the ratio, which says more than either figure on a noisy one."""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import run

KAMAILIO = """\
debug=1
log_stderror=yes
children=2
auto_aliases=no
disable_tcp=yes
shm_mem_size=256
listen=udp:{outside}:{outside_port}
listen=udp:{inside}:{inside_port}
mhomed=1
loadmodule "tm.so"
loadmodule "rr.so"
loadmodule "sl.so"
loadmodule "pv.so"
loadmodule "maxfwd.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "dialog.so"
modparam("rr", "enable_full_lr", 1)
modparam("dialog", "enable_stats", 0)
request_route {{
    if (!mf_process_maxfwd_header("10")) {{ sl_send_reply("483", "Too Many Hops"); exit; }}
    if (has_totag()) {{
        if (loose_route()) {{ t_relay(); exit; }}
        if (is_method("ACK")) {{ if (t_check_trans()) {{ t_relay(); }} exit; }}
        sl_send_reply("404", "Not here"); exit;
    }}
    if (is_method("CANCEL")) {{ if (t_check_trans()) {{ t_relay(); }} exit; }}
    t_check_trans();
    record_route();
    if (is_method("INVITE")) {{ dlg_manage(); }}
    $du = "sip:{callee}:{callee_port}";
    t_relay();
}}
"""


class Kamailio:
    """Enough of run.Daemon for the load generator: ports, CPU of the whole process tree, a clean end."""

    def __init__(self, core, taken):
        self.core, self.process = core, None
        self.directory = tempfile.TemporaryDirectory(prefix="postern-bench-")
        self.ports = {name: run.free_port(run.socket.SOCK_DGRAM, address, taken) for name, address in (
            ("outside_port", run.OUTSIDE), ("inside_port", run.INSIDE), ("caller_port", run.CALLER),
            ("callee_port", run.CALLEE))}

    def __enter__(self):
        config = os.path.join(self.directory.name, "kamailio.cfg")
        with open(config, "w", encoding="ascii") as out:
            out.write(KAMAILIO.format(outside=run.OUTSIDE, inside=run.INSIDE, callee=run.CALLEE, **self.ports))
        command = [shutil.which("kamailio"), "-f", config, "-DD", "-E", "-P", os.path.join(self.directory.name, "pid"),
                   "-Y", self.directory.name]
        with open(os.path.join(self.directory.name, "log"), "wb") as log:
            self.process = subprocess.Popen(run.pinned(self.core, command), stdout=log, stderr=log,
                                            stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while not self.is_bound():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise run.BenchError("kamailio does not start: " + self.last_log())
            time.sleep(0.05)
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.directory.cleanup()

    def last_log(self):
        with open(os.path.join(self.directory.name, "log"), "rb") as log:
            return log.read()[-1000:].decode(errors="replace").strip()

    def is_bound(self):
        want = "%s:%04X" % (run.socket.inet_aton(run.OUTSIDE)[::-1].hex().upper(), self.ports["outside_port"])
        with open("/proc/net/udp", encoding="ascii") as table:
            return any(line.split()[1] == want for line in table.readlines()[1:])

    def tree(self):
        pids, found = [self.process.pid], []
        while pids:
            pid = pids.pop()
            found.append(pid)
            try:
                with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as children:
                    pids += [int(child) for child in children.read().split()]
            except OSError:
                pass
        return found

    def cpu_s(self):
        return sum(time.clock_gettime_ns((~pid << 3) | 2) for pid in self.tree()) / 1e9

    def settled_cpu_s(self):
        time.sleep(0.5)
        return self.cpu_s()


def cost_us(box, args, cores, how, seconds):
    load = run.Load(args, cores, box)
    judged = isinstance(box, run.Daemon)  # the peer may repeat a message at its limit; we may not
    load.run([*how, "--duration", 1], judged=judged)
    before = box.settled_cpu_s()
    result = load.run([*how, "--duration", seconds], judged=judged)
    return (box.settled_cpu_s() - before) * 1e6 / result["calls_completed"]


def turns(args, cores, rounds, label, cost):
    """The cost of a call here and there, in short turns between two that both stand ready, so that a machine whose
    speed drifts is the same for both; prints each round as a remark and the medians as figures."""
    ours, theirs = [], []
    taken = set()
    with run.Daemon(args, cores, taken=taken) as postern, Kamailio(cores[0], taken) as kamailio:
        for _ in range(rounds):
            for costs, box in ((ours, postern), (theirs, kamailio)):
                costs.append(cost(box))
            run.remark(f"{label}: postern {ours[-1]:.0f} us, kamailio {theirs[-1]:.0f} us, "
                       f"ratio {ours[-1] / theirs[-1]:.3f}")
    run.figure(f"cpu_per_call{label}", statistics.median(ours), "us")
    run.figure(f"cpu_per_call{label}_kamailio", statistics.median(theirs), "us")
    run.figure(f"cpu_per_call{label}_ratio", statistics.median(a / b for a, b in zip(ours, theirs)), "x")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=int, default=200)
    parser.add_argument("--inflight", type=int, default=50, help="transactions pending at saturation")
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=15)
    own = parser.parse_args()
    sys.argv = sys.argv[:1]
    args = run.parse_args()
    if shutil.which("kamailio") is None:
        parser.error("kamailio is not installed: scripts/setup --bench")
    cpus = sorted(os.sched_getaffinity(0))
    cores = (cpus[0], cpus[1]) if len(cpus) > 1 else (None, None)
    turns(args, cores, own.rounds, f"_{own.rate}", lambda box: cost_us(box, args, cores, ["--rate", own.rate], own.seconds))
    turns(args, cores, own.rounds, "", lambda box: cost_us(box, args, cores, ["--inflight", own.inflight], own.seconds))


if __name__ == "__main__":
    main()
