"""Limits over real sockets and two workers: as many pass as there is room, and the API tells how much is in use."""
from kit import net
from kit.calls import offer


def rows(daemon, **query):
    return {row["limit"]: row for row in daemon.api.get("/v1/limits", **query)["items"]}


def test_counts_are_exact_across_workers_and_shown(house, ua):
    daemon = house(node={"workers": 2}, limits={
        "sources": {"early_calls": 7, "warn_at": 50, "refuse": {"status": 486, "reason": "Ringing enough", "retry_after": "9s"}},
        "destinations": [{"name": "abroad", "called": "+1*", "numbers": 20, "parallel": 20}]})
    a, b = ua(net.CARRIER, 5060), ua(net.PBX, 5070, proxy=(net.IN, 5060))
    calls = [a.invite("+15550100", offer(a.ip, f"n{i}")) for i in range(30)]  # by Call-ID to both workers
    for _ in range(23):
        rsp = a.expect(486)
        assert rsp.get("Retry-After") == "9" and rsp.start == "SIP/2.0 486 Ringing enough"
        next(c for c in calls if c.call_id == rsp.call_id).ack_failure(rsp)
    assert rows(daemon, scope="source")["limits.sources.early_calls"] == {
        "limit": "limits.sources.early_calls", "scope": "source", "name": net.CARRIER, "use": 7, "max": 7, "warn_at": 4, "near": True,
        "warnings": 1, "refused": 23}
    abroad = rows(daemon, scope="destination")
    assert abroad["limits.destinations.abroad.parallel"]["use"] == 7
    assert abroad["limits.destinations.abroad.parallel"]["name"] == "abroad peer:carrier"
    assert abroad["limits.destinations.abroad.numbers"]["use"] == 1
    assert rows(daemon)["limits.calls"]["use"] == 7
    ringing = [b.incoming() for _ in range(7)]
    for leg in ringing:
        leg.reply(486)
    records = daemon.wait_cdrs(30)
    assert sum(r["end_reason"] == "Ringing enough" for r in records) == 23
    refused = next(r for r in records if r["end_reason"] == "Ringing enough")
    trace = daemon.api.get("/v1/calls/" + refused["id"])["trace"]
    assert trace[-1] == {"step": "over", "name": "limits.sources.early_calls", "result": "7 of 7 in use: Ringing enough"}
    assert rows(daemon, scope="source") == {}
    metrics = daemon.api.metrics()
    assert metrics['postern_limit_reached_total{limit="early_calls"}'] == 23
    assert metrics['postern_limit_warnings_total{limit="early_calls"}'] == 1
    assert metrics['postern_limit_use{scope="node",name="",limit="calls"}'] == 0
    assert metrics['postern_limit_max{scope="node",name="",limit="calls"}'] == 20000
    assert metrics['postern_destination_calls{destination="abroad"}'] == 0
