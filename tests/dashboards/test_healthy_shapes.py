"""The shipped alerts beside runs in which nothing is wrong, and beside some in which something is: simulated second by
second, and evaluated by promtool."""

import json
import math
import re
import subprocess
from collections.abc import Callable, Sequence

import pytest

from tests.support.load_shapes import NEVER, SHORT, Run, always, around, between, series_of, steady
from tests.support.programs import ROOT
from tests.support.prometheus import program

Runs = Sequence[tuple[Run, int]]


def alone(run: Run) -> Runs:
    return [(run, 0)]


def stages(*stages: tuple[int, int]) -> Callable[[float], int]:
    """Seconds and users of each."""

    def users(now: float) -> int:
        for seconds, count in stages:
            if now < seconds:
                return count
            now -= seconds
        return stages[-1][1]

    return users


PAGE = ("/page", around(0.02), always(0.5))
POLL = [("/poll", always(25), always(0))]
BURST = [*[PAGE] * 39, ("/page", around(0.02), always(15))]
REPORT = [*[PAGE] * 50, ("/report", always(13), always(0))]
HEAVY, LIGHT = Run(30, steady(40), always(0.05)), Run(60, steady(5), always(1))
HEALTHY: dict[str, Runs] = {
    "no wait at all": alone(Run(120, steady(20), always(0))),
    "a wait of 14 s, all at once": alone(Run(150, steady(10), always(14))),
    "a wait of 14 s, many users at once": alone(Run(150, steady(60), always(14))),
    "a wait of 14 s after a ramp": alone(Run(150, steady(20, 2), always(14))),
    "a wait of a minute": alone(Run(180, steady(30), always(60))),
    "a wait of 5 to 60 s": alone(Run(180, steady(20), between(5, 60))),
    "a fractional wait": alone(Run(120, steady(8), always(0.37))),
    "waves of users": alone(Run(180, lambda now: int(20 + 18 * math.sin(now / 10)), always(0.5))),
    "quick waves": alone(Run(120, lambda now: 30 if now % 12 < 6 else 5, always(0.5))),
    "a ramp up": alone(Run(150, steady(60, 0.5), always(0.5))),
    "a ramp down": alone(Run(150, lambda now: max(1, 60 - int(now / 2)), always(0.5))),
    "stages up and down": alone(Run(160, stages((40, 20), (40, 50), (40, 10), (40, 30)), always(0.3))),
    "pauses between stages": alone(Run(150, stages((30, 30), (20, 0), (30, 30), (20, 0), (50, 30)), always(0.3))),
    "spikes": alone(Run(150, lambda now: 60 if now % 40 < 4 else 6, always(1))),
    "one user": alone(Run(150, steady(1), always(1))),
    "one user who waits long": alone(Run(180, steady(1), between(10, 40))),
    "one user without a wait": alone(Run(120, steady(1), always(0))),
    "few users and a failure now and then": alone(Run(200, steady(3), always(4), failing=0.05)),
    "one user, and every tenth request fails": alone(Run(200, steady(1), always(3), failing=0.1)),
    "many users and a failure now and then": alone(Run(120, steady(30), always(0.5), failing=0.02)),
    "durations that differ widely": alone(Run(180, steady(20), between(1, 5), takes=around(0.15, 1.0))),
    "one user, and a report that takes 13 s": alone(Run(120, steady(1), journeys=[REPORT])),
    "users in step, and a report that takes 13 s": alone(Run(120, steady(20), journeys=[REPORT])),
    "users in step, and a report that takes 6 s": alone(
        Run(120, steady(20), journeys=[[*[PAGE] * 50, ("/report", always(6), always(0))]])
    ),
    "one user, and one page in 51 takes 13 s": alone(
        Run(120, steady(1), journeys=[[*[PAGE] * 50, ("/page", always(13), always(0))]])
    ),
    "long polls beside bursts": alone(Run(150, steady(20), journeys=[POLL] * 3 + [BURST] * 2)),
    "long polls that never end beside bursts": alone(
        Run(150, steady(20), journeys=[[("/poll", NEVER, always(0))]] * 3 + [BURST] * 2)
    ),
    "a long poll for each of those in bursts": alone(Run(150, steady(20), journeys=[POLL, BURST])),
    "an upload of 40 s after each burst": alone(
        Run(200, steady(12), journeys=[[*BURST[:-1], PAGE, ("/upload", always(40), always(1))]])
    ),
    "short runs one after the other": [(Run(8, steady(20), always(0.2)), 1) for _ in range(10)],
    "a light run after a heavy one": [(HEAVY, 1), (LIGHT, 0)],
    "a light run half a minute after a heavy one": [(HEAVY, 30), (LIGHT, 0)],
    "a heavy run after a light one": [(LIGHT, 2), (HEAVY, 3), (HEAVY, 0)],
    "one with few and long waits after a heavy one": [(HEAVY, 4), (Run(90, steady(5), always(14)), 0)],
}
BUSY_S = 30
BROKEN: dict[str, tuple[Runs, set[str]]] = {
    "the target hangs": (
        alone(Run(75, steady(30), always(0.5), breaks_at_s=BUSY_S)),
        {"ThroughputCollapsed"},
    ),
    "the target hangs, and users wait for seconds": (
        alone(Run(100, steady(40), between(2, 6), breaks_at_s=40)),
        {"ThroughputCollapsed"},
    ),
    "everything takes ten times as long": (
        alone(Run(75, steady(40), always(0.2), takes=around(0.3), breaks_at_s=BUSY_S, breaks=around(3))),
        {"ThroughputCollapsed", "LatencyObjectiveBroken"},
    ),
    "a light run after a heavy one, and it hangs": (
        [(HEAVY, 3), (Run(70, steady(10), always(0.5), breaks_at_s=30), 0)],
        {"ThroughputCollapsed"},
    ),
    "the target answers one after the other": (
        alone(Run(75, steady(20), always(0.1), breaks_at_s=BUSY_S, breaks=between(6, 12))),
        {"ThroughputCollapsed", "LatencyObjectiveBroken"},
    ),
    "the target hangs beside long polls": (
        alone(Run(100, steady(20), journeys=[POLL] * 3 + [[PAGE]] * 2, breaks_at_s=50)),
        {"ThroughputCollapsed"},
    ),
    "the target hangs while reports are made": (
        alone(Run(100, steady(20, 1), journeys=[REPORT], breaks_at_s=60)),
        {"ThroughputCollapsed"},
    ),
    "three endpoints hang": (
        alone(
            Run(
                100,
                steady(20),
                journeys=[[("/a", SHORT, always(0.2)), ("/b", SHORT, always(0.2)), ("/c", SHORT, always(0.2))]],
                breaks_at_s=50,
            )
        ),
        {"ThroughputCollapsed"},
    ),
    "a third of the requests fails": (alone(Run(40, steady(30), always(0.5), failing=0.34)), {"ErrorSpike"}),
    "every request of one slow user fails": (alone(Run(90, steady(1), always(5), failing=1.0)), {"ErrorSpike"}),
    "requests take 8 to 20 s": (
        alone(Run(120, steady(20), always(0.5), takes=between(8, 20))),
        {"LatencyObjectiveBroken"},
    ),
    "requests take 3 s": (alone(Run(120, steady(20), always(1), takes=around(3))), {"LatencyObjectiveBroken"}),
}


@pytest.fixture(scope="module")
def fired(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """Which alerts have fired at any time, by the name of the runs; all at once, beside one another."""
    series: dict[str, str] = {}
    longest = 0
    for number, (name, runs) in enumerate({**HEALTHY, **{name: runs for name, (runs, _) in BROKEN.items()}}.items()):
        found, seconds = series_of(runs, number, job=name)
        series |= {each: " ".join(values) for each, values in found.items()}
        longest = max(longest, seconds)
    test = {
        "interval": "1s",
        "input_series": [{"series": each, "values": values} for each, values in series.items()],
        "promql_expr_test": [
            {
                "expr": 'count by (job, alertname) (count_over_time(ALERTS{alertstate="firing"}[1h]))',
                "eval_time": f"{longest}s",
                # Promtool says what it found instead.
                "exp_samples": [],
            }
        ],
    }
    rules = [str(ROOT / "dashboards" / "rules" / f"{name}.yml") for name in ("recording", "alerts")]
    file = tmp_path_factory.mktemp("shapes") / "tests.json"
    file.write_text(json.dumps({"rule_files": rules, "evaluation_interval": "1s", "tests": [test]}))
    done = subprocess.run(
        [program("promtool"), "test", "rules", file], capture_output=True, text=True, check=False, timeout=120
    )
    found = re.findall(r'\{alertname="(\w+)", job="([^"]+)"\} 1E\+00', done.stderr)
    assert found, done.stdout + done.stderr
    return {name: {alert for alert, job in found if job == name} for name in {*HEALTHY, *BROKEN}}


@pytest.mark.parametrize("name", HEALTHY)
def test_no_alert_fires_on_a_healthy_run(fired: dict[str, set[str]], name: str) -> None:
    assert fired[name] == set()


@pytest.mark.parametrize("name", BROKEN)
def test_an_alert_fires_on_one_that_is_not(fired: dict[str, set[str]], name: str) -> None:
    assert fired[name] == BROKEN[name][1]
