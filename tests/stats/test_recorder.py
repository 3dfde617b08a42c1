from obswarm.stats import OTHER, Aggregate, EndpointKey, ErrorKey, Recorder, StatsTable


def test_a_request_is_counted_once_and_in_one_delta_only() -> None:
    recorder = Recorder()
    recorder.record("GET", "/", 0.1, 100, 200)
    first = recorder.take()
    recorder.record("GET", "/", 0.2, 50, 500, "boom")
    second = recorder.take()
    assert first.endpoints[EndpointKey("GET", "/")].requests == 1
    assert second.endpoints[EndpointKey("GET", "/")].failures == 1
    assert list(second.errors) == [ErrorKey("GET", "/", "boom")]
    assert not recorder.take().endpoints


def test_endpoints_beyond_the_limit_count_as_other_and_the_first_offenders_are_named() -> None:
    recorder = Recorder(max_endpoints=10)
    for number in range(1000):
        recorder.record("GET", f"/{number}", 0.1, error="failed" if number % 2 else None)
    table = recorder.take()
    assert len(table.endpoints) == 10
    assert table.endpoints[OTHER].requests == 991
    assert table.total().requests == 1000
    assert table.overflow_names == ["/9", "/10", "/11", "/12", "/13"]
    assert sum(seen.count for seen in table.errors.values()) == 500
    assert len(table.errors) <= 11


def test_kinds_of_errors_are_bounded_and_none_is_lost() -> None:
    table = StatsTable(max_errors=5)
    recorder = Recorder()
    for number in range(100):
        recorder.record("GET", "/", 0.1, error=f"kind {'x' * number}")
    table.merge(recorder.take())
    assert len(table.errors) <= 6
    assert sum(seen.count for seen in table.errors.values()) == 100


def test_an_aggregate_hands_out_copies_that_later_deltas_do_not_change() -> None:
    aggregate, recorder = Aggregate(), Recorder()
    recorder.record("GET", "/a", 0.1)
    recorder.record("GET", "/b", 0.1)
    aggregate.merge(recorder.take())
    before = aggregate.endpoints()
    recorder.record("GET", "/a", 0.1)
    aggregate.merge(recorder.take())
    after = aggregate.endpoints()
    a, b = EndpointKey("GET", "/a"), EndpointKey("GET", "/b")
    assert (before[a].requests, after[a].requests) == (1, 2)
    assert before[b] is after[b], "what has not changed is not copied again"
    assert aggregate.total().requests == 3


def test_the_limit_holds_for_the_whole_fleet() -> None:
    aggregate = Aggregate(max_endpoints=10)
    for worker in range(3):
        recorder = Recorder(max_endpoints=10)
        for number in range(10):
            recorder.record("GET", f"/{worker}/{number}", 0.1)
        aggregate.merge(recorder.take())
    assert len(aggregate.endpoints()) == 10
    assert sum(stats.requests for stats in aggregate.endpoints().values()) == 30
    assert aggregate.total().requests == 30


def test_exceptions_of_user_code_are_counted_by_message() -> None:
    recorder = Recorder()
    recorder.record_exception("KeyError: 'a'", "Traceback…")
    recorder.record_exception("KeyError: 'a'", "")
    recorder.record_cut_off("request", "GET", "/a", 0.5)
    table = recorder.take()
    assert table.exceptions["KeyError: 'a'"].count == 2
    assert table.exceptions["KeyError: 'a'"].traceback == "Traceback…"
    assert table.interrupted == 1
