"""The admin API of a running daemon: access, lists, problems, metrics."""
import os
import re
import stat

from kit import net
from kit.calls import established, hang_up, offer
from kit.sip import write_sdp


def problem(answer, status):
    assert answer.status == status, answer
    assert answer.headers["Content-Type"].startswith("application/problem+json"), answer.headers
    body = answer.json
    assert body["status"] == status and body["title"]
    return body


def test_token_is_made_with_the_right_mode_and_guards_everything(house):
    daemon = house()
    path = daemon.api.token_file
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    for target in ("/v1/calls", "/v1/calls/x", "/v1/cdrs", "/v1/registrations", "/v1/peers", "/v1/system"):
        answer = daemon.api.request("GET", target, token=False)
        problem(answer, 401)
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        problem(daemon.api.request("GET", target, token="wrong" * 8), 401)
    for target in ("/healthz", "/readyz", "/metrics"):
        assert daemon.api.request("GET", target, token=False).status == 200
    assert daemon.api.token() not in daemon.log().decode()


def test_threads_have_names(house):
    tasks = f"/proc/{house().process.pid}/task"
    names = []
    for task in os.listdir(tasks):
        with open(f"{tasks}/{task}/comm", encoding="ascii") as comm:
            names.append(comm.read().strip())
    assert {"worker 0", "worker 1", "store", "guard", "crypto"} <= set(names), names


def test_token_stays_over_a_restart(house):
    daemon = house()
    token = daemon.api.token()
    assert daemon.stop() == 0
    daemon.start()
    assert daemon.api.token() == token and daemon.api.system()["node"] == "e2e"


def test_guessing_is_slowed_down(house):
    house.check_end = False  # the questions at the end would be refused, too
    daemon = house()
    seen = [daemon.api.request("GET", "/v1/system", token="guess%04d" % i).status for i in range(60)]
    assert set(seen) <= {401, 429} and seen[-1] == 429
    answer = daemon.api.request("GET", "/v1/system", token="guess")
    assert int(answer.headers["Retry-After"]) > 0


def test_problems(house):
    daemon = house()
    api = daemon.api
    problem(api.request("GET", "/v1/nothing"), 404)
    problem(api.request("GET", "/v1/calls/0000000000000"), 404)
    problem(api.request("GET", "/v1/calls/!!"), 404)
    problem(api.request("DELETE", "/v1/calls/0000000000000"), 404)
    wrong = api.request("POST", "/v1/calls", data=b"{}")
    problem(wrong, 405)
    assert "GET" in wrong.headers["Allow"]
    unknown = problem(api.request("GET", "/v1/calls", {"stat": "live"}), 400)
    assert "state" in str(unknown)
    for query in ({"limit": "0"}, {"limit": "1001"}, {"limit": "x"}, {"cursor": "%%%"}, {"state": "maybe"}, {"since": "noon"},
                  {"code": "9999"}):
        problem(api.request("GET", "/v1/calls", query), 400)
    assert api.request("GET", "/v1/" + "x" * 20000).status in (404, 414)
    big = api.request("DELETE", "/v1/calls/0000000000000", data=b"x" * 100000)
    assert big.status in (404, 413)


def test_every_answer_has_a_request_id_and_is_not_cached(house):
    daemon = house()
    ids = set()
    for _ in range(3):
        answer = daemon.api.request("GET", "/v1/system")
        assert "no-store" in answer.headers["Cache-Control"]
        ids.add(answer.headers["X-Request-Id"])
    assert len(ids) == 3 and None not in ids
    head = daemon.api.request("HEAD", "/v1/system")
    assert head.status == 200 and head.body == ""


def test_calls_are_listed_filtered_and_paged(house, pair):
    daemon = house()
    for i in range(7):
        near, far = established(pair, f"+1555010{i}")
        hang_up(near, far)
    a, b = pair
    near = a.invite("+15550200", offer(a.ip, a.name))
    far = b.incoming()
    far.reply(486)
    far.expect("ACK")
    near.result()
    daemon.wait_cdrs(8)
    near, far = established(pair, "+15550300")
    api = daemon.api
    net.until(lambda: len(api.calls()) == 9, 3, "nine calls are due")
    assert [c["called"] for c in api.calls(state="live")] == ["+15550300"]
    assert len(api.calls(state="ended")) == 8 and len(api.calls(state="all")) == 9
    assert [c["called"] for c in api.calls(code=486)] == ["+15550200"]
    assert len(api.calls(called="+15550103")) == 1 and len(api.calls(calling="+15550111")) == 9
    assert len(api.calls(party="+15550103")) == 1 and api.calls(party="+19") == []
    assert len(api.calls(source="peer:carrier")) == 9 and api.calls(target="peer:carrier") == []
    assert len(api.calls(route="inbound")) == 9 and api.calls(route="outbound") == []
    starts = [c["start"] for c in api.calls()]
    assert starts == sorted(starts, reverse=True)
    assert len(api.calls(since=starts[2])) == sum(1 for start in starts if start >= starts[2])
    assert len(api.calls(until=starts[-1])) in (0, 1)
    hang_up(near, far)
    seen, cursor = [], None
    for _ in range(9):
        page = api.get("/v1/calls", limit=2, **({"cursor": cursor} if cursor else {}))
        assert len(page["items"]) <= 2
        seen += [c["id"] for c in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert len(seen) == 9 == len(set(seen)) and seen == [c["id"] for c in api.calls()]


def test_live_call_shows_both_legs_media_and_trace(house, pair, ear):
    daemon = house()
    a, b = pair
    mouth, listener = ear(net.CARRIER, 500), ear(net.PBX, 800)
    near = a.invite("+15550100", write_sdp(a.ip, mouth.port, a.name))
    far = b.incoming()
    far.reply(200, write_sdp(b.ip, listener.port, b.name))
    near.result()
    near.ack()
    far.expect("ACK")
    mouth.talk(near.answer.sdp.media)
    listener.talk(far.invite.sdp.media)
    listener.hears(500)
    call = daemon.api.get("/v1/calls/" + daemon.live()["id"])
    assert call["live"] is True and call["state"] == "answered" and call["end"] is None
    assert {leg["sip_call_id"] for leg in call["legs"]} == {near.call_id, far.call_id}
    assert [leg["remote"] for leg in call["legs"]] == [f"{net.CARRIER}:5060", f"{net.PBX}:5070"]
    media = call["media"][0]
    assert media["caller"]["remote"] == f"{net.CARRIER}:{mouth.port}" and media["caller"]["latched"] == "exact"
    assert media["caller"]["rx_packets"] > 20
    assert any(step["name"] == "inbound" for step in call["trace"])
    peers = {p["name"]: p for p in daemon.api.get("/v1/peers")["items"]}
    assert (peers["carrier"]["calls_now"], peers["pbx"]["calls_now"]) == (1, 1)
    hang_up(near, far)
    daemon.wait_quiet()
    peers = {p["name"]: p for p in daemon.api.get("/v1/peers")["items"]}
    assert (peers["carrier"]["calls_now"], peers["pbx"]["calls_now"]) == (0, 0)
    daemon.wait_cdrs(1)
    after = daemon.api.get("/v1/calls/" + call["id"])
    assert after["live"] is False and after["media"][0]["caller"]["rx_packets"] > 20


def test_a_peer_and_its_target_are_drained_by_switches_of_their_own(house):
    daemon = house()
    drain, uri = "/v1/peers/pbx/drain", f"sip:{net.PBX}:5070"

    def drained():
        pbx = next(p for p in daemon.api.get("/v1/peers")["items"] if p["name"] == "pbx")
        return pbx["drained"], [t["drained"] for t in pbx["targets"] if t["uri"] == uri]

    assert daemon.api.request("POST", drain).status == 200
    assert daemon.api.request("POST", drain, {"target": uri}).status == 200
    assert drained() == (True, [True])
    assert daemon.api.delete(drain).status == 200
    assert drained() == (False, [True])
    assert daemon.logged("peer pbx: as a whole no longer drained") and not daemon.logged("in use again")
    assert daemon.api.delete(drain + "?target=" + uri).status == 200
    assert drained() == (False, [False])
    assert daemon.api.delete(drain + "?target=sip:192.0.2.250").status == 404


def test_cdr_figures(house, pair):
    daemon = house()
    near, far = established(pair)
    hang_up(near, far)
    record = daemon.wait_cdrs(1)[0]
    for key in ("pdd_ms", "ring_ms", "duration_ms", "billsec"):
        assert record[key] is not None and 0 <= record[key] < 10000, (key, record)
    for key in ("start", "answer", "end"):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", record[key]), record


LINE = re.compile(r'^[a-zA-Z_:][a-zA-Z0-9_:]*(\{[a-zA-Z_][a-zA-Z0-9_]*="[^"\\]*"(,[a-zA-Z_][a-zA-Z0-9_]*="[^"\\]*")*\})? '
                  r'-?[0-9.e+]+$')


def test_metrics_parse_as_prometheus_text(house, pair):
    daemon = house()
    near, far = established(pair)
    hang_up(near, far)
    answer = daemon.api.request("GET", "/metrics", token=False)
    assert answer.headers["Content-Type"].startswith("text/plain")
    typed, current, seen = {}, None, set()
    for line in answer.body.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name not in typed, f"{name} is typed twice"
            typed[name] = kind
            current = name
        elif not line.startswith("#"):
            assert LINE.match(line), line
            name = line.partition(" ")[0].partition("{")[0]
            if typed[current] == "histogram":
                assert name in (current + "_bucket", current + "_sum", current + "_count"), line
                continue
            assert name == current, f"{line} stands under {current}"
            assert line.rpartition(" ")[0] not in seen
            seen.add(line.rpartition(" ")[0])
            assert (typed[name] == "counter") == name.endswith("_total")
    metrics = daemon.api.metrics()
    assert metrics["postern_calls_answered_total"] == 1 == metrics["postern_calls_ended_total"]
    assert 'postern_calls{state="answered"}' in metrics


def test_index_and_health(house):
    daemon = house()
    assert daemon.api.request("GET", "/healthz", token=False).json["status"] == "ok"
    assert "calls" in daemon.api.request("GET", "/v1").body
    ready = daemon.api.request("GET", "/readyz", token=False)
    assert ready.status == 200 and ready.json


def test_api_over_a_unix_socket(house, tmp_path):
    import socket
    house.check_end = False
    path = str(tmp_path / "admin.sock")
    daemon = house(ready=False, admin={"listen": "unix:" + path})
    net.until(lambda: os.path.exists(path) or not daemon.alive(), 10, "no socket")

    def ask():
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(20)
            try:
                s.connect(path)
            except OSError:
                return None
            s.sendall(b"GET /readyz HTTP/1.0\r\n\r\n")
            return s.recv(4096)
    net.until(lambda: (ask() or b"").startswith(b"HTTP/1.1 200"), 10, f"no answer: {ask()}")
    assert daemon.stop() == 0


def test_system_tells_what_goes_on(house, pair):
    daemon = house()
    near, far = established(pair)
    system = daemon.api.system()
    assert system["workers"] == 2 and system["draining"] is False
    assert system["calls"]["answered"] == 1 and system["calls"]["legs"] == 2
    assert system["media"]["sessions"] == 1 and system["media"]["ports_used"] > 0
    assert system["store"]["ok"] is True
    hang_up(near, far)
