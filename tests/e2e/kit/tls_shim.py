"""TLS for SIPp, whose build in Debian has none: plain TCP on its side, TLS on the daemon's. The transport in Via and Contact
is put right on the way, in place, so that no length changes."""
import socket
import threading

from . import net, plain
from .sip import Stream

TO_TLS = ((b"SIP/2.0/TCP", b"SIP/2.0/TLS"), (b";transport=TCP", b";transport=TLS"), (b";transport=tcp", b";transport=tls"))


def translated(data, there):
    for tcp, tls in TO_TLS:
        data = data.replace(*((tcp, tls) if there else (tls, tcp)))
    return data


class Shim:
    """listen: (ip, port) where it waits; forward: (ip, port) where it goes on to. tls_in: a context when the waiting side is
    the TLS one (the daemon dials SIPp), else the going side is, with tls_out."""

    def __init__(self, listen, forward, tls_in=None, tls_out=None, source=None):
        self.forward, self.tls_in, self.tls_out, self.source = forward, tls_in, tls_out, source or listen[0]
        self.sock = socket.create_server(listen, family=net.family(listen[0]))
        self.address = self.sock.getsockname()[:2]
        self.threads, self.socks, self.problems = [], [], []
        self.run(self.accept)

    def run(self, what, *args):
        def guarded():
            try:
                what(*args)
            except OSError as e:
                self.problems.append(str(e))
        thread = threading.Thread(target=guarded, daemon=True)
        thread.start()
        self.threads.append(thread)

    def accept(self):
        while True:
            near, _ = self.sock.accept()
            self.run(self.serve, near)

    def serve(self, near):
        if self.tls_in:
            near = self.tls_in.wrap_socket(near, server_side=True)
        far = socket.create_connection(self.forward, timeout=10, source_address=(self.source, 0))
        if self.tls_out:
            far = self.tls_out.wrap_socket(far)
        self.socks += [near, far]
        for sock in (near, far):
            sock.settimeout(None)
        self.run(self.pump, near, far, self.tls_out is not None)
        self.pump(far, near, self.tls_out is None)

    @staticmethod
    def pump(source, target, there):
        stream = Stream(source)
        while True:
            data = source.recv(65536)
            if not data:
                target.shutdown(socket.SHUT_WR)
                return
            stream.buf += data
            for message in stream.messages():
                said = translated(message, there)
                if there:
                    plain.note(target.getsockname(), target.getpeername(), said)
                else:
                    plain.note(source.getpeername(), source.getsockname(), message)
                target.sendall(said)

    def end(self):
        for sock in [self.sock, *self.socks]:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            sock.close()
