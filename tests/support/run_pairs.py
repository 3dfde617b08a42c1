"""A run that fails and, a moment later, a healthy one at the same address, with the same real Prometheus and
Alertmanager: the shipped rules, and one of a user's own that says nothing of runs."""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gevent.pool import Pool

from tests.support.alertmanager import Alertmanager
from tests.support.nginx import free_port
from tests.support.programs import ROOT, CountingServer, obswarm
from tests.support.prometheus import Prometheus

TOKEN = "a token of the test"
HEALTHY_S = 12
"""As long as an alert of the run before can take to fire, and the grace."""

_NOT_OURS = ("not about this one", "fired before the run began", "may be from before")

LONG_ENOUGH_S = 15
"""A run that fails for so long is stopped, also on a busy machine."""

_RULES = tuple(ROOT / "dashboards" / "rules" / f"{name}.yml" for name in ("recording", "alerts"))
_OWN_RULE = {
    "alert": "OwnRule",
    "expr": 'sum by (job) (rate(obswarm_requests_total{outcome="failure"}[5s])) > 1',
    "for": "4s",
    "annotations": {"summary": "a rule of the user's own"},
}
_LOADTEST = """
import os
from obswarm import FastHttpUser, constant, task

class Visitor(FastHttpUser):
    wait_time = constant(0.1)

    @task
    def page(self):
        self.client.get(os.environ["PAGE"], name="/page")
"""


@dataclass(frozen=True)
class Pair:
    """Seconds that the first run fails for, and between its end and the start of the second."""

    failing_s: float
    pause_s: float


@dataclass(frozen=True)
class Ended:
    """A run of a pair."""

    code: int
    result: dict[str, Any]
    log: str

    @property
    def alerts(self) -> list[str]:
        """What was noted of alerts."""
        return [mark["text"] for mark in self.result["annotations"] if mark["kind"] == "alert"]

    @property
    def shown(self) -> str:
        reason = self.result["stop_reason"]
        return f"exit {self.code} after {self.result['duration_s']:.1f} s, {reason['kind']}: {reason['detail']}"


@dataclass(frozen=True)
class Outcome:
    pair: Pair
    failing: Ended
    healthy: Ended

    @property
    def others_alerts(self) -> int:
        """Alerts about the failing run that were delivered to the healthy one."""
        return sum(any(reason in text for reason in _NOT_OURS) for text in self.healthy.alerts)

    @property
    def wrong(self) -> list[str]:
        """What should not be, in words."""
        found = []
        healthy, failing = self.healthy, self.failing
        if (healthy.code, healthy.result["stop_reason"]["kind"]) != (0, "time"):
            found.append(f"the healthy run: {healthy.shown}; {healthy.alerts}; {healthy.log[-2000:]}")
        if self.pair.failing_s >= LONG_ENOUGH_S and (failing.code, failing.result["stop_reason"]["kind"]) != (
            3,
            "alert",
        ):
            found.append(f"the failing run was not stopped: {failing.shown}; {failing.alerts}")
        return found


def run_pairs(folder: Path, pairs: Sequence[Pair], at_a_time: int) -> list[Outcome]:
    """Each with a Prometheus, an Alertmanager and a target of its own."""
    folders = [folder / f"pair-{number}" for number in range(len(pairs))]
    return list(Pool(at_a_time).imap(_run_pair, folders, pairs))


def _run_pair(folder: Path, pair: Pair) -> Outcome:
    folder.mkdir()
    (folder / "loadtest.py").write_text(_LOADTEST)
    with ExitStack() as stack:
        target = stack.enter_context(CountingServer())
        port = free_port()
        alertmanager = stack.enter_context(Alertmanager(f"http://127.0.0.1:{port}/api/v1/alerts", TOKEN))
        made = Prometheus(
            f"127.0.0.1:{port}", rules=(_OWN_RULE,), rule_files=_RULES, alertmanager_port=alertmanager.port
        )
        prometheus = stack.enter_context(made)
        # Prometheus begins to scrape up to five seconds after it is ready.
        prometheus.wait_for('up{job="obswarm"}', 0)
        failing = _run(folder, target.url, port, "/fail", pair.failing_s)
        time.sleep(pair.pause_s)
        healthy = _run(folder, target.url, port, "/page", HEALTHY_S)
    return Outcome(pair, failing, healthy)


def _run(folder: Path, url: str, port: int, page: str, seconds: float) -> Ended:
    done = obswarm(
        *("run", "loadtest.py", "-H", url, "-u", 5, "-r", 50, "-t", f"{seconds}s", "--workers", 0, "--headless"),
        *("--web-port", port, "--alerts-token", TOKEN, "--linger", "3s", "--json", "-"),
        *("--no-store", "--no-report", "--local"),
        timeout=180,
        cwd=folder,
        PAGE=page,
    )
    return Ended(done.code, done.result, done.stderr)
