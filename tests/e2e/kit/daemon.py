"""The daemon under test: one process with a directory and a configuration of its own."""
import copy
import json
import os
import signal
import subprocess

from . import net, yamlout
from .api import Api

ADMIN = "127.0.0.1:8080"
TAIL = 20


def base_config():
    """Carrier outside, PBX inside, two users outside. Tests change what they need."""
    return {
        "node": {"name": "e2e", "workers": 2, "drain": "2s", "log": {"level": "debug", "format": "json"}},
        "store": {"path": "./postern.db"},
        "admin": {"listen": ADMIN, "token": {"file": "./admin.token"}},
        "sip": {"t1": "200ms", "t2": "800ms", "t4": "800ms"},
        "limits": {"setup": "20s"},
        "listeners": {
            "outside": {"address": net.OUT, "sip": {"udp": 5060, "tcp": 5060}, "rtp": {"ports": "20000-20999"}},
            "inside": {"address": net.IN, "sip": {"udp": 5060, "tcp": 5060}, "rtp": {"ports": "30000-30999"}},
        },
        "media_profiles": {"plain": {"security": "rtp"}},
        "peers": {
            "pbx": {"listener": "inside", "sources": [net.PBX + "/32", net.PBX2 + "/32"],
                    "targets": [f"sip:{net.PBX}:5070"], "media": "plain"},
            "carrier": {"listener": "outside", "sources": [net.CARRIER + "/32"],
                        "targets": [f"sip:{net.CARRIER}:5060"], "media": "plain"},
        },
        "users": {"domain": "example.test", "listener": "outside", "media": "plain",
                  "accounts": [{"name": "1001", "password": "one-secret"},
                               {"name": "1002", "password": "two-secret"}]},
        "routes": [
            {"name": "internal", "from": "users", "match": {"called": "1???"}, "to": "users"},
            {"name": "outbound", "from": ["users", "pbx"], "match": {"called": "+*"}, "to": ["carrier"]},
            {"name": "to-users", "from": ["carrier", "pbx"], "match": {"called": "1???"}, "to": "users"},
            {"name": "inbound", "from": "carrier", "to": ["pbx"]},
        ],
    }


def merged(base, changes):
    """A deep copy of base with changes laid over it; None removes."""
    out = copy.deepcopy(base)
    for key, value in changes.items():
        if value is None:
            out.pop(key, None)
        elif isinstance(value, dict) and isinstance(out.get(key), dict):
            out[key] = merged(out[key], value)
        else:
            out[key] = copy.deepcopy(value)
    return out


class Postern:
    def __init__(self, binary, work, config):
        self.binary, self.work, self.config = binary, str(work), config
        self.config_path = os.path.join(self.work, "postern.yaml")
        self.log_path = os.path.join(self.work, "postern.log")
        self.db_path = os.path.join(self.work, "postern.db")
        self.api = Api("http://" + ADMIN, os.path.join(self.work, "admin.token"))
        self.process, self.status = None, None

    def write_config(self, config=None):
        """In one step: an earlier reload may read it right now."""
        self.config = config or self.config
        with open(self.config_path + ".new", "w", encoding="utf-8") as f:
            f.write(yamlout.dump(self.config))
        os.replace(self.config_path + ".new", self.config_path)

    def start(self, ready=True):
        self.write_config()
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([self.binary, "serve", "--config", self.config_path], cwd=self.work,
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                                            start_new_session=True)
        self.status = None
        if ready:
            net.until(self.is_up, 20, f"the daemon is not ready; log {self.log_path}\n{self.tail()}")
        return self

    def is_up(self):
        if self.process.poll() is not None:
            raise AssertionError(f"the daemon ended with {self.process.returncode}:\n{self.tail()}")
        return self.api.ready()[0]

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def signal(self, number):
        self.process.send_signal(number)

    def stop(self, seconds=20):
        """SIGTERM and the exit status; a daemon that does not end is killed and complained about."""
        if self.process is None or self.status is not None:
            return self.status
        if self.alive():
            self.signal(signal.SIGTERM)
        return self.wait(seconds)

    def wait(self, seconds):
        try:
            self.status = self.process.wait(seconds * net.patience)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.status = f"killed: it did not end within {seconds * net.patience:g} s"
            self.process.wait()
        return self.status

    def kill(self):
        self.process.kill()
        self.status = self.process.wait()

    def log(self):
        with open(self.log_path, "rb") as f:
            return f.read()

    def log_lines(self):
        out = []
        for line in self.log().decode(errors="replace").splitlines():
            try:
                out.append(json.loads(line))
            except ValueError:
                out.append({"raw": line})
        return out

    def logged(self, text):
        return text.encode() in self.log()

    def tail(self):
        if not os.path.exists(self.log_path):
            return ""
        return "\n".join("    " + line for line in self.log().decode(errors="replace").splitlines()[-TAIL:])

    def fds(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def fd_names(self):
        base = f"/proc/{self.process.pid}/fd"
        names = []
        for fd in os.listdir(base):
            try:
                names.append(os.readlink(os.path.join(base, fd)))
            except OSError:
                pass
        return sorted(names)

    # --- what is going on inside ---
    def quiet(self):
        """No call in any live state, no media, no port; the transactions may linger (RFC 3261 timers)."""
        s = self.api.system()
        busy = {k: s["calls"][k] for k in ("setup", "ringing", "answered", "message_relays") if s["calls"][k]}
        busy.update({k: s["media"][k] for k in ("sessions", "ports_used") if s["media"][k]})
        return not busy, busy

    def wait_quiet(self, seconds=5):
        net.until(lambda: self.quiet()[0], seconds, f"calls or media are left: {self.quiet()[1]}")

    def live(self, state="answered", count=1, seconds=3):
        """The live calls, once so many have come to that state in the store; the first of them."""
        def found():
            calls = self.api.calls(state="live")
            return calls if [c["state"] for c in calls] == [state] * count else None
        return net.until(found, seconds, f"{count} calls in state {state} are due, there is {self.api.calls(state='live')}")[0]

    def wait_cdrs(self, count, seconds=5, **query):
        """Exactly so many records, newest first."""
        net.until(lambda: len(self.api.cdrs(**query)) >= count, seconds,
                  f"{count} records are expected, there are {self.api.cdrs(**query)}")
        records = self.api.cdrs(**query)
        assert len(records) == count, records
        return records

    def cdr(self, seconds=5, **query):
        """The one record; its call, with all details."""
        return self.api.get("/v1/calls/" + self.wait_cdrs(1, seconds, **query)[0]["id"])
