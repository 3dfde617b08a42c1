"""A run that fails and, a moment later, a healthy one at the same address, with the same real Prometheus and
Alertmanager: the shipped rules, and one of a user's own that says nothing of runs."""

import json
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gevent.pool import Pool

from tests.support.alertmanager import Alertmanager
from tests.support.nginx import free_port
from tests.support.patience import HANG_S, wait_until
from tests.support.programs import ROOT, CountingServer, command, obswarm
from tests.support.prometheus import Prometheus

TOKEN = "a token of the test"
HEALTHY_S = 12
"""As long as an alert of the run before can take to fire, and the grace."""

NOT_OURS = ("not about this one", "fired before the start of the run", "may be from before")

LONG_ENOUGH_S = 40
"""A run that fails for so long is stopped, also on a busy machine."""

RULES = tuple(ROOT / "dashboards" / "rules" / f"{name}.yml" for name in ("recording", "alerts"))
OWN_RULE = {
    "alert": "OwnRule",
    "expr": 'sum by (job) (rate(obswarm_requests_total{outcome="failure"}[5s])) > 1',
    "for": "4s",
    "annotations": {"summary": "a rule of the user's own"},
}
_LOADTEST = """
from obswarm import FastHttpUser, constant, task

class Visitor(FastHttpUser):
    wait_time = constant(0.1)

    @task
    def page(self):
        self.client.get("{page}", name="/page")
"""
_PAGES = {"failing": "/fail", "healthy": "/page"}


@dataclass(frozen=True)
class Pair:
    """Seconds that the first run fails for, and between its end and the start of the second. With `service` a master
    that stays makes both."""

    failing_s: float
    pause_s: float
    service: bool = False


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
        return sum(any(reason in text for reason in NOT_OURS) for text in self.healthy.alerts)

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
    for name, page in _PAGES.items():
        (folder / f"{name}.py").write_text(_LOADTEST.replace("{page}", page))
    with ExitStack() as stack:
        target = stack.enter_context(CountingServer())
        port = free_port()
        alertmanager = stack.enter_context(Alertmanager(f"http://127.0.0.1:{port}/api/v1/alerts", TOKEN))
        made = Prometheus(f"127.0.0.1:{port}", rules=(OWN_RULE,), rule_files=RULES, alertmanager_port=alertmanager.port)
        prometheus = stack.enter_context(made)
        where: tuple[object, ...]
        if pair.service:
            stack.enter_context(_service(folder, port))
            where = ("--master", f"http://127.0.0.1:{port}", "--api-token", TOKEN)
        else:
            where = ("--web-port", port, "--alerts-token", TOKEN, "--workers", 0, "--linger", "3s", "--local")
        # Prometheus begins to scrape up to five seconds after it is ready.
        prometheus.wait_for('up{job="obswarm"}', pair.service)
        failing = _run(folder, target.url, where, "failing", pair.failing_s)
        time.sleep(pair.pause_s)
        healthy = _run(folder, target.url, where, "healthy", HEALTHY_S)
    return Outcome(pair, failing, healthy)


@contextmanager
def _service(folder: Path, port: int) -> Iterator[None]:
    """A master that stays, and a worker."""
    bind = f"127.0.0.1:{free_port()}"
    tokens = ("--api-token", TOKEN, "--alerts-token", TOKEN)
    programs = (
        ("master", "--serve", "--bind", bind, "--web-port", port, "--linger", "3s", *tokens),
        ("worker", "--serve", "--master", bind),
    )
    started: list[subprocess.Popen[bytes]] = []
    with open(folder / "service.log", "wb") as log:
        try:
            started.extend(subprocess.Popen(command(*words), cwd=folder, stdout=log, stderr=log) for words in programs)
            url = f"http://127.0.0.1:{port}/api/v1/status"
            wait_until(lambda: _workers_at(url), (folder / "service.log").read_text)
            yield
        finally:
            for each in started:
                each.terminate()
            for each in started:
                each.wait(HANG_S)


def _workers_at(url: str) -> int:
    try:
        with urllib.request.urlopen(
            urllib.request.Request(url, headers={"Authorization": f"Bearer {TOKEN}"}), timeout=HANG_S
        ) as answer:
            return len(json.load(answer)["workers"])
    except OSError:
        return 0


def _run(folder: Path, url: str, where: tuple[object, ...], name: str, seconds: float) -> Ended:
    done = obswarm(
        *("run", f"{name}.py", "-H", url, "-u", 5, "-r", 50, "-t", f"{seconds}s", "--headless", "--json", "-"),
        *("--no-store", "--no-report", *where),
        timeout=HANG_S + 60,
        cwd=folder,
    )
    assert done.stdout, done.stderr
    return Ended(done.code, done.result, done.stderr)
