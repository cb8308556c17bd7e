"""SIP over TLS: phones, peers that prove who they are, peers that have to, and what passes from TLS to the rest."""
import json
import os
import signal

import pytest

from kit import net, plain
from kit.calls import established, hang_up, offer
from kit.pki import Pki, names_of, serial_of, tls_house
from kit.registering import listed, register
from kit.sip import write_sdp
from kit.sipp import wait_all
from kit.tls_shim import Shim

PBX_NAME, CARRIER_NAME = "pbx.example.net", "sip.carrier.example"


def pbx_over_tls(pki, **tls):
    return {"targets": [f"sip:{net.PBX}:5071;transport=tls"], "tls": {"ca": pki.cert, "names": [PBX_NAME], **tls}}


@pytest.fixture
def exchange(ua, pki):
    """The PBX behind TLS, as the daemon dials it."""
    return lambda leaf=None, ask=False, port=5071: ua(
        net.PBX, port, name="exchange", transport="tls", user="+15550100", proxy=(net.IN, 5061),
        serve=pki.server(leaf or pki.leaf("exchange", "DNS:" + PBX_NAME), ask), dial=pki.client())


def test_two_phones_over_tls_hear_each_other(house, phone, pki):
    from test_baresip import check_recording
    daemon = house(listeners=tls_house(pki))
    how = {"transport": "tls", "proxy": (net.OUT, 5061), "ca": pki.cert}
    one = phone(net.PHONE1, "1001", "one-secret", hz=500, **how).connect().registered()
    two = phone(net.PHONE2, "1002", "two-secret", hz=900, **how).connect().registered()
    assert {b["transport"] for b in listed(daemon, 2)} == {"tls"}
    one.dial("1002")
    one.wait("CALL_ESTABLISHED")
    two.wait("CALL_ESTABLISHED")
    live = daemon.live()

    def counted():
        media = daemon.api.get("/v1/calls/" + live["id"])["media"][0]
        return min(media["caller"]["rx_packets"], media["callee"]["rx_packets"]) > 110
    net.until(counted, 10, "two seconds of media did not come through")
    one.command("hangup")
    one.wait("CALL_CLOSED")
    two.wait("CALL_CLOSED")
    legs = daemon.cdr()["legs"]
    assert [leg["transport"] for leg in legs] == ["TLS", "TLS"]
    assert all(leg["tls"]["version"] in ("TLSv1.2", "TLSv1.3") and leg["tls"]["cipher"] for leg in legs), legs
    one.end()
    two.end()
    check_recording(one, two.hz)
    check_recording(two, one.hz)


def test_srtp_keys_travel_over_tls_and_nowhere_else(house, phone, pki):
    """RFC 4568 9: the same users and profile, no trusted network; over UDP the key would be readable on the way."""
    from test_baresip import check_recording
    daemon = house(listeners=tls_house(pki), media_profiles={"secure": {"security": "sdes"}}, users={"media": "secure"})
    how = {"transport": "tls", "proxy": (net.OUT, 5061), "ca": pki.cert, "mediaenc": "srtp-mand"}
    one = phone(net.PHONE1, "1001", "one-secret", hz=500, **how).connect().registered()
    two = phone(net.PHONE2, "1002", "two-secret", hz=900, **how).connect().registered()
    listed(daemon, 2)
    one.dial("1002")
    one.wait("CALL_ESTABLISHED")
    two.wait("CALL_ESTABLISHED")
    live = daemon.live()

    def counted():
        media = daemon.api.get("/v1/calls/" + live["id"])["media"][0]
        return min(media["caller"]["rx_packets"], media["callee"]["rx_packets"]) > 110
    net.until(counted, 10, "two seconds of media did not come through")
    one.command("hangup")
    one.wait("CALL_CLOSED")
    two.wait("CALL_CLOSED")
    legs = daemon.cdr()["legs"]
    assert [leg["streams"][0]["keys"] for leg in legs] == ["sdes", "sdes"] and all(leg["tls"] for leg in legs)
    one.end()
    two.end()
    check_recording(one, two.hz)
    check_recording(two, one.hz)


def test_sipp_at_both_ends_through_a_tls_shim(house, sipp, ear, keep, pki):
    """The carrier proves itself by certificate, from an address that nobody knows; the PBX by the name that we want."""
    daemon = house(listeners=tls_house(pki, client_ca=pki.cert, verify_client="optional"),
                   peers={"carrier": {"sources": None, "certificates": [CARRIER_NAME]}, "pbx": pbx_over_tls(pki)})
    out = keep(Shim((net.STRANGER, 5065), (net.OUT, 5061), tls_out=pki.client(pki.leaf("carrier", "DNS:" + CARRIER_NAME))))
    keep(Shim((net.PBX, 5071), (net.PBX, 5070), tls_in=pki.server(pki.leaf("exchange", "DNS:" + PBX_NAME))))
    how = {"transport": "tcp", "extra": ["-d", "100"], "calls": 3}
    far = sipp("uas_basic", net.PBX, 5070, ear=ear(net.PBX), **how)
    near = sipp("uac_basic", net.STRANGER, 5066, out.address, ear=ear(net.STRANGER), **how)
    wait_all(near, far)
    records = daemon.wait_cdrs(3)
    assert {(r["source"], r["target"], r["end_code"]) for r in records} == {("peer:carrier", "peer:pbx", 200)}
    detail = daemon.api.get("/v1/calls/" + records[0]["id"])
    assert [leg["tls"]["certified"] for leg in detail["legs"]] == [True, True]
    assert detail["trace"][0] == {"step": "certificate", "name": "carrier", "result": "matched"}
    metrics = daemon.api.metrics()
    assert metrics['postern_tls_handshakes_total{result="ok"}'] >= 2
    assert metrics['postern_tls_handshakes_total{result="error"}'] == 0


@pytest.mark.parametrize("shown", ["its own", "another's", "none"])
def test_a_peer_is_whom_its_certificate_names(house, ua, exchange, pki, shown):
    daemon = house(listeners=tls_house(pki, client_ca=pki.cert, verify_client="optional"),
                   peers={"carrier": {"sources": None, "certificates": [CARRIER_NAME]}, "pbx": pbx_over_tls(pki)},
                   users=None, routes=[{"name": "inbound", "from": "carrier", "to": ["pbx"]}])
    leaf = {"its own": pki.leaf("carrier", "DNS:" + CARRIER_NAME), "another's": pki.leaf("other", "DNS:other.example"),
            "none": None}[shown]
    near = ua(net.STRANGER, name="carry", transport="tls", proxy=(net.OUT, 5061), dial=pki.client(leaf))
    callee = exchange()
    if shown != "its own":
        assert near.invite("+15550100", offer(near.ip, "carry")).result().status == 403
        return
    hang_up(*established((near, callee)))
    assert daemon.cdr()["source"] == "peer:carrier"


def test_the_leak_scanner_reads_what_tls_carries(house, ua, pki, exchange):
    house(listeners=tls_house(pki), peers={"pbx": pbx_over_tls(pki)})
    near, far = ua(net.CARRIER, 5060, name="carry"), exchange()
    hang_up(*established((near, far)))
    here, there = (net.IN, 5061), (net.PBX, far.port)
    told = [p.payload for p in plain.packets() if (p.src, p.dst) == (net.IN, net.PBX)]
    assert any(m.startswith(b"INVITE") for m in told) and len(told) < len(plain.packets())  # both ways
    assert house.leaks() == []
    slip = next(m for m in told if m.startswith(b"INVITE")).replace(b"Max-Forwards", f"X-Seen: {net.CARRIER}\r\nMax-Forwards".encode())
    plain.note(here, there, slip)
    assert [(to, whose, word) for to, whose, word, _ in house.leaks()] == [("pbx", "carrier", net.CARRIER)]
    plain.forget()


def test_a_certificate_of_a_strange_authority_gets_nowhere(house, ua, tmp_path, pki):
    import ssl
    daemon = house(listeners=tls_house(pki, client_ca=pki.cert, verify_client="optional"))
    strange = Pki(tmp_path, "strange")
    context = pki.client(strange.leaf("carrier", "DNS:" + CARRIER_NAME))
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # where the refusal is part of the handshake
    near = ua(net.STRANGER, transport="tls", proxy=(net.OUT, 5061), dial=context)
    with pytest.raises(ssl.SSLError):
        near.connect()
    net.until(lambda: daemon.api.metrics()['postern_tls_handshakes_total{result="certificate"}'] == 1, 3)
    assert near.nothing() is None


def test_who_must_show_a_certificate_and_does_not_is_refused(house, ua, pki):
    daemon = house(listeners=tls_house(pki, client_ca=pki.cert, verify_client="required"))
    near = ua(net.PHONE1, transport="tls", proxy=(net.OUT, 5061), dial=pki.client())
    with pytest.raises((OSError, AssertionError)):
        near.options(1)
    net.until(lambda: daemon.api.metrics()['postern_tls_handshakes_total{result="certificate"}'] >= 1, 3)


@pytest.mark.parametrize("fault", ["name", "authority", "expired"])
def test_a_target_that_is_not_who_it_should_be_is_passed_over(house, ua, exchange, tmp_path, pki, fault):
    """The second target of the PBX is the right one, and the call is set up there at once."""
    daemon = house(listeners=tls_house(pki), node={"workers": 1}, peers={"pbx": {  # each worker tries for itself
        **pbx_over_tls(pki), "targets": [f"sip:{net.PBX}:5072;transport=tls", f"sip:{net.PBX}:5071;transport=tls"],
        "failover": {"timeout": "10s"}}})
    leaf = {"name": lambda: pki.leaf("wrong", "DNS:wrong.example"),
            "authority": lambda: Pki(tmp_path, "strange").leaf("x", "DNS:" + PBX_NAME),
            "expired": lambda: pki.leaf("old", "DNS:" + PBX_NAME, days=-1)}[fault]()
    wrong, right = exchange(leaf, port=5072), exchange()
    near = ua(net.CARRIER, 5060, name="carry")
    call = near.invite("+15550100", offer(near.ip, "carry"))
    net.until(lambda: (wrong.pump(0.01), wrong.refused)[1], 3, "the wrong target was not tried")
    far = right.incoming()
    far.reply(200, offer(right.ip, right.name))
    call.result()
    call.ack()
    far.expect("ACK")
    assert not wrong.inbox
    again = near.invite("+15550100", offer(near.ip, "carry"))  # now the wrong one is left alone
    far2 = right.incoming()
    far2.reply(486)
    assert again.result().status == 486
    assert len(wrong.refused) == 1
    hang_up(call, far)
    details = [daemon.api.get("/v1/calls/" + r["id"]) for r in daemon.wait_cdrs(2)]
    results = sorted([at["result"] for at in d["attempts"]] for d in details)
    assert results == [["unreachable", "answered"], ["unreachable", "refused"]]


def test_our_client_certificate_opens_the_door(house, ua, exchange, pki):
    own = pki.leaf("ours", "DNS:edge.example.test")
    house(listeners=tls_house(pki), peers={"pbx": pbx_over_tls(pki, **own)})
    near, callee = ua(net.CARRIER, 5060, name="carry"), exchange(ask=True)
    hang_up(*established((near, callee)))
    stream = next(iter(callee.streams))
    assert names_of(stream) == ["edge.example.test"]


# --- sips ---

@pytest.mark.parametrize("target, status", [(f"sips:{net.PBX}:5071", 200), (f"sip:{net.PBX}:5071;transport=tls", 200),
                                            (f"sip:{net.PBX}:5070", 480), (f"sip:{net.PBX}:5070;transport=tcp", 480)])
def test_sips_goes_on_over_tls_or_not_at_all(house, ua, exchange, pki, target, status):
    daemon = house(listeners=tls_house(pki), peers={"pbx": {**pbx_over_tls(pki), "targets": [target]}})
    near = ua(net.CARRIER, 5062, name="carry", transport="tls", proxy=(net.OUT, 5061), dial=pki.client())
    callee = exchange()
    call = near.invite("+15550100", offer(near.ip, "carry"), uri=f"sips:+15550100@{net.OUT}:5061")
    if status == 480:
        answer = call.result()
        assert answer.status == 480 and answer.get("Warning").startswith("380 ")
        assert daemon.cdr()["attempts"] == []
        return
    far = callee.incoming()
    assert far.invite.uri.startswith("sips:") and ";transport" not in far.invite.uri
    assert far.invite.contact_uri.startswith("sips:") and far.invite.get("Via").startswith("SIP/2.0/TLS ")
    far.reply(200, offer(callee.ip, callee.name))
    assert call.result().contact_uri.startswith("sips:")
    call.ack()
    far.expect("ACK")
    hang_up(call, far)


def test_sips_in_the_open_is_refused(house, ua, pki):
    house(listeners=tls_house(pki))
    near = ua(net.CARRIER, 5060, name="carry")
    assert near.invite("+15550100", uri=f"sips:+15550100@{net.OUT}").result().status == 416


def test_plain_uris_say_which_transport_they_mean(house, ua, exchange, pki):
    house(listeners=tls_house(pki), peers={"pbx": pbx_over_tls(pki)})
    near, callee = ua(net.CARRIER, 5060, name="carry"), exchange()
    near_call, far_call = established((near, callee))
    assert far_call.invite.uri == f"sip:+15550100@{net.PBX}:5071;transport=tls"
    assert far_call.target.endswith(f"@{net.IN}:5061;transport=tls")
    hang_up(near_call, far_call)


def test_a_dialog_over_tls_is_not_changed_in_the_open(house, ua, exchange, pki):
    """Somebody at the PBX's own address, who even knows the dialog, but speaks UDP."""
    house(listeners=tls_house(pki), peers={"pbx": pbx_over_tls(pki)})
    near, callee = ua(net.CARRIER, 5060, name="carry"), exchange()
    near_call, far_call = established((near, callee))
    open_ua = ua(net.PBX, 5070, name="exchange", proxy=(net.IN, 5060))
    bye = open_ua.request("BYE", far_call.target, from_=far_call.local, to=far_call.remote, call_id=far_call.call_id,
                          cseq=far_call.cseq + 1)
    assert open_ua.expect(lambda m: m.call_id == bye.call_id).status == 481
    near.nothing("BYE")
    far_call.cseq += 1
    hang_up(near_call, far_call)


# --- registrations ---

def test_a_registered_phone_is_called_over_its_connection_and_gone_with_it(house, ua, pki):
    daemon = house(listeners=tls_house(pki))
    near = ua(net.PHONE1, name="desk", transport="tls", proxy=(net.OUT, 5061), dial=pki.client())
    assert register(near, "1001", "one-secret").status == 200
    listed(daemon, 1)
    caller = ua(net.PBX, 5070, name="exchange", proxy=(net.IN, 5060))
    call = caller.invite("1001", offer(caller.ip, "exchange"))
    far = near.incoming()
    far.reply(200, offer(near.ip, "desk"))
    assert call.result().status == 200
    call.ack()
    far.expect("ACK")
    hang_up(call, far)
    near.uplink.sock.close()
    listed(daemon, 0)


def test_a_connection_that_stops_answering_pings_is_dropped_with_its_registration(house, ua, pki):
    daemon = house(listeners=tls_house(pki), sip={"keepalive": "1s", "keepalive_answer": "2s"})
    near = ua(net.PHONE1, name="desk", transport="tls", proxy=(net.OUT, 5061), dial=pki.client())
    assert register(near, "1001", "one-secret").status == 200
    listed(daemon, 1)
    near.uplink.sock.settimeout(30)
    for _ in range(3):  # answered so often, an answer is what silence is measured by
        assert near.uplink.sock.recv(100) == b"\r\n\r\n"
        near.uplink.sock.sendall(b"\r\n")
    assert near.uplink.sock.recv(100) == b"\r\n\r\n"
    listed(daemon, 0)
    metrics = daemon.api.metrics()
    assert metrics['postern_sip_pings_total{result="lost"}'] >= 1
    near.uplink.closed = True
    assert register(near, "1001", "one-secret").status == 200  # a new connection, as if nothing had been
    near.uplink.sock.sendall(b"\r\n\r\n")  # and it answers ours
    near.uplink.sock.settimeout(30)
    assert near.uplink.sock.recv(2) == b"\r\n"


# --- reload ---

def reload(daemon, config=None, say="is in force"):
    if config is not None:
        daemon.write_config(config)
    before = daemon.log().count(say.encode())
    daemon.signal(signal.SIGHUP)
    net.until(lambda: daemon.log().count(say.encode()) > before, 5, f"the log does not say '{say}'\n{daemon.tail()}")


def test_certificates_are_replaced_while_100_calls_are_up(house, ua, exchange, pki):
    """Server and client ones, by new files under the old names; nothing drops, new handshakes see them."""
    calls = 100
    own = pki.leaf("ours", "DNS:edge.example.test")
    daemon = house(media_capture=False, listeners=tls_house(pki), peers={"pbx": pbx_over_tls(pki, **own)})
    near = ua(net.CARRIER, 5062, name="carry", transport="tls", proxy=(net.OUT, 5061), dial=pki.client())
    callee = exchange(ask=True)
    up = [established((near, callee)) for _ in range(calls)]
    old_server, old_client = serial_of(near.uplink.sock), serial_of(next(iter(callee.streams)))
    old_expiry = daemon.api.metrics()['postern_tls_cert_expiry_timestamp_seconds{cert="listener:outside"}']
    pki.leaf("postern", f"IP:{net.OUT},IP:{net.IN}", days=9)
    pki.leaf("ours", "DNS:edge.example.test", days=9)
    reload(daemon)
    assert daemon.api.system()["calls"]["answered"] == calls
    for call, far in up:
        call.answer_to(call.send("OPTIONS"))
        far.answer_to(far.send("OPTIONS"))
    assert len(near.streams) == 1 and not near.uplink.closed
    with ua(net.PHONE1, transport="tls", proxy=(net.OUT, 5061), dial=pki.client()) as fresh:
        assert fresh.options() == 200
        assert serial_of(fresh.uplink.sock) != old_server
    metrics = daemon.api.metrics()
    assert metrics['postern_tls_cert_expiry_timestamp_seconds{cert="listener:outside"}'] > old_expiry
    assert metrics['postern_tls_cert_expiry_timestamp_seconds{cert="peer:pbx"}'] > old_expiry
    for call, far in up:
        hang_up(call, far)
    for stream in list(callee.streams):  # the next call dials again, and shows the new client certificate
        callee.selector.unregister(stream)
        stream.close()
        del callee.streams[stream]
    net.until(lambda: daemon.api.system()["connections"] <= 1, 3, "the daemon has not noticed")
    hang_up(*established((near, callee)))
    assert serial_of(next(iter(callee.streams))) != old_client
    daemon.wait_cdrs(calls + 1, 10)


def test_a_bad_certificate_refuses_the_reload_and_changes_nothing(house, ua, pki):
    daemon = house(listeners=tls_house(pki))
    good = daemon.config["listeners"]["outside"]["tls"]
    with ua(net.PHONE1, transport="tls", proxy=(net.OUT, 5061), dial=pki.client()) as near:
        assert near.options() == 200
        serial = serial_of(near.uplink.sock)
    with open(good["certificate"], "r+", encoding="ascii") as f:
        text = f.read()
        f.seek(0)
        f.write("nothing of use\n")
        f.truncate()
    reload(daemon, say="was not reloaded")
    place = f"listeners.outside.tls.certificate: '{good['certificate'][:64]}"
    assert any(place in line.get("msg", "") and line["msg"].startswith(daemon.config_path)
               for line in daemon.log_lines()), daemon.tail()
    with ua(net.PHONE1, transport="tls", proxy=(net.OUT, 5061), dial=pki.client()) as near:
        assert near.options() == 200 and serial_of(near.uplink.sock) == serial
    with open(good["certificate"], "w", encoding="ascii") as f:
        f.write(text)
    reload(daemon)


def test_a_peer_is_known_by_its_certificate_as_soon_as_the_configuration_says_so(house, ua, exchange, pki):
    daemon = house(listeners=tls_house(pki, client_ca=pki.cert, verify_client="optional"),
                   peers={"pbx": pbx_over_tls(pki)}, users=None, routes=[{"name": "in", "from": "carrier", "to": ["pbx"]}])
    near = ua(net.STRANGER, name="carry", transport="tls", proxy=(net.OUT, 5061),
              dial=pki.client(pki.leaf("carrier", "DNS:" + CARRIER_NAME)))
    callee = exchange()
    assert near.invite("+15550100", offer(near.ip, "carry")).result().status == 403
    config = json.loads(json.dumps(daemon.config))
    config["peers"]["carrier"]["certificates"] = [CARRIER_NAME]
    reload(daemon, config)

    def let_in():  # the workers hear of the configuration by mail
        call = near.invite("+15550100", offer(near.ip, "carry"))
        return call if call.wait(lambda m: True).status == 100 else None
    call = net.until(let_in, 5, "the certificate counts for nothing")
    far = callee.incoming()
    far.reply(486)
    assert call.result().status == 486
    assert len(near.streams) == 1  # over the connection that was there before


def test_the_check_command_reads_certificates(house, pki, postern_bin):
    import subprocess
    daemon = house(listeners=tls_house(pki))
    os.unlink(daemon.config["listeners"]["inside"]["tls"]["key"])
    done = subprocess.run([postern_bin, "check", "--config", daemon.config_path], cwd=daemon.work, capture_output=True,
                          text=True, check=False)
    assert done.returncode == 1 and "tls.key: " in done.stderr and "No such file" in done.stderr, done.stderr
