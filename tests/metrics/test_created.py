"""Created timestamps: a Prometheus that uses them counts everything once."""

from dataclasses import dataclass, field, replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics

from obswarm.api import Environment, Events, User, task
from obswarm.engine import Ramp
from obswarm.metrics import Kind, SnapshotRegistry
from obswarm.metrics.exposition import slices
from obswarm.metrics.native import CONTENT_TYPE
from obswarm.metrics.series import PushCounts
from obswarm.record import Annotation, Snapshot
from obswarm.stats import Recorder
from tests.metrics.test_exposition import delimited
from tests.support.runs import local_run


class Nobody(User):
    @task
    def nothing(self) -> None: ...


class Run:
    """A run at a time that is made up, which counts what it is told to."""

    def __init__(self, started_s: float, run_id: str = "one") -> None:
        self._env = Environment(events=Events(), recorder=Recorder(), user_classes=[Nobody])
        self._course = local_run(self._env, Ramp(1, 1), test="t.py")
        self._started_s, self._run_id = started_s, run_id
        self.requests = 0

    def count(self, name: str, number: int = 1, status: int = 200) -> None:
        for _ in range(number):
            self._env.recorder.record("GET", name, 0.01, 100, status, None if status < 400 else "no")
        self.requests += number

    def snapshot(self, time_s: float) -> Snapshot:
        made = self._course.latest()
        return replace(made, time_s=time_s, started_s=self._started_s, run_id=self._run_id)


def created(latest: SnapshotRegistry, request_time_s: float | None = None) -> dict[tuple[str, ...], float | None]:
    """By metric and labels; all of it is read, as a scrape does."""
    return {
        (metric.name, *point.labels): point.created_s
        for metric, points in [(metric, list(points)) for metric, points in latest.families(request_time_s)]
        for point in points
        if metric.kind in (Kind.COUNTER, Kind.HISTOGRAM)
    }


SUCCESS = ("success", "2xx")


def test_a_new_series_was_created_at_the_last_scrape_without_it() -> None:
    run, latest = Run(100.0), SnapshotRegistry()
    run.count("/a")
    latest.snapshot(run.snapshot(101.0))
    assert set(created(latest).values()) == {100.0}, "before the first exposition only the start is known"
    latest.snapshot(run.snapshot(102.0))
    assert set(created(latest).values()) == {100.0}
    run.count("/b")
    run.count("/a", status=503)
    latest.snapshot(run.snapshot(103.0))
    found = created(latest)
    assert found["obswarm_requests_total", "GET", "/a", *SUCCESS] == 100.0
    assert found["obswarm_requests_total", "GET", "/a", "failure", "5xx"] == 102.0
    assert found["obswarm_request_duration_seconds", "GET", "/b"] == 102.0
    assert created(latest) == found
    following = Run(200.0, "two")
    following.count("/b")
    latest.snapshot(following.snapshot(201.0))
    assert set(created(latest).values()) == {200.0}


def test_concurrent_expositions_give_a_series_the_same_created_time() -> None:
    run, latest = Run(100.0), SnapshotRegistry()
    latest.snapshot(run.snapshot(101.0))
    created(latest)
    run.count("/a")
    latest.snapshot(run.snapshot(102.0))
    slow = latest.families()
    begun = [next(slow) for _ in range(2)]
    run.count("/b")
    latest.snapshot(run.snapshot(103.0))
    quick = created(latest)
    assert {time_s for key, time_s in quick.items() if "/a" in key or "/b" in key} == {101.0}
    rest = [*begun, *slow]
    assert {p.created_s for m, points in rest for p in points if p.created_s is not None} == {100.0, 101.0}


def test_a_series_created_after_the_request_is_left_out() -> None:
    run, latest = Run(100.0), SnapshotRegistry()
    run.count("/a")
    latest.snapshot(run.snapshot(101.0))
    assert created(latest, request_time_s=99.9) == {}, "it waited for a process that was not there yet"
    names = {metric.name for metric, points in latest.families(99.9) if list(points)}
    assert "obswarm_run_state" in names
    run.count("/b")
    latest.snapshot(run.snapshot(102.0))
    assert {key[2] for key in created(latest, request_time_s=100.5) if len(key) > 2} == {"/a"}
    assert {key[2] for key in created(latest, request_time_s=102.1) if len(key) > 2} == {"/a", "/b"}


def test_remote_write_counters_continue_over_runs() -> None:
    latest = SnapshotRegistry()
    latest.count_pushes(PushCounts(3, {"end": 0}))
    before = created(latest)
    assert set(before) == {("obswarm_remote_write_samples_total",), ("obswarm_remote_write_samples_lost_total", "end")}
    latest.snapshot(Run(1.0).snapshot(2.0))
    after = created(latest)
    assert {key: after[key] for key in before} == before


def test_all_formats_have_the_same_created_times() -> None:
    run, latest = Run(100.25), SnapshotRegistry()
    run.count("/a", 3)
    latest.snapshot(run.snapshot(101.0))
    created(latest)
    run.count("/b", 2)
    latest.snapshot(run.snapshot(102.5))
    content_type, pieces = slices(latest, {}, "application/openmetrics-text;version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    text = b"".join(pieces).decode()
    in_text = {
        (sample.name.removesuffix("_created"), sample.labels["name"]): sample.value
        for family in parse_openmetrics(text)
        for sample in family.samples
        if sample.name.endswith("_created") and "name" in sample.labels
    }
    content_type, pieces = slices(latest, {}, CONTENT_TYPE)
    in_protobuf = {}
    for family in delimited(b"".join(pieces)):
        for metric in family.metric:
            labels = {pair.name: pair.value for pair in metric.label}
            for of_kind in (metric.counter, metric.histogram):
                if of_kind.HasField("created_timestamp") and "name" in labels:
                    stamp = of_kind.created_timestamp
                    key = (family.name.removesuffix("_total"), labels["name"])
                    in_protobuf[key] = stamp.seconds + stamp.nanos / 1e9
    names = ("requests", "response_bytes", "request_duration_seconds")
    expected = {(f"obswarm_{name}", page): at for name in names for page, at in (("/a", 100.25), ("/b", 101.0))}
    assert in_text == in_protobuf == expected
    assert "_created" not in b"".join(slices(latest, {}, "text/plain")[1]).decode()
    lines = text.splitlines()
    (last,) = (
        number
        for number, line in enumerate(lines)
        if line.startswith('obswarm_requests_created{method="GET",name="/b"')
    )
    assert lines[last - 1].startswith('obswarm_requests_total{method="GET",name="/b"'), "where Prometheus looks for it"


@dataclass
class Series:
    samples: list[tuple[float, float]] = field(default_factory=list)

    def scraped(self, at_s: float, value: float, created_s: float) -> None:
        """As Prometheus' head does: a zero where it was created, unless it is late for that."""
        if created_s < at_s and (not self.samples or created_s > self.samples[-1][0]):
            self.samples.append((created_s, 0.0))
        self.samples.append((at_s, value))

    @property
    def increase(self) -> float:
        values = [value for _, value in self.samples]
        steps = pairwise(values)
        return sum(later - earlier if later >= earlier else later for earlier, later in steps)


@settings(max_examples=50)
@given(
    runs=st.lists(
        st.tuples(
            st.floats(0.05, 30), st.lists(st.dictionaries(st.sampled_from("abc"), st.integers(1, 9)), max_size=8)
        ),
        min_size=1,
        max_size=3,
    ),
    interval_s=st.sampled_from([0.3, 1.0, 2.5, 7.0]),
    late_s=st.floats(0, 1.5),
)
@pytest.mark.parametrize("others", [False, True])
def test_a_prometheus_counts_all_runs_and_nothing_twice(runs, interval_s: float, late_s: float, others: bool) -> None:
    """Several runs at one address, of which a scrape may wait for the next one; `others` scrape as well."""
    series: dict[tuple[str, ...], Series] = {}
    now, next_scrape_s, total = 1000.0, 1000.1, 0
    for number, (pause_s, seconds) in enumerate(runs):
        now += pause_s
        run, latest = Run(now, str(number)), SnapshotRegistry()

        def scrape(at_s: float, latest=latest) -> None:
            for metric, points in latest.families(at_s):
                for point in points:
                    if metric.name == "obswarm_requests_total":
                        series.setdefault(point.labels, Series()).scraped(at_s, point.value, point.created_s)

        # A scrape that came before the run, and gets its answer after its first second.
        next_scrape_s = max(next_scrape_s, now - late_s)
        for counted in seconds:
            now += 1
            for name, count in counted.items():
                run.count(name, count)
            latest.snapshot(run.snapshot(now))
            if others:
                created(latest)
            while next_scrape_s < now + 1:
                scrape(next_scrape_s)
                next_scrape_s += interval_s
        now += 1
        latest.snapshot(run.snapshot(now))
        next_scrape_s = max(next_scrape_s, now + 0.01)
        scrape(next_scrape_s)
        now = next_scrape_s
        next_scrape_s += interval_s
        total += run.requests
    assert sum(each.increase for each in series.values()) == total


def marks(latest: SnapshotRegistry) -> list[tuple[tuple[str, ...], float]]:
    return [
        (point.labels, point.value)
        for metric, points in latest.families()
        for point in points
        if metric.name == "obswarm_annotation_timestamp_seconds"
    ]


def test_each_mark_of_the_run_is_a_series_and_the_newest_hundred_are_kept() -> None:
    latest = SnapshotRegistry()
    latest.annotation(Annotation(1_767_268_800.125, "start", "It starts"))
    latest.annotation(Annotation(1_767_268_801.0, "restart", "no mark of the contract"))
    latest.snapshot(Run(1_767_268_800.0).snapshot(1_767_268_801.5))
    assert marks(latest) == [(("start", "2026-01-01T12:00:00.125Z"), 1_767_268_800.125)]
    for number in range(150):
        latest.annotation(Annotation(1_767_268_810.0 + number, "stage", "another"))
    assert [value for _, value in marks(latest)] == [1_767_268_860.0 + number for number in range(100)]
    # The next run's start is known before its first snapshot.
    latest.annotation(Annotation(1_767_270_000.5, "start", "It starts"))
    latest.snapshot(Run(1_767_270_000.0, "two").snapshot(1_767_270_001.0))
    assert marks(latest) == [(("start", "2026-01-01T12:20:00.500Z"), 1_767_270_000.5)]
