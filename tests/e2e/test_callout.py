"""Routes decided by an HTTP server: a real one in this test, asked by the real daemon."""
import http.server
import json
import threading

from kit import net
from kit.calls import hang_up, offer, settle


class Decider:
    """Answers what it is told to, or not before it is let go."""

    def __init__(self):
        self.asked, self.answer, self.status = [], {"action": "continue"}, 200
        self.go = threading.Event()
        self.go.set()
        decider = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                decider.asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                decider.go.wait(20)
                body = json.dumps(decider.answer).encode()
                self.send_response(decider.status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass
        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/route"
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.05,))
        self.thread.start()

    def end(self):
        self.go.set()
        self.http.shutdown()
        self.thread.join()
        self.http.server_close()


def deciding(house, decider, **how):
    base = [{"name": "ask", "from": "carrier", "match": {"called": "+*"}, "callout": "lnp"},
            {"name": "rest", "from": "carrier", "refuse": {"status": 404}}]
    return house(callouts={"lnp": {"url": decider.url, "timeout": "10s", **how}}, routes=base)


def test_the_server_decides_and_the_caller_waits(house, pair, keep):
    decider = keep(Decider())
    daemon = deciding(house, decider)
    a, b = pair
    decider.answer = {"action": "route", "targets": ["pbx"]}
    decider.go.clear()
    near = a.invite("+15550100", offer(a.ip, a.name))
    near.wait(100)
    net.until(lambda: decider.asked, 5, "nobody asked")
    b.nothing("INVITE")
    assert daemon.api.system()["calls"]["setup"] == 1  # and the workers answer meanwhile
    decider.go.set()
    far = b.incoming()
    far.reply(200, offer(b.ip, b.name))
    near.result()
    near.ack()
    far.expect("ACK")
    settle(near)
    hang_up(near, far)
    call = daemon.cdr()
    question = decider.asked[0]
    assert question["call"] == call["id"] and question["called"] == "+15550100" and question["source"] == "peer:carrier"
    assert {"step": "route", "name": "ask", "result": "answered by HTTP"} in call["trace"]
    assert daemon.api.metrics()['postern_callouts_total{result="answered"}'] == 1


def test_refusal_fallback_and_a_cancelled_wait(house, pair, keep):
    decider = keep(Decider())
    daemon = deciding(house, decider, failures=1, pause="1h", fallback=504)
    a, b = pair
    decider.answer = {"action": "refuse", "status": 604, "reason": "Given back"}
    near = a.invite("+15550100", offer(a.ip, a.name))
    assert near.result().start == "SIP/2.0 604 Given back"
    decider.answer = {"action": "continue"}
    assert a.invite("+15550101", offer(a.ip, a.name)).result().status == 404
    decider.go.clear()
    near = a.invite("+15550102", offer(a.ip, a.name))
    net.until(lambda: len(decider.asked) == 3, 5, "nobody asked")
    near.cancel()
    assert near.result().status == 487
    decider.go.set()
    decider.status = 500
    assert a.invite("+15550103", offer(a.ip, a.name)).result().status == 504
    asked = len(decider.asked)
    assert a.invite("+15550104", offer(a.ip, a.name)).result().status == 504  # its circuit is open
    assert len(decider.asked) == asked
    b.nothing("INVITE")
    daemon.wait_cdrs(5)
    told = daemon.api.request("POST", "/v1/explain", {"source": net.CARRIER},
                              data=bytes(a.build("INVITE", f"sip:+15550100@{net.OUT}")))
    assert told.json["verdict"]["action"] == "callout" and told.json["verdict"]["route"] == "ask"
    assert len(decider.asked) == asked
