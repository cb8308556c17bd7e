#!/usr/bin/python3
"""Starts the daemon, waits until it is ready, shows one demonstration call and what the admin API says of
it, then serves until Ctrl-C. Called by scripts/run."""
import argparse
import ctypes
import errno
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time

import demo_call

# node.drain is 30 s by default, and BYE has 5 s more.
READY_SECONDS, RECORD_SECONDS, STOP_SECONDS, HURRY_SECONDS = 20, 10, 45, 10
CALLER, CALLEE, NUMBER, SIP = ("127.0.0.3", 5060), ("127.0.0.2", 5070), "+15550100", ("127.0.0.1", 5060)
PR_SET_PDEATHSIG = 1


class Trouble(Exception):
    """Said to the user as it is."""


def say(text=""):
    print(text, flush=True)


def pretty(value, indent=0, width=130):
    """JSON for people: what fits into a line stays on one."""
    flat = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, (dict, list)) or not value or indent + len(flat) <= width:
        return flat
    pad = " " * (indent + 2)
    if isinstance(value, dict):
        inner = [f"{pad}{json.dumps(k)}: {pretty(v, indent + len(k) + 6, width)}" if len(json.dumps(v)) < width - indent
                 else f"{pad}{json.dumps(k)}: {pretty(v, indent + 2, width)}" for k, v in value.items()]
        return "{\n" + ",\n".join(inner) + "\n" + " " * indent + "}"
    return "[\n" + ",\n".join(pad + pretty(v, indent + 2, width) for v in value) + "\n" + " " * indent + "]"


def config_lines(path):
    """The lines of a configuration file without comments."""
    with open(path, encoding="utf-8") as f:
        return [re.sub(r"(^|\s)#.*", "", line.rstrip("\n")) for line in f]


def admin_settings(config):
    """(listen, (file | env | text, value)): where the API is and what its token is; the defaults when config does not say."""
    admin, inside = "", False
    for line in config_lines(config) if config else []:
        if re.match(r"\S", line):
            inside = line.startswith("admin:")
        admin += line + "\n" if inside else ""
    word = r"[\"']?([^\s\"'#,{}]+)"
    listen = re.search(r"\blisten:\s*" + word, admin)
    named = re.search(r"\btoken:[\s{]*(file|env):\s*" + word, admin)
    text = re.search(r"\btoken:\s*" + word, admin)
    token = named.groups() if named else ("text", text.group(1)) if text else ("file", "./admin.token")
    return listen.group(1) if listen else "127.0.0.1:8080", token


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Api:
    """The admin API; names of files are relative to the folder where the daemon runs."""

    def __init__(self, listen, token, folder):
        self.listen, (self.kind, self.token) = listen, token
        self.unix = os.path.join(folder, listen[len("unix:"):]) if listen.startswith("unix:") else None
        if self.kind == "file":
            self.token = os.path.normpath(os.path.join(folder, self.token))

    def bearer(self):
        if self.kind == "env":
            return os.environ.get(self.token)
        if self.kind == "text":
            return self.token
        if not os.path.exists(self.token):
            return None
        with open(self.token, encoding="ascii") as f:
            return f.read().strip()

    def for_curl(self):
        """(arguments, URL, the token without saying it)"""
        where = ("--unix-socket " + self.unix + " ", "http://localhost") if self.unix else ("", "http://" + self.listen)
        return *where, {"file": f"$(cat {self.token})", "env": f"${self.token}", "text": "TOKEN"}[self.kind]

    def get(self, path):
        """(HTTP status, parsed body or text)"""
        token = self.bearer()
        link = UnixConnection(self.unix, 5) if self.unix else http.client.HTTPConnection(self.listen, timeout=5)
        try:
            link.request("GET", path, headers={"Authorization": "Bearer " + token} if token else {})
            answer = link.getresponse()
            status, body = answer.status, answer.read().decode(errors="replace")
        except http.client.HTTPException as e:
            raise OSError(f"GET {path}: {e!r}") from e
        finally:
            link.close()
        try:
            return status, json.loads(body)
        except ValueError:
            return status, body

    def must(self, path):
        status, body = self.get(path)
        if status != 200:
            raise Trouble(f"GET {path}: status {status}: {body}")
        return body


def check_ports(ports):
    taken = []
    for kind, host, port in ports:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM) as s:
            if kind == "tcp":
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind((host, port))
            except OSError as e:
                taken.append(f"{kind} {host}:{port} ({'in use' if e.errno == errno.EADDRINUSE else e.strerror})")
    if taken:
        raise Trouble("cannot have these ports, is another SIP server or Postern running?\n  " + "\n  ".join(taken)
                      + "\nStop it, or take another configuration with --config FILE.")


def has_demo_peers(config):
    """Whether the demonstration call has a chance: its two ends are named somewhere."""
    text = "\n".join(config_lines(config))
    return re.search(rf"\b{re.escape(CALLER[0])}\b", text) and "%s:%d" % CALLEE in text


def demo_ports(args):
    wanted = [("udp", *CALLER), ("udp", *CALLEE)] if not args.serve else []
    if not args.config:
        host, port = args.listen.rsplit(":", 1)
        wanted += [(kind, ip, 5060) for ip in ("127.0.0.1", "127.0.0.2") for kind in ("udp", "tcp")]
        wanted += [("tcp", host, int(port))]
    return wanted


def die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Daemon:
    def __init__(self, args):
        self.log_path = os.path.join(args.state, "postern.log")
        command = [args.postern, "serve"] + (["--config", args.config] if args.config else [])
        with open(self.log_path, "ab") as log:
            self.start = log.tell()
            # its own session: Ctrl-C is ours to pass on
            self.process = subprocess.Popen(command, cwd=args.state, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=subprocess.STDOUT, start_new_session=True, preexec_fn=die_with_parent)

    def tail(self):
        with open(self.log_path, "rb") as f:
            f.seek(self.start)
            return "".join("  " + line + "\n" for line in f.read().decode(errors="replace").splitlines()[-20:])

    def wait_ready(self, api):
        deadline, last = time.monotonic() + READY_SECONDS, ""
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise Trouble(f"the daemon ended with status {self.process.returncode}:\n{self.tail()}")
            try:
                status, last = api.get("/readyz")
                if status == 200:
                    return
            except OSError as e:
                last = e
            time.sleep(0.05)
        raise Trouble(f"not ready after {READY_SECONDS} s: {last}\n{self.tail()}")

    def stop(self):
        """Asks, and asks again after a while: that ends the calls at once. The exit status of the daemon."""
        for seconds in (STOP_SECONDS, HURRY_SECONDS):
            self.ask_to_stop()
            try:
                return self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                pass
        self.process.kill()
        self.process.wait()
        return "killed: it did not end in time"

    def ask_to_stop(self, *_):
        if self.process.poll() is None:
            self.process.terminate()


def newest_calls(api):
    return {call["id"]: call for call in api.must("/v1/calls?limit=50")["items"]}


def wait_record(api, before):
    """The one call that was not there before, once it has ended."""
    deadline = time.monotonic() + RECORD_SECONDS
    new = {}
    while time.monotonic() < deadline:
        new = {i: c for i, c in newest_calls(api).items() if i not in before}
        if new and all(c.get("state") == "ended" for c in new.values()):
            break
        time.sleep(0.1)
    if len(new) != 1:
        raise Trouble(f"one new call was expected at /v1/calls, there are {len(new)}")
    call = next(iter(new.values()))
    if call.get("state") != "ended":
        raise Trouble(f"the call is not recorded as ended:\n{pretty(call)}")
    return call["id"]


def demonstrate(args, api):
    say(f"A call to {NUMBER}: SIPp at {CALLER[0]}:{CALLER[1]} (peer carrier) through Postern "
        f"to SIPp at {CALLEE[0]}:{CALLEE[1]} (peer pbx), five seconds of tone each way ...")
    before = newest_calls(api)
    work = os.path.join(args.state, "demo")
    good = demo_call.run_call(argparse.Namespace(to=SIP, number=NUMBER, caller=CALLER, callee=CALLEE, work=work), say)
    if not good:
        raise Trouble(f"the call was not complete or not heard both ways; SIPp's messages are in {work}")
    call_id = wait_record(api, before)
    for path in (f"/v1/calls/{call_id}", f"/v1/calls/{call_id}/ladder"):
        body = api.must(path)
        say(f"\nGET {path}\n{pretty(body)}")
        if not body:
            raise Trouble(f"GET {path}: empty")
    say("\nThe call was complete, heard both ways, and recorded.")


def serve(args, api, daemon):
    socket_option, base, token = api.for_curl()
    where = {"file": api.token, "env": f"${api.token}", "text": "as the configuration says"}[api.kind]
    say(f"\nAdmin API    {api.unix or base + '/v1/calls'}   (also /readyz, /metrics)\nToken        {where}\n"
        f"Log          {daemon.log_path}\n"
        f"Try          curl {socket_option}-H \"Authorization: Bearer {token}\" {base}/v1/calls\n"
        "Serving until Ctrl-C.")
    while daemon.process.poll() is None:
        time.sleep(0.5)
    raise Trouble(f"the daemon ended with status {daemon.process.returncode}:\n{daemon.tail()}")


def on_stop(_number, _frame):
    raise KeyboardInterrupt


def run(args):
    os.makedirs(args.state, mode=0o700, exist_ok=True)
    args.listen, token = admin_settings(args.config)
    if args.config and not args.serve and not has_demo_peers(args.config):
        missing = "%s does not name both %s and %s:%d" % (args.config, CALLER[0], *CALLEE)
        if args.once:
            raise Trouble(missing + ": there can be no demonstration call")
        say(missing + ": no demonstration call.")
        args.serve = True
    check_ports(demo_ports(args))
    api = Api(args.listen, token, args.state)
    daemon = Daemon(args)
    status = 0
    try:
        daemon.wait_ready(api)
        if not args.serve:
            try:
                demonstrate(args, api)
            except Trouble as e:
                if args.once or not args.config:
                    raise
                say(f"The demonstration call failed: {e}")
        if not args.once:
            serve(args, api, daemon)
    except KeyboardInterrupt:
        say("\nStopping; running calls may go on for node.drain. Ctrl-C again ends them now.")
    except Trouble as e:
        say(f"run: {e}")
        status = 1
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, daemon.ask_to_stop)
    ended = daemon.stop()
    if ended != 0 and status == 0:
        say(f"run: the daemon's exit status was {ended}\n{daemon.tail()}")
        status = 1
    return status


def main():
    parser = argparse.ArgumentParser(prog="run", description="Start Postern and show one call through it.")
    parser.add_argument("--serve", action="store_true", help="no demonstration call")
    parser.add_argument("--once", action="store_true", help="end after the call; 0: complete, heard both ways, recorded")
    parser.add_argument("--config", help="instead of the embedded default configuration; the call is left out "
                        "when the file does not name its two ends")
    parser.add_argument("--postern", default="build/postern", help=argparse.SUPPRESS)
    parser.add_argument("--state", default="run", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve and args.once:
        parser.error("--once is about the call that --serve leaves out")
    for name in ("config", "postern", "state"):
        if getattr(args, name):
            setattr(args, name, os.path.abspath(getattr(args, name)))
    signal.signal(signal.SIGTERM, on_stop)
    signal.signal(signal.SIGINT, on_stop)  # also when a shell started us in the background
    try:
        return run(args)
    except (Trouble, OSError) as e:
        say(f"run: {e}")
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
