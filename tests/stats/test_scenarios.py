"""Requests that are told apart by scenario, on their way through recorder, deltas and sums."""

from obswarm.stats import EndpointKey, InFlight, Recorder, scenario_totals, without_scenarios
from obswarm.stats.codec import DeltaSum, pack_in_flight, pack_table, unpack_in_flight


def test_requests_have_the_scenario_that_runs_when_they_are_recorded() -> None:
    recorder, names = Recorder(), ["browse"]
    recorder.tell_scenarios_apart(lambda: names[-1])
    recorder.record_response("GET", "/", 0.1, 10, 200)
    recorder.record("GET", "/", 0.2, 10, 500, "broken")
    names.append("")
    recorder.record_response("GET", "/", 0.3, 10, 200)
    names.append("buy")
    recorder.record_response("GET", "/", 0.4, 10, 200)
    assert recorder.record_failure("GET", "/", "late") is False
    deltas = DeltaSum()
    deltas.add(pack_table(recorder.take()))
    table = deltas.take(10)
    browse, none, buy = (table.endpoints[EndpointKey("GET", "/", name)] for name in ("browse", "", "buy"))
    assert [(each.requests, each.failures) for each in (browse, none, buy)] == [(2, 1), (1, 0), (1, 1)]
    assert (browse.key.label, none.key.label) == ("GET / (browse)", "GET /")
    assert (browse.key.labels, none.key.labels) == (("GET", "/", "browse"), ("GET", "/"))
    assert browse.key.document == {"method": "GET", "name": "/", "scenario": "browse"}
    assert none.key.document == {"method": "GET", "name": "/"}
    totals = scenario_totals(table.endpoints.values())
    assert {name: each.requests for name, each in totals.items()} == {"browse": 2, "buy": 1}
    (alike,) = without_scenarios(table.endpoints).values()
    assert (alike.key, alike.requests, alike.failures) == (EndpointKey("GET", "/"), 4, 2)
    assert browse.requests == 2, "the parts stay as they are"


def test_requests_in_flight_have_the_scenario_that_ran_when_they_were_started() -> None:
    recorder, names = Recorder(), ["browse"]
    recorder.tell_scenarios_apart(lambda: names[-1])
    recorder.pending["a"] = ("GET", "/", 1.0, False)
    names.append("")
    recorder.pending["b"] = ("GET", "/", 2.0, False)
    found = recorder.in_flight(5.0)
    assert {key: each.count for key, each in found.items()} == {
        EndpointKey("GET", "/", "browse"): 1,
        EndpointKey("GET", "/"): 1,
    }
    sent = unpack_in_flight(pack_in_flight(found))
    assert {key: (each.count, each.oldest_s) for key, each in sent.items()} == {
        EndpointKey("GET", "/", "browse"): (1, 4.0),
        EndpointKey("GET", "/"): (1, 3.0),
    }
    assert isinstance(sent[EndpointKey("GET", "/")], InFlight)
