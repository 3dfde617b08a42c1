"""Many pairs of runs at once, a failing and a healthy one after it at the same address: made-up seconds in this process,
with the boards, metrics and webhooks of real runs, and one real Prometheus and Alertmanager for all of them."""

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import gevent
import requests

from obswarm import clock
from obswarm.engine import new_run_id
from obswarm.guards import Guard, GuardEvaluator, parse_action
from obswarm.metrics import MetricsApp, SnapshotRegistry
from obswarm.record import RunState
from obswarm.stats import InFlight
from obswarm.web import AlertsApp, WebServer
from tests.guards.test_evaluator import Control
from tests.support.alertmanager import Alertmanager
from tests.support.nginx import free_port
from tests.support.patience import HANG_S
from tests.support.prometheus import Prometheus
from tests.support.recorded import PAGE, MadeUpRun
from tests.support.run_pairs import HEALTHY_S, OWN_RULE, RULES, TOKEN

_LINGER_S = 3.0
_PATH = "/api/v1/alerts"


@dataclass
class EvaluatorPair:
    """`failing_s` and `pause_s` as those of run_pairs.Pair. With `grafana` deliveries have Grafana's shape. `failing` and
    `healthy` are what the boards of the two runs have asked of them."""

    failing_s: float
    pause_s: float
    grafana: bool
    failing: list[Any] = field(default_factory=list)
    healthy: list[Any] = field(default_factory=list)
    noted: list[str] = field(default_factory=list)
    """Of alerts, by the healthy run."""
    refused: int = 0
    delivered: list[bytes] = field(default_factory=list)
    """Deliveries of alerts that fire, to the failing run."""


def run_evaluator_pairs(pairs: Sequence[EvaluatorPair]) -> None:
    """Fills in what has happened to them."""
    ports = [free_port() for _ in pairs]
    with Alertmanager("", TOKEN, _routes(ports)) as alertmanager:
        targets = [f"pair-{port}=127.0.0.1:{port}" for port in ports]
        made = Prometheus(*targets, rules=(OWN_RULE,), rule_files=RULES, alertmanager_port=alertmanager.port)
        with made as prometheus:
            prometheus.wait_for("count(up)", len(pairs))
            running = [gevent.spawn(_run_pair, pair, port) for pair, port in zip(pairs, ports, strict=True)]
            gevent.joinall(running, raise_error=True)


def _routes(ports: Sequence[int]) -> str:
    """Alertmanager's configuration: the alerts of each address go there."""
    authorization = {"type": "Bearer", "credentials": TOKEN}
    routes, receivers = [], []
    for port in ports:
        webhook = {
            "url": f"http://127.0.0.1:{port}{_PATH}",
            "send_resolved": True,
            "http_config": {"authorization": authorization},
        }
        routes.append({"matchers": [f'job="pair-{port}"'], "receiver": str(port)})
        receivers.append({"name": str(port), "webhook_configs": [webhook]})
    waits = {"group_wait": "0s", "group_interval": "1s", "repeat_interval": "1m"}
    route = {"receiver": str(ports[0]), "group_by": ["alertname", "run_id"], **waits, "routes": routes}
    return json.dumps({"route": route, "receivers": receivers})


def _run_pair(pair: EvaluatorPair, port: int) -> None:
    with _serving(pair, port) as (run, evaluator, control, end):
        deadline = time.monotonic() + pair.failing_s
        while time.monotonic() < deadline and not control.calls:
            end(evaluator.on_snapshot(run.second({}, [PAGE] * 200)))
            gevent.sleep(1)
    pair.failing = control.calls
    delivered = pair.delivered.copy()
    gevent.sleep(pair.pause_s)
    with _serving(pair, port) as (run, evaluator, control, end):
        # Whatever Alertmanager's own timing is: it repeats what it was not sure to have delivered.
        if delivered:
            gevent.spawn(_deliver, port, delivered[-1])
        for _ in range(HEALTHY_S):
            end(evaluator.on_snapshot(run.second({PAGE: [0.01] * 10})))
            gevent.sleep(1)
    pair.healthy = control.calls
    pair.noted = [text for _, text in control.notes]
    pair.refused = sum(each.count for each in evaluator.alert_counts.refused)


@contextmanager
def _serving(pair: EvaluatorPair, port: int) -> Iterator[tuple[MadeUpRun, GuardEvaluator, Control, Any]]:
    """A run at that address, and what takes its snapshots; in the end it waits for a last scrape as any run does."""
    run = MadeUpRun([], run_id=new_run_id(clock.wall()), users=20)
    run.in_flight = {PAGE: InFlight(10, 0.1)}
    evaluator = GuardEvaluator([Guard('alert(severity="critical")', name="critical")], None, parse_action("stop"))
    latest, control = SnapshotRegistry(), Control(run.statistics.run_id)
    evaluator.attach(control)
    app: Any = AlertsApp(evaluator, TOKEN)
    app = _recording(app, pair.delivered)
    server = WebServer(MetricsApp(latest, {}), "127.0.0.1", port, {_PATH: _as_grafana(app) if pair.grafana else app})
    with server:
        evaluator.start(control, clock.wall())
        yield run, evaluator, control, latest.snapshot
        run.state = RunState.STOPPED
        latest.snapshot(run.second({}))
        server.wait_for_the_last_scrape(clock.monotonic(), _LINGER_S)
    evaluator.close()


def _deliver(port: int, body: bytes) -> None:
    url, headers = f"http://127.0.0.1:{port}{_PATH}", {"Authorization": f"Bearer {TOKEN}"}
    requests.post(url, body, headers=headers, timeout=HANG_S).raise_for_status()


def _recording(app: Any, delivered: list[bytes]) -> Any:
    """The application, which keeps deliveries of alerts that fire."""

    def keeping(environ: dict[str, Any], start_response: Any) -> Any:
        body = environ["wsgi.input"].read()
        if json.loads(body)["status"] == "firing":
            delivered.append(body)
        return app({**environ, "wsgi.input": BytesIO(body)}, start_response)

    return keeping


def _as_grafana(app: Any) -> Any:
    """Gives the application each of Alertmanager's deliveries as Grafana would have written it."""

    def translating(environ: dict[str, Any], start_response: Any) -> Any:
        body = json.dumps(grafana_payload(json.loads(environ["wsgi.input"].read()))).encode()
        return app({**environ, "wsgi.input": BytesIO(body), "CONTENT_LENGTH": str(len(body))}, start_response)

    return translating


def grafana_payload(delivery: dict[str, Any]) -> dict[str, Any]:
    """The fields that Grafana's webhook has besides Alertmanager's, and its own version."""
    for alert in delivery["alerts"]:
        alert |= {
            "silenceURL": "https://grafana.example.com/alerting/silence/new?alertmanager=grafana",
            "dashboardURL": "",
            "panelURL": "",
            "values": {"B": 22.5, "C": 1} if alert["status"] == "firing" else None,
            "valueString": "[ var='B' labels={} value=22.5 ], [ var='C' labels={} value=1 ]",
            "imageURL": "",
        }
        alert["startsAt"] = alert["startsAt"].replace("Z", "+00:00")
    firing = delivery["status"] == "firing"
    return {
        **delivery,
        "version": "1",
        "orgId": 1,
        "title": f"[{'FIRING' if firing else 'RESOLVED'}:{len(delivery['alerts'])}]",
        "state": "alerting" if firing else "ok",
        "message": "**Firing**\n\nValue: B=22.5, C=1\n",
        "appVersion": "12.0.0",
    }
