"""Clients of the TLS port that do not behave: openssl s_client and plain sockets. Meanwhile those that do are served."""
import socket
import ssl
import subprocess
import threading

import pytest

from kit import net
from kit.calls import established, hang_up
from kit.pki import tls_house

HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"  # the beginning of a ClientHello of 512 bytes


@pytest.fixture
def port(house, pki, request):
    """A daemon with TLS, and a short deadline where a test marks it; the address of its TLS port."""
    deadline = "2s" if request.node.get_closest_marker("impatient") else "20s"
    house(listeners=tls_house(pki), sip={"tls_handshake": deadline, "tls_handshakes": 128})
    return net.OUT, 5061


@pytest.fixture
def connection(keep, port):
    def connect(data=b"", source=net.STRANGER):
        sock = keep(socket.create_connection(port, timeout=10 * net.patience, source_address=(source, 0)))
        if data:
            sock.sendall(data)
        return sock
    return connect


def closed(sock):
    """What still came before the end."""
    got = b""
    try:
        while True:
            data = sock.recv(65536)
            if not data:
                return got
            got += data
    except ConnectionError:
        return got


def s_client(port, text, *args, seconds=20):
    """openssl s_client, given text; what it said and its status."""
    done = subprocess.run(["openssl", "s_client", "-connect", net.host_port(*port), "-bind", net.STRANGER, *args], input=text,
                          capture_output=True, timeout=seconds * net.patience, check=False)
    return done.returncode, (done.stdout + done.stderr).decode(errors="replace")


def handshakes(house, result):
    return house.daemon.api.metrics()[f'postern_tls_handshakes_total{{result="{result}"}}']


def served(pair):
    """The known peers place a call as if nothing was."""
    hang_up(*established(pair))


def test_renegotiation_is_refused(house, port, pair):
    status, said = s_client(port, b"R\n", "-tls1_2")
    assert "RENEGOTIATING" in said and "no renegotiation" in said and status != 0, said
    served(pair)


def test_a_client_that_wants_new_keys_without_end_is_hung_up_on(house, port, pair):
    client = subprocess.Popen(["openssl", "s_client", "-connect", net.host_port(*port), "-bind", net.STRANGER, "-tls1_3"],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    asked = 0
    try:
        while asked < 200:  # it may be told of its end later than it asks
            client.stdin.write(b"K\n")
            client.stdin.flush()
            while b"KEYUPDATE" not in (line := client.stdout.readline()):
                if not line:
                    raise BrokenPipeError
            asked += 1
    except BrokenPipeError:
        pass
    finally:
        client.kill()
        client.wait()
    assert asked >= 32
    net.until(lambda: house.daemon.api.metrics()["postern_tls_rekey_floods_total"] == 1, 3)
    assert house.daemon.api.system()["connections"] == 0
    served(pair)


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_both_versions_work_and_resume(house, port, tmp_path, version):
    ticket = str(tmp_path / "ticket")
    options = b"OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/TLS 192.0.2.1;branch=z9hG4bKx\r\nFrom: <sip:a@b>;tag=1\r\n" \
              b"To: <sip:a>\r\nCall-ID: x\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"

    def ask(*args):
        client = subprocess.Popen(["openssl", "s_client", "-connect", net.host_port(*port), "-bind", net.STRANGER, "-quiet",
                                   version, *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        client.stdin.write(options)
        client.stdin.flush()
        answer = client.stdout.readline()
        client.stdin.close()
        client.terminate()
        client.wait()
        return answer
    assert ask("-sess_out", ticket) == b"SIP/2.0 200 OK\r\n"
    assert ask("-sess_in", ticket) == b"SIP/2.0 200 OK\r\n"
    assert house.daemon.api.metrics()["postern_tls_resumed_total"] == 1


@pytest.mark.parametrize("args", [["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"], ["-tls1", "-cipher", "ALL:@SECLEVEL=0"],
                                  ["-tls1_2", "-cipher", "AES128-SHA:ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0"]])
def test_what_is_weak_is_refused(house, port, args):
    status, said = s_client(port, b"", *args)
    assert status != 0, said
    net.until(lambda: handshakes(house, "error") == 1, 3)
    assert handshakes(house, "ok") == 0


@pytest.mark.parametrize("what", ["http", "sip", "junk", "crlf"])
def test_other_protocols_are_closed_without_a_word(house, port, connection, pair, what):
    """attacks.md 65: not a byte of it is looked at as SIP."""
    sip = b"OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/TCP 192.0.2.1;branch=z9hG4bKx\r\nContent-Length: 0\r\n\r\n"
    data = {"http": b"POST / HTTP/1.1\r\nContent-Length: 500\r\n\r\n" + sip, "sip": sip, "junk": b"\x00" * 600,
            "crlf": b"\r\n\r\n" + sip}[what]
    assert closed(connection(data)) == b""
    assert house.daemon.api.metrics()["postern_crypto_queue_peak"] == 0
    served(pair)


def test_a_broken_hello_gets_an_alert(house, port, connection):
    assert closed(connection(HELLO[:5] + b"\xff" * 512))[:1] == b"\x15"
    assert handshakes(house, "error") == 1


@pytest.mark.impatient
def test_half_handshakes_and_slow_ones_end_at_their_deadline(house, port, connection, pair):
    """attacks.md 61, 62: silent, half a hello, and a byte now and then; known peers do not notice."""
    rude = [connection(), connection(HELLO), connection(HELLO[:3]), connection(HELLO)]
    stop = threading.Event()

    def drip():
        while not stop.wait(0.05):
            try:
                rude[3].sendall(b"\x00")
            except OSError:
                return
    thread = threading.Thread(target=drip)
    thread.start()
    served(pair)
    try:
        assert [closed(sock) for sock in rude] == [b""] * 4
    finally:
        stop.set()
        thread.join()
    net.until(lambda: handshakes(house, "timeout") == 4, 3)
    assert house.daemon.api.system()["connections"] == 0


def test_handshakes_in_progress_are_limited_for_each_source(house, port, connection, pair, ua, pki):
    """A stranger opens as many as he likes; others still get in."""
    rude = [connection() for _ in range(40)]
    net.until(lambda: handshakes(house, "limit") >= 20, 5)
    with ua(net.PHONE1, transport="tls", proxy=port, dial=pki.client()) as near:
        assert near.options() == 200
    served(pair)
    assert len(rude) == 40


def test_a_message_may_come_byte_by_byte(house, port, ua, pki):
    """One message in pieces of one byte, each a record of its own."""
    with ua(net.PHONE1, transport="tls", proxy=port, dial=pki.client()) as near:
        stream = near.connect()
        for byte in bytes(near.build("OPTIONS", f"sip:{net.OUT}")):
            stream.sock.sendall(bytes([byte]))
        assert near.expect(200)


def test_another_protocol_inside_tls_is_closed_too(house, port, pki, connection):
    inside = pki.client().wrap_socket(connection(source=net.PHONE1))
    inside.sendall(b"GET / HTTP/1.1\r\n\r\n")
    assert closed(inside) == b""
    assert house.daemon.api.metrics()['postern_dropped_packets_total{reason="not_sip"}'] == 1


def test_a_flood_of_handshakes_leaves_nothing_behind(house, port, pki, pair):
    """Complete ones, each with its connection closed at once by the client. In TLS 1.2, where the client is not done
    before the daemon is."""
    daemon, context = house.daemon, pki.client()
    context.maximum_version = ssl.TLSVersion.TLSv1_2

    def fds():  # without media, which keeps sockets for the next calls
        media = daemon.api.system()["media"]
        return daemon.fds() - media["sockets"] - media["idle_sockets"]
    before = fds()
    for _ in range(100):
        with socket.create_connection(port, timeout=30, source_address=(net.PHONE2, 0)) as sock:
            with context.wrap_socket(sock):
                pass
    served(pair)
    net.until(lambda: daemon.api.system()["connections"] == 0, 5)
    assert handshakes(house, "ok") == 100
    net.until(lambda: fds() <= before + 8, 5, f"there were {before}, now there are {daemon.fd_names()}")
