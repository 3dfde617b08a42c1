"""A rate of iterations from a real Prometheus: the traffic that it has recorded, multiplied and replayed."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest

from obswarm import clock
from obswarm.api import ObswarmError, RateStage, parse_rate_stages
from obswarm.app.rate_query import with_queried_rate
from obswarm.config import RunConfig
from tests.support.fleet import Fleet
from tests.support.patience import HANG_S, wait_until
from tests.support.programs import QuickServer, obswarm
from tests.support.prometheus import Prometheus

BEGIN_S = int(clock.wall()) // 60 * 60 - 7200
"""Two hours ago, at a full minute."""
LOADTEST = """
from obswarm import FastHttpUser, task

class Visitor(FastHttpUser):
    @task
    def page(self):
        self.client.get("/page")
"""


def history() -> str:
    """A counter that grows by 2 a second for a minute, then by 6; a gauge of a rate with one value that is no number."""
    lines = ["# TYPE page_requests counter"]
    for host, share in (("a", 0.5), ("b", 0.5)):
        count = 0.0
        for second in range(0, 121, 5):
            lines.append(f'page_requests_total{{host="{host}"}} {count:g} {BEGIN_S + second}')
            count += share * 5 * (2 if second < 60 else 6)
    lines.append("# TYPE planned_rate gauge")
    for second, rate in ((0, "4"), (5, "NaN"), (10, "8")):
        lines.append(f"planned_rate {rate} {BEGIN_S + second}")
    return "\n".join([*lines, "# EOF", ""])


@pytest.fixture(scope="module")
def prometheus() -> Iterator[Prometheus]:
    with Prometheus(history=history()) as made:
        yield made


def config(prometheus: Prometheus | None, rate: str) -> RunConfig:
    url = None if prometheus is None else prometheus.url
    return RunConfig().replaced({"arrival_rate": rate, "prometheus_url": url})


def stages_of(prometheus: Prometheus, rate: str) -> tuple[RateStage, ...]:
    text = with_queried_rate(config(prometheus, rate)).load.arrival_rate
    assert text is not None
    return parse_rate_stages(text)


def test_the_rate_of_requests_over_a_range_of_time_is_multiplied(prometheus: Prometheus) -> None:
    query = f"sum(rate(page_requests_total[20s]))[90s:15s] @ {BEGIN_S + 120}"
    stages = stages_of(prometheus, f"promql({query}) * 2")
    assert [stage.duration_s for stage in stages] == [0, 15, 15, 15, 15, 15]
    # At second 75 a range of 20 s has no sample from before second 60.
    assert [stage.rate for stage in stages] == pytest.approx([4, 4, 12, 12, 12, 12])
    assert stages_of(prometheus, f"promql({query})")[0].rate == pytest.approx(2)


def test_samples_of_a_recorded_rate_are_a_curve_without_those_that_are_no_numbers(prometheus: Prometheus) -> None:
    assert stages_of(prometheus, f"promql(planned_rate[1m] @ {BEGIN_S + 30})") == (RateStage(0, 4), RateStage(10, 8))


@pytest.mark.parametrize(
    ("rate", "sentence"),
    [
        ("promql(nothing[1h:1m])", "the result of the query nothing[1h:1m]: it has no values; check the metric's name"),
        (
            f"promql(page_requests_total[1m] @ {BEGIN_S + 60})",
            "it has 2 series, but a curve is one; add them up by sum",
        ),
        (f"promql(sum(page_requests_total @ {BEGIN_S + 60}))", "returns numbers of one moment; write a time range and"),
        ("promql(42)", "returns numbers of one moment"),
        (f"promql((planned_rate * -1)[1m:5s] @ {BEGIN_S + 30})", "is -4; a rate has to be from 0 to 1,000,000"),
        (f"promql(planned_rate[2s] @ {BEGIN_S + 1})", "it has 1 values; a curve has from 2 to 20,000"),
        ("promql(sum(rate(x[1m]))", "refuses the query sum(rate(x[1m])"),
    ],
)
def test_a_result_that_is_not_a_curve_is_a_sentence(prometheus: Prometheus, rate: str, sentence: str) -> None:
    with pytest.raises(ObswarmError) as caught:
        with_queried_rate(config(prometheus, rate))
    assert str(caught.value).startswith("--arrival-rate: ")
    assert sentence in str(caught.value)
    assert str(caught.value).endswith(".")


def test_a_prometheus_that_does_not_answer_or_is_not_given_is_a_sentence() -> None:
    with pytest.raises(
        ObswarmError, match=r"--arrival-rate: promql\(…\) needs the Prometheus .* give --prometheus-url"
    ):
        with_queried_rate(config(None, "promql(x[1h:1m])"))
    unreachable = RunConfig().replaced({"arrival_rate": "promql(x[1h:1m])", "prometheus_url": "http://127.0.0.1:9"})
    with pytest.raises(ObswarmError, match="--arrival-rate: Prometheus at http://127.0.0.1:9 "):
        with_queried_rate(unreachable)


def test_a_run_replays_it(prometheus: Prometheus, tmp_path: Path) -> None:
    (tmp_path / "loadtest.py").write_text(LOADTEST)
    query = f"sum(rate(page_requests_total[20s]))[3s:1s] @ {BEGIN_S + 110}"
    with QuickServer() as target:
        done = obswarm(
            *("run", "loadtest.py", "-H", target.url, "--headless", "--no-store", "--linger", 0, "--json", "-"),
            *("--prometheus-url", prometheus.url, "--arrival-rate", f"promql({query})*5", "--workers", 0),
            cwd=tmp_path,
        )
    assert done.code == 0, done.stderr
    assert "follows 3 values of Prometheus over 2s, at most 30/s" in done.stderr
    result: dict[str, Any] = done.result
    assert result["iterations"]["Visitor"] == pytest.approx(60, abs=4)


def test_a_master_that_is_restarted_has_the_curve_of_before(tmp_path: Path) -> None:
    """The query's time is relative to the present, and by then Prometheus is gone."""
    with (
        Prometheus(history=history()) as prometheus,
        QuickServer() as target,
        Fleet(tmp_path, target.url, LOADTEST) as fleet,
    ):
        age_s = int(clock.wall()) - BEGIN_S - 100
        options = (
            *("--expect-workers", 1, "--prometheus-url", prometheus.url, "--no-store", "--arrival-rate"),
            f"promql(sum(rate(page_requests_total[20s] offset {age_s}s))[15s:5s])*5",
        )
        master = fleet.master(*options)
        fleet.worker()
        wait_until(lambda: sum(map(len, target.arrivals().values())) > 20, fleet.log)
        master.kill()
        master.wait()
        prometheus.kill()
        gevent.sleep(0.5)
        master = fleet.master(*options)
        assert master.wait(HANG_S) == 0, fleet.log()
        assert "Continuing the run" in fleet.log()
        result = json.loads(fleet.result_file.read_text())
    # From 10 to 15 s of 30/s.
    assert 250 <= sum(result["iterations"].values()) <= 480
