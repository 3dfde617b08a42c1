"""`environment.stats` under Locust's names: what it shows of a run, what changes it, and statistics of one's own."""

import json
from typing import Any

import gevent
import pytest

from obswarm import clock
from obswarm.api import EntryView, Environment, Events, ObswarmError, StatsError, StatsView, User, constant, task
from obswarm.engine import Output, Outputs, Ramp, Run, StopReason
from obswarm.record import Snapshot, StopKind
from obswarm.stats import EndpointKey, Recorder
from tests.support.patience import HANG_S, wait_until
from tests.support.recorded import MadeUpRun
from tests.support.runs import local_run

PAGE = EndpointKey("GET", "/page")


class Idle(User):
    wait_time = constant(1000)

    @task
    def nothing(self) -> None: ...


class Requests(Output):
    """Sums the requests of all intervals."""

    def __init__(self) -> None:
        self.requests = 0

    def snapshot(self, snapshot: Snapshot) -> None:
        self.requests += snapshot.interval_total.requests


class Going:
    """A run in this process whose only requests are those that a test logs."""

    def __init__(self, interval_s: float = 1000.0) -> None:
        self.environment = Environment(events=Events(), recorder=Recorder(), user_classes=[Idle])
        self.output = Requests()
        self.run: Run = local_run(
            self.environment, Ramp(1, 1000), outputs=Outputs([self.output]), interval_s=interval_s
        )
        self.stats = self.environment.stats

    def __enter__(self) -> "Going":
        self._greenlet = gevent.spawn(self.run.run)
        wait_until(lambda: self.environment.runner.state == "running", every_s=0.01)
        return self

    def __exit__(self, *_: object) -> None:
        self.run.stop(StopReason(StopKind.USER, "enough"))
        self._greenlet.join(HANG_S)
        self.result = self._greenlet.get()
        self.run.close()


def test_an_entry_shows_the_moment_at_which_it_is_read() -> None:
    with Going() as going:
        total, page = going.stats.total, going.stats.get("/page", "GET")
        assert (total.num_requests, page.num_requests, page.min_response_time) == (0, 0, None)
        for number in range(1, 4):
            going.stats.log_request("GET", "/page", 100, 7)
            assert (total.num_requests, page.num_requests) == (number, number)
        assert page.min_response_time == page.max_response_time == page.avg_response_time == 100
        assert (page.total_content_length, page.num_none_requests) == (21, 0)
        assert list(going.stats.entries) == [("/page", "GET")]
        assert going.stats.entries["/other", "GET"].num_requests == 0
        assert list(going.stats.entries) == [("/page", "GET")]


def test_what_is_logged_is_part_of_the_run() -> None:
    with Going() as going:
        going.stats.log_request("GET", "/page", 100, 7)
        going.stats.log_request("GET", "/page", None, 0)
        going.stats.log_error("GET", "/page", ValueError("no"))
        going.stats.get("/page", "GET").log_error("HTTP 500")
        going.stats.get("/page", "GET").log(200, 1)
        assert going.stats.total.num_failures == 2
    stats = going.result.final.endpoints[PAGE]
    assert (stats.requests, stats.failures, stats.untimed) == (3, 2, 1)
    assert going.output.requests == 3
    assert {error.error: error.occurrences for error in going.stats.errors.values()} == {
        "ValueError: no": 1,
        "HTTP 500": 1,
    }


def test_an_error_without_a_request_is_one() -> None:
    with Going() as going:
        going.stats.log_error("GET", "/page", "refused")
        assert (going.stats.num_requests, going.stats.num_failures, going.stats.num_none_requests) == (1, 1, 1)


def test_reset_all_resets_the_run() -> None:
    with Going() as going:
        going.stats.log_request("GET", "/page", 100, 7)
        going.stats.history.append({})
        began_s = going.stats.start_time
        gevent.sleep(0.01)
        going.stats.reset_all()
        assert (going.stats.num_requests, going.stats.history) == (0, [])
        assert going.stats.start_time > began_s
        assert list(going.stats.entries) == [("/page", "GET")], "entries stay"
        going.stats.log_request("GET", "/page", 100, 7)
        assert going.stats.entries["/page", "GET"].num_requests == 1
        going.stats.clear_all()
        assert list(going.stats.entries) == []
        going.stats.log_request("GET", "/late", 100, 7)
    assert list(going.result.final.endpoints) == [EndpointKey("GET", "/late")]
    assert going.output.requests == 3, "outputs that count over the whole run miss nothing"


def test_one_endpoint_of_a_run_cannot_be_reset() -> None:
    with Going() as going:
        going.stats.log_request("GET", "/page", 100, 7)
        with pytest.raises(ObswarmError, match=r"GET /page alone cannot be reset during a run; .*reset_all\(\)"):
            going.stats.get("/page", "GET").reset()
        assert going.stats.num_requests == 1
        going.stats.total.reset()
        assert going.stats.num_requests == 0


def test_a_reset_before_the_run_starts_is_no_matter() -> None:
    going = Going()
    going.environment.events.test_start.add_listener(lambda environment, **_: environment.stats.reset_all())
    with going:
        going.stats.log_request("GET", "/page", 100, 7)
    assert going.result.final.total.requests == going.output.requests == 1


def test_requests_by_second_and_the_times_of_the_first_and_the_last() -> None:
    with Going(interval_s=0.05) as going:
        page = going.stats.get("/page", "GET")
        assert (page.last_request_timestamp, page.num_reqs_per_sec) == (None, {})
        for _ in range(29):
            going.stats.log_request("GET", "/page", 100, 7)
            gevent.sleep(0.01)
        going.stats.log_request("GET", "/page", 100, 7)
        going.stats.log_error("GET", "/page", "no")
        requests, total = page.num_reqs_per_sec, going.stats.total.num_reqs_per_sec
        assert sum(requests.values()) == sum(total.values()) == 30
        assert sum(page.num_fail_per_sec.values()) == 1
        last_s = page.last_request_timestamp
        assert last_s is not None
        assert going.stats.start_time <= page.start_time < last_s
        assert set(requests) <= set(range(int(page.start_time), int(last_s) + 1))


def test_a_whole_table_is_read_from_one_snapshot(monkeypatch: pytest.MonkeyPatch) -> None:
    # However long it takes here.
    monkeypatch.setattr(clock, "monotonic", lambda: 100.0)
    made = []
    snapshot = MadeUpRun([]).second({PAGE: [0.1], EndpointKey("GET", "/b"): [0.1]})
    view = StatsView()

    def latest() -> Snapshot:
        made.append(1)
        return snapshot

    view.attach(latest, Recorder(), lambda: None)
    for entry in view.entries.values():
        entry.to_dict()
    view.total.to_string()
    assert len(made) == 1


# Statistics of a load test's own.
def test_statistics_of_ones_own() -> None:
    stats = StatsView()
    stats.log_request("GET", "/a", 10, 1)
    stats.log_request("GET", "/a", 30, 3)
    stats.log_request("POST", "/b", 20, 2)
    stats.log_error("POST", "/b", OSError("no"))
    assert (stats.num_requests, stats.num_failures, stats.total.avg_response_time) == (3, 1, 20)
    assert stats.get("/a", "GET").num_requests == 2
    assert sum(stats.total.num_reqs_per_sec.values()) == 3
    stats.get("/a", "GET").reset()
    assert stats.num_requests == 1
    stats.reset_all()
    assert (stats.num_requests, stats.errors, stats.last_request_timestamp) == (0, {}, None)
    assert list(stats.entries) == [("/b", "POST")]


def test_an_entry_goes_over_a_wire() -> None:
    stats = StatsView()
    for milliseconds in (10, 20, 400):
        stats.log_request("GET", "/a", milliseconds, 5)
    stats.log_request("GET", "/a", None, 0)
    stats.log_error("GET", "/a", "no")
    packed = json.loads(json.dumps(stats.serialize_stats()))
    packed[0]["response_times"] = {int(key): value for key, value in packed[0]["response_times"].items()}
    (entry,) = (EntryView.unserialize(data, None) for data in packed)
    assert (entry.num_requests, entry.num_none_requests, entry.num_failures) == (4, 1, 1)
    assert (entry.min_response_time, entry.max_response_time, entry.total_content_length) == (10, 400, 15)
    assert entry.total_response_time == pytest.approx(430)
    assert entry.median_response_time == pytest.approx(20, rel=0.05)
    other = StatsView()
    other.log_request("GET", "/a", 1000, 5)
    other.get("/a", "GET").extend(entry)
    other.total.extend(entry)
    assert (other.num_requests, other.num_failures, other.total.max_response_time) == (5, 1, 1000)
    assert entry.get_stripped_report()["num_requests"] == 4
    assert entry.num_requests == 0


@pytest.mark.parametrize("error", ["CatchResponseError('no')", ValueError("no"), None])
def test_an_error(error: Any) -> None:
    made = StatsError("GET", "/a", error, 2, 1.0, 3.0)
    assert StatsError.unserialize(made.serialize()).to_dict() == made.to_dict()
    assert made.to_dict()["occurrences"] == 2
    assert made.to_name().startswith("GET /a: ")
    assert made.key == StatsError.create_key("GET", "/a", error)


def test_addresses_are_no_part_of_an_error() -> None:
    assert StatsError.parse_error("<object object at 0x7f01>") == "<object object at 0x....>"
    assert StatsError.create_key("a", "b", repr(object())) == StatsError.create_key("a", "b", repr(object()))


def test_a_worker_shows_what_it_has_not_reported() -> None:
    recorder = Recorder()
    stats = StatsView()
    stats.attach_recorder(recorder)
    recorder.record("GET", "/a", 0.1, 5, 200)
    assert (stats.num_requests, stats.total.fail_ratio) == (1, 0)
    stats.reset_all()
    assert stats.num_requests == 1, "it has to be reported"
    assert recorder.take().total().requests == 1
    assert stats.num_requests == 0
