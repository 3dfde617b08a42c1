"""Every series of a target whose metrics are not known: from its page, and from a Prometheus."""

import math
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from obswarm.analysis.explain import explain, headline, sections
from obswarm.record import MetricKey, RunMetadata, SampleSeries, value_at
from obswarm.store import FILE, RunWriter, Store, read_run
from obswarm.targets import EmbeddedSource, LiveSeries, PastSeries, PrometheusSource, SourceError, Target
from obswarm.targets.every_series import EverySeries, names_within
from tests.support.recorded import PAGE, MadeUpRun

TARGET = Target("mail", "http://127.0.0.1:1/metrics", "any")
TEXT = "text/plain; version=0.0.4; charset=utf-8"


def scrape(source: EmbeddedSource, page: str, status: int = 200) -> None:
    response = SimpleNamespace(status_code=status, content=page.encode(), headers={"Content-Type": TEXT}, history=[])
    source._scrape(SimpleNamespace(get=lambda *_, **__: response), TARGET)  # type: ignore[arg-type]


def by_name(values: Mapping[MetricKey, float]) -> dict[str, float]:
    return {key.name: value for key, value in values.items()}


def test_every_series_of_a_page_has_a_value() -> None:
    source = EmbeddedSource([TARGET])
    assert isinstance(source, LiveSeries)
    scrape(source, 'mails_waiting{queue="a"} 3\nmails_waiting{queue="b"} 4\nmails_sent_total 70\n')
    assert by_name(source.series_values()) == {
        'mails_waiting{queue="a"}': 3,
        'mails_waiting{queue="b"}': 4,
        "mails_sent_total": 70,
    }
    (health,) = source.health()
    assert (health.up, health.has_metrics) == (True, True)
    scrape(source, "", status=500)
    assert source.series_values() == {}


def test_targets_of_other_kinds_have_only_their_metrics() -> None:
    known = Target("db", "http://127.0.0.1:1/metrics", "mysql")
    source = EmbeddedSource([known])
    assert source.series_values() == {}


def test_metrics_with_few_series_are_recorded_first() -> None:
    counts = {"buckets": 50, "one": 1, "ten": 10, "three": 3}
    assert names_within(counts, 14) == ["one", "three", "ten"]
    assert names_within(counts, 13) == ["one", "three"]


def test_what_was_recorded_once_is_recorded_on() -> None:
    every = EverySeries(TARGET, most=3)
    every.page([("b", "b{x='1'}", 1.0), ("b", "b{x='2'}", 2.0)])
    every.page([("a", "a", 1.0), ("aa", "aa", 1.0), ("b", "b{x='1'}", 3.0), ("b", "b{x='2'}", 4.0)])
    assert by_name(every.values) == {"a": 1, "b{x='1'}": 3, "b{x='2'}": 4}
    assert every.left_out == 1


def test_a_target_with_too_many_series_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    source = EmbeddedSource([TARGET])
    page = "waiting 1\n" + "".join(f'bucket{{le="{number}"}} 1\n' for number in range(1200))
    for _ in range(2):
        scrape(source, page)
        assert by_name(source.series_values()) == {"waiting": 1}
    (record,) = caplog.records
    assert record.getMessage().startswith("Target mail has 1,200 series more than the 1,000 that are recorded")


def stored(folder: Path, series: Mapping[str, list[float]], kind: str = "any") -> Any:
    """A run of 60 s that is slow from 30 s on."""
    writer = RunWriter(folder / FILE, RunMetadata("1.0.0"))
    run = MadeUpRun([writer])
    for second in range(60):
        run.pass_a_second({PAGE: [(1.0 if second >= 30 else 0.05) * (1 + number / 100) for number in range(20)]})
        values = {MetricKey("mail", kind, name, "number"): every[second] for name, every in series.items()}
        writer.series(run.last.time_s, values)
    writer.close()
    with Store(folder / FILE) as store:
        return read_run(store, store.find("latest"))


def test_series_of_an_unknown_exporter_are_explained(tmp_path: Path) -> None:
    waiting = [float(second % 3 + (200 if second >= 30 else 0)) for second in range(60)]
    retries = [float(5 * second + (400 * (second - 29) if second >= 30 else 0)) for second in range(60)]
    record = stored(
        tmp_path, {"waiting": waiting, "retries": retries, "sent_total": [3.0 * each for each in range(60)]}
    )
    assert not record.samples
    assert [value for _, value in record.series[MetricKey("mail", "any", "waiting", "number")]] == waiting
    found = explain(record)
    assert "No metric shows a saturated resource; most conspicuous is Target (mail): " in headline(found)
    (suspect,) = found.suspects
    # A counter is judged by its rate, whatever its name.
    assert {each.key.name for each in suspect.findings} == {"waiting", "rate of retries"}
    rate = next(each for each in suspect.findings if each.key.name == "rate of retries")
    assert (rate.before, rate.after) == (pytest.approx(5), pytest.approx(405))
    assert abs(rate.onset.time_s - 31) <= 2
    assert any("rate of retries rose from 5/s to 405/s" in line for _, lines in sections(found) for line in lines)


def test_a_threefold_change_of_an_unknown_series_is_seen(tmp_path: Path) -> None:
    waiting = [10.0 + second % 2 + (20 if second >= 30 else 0) for second in range(60)]
    found = explain(stored(tmp_path, {"waiting": waiting}))
    assert [(each.role, each.component.target) for each in found.suspects] == [("unclear", "mail")]


class Api:
    """A Prometheus with these series, by text; values at each second."""

    name = "Prometheus at http://x"

    def __init__(self, series: Mapping[tuple[str, str], Mapping[int, float]]) -> None:
        self.series = series
        self.queries: list[str] = []

    def query(self, query: str, server_s: float | None) -> tuple[list[Any], float | None]:
        assert query.startswith('count by (__name__) (last_over_time({job="mail"}[')
        counts: dict[str, float] = {}
        for name, _ in self.series:
            counts[name] = counts.get(name, 0) + 1
        return [SimpleNamespace(labels={"__name__": name}, value=count) for name, count in counts.items()], server_s

    def query_range(self, query: str, start_s: float, end_s: float, step_s: float) -> list[Any]:
        self.queries.append(query)
        return [
            (
                {"__name__": name, "job": "mail", "queue": queue},
                [[time, str(value)] for time, value in values.items() if start_s <= time <= end_s],
            )
            for (name, queue), values in self.series.items()
            if f'"{name}"' in query or f"|{name}" in query or f'"{name}|' in query
        ]


def source_with(monkeypatch: pytest.MonkeyPatch, api: Any) -> PrometheusSource:
    source = PrometheusSource("http://127.0.0.1:1", [TARGET])
    monkeypatch.setattr(source, "_api", api)
    return source


def test_a_prometheus_has_every_series_of_the_time_of_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    waiting = {second: float(second >= 105) for second in range(90, 120)}
    gone = dict.fromkeys(range(100, 106), 2.0)
    source = source_with(monkeypatch, Api({("waiting", "a"): waiting, ("workers", "b"): gone}))
    assert isinstance(source, PastSeries)
    found = source.series_between(100.0, 110.0)
    key = MetricKey("mail", "any", 'waiting{queue="a"}', "number")
    assert list(found[key]) == [(100.0, 0.0), (105.0, 1.0)]
    workers = found[MetricKey("mail", "any", 'workers{queue="b"}', "number")]
    assert value_at(workers, 105.5) == 2.0
    assert math.isnan(value_at(workers, 106.5))


def test_long_runs_are_read_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    api = Api({(f"metric_{number}", "a"): {10: 1.0} for number in range(300)})
    source_with(monkeypatch, api).series_between(0.0, 3600.0)
    assert len(api.queries) == 3
    source_with(monkeypatch, api).series_between(0.0, 30.0)
    assert len(api.queries) == 4


def test_an_answer_of_something_else_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    api = Api({("waiting", "a"): {}})
    monkeypatch.setattr(api, "query_range", lambda *_: [({"__name__": "waiting"}, [1, 2])])
    with pytest.raises(SourceError, match="without"):
        source_with(monkeypatch, api).series_between(0.0, 10.0)


def test_past_series_are_stored_with_the_run(tmp_path: Path) -> None:
    writer = RunWriter(tmp_path / FILE, RunMetadata("1.0.0"))
    run = MadeUpRun([writer])
    threads, waiting = MetricKey("db", "mysql", "threads running", "number"), MetricKey("db", "mysql", "x", "number")
    for second in range(5):
        run.pass_a_second({PAGE: [0.05]})
        writer.sample(run.last.time_s, {threads: float(second)})
    start_s = run.last.started_s
    writer.past_series({waiting: SampleSeries.of([(start_s + 1, 5.0), (start_s + 3, math.nan)])})
    writer.close()
    with Store(tmp_path / FILE) as store:
        record = read_run(store, store.find("latest"))
    assert [value for _, value in record.samples[threads]] == [0, 1, 2, 3, 4]
    assert value_at(record.series[waiting], start_s + 2) == 5.0
    assert math.isnan(value_at(record.series[waiting], start_s + 4))
