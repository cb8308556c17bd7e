"""Fixtures of the end-to-end tests. They run inside a network namespace of their own (scripts/in-netns); started
elsewhere, pytest starts itself again there."""
import os
import shutil
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, HERE)

from kit import net, plain  # noqa: E402
from kit.capture import Capture  # noqa: E402
from kit.daemon import Postern, base_config, merged  # noqa: E402
from kit.leak import Scanner  # noqa: E402
from kit.phone import Phone  # noqa: E402
from kit.pki import Pki  # noqa: E402
from kit.rtp import Ear  # noqa: E402
from kit.sip import Ua  # noqa: E402
from kit.sipp import Sipp  # noqa: E402

VARIANT = os.environ.get("POSTERN_VARIANT", "")
INSIDE = "POSTERN_E2E_INSIDE"


def pytest_configure(config):
    config.addinivalue_line("markers", "impatient: the daemon's deadlines for handshakes are short")
    if not net.can_bind(net.OUT) and INSIDE not in os.environ:
        capture = config.pluginmanager.getplugin("capturemanager")
        if capture is not None:
            capture.suspend_global_capture(in_=True)
        os.environ[INSIDE] = "1"
        in_netns = os.path.join(ROOT, "scripts", "in-netns")
        os.execv(in_netns, [in_netns, sys.executable, "-m", "pytest", *config.invocation_params.args])
    net.slow = VARIANT != ""
    net.patience = {"": 3.0, "tsan": 8.0}.get(VARIANT, 5.0)


def pytest_collection_modifyitems(items):
    """E2E_PART=I/N: every Nth test, from the one of index I."""
    part, parts = map(int, os.environ.get("E2E_PART", "0/1").split("/"))
    items[:] = items[part::parts]


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    report = (yield).get_result()
    setattr(item, "report_" + report.when, report)


@pytest.fixture(scope="session")
def postern_bin():
    path = os.environ.get("POSTERN_BIN") or os.path.join(ROOT, "build", "postern")
    if not os.access(path, os.X_OK):
        pytest.fail(f"no daemon at {path}: build it, or set POSTERN_BIN")
    return os.path.abspath(path)


@pytest.fixture
def keep(request, tmp_path):
    """Things with end() or close(), ended in reverse order whatever happens."""
    things = []

    def add(thing):
        things.append(thing)
        return thing
    yield add
    for thing in reversed(things):
        getattr(thing, "end", None) and thing.end() or getattr(thing, "close", lambda: None)()


@pytest.fixture
def ear(keep):
    return lambda ip, hz=400: keep(Ear(ip, hz))


@pytest.fixture
def ua(keep):
    return lambda ip, port=0, **how: keep(Ua(ip, port, **how))


@pytest.fixture
def pair(ua):
    """(caller at the carrier, callee at the pbx)"""
    return (ua(net.CARRIER, 5060, name="carry"),
            ua(net.PBX, 5070, name="exchange", proxy=(net.IN, 5060), user="+15550100"))


@pytest.fixture
def sipp(keep, tmp_path):
    return lambda scenario, ip, port, remote=None, **how: keep(Sipp(tmp_path, scenario, ip, port, remote, **how))


@pytest.fixture
def pki(tmp_path):
    return Pki(tmp_path)


@pytest.fixture
def phone(keep, tmp_path):
    return lambda ip, user, password=None, **how: keep(Phone(tmp_path, ip, user, password, **how))


class House:
    """A daemon, a capture of everything, and at the end the questions that every test asks."""

    parties = {"carrier": {net.CARRIER}, "pbx": {net.PBX, net.PBX2}, "phone1": {net.PHONE1}, "phone2": {net.PHONE2}}

    def __init__(self, binary, work):
        self.binary, self.work = binary, work
        self.daemon, self.capture, self.scan, self.check_end = None, None, True, True
        plain.forget()
        self.parties = dict(self.parties)
        self.ours = {net.OUT, net.IN}

    def __call__(self, media_capture=True, ready=True, **changes):
        self.daemon = Postern(self.binary, self.work, merged(base_config(), changes))
        self.ours = {entry["address"] for entry in self.daemon.config["listeners"].values()}
        if self.capture is None:
            self.capture = Capture(media_capture)
        return self.daemon.start(ready)

    def leaks(self):
        return Scanner(self.parties, self.ours).scan(self.capture.packets() + plain.packets())

    def finish(self, passed):
        """After a test that passed: nothing left, a clean end, no leak, no alarm, a clean log."""
        problems = []
        if self.daemon is None:
            return problems
        passed_well = passed and self.check_end
        try:
            if passed_well and self.daemon.alive():
                self.daemon.wait_quiet()
                problems += self.alarms()
        except (AssertionError, OSError) as e:
            problems.append(str(e))
        finally:
            status = self.daemon.stop()
        if self.check_end and status != 0:
            problems.append(f"the daemon's exit status is {status}\n{self.daemon.tail()}")
        if passed_well:
            problems += self.log_problems()
        if self.capture is not None:
            self.capture.stop()
        if passed and self.scan and self.capture is not None:
            problems += [f"leak: {to} was told {word!r} of {whose}: {where!r}" for to, whose, word, where in self.leaks()]
        return problems

    def alarms(self):
        alarms = self.daemon.api.metrics()["postern_reaper_alarms_total"]
        return [f"the reaper found {alarms:g} books that did not balance"] if alarms else []

    def log_problems(self):
        out = []
        raw = self.daemon.log()
        if any(b < 32 and b != 10 for b in raw):
            out.append("the log holds raw control characters")
        for line in self.daemon.log_lines():
            if "raw" in line:
                out.append(f"the log holds a line that is no JSON: {line['raw'][:200]}")
        return out[:5]


@pytest.fixture
def house(request, postern_bin, tmp_path):
    h = House(postern_bin, tmp_path)
    yield h
    call = getattr(request.node, "report_call", None)
    problems = h.finish(passed=call is not None and call.passed)
    if h.capture is not None:
        h.capture.stop()
    if h.daemon is not None and call is not None and not call.passed:
        sys.stderr.write(f"--- the daemon's log\n{h.daemon.tail()}\n")
    assert not problems, "\n".join(problems)
    if call is not None and call.passed and "E2E_KEEP" not in os.environ:
        shutil.rmtree(tmp_path, ignore_errors=True)
