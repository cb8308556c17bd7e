"""A baresip with one account: dials, answers by itself, says a tone, records what it hears."""
import glob
import json
import os
import signal
import socket
import subprocess
import time

from . import net, rtp
from .room import Room

CTRL_PORT = 4444
CONFIG = """poll_method epoll
sip_listen {ip}:{port}
net_interface {ip}
audio_source aufile,{dir}/tone.wav
audio_player aufile,{dir}/play.wav
audio_alert aufile,/dev/null
audio_txmode poll
audio_channels 1
audio_buffer 20-160
rtp_ports 10000-10200
rtcp_enable yes
rtcp_mux {mux}
jitter_buffer_delay 5-10
module_path {modules}
module g711.so
module aufile.so
module sndfile.so
{extra}snd_path {dir}
module_tmp account.so
module_app menu.so
module_app ctrl_tcp.so
ctrl_tcp_listen {ip}:{ctrl}
"""


def modules():
    for path in glob.glob("/usr/lib/baresip/modules") + glob.glob("/usr/lib/*/baresip/modules"):
        return path
    raise AssertionError("baresip has no modules here")


class Phone:
    """mediaenc: srtp (optional), srtp-mand (in a profile of its own), srtp-mandf (RTP/SAVPF) or dtls_srtp, as baresip names
    them; medianat: ice."""

    def __init__(self, work, ip, user, password=None, hz=500, domain="example.test", proxy=(net.OUT, net.SIP), port=5062,
                 transport="udp", answer="auto", register=True, seconds=30, mediaenc=None, medianat=None, mux=False,
                 ca=None):
        self.dir, self.ip, self.user, self.hz, self.domain = os.path.join(str(work), "phone" + user), ip, user, hz, domain
        self.events, self.buf, self.ctrl = [], b"", None
        os.makedirs(self.dir)
        self.room = Room(ip)
        rtp.write_wav(os.path.join(self.dir, "tone.wav"), rtp.sine(hz, rtp.RATE * seconds))
        outbound = f';outbound="sip:{proxy[0]}:{proxy[1]};transport={transport}"' if register else ""
        account = f"<sip:{user}@{domain};transport={transport}>;regint={60 if register else 0};answermode={answer}{outbound}"
        account += f";auth_user={user};auth_pass={password}" if password else ""
        account += f";mediaenc={mediaenc}" if mediaenc else ""
        account += f";medianat={medianat}" if medianat else ""
        self.write("accounts", account + ";audio_codecs=PCMA/8000/1,PCMU/8000/1\n")
        self.write("contacts", "")
        extra = {"dtls_srtp": "dtls_srtp", None: ""}.get(mediaenc, "srtp"), medianat or ""
        self.write("config", CONFIG.format(ip=ip, port=port, dir=self.dir, modules=modules(), ctrl=CTRL_PORT,
                                           mux="yes" if mux else "no",
                                           extra="".join(f"module {name}.so\n" for name in extra if name)) +
                   (f"sip_cafile {ca}\n" if ca else ""))
        self.log_path = os.path.join(self.dir, "log")
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen([*self.room.inside, "baresip", "-s", "-f", self.dir], cwd=self.dir,
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                                            start_new_session=True)

    def write(self, name, text):
        with open(os.path.join(self.dir, name), "w", encoding="utf-8") as f:
            f.write(text)

    def connect(self):
        """The control connection brings every event from here on."""
        def attempt():
            assert self.process.poll() is None, f"baresip ended:\n{self.tail()}"
            try:
                self.ctrl = socket.create_connection((self.ip, CTRL_PORT), timeout=2)
            except OSError:
                return False
            return True
        net.until(attempt, 10, f"baresip {self.user} does not listen for control\n{self.tail()}")
        self.ctrl.settimeout(0.05)
        return self

    def pump(self):
        try:
            data = self.ctrl.recv(65536)
        except socket.timeout:
            return
        self.buf += data
        while b":" in self.buf:
            head, _, rest = self.buf.partition(b":")
            size = int(head)
            if len(rest) < size + 1:
                return
            event = json.loads(rest[:size])
            self.events.append((event.get("type") or "RESPONSE", event))
            self.buf = rest[size + 1:]

    def wait(self, *kinds, seconds=10):
        """The first event of these kinds; it and those before it are forgotten."""
        def find():
            self.pump()
            return next((i for i, (kind, _) in enumerate(self.events) if kind in kinds), -1) + 1
        at = net.until(find, seconds, f"baresip {self.user}: no {kinds}; events {[k for k, _ in self.events]}\n{self.tail()}")
        event = self.events[at - 1]
        del self.events[:at]
        return event[1]

    def command(self, name, params=""):
        text = json.dumps({"command": name, "params": params, "token": "e2e"}).encode()
        self.ctrl.sendall(b"%d:%s," % (len(text), text))

    def registered(self, seconds=10):
        """Whether it registered; the event may have come before the control connection."""
        def ok():
            self.pump()
            log = self.text()
            return any(k == "REGISTER_OK" for k, _ in self.events) or "200 OK" in log and "REGISTER" in log
        net.until(ok, seconds, f"baresip {self.user} is not registered\n{self.tail()}")
        return self

    def dial(self, user):
        self.command("dial", f"sip:{user}@{self.domain}")

    def recorded(self):
        """(samples, rate) of what it heard in its only call."""
        found = glob.glob(os.path.join(self.dir, "dump-*-dec.wav"))
        assert len(found) == 1, f"{found} in {self.dir}"
        return rtp.read_wav(found[0])

    def heard_last(self):
        """(samples, rate) of the last stretch of its calls: each change of a stream starts a new file."""
        found = sorted(glob.glob(os.path.join(self.dir, "dump-*-dec.wav")), key=os.path.getmtime)
        assert found, f"nothing was recorded in {self.dir}"
        return rtp.read_wav(found[-1])

    def text(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as f:
            return f.read()

    def tail(self):
        return "\n".join("    " + line for line in self.text().splitlines()[-60:])

    def end(self):
        if self.room is None:
            return
        self.end_process()
        self.room.end()
        self.room = None

    def end_process(self):
        if self.ctrl is not None:
            try:
                self.command("quit")
                self.process.wait(10)
            except (OSError, subprocess.TimeoutExpired):
                pass
            self.ctrl.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            deadline = time.monotonic() + 10
            while self.process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.02)
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


def check_tone(phone, other_hz):
    samples, rate = phone.heard_last()
    samples = samples[rate // 2:]
    assert len(samples) > rate // 2, f"{phone.user} recorded {len(samples)} samples after the hold"
    share, own = rtp.tone_share(samples, other_hz, rate), rtp.tone_share(samples, phone.hz, rate)
    assert share > 0.8 and own < 0.05, f"{phone.user} hears {share:.0%} of {other_hz} Hz, {own:.0%} of its own"


def media_of(daemon, call_id):
    return daemon.api.get("/v1/calls/" + call_id)["media"][0]


def both_hear(daemon, call_id):
    """A second and more of packets in both directions from here on."""
    before = media_of(daemon, call_id)

    def counted():
        now = media_of(daemon, call_id)
        return min(now[side][what] - before[side][what] for side in ("caller", "callee")
                   for what in ("rx_packets", "tx_packets")) > 80
    net.until(counted, 15, f"media do not flow both ways: {media_of(daemon, call_id)}")
