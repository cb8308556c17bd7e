"""Many calls at once, with RTP both ways in each. The load generator is tests/bench (a program that shares no code with
the daemon); every packet that it sends has to arrive at the other end of the same call."""
import json
import os
import subprocess

import pytest

from kit import net

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
CALLS = 300
# Calls from one address and port come to one worker, and each worker has its share of the ports.
ROOM = {"outside": {"rtp": {"ports": "20000-23999"}}, "inside": {"rtp": {"ports": "30000-33999"}}}


@pytest.fixture(scope="session")
def loadgen(postern_bin):
    """Where it was built already, or built now without a sanitizer: it is a tool, not the thing under test."""
    path = os.environ.get("LOADGEN") or os.path.join(ROOT, "build", "bench", "loadgen")
    if not os.access(path, os.X_OK):
        env = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))}
        done = subprocess.run(["make", "-s", "loadgen", "VARIANT="], cwd=ROOT, env=env, capture_output=True, text=True,
                              check=False)
        assert done.returncode == 0, done.stderr
    return path


def run_load(loadgen, *args, seconds=60):
    command = [loadgen, "--target", f"{net.OUT}:5060", "--caller", f"{net.CARRIER}:5060", "--callee", f"{net.PBX}:5070",
               "--deadline", str(seconds), "--json", *args]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds + 20)
    try:
        return done.returncode, json.loads(done.stdout), done.stderr
    except ValueError:
        raise AssertionError(f"{command}: status {done.returncode}\n{done.stdout}\n{done.stderr}") from None


def test_300_calls_at_once_lose_no_packet_and_leave_nothing(house, loadgen):
    slow = net.slow
    calls = 60 if slow else CALLS
    timers = {"t1": "250ms", "t2": "2s", "t4": "2s"} if slow else {"t1": "100ms", "t2": "500ms", "t4": "500ms"}
    daemon = house(media_capture=False, sip=timers,
                   node={"log": {"level": "info", "format": "json"}}, listeners=ROOM)
    before = daemon.fds()
    status, figures, said = run_load(loadgen, "--held", "--calls", str(calls), "--rate", "100", "--duration", "4", "--media",
                                     "--rtcp")
    assert status == 0, f"{said}\n{figures}"
    records = daemon.wait_cdrs(calls, 10)
    assert {r["end_code"] for r in records} == {200}
    daemon.wait_quiet(10)
    detail = daemon.api.get("/v1/calls/" + records[0]["id"])["media"][0]
    assert detail["caller"]["lost"] == 0 and detail["caller"]["rx_packets"] == detail["callee"]["tx_packets"] > 100
    net.until(lambda: sum(daemon.api.system()["transactions"].values()) == 0, 45, "transactions are left")
    net.until(lambda: daemon.api.system()["calls"]["ending"] == 0, 5, "calls are left")
    media = daemon.api.system()["media"]
    assert media["ports_used"] == 0
    kept = media["sockets"] + media["idle_sockets"]  # open for the next calls
    # a reader of the database opens two files at its first question; there may be two that were not asked before
    assert daemon.fds() <= before + kept + 4, (before, kept, daemon.fd_names())
    metrics = daemon.api.metrics()
    assert metrics["postern_call_attempts_total"] == metrics["postern_calls_ended_total"] == calls
    assert metrics['postern_rtp_dropped_total{reason="stranger"}'] == 0
    for limit in ("rtp_ports", "calls", "transactions", "mailbox"):
        assert metrics[f'postern_limit_reached_total{{limit="{limit}"}}'] == 0


def test_short_calls_one_after_the_other(house, loadgen):
    """Signalling only, fast: every call one record."""
    slow = net.slow
    calls = 100 if slow else 400
    daemon = house(media_capture=False, node={"log": {"level": "warn", "format": "json"}})
    status, figures, said = run_load(loadgen, "--rate", "25" if slow else "200", "--calls", str(calls), "--hold-ms", "50")
    assert status == 0, f"{said}\n{figures}"
    net.until(lambda: daemon.api.metrics()["postern_calls_ended_total"] == calls, 10, "calls have not ended")
    daemon.wait_cdrs(calls, 10)
    daemon.wait_quiet(10)
