"""Alerts that others deliver: Alertmanager's and Grafana's webhook payloads as values, and which of them fire now. No
I/O.

Alertmanager's format is version 4 (https://prometheus.io/docs/alerting/latest/configuration/#webhook_config);
Grafana's is the same in what is read here (https://grafana.com/docs/grafana/latest/alerting/, webhook notifier).
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from obswarm.api import ObswarmError
from obswarm.guards.conditions import AlertOperand
from obswarm.guards.guard import Action, parse_action

ACTION_LABEL = "obswarm_action"
_MOST_ALERTS = 1_000
_MOST_LABELS = 64
_LONGEST = 2_000


class BadPayload(ValueError):
    """Not what Alertmanager or Grafana sends; its text says what is wrong."""


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert of a delivery. `starts_s` is wall time in seconds, None when it was not told."""

    fingerprint: str
    firing: bool
    labels: Mapping[str, str]
    summary: str
    starts_s: float | None
    source: str
    """alertmanager or grafana."""

    @property
    def name(self) -> str:
        return self.labels.get("alertname", "(no name)")


def parse_payload(body: bytes) -> list[Alert]:
    """The alerts of a delivery. Raises BadPayload."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadPayload(f"the body is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise BadPayload("the body is not a JSON object")
    alerts = document.get("alerts")
    if not isinstance(alerts, list):
        raise BadPayload("it has no list `alerts`, which the webhooks of Alertmanager and Grafana have")
    if len(alerts) > _MOST_ALERTS:
        raise BadPayload(f"{len(alerts)} alerts at once; at most {_MOST_ALERTS} are taken")
    # Grafana names its organisation; Alertmanager does not know such a thing.
    source = "grafana" if "orgId" in document else "alertmanager"
    return [_alert(each, number, source) for number, each in enumerate(alerts)]


def _alert(value: Any, number: int, source: str) -> Alert:
    where = f"alerts[{number}]"
    if not isinstance(value, dict):
        raise BadPayload(f"{where} is not an object")
    status = value.get("status")
    if status not in ("firing", "resolved"):
        raise BadPayload(f"{where}.status is {status!r}; it has to be firing or resolved")
    labels = _texts(value.get("labels"), f"{where}.labels")
    annotations = _texts(value.get("annotations") or {}, f"{where}.annotations")
    fingerprint = value.get("fingerprint")
    if fingerprint is None:
        fingerprint = hashlib.sha256(json.dumps(sorted(labels.items())).encode()).hexdigest()[:16]
    if not isinstance(fingerprint, str) or len(fingerprint) > _LONGEST:
        raise BadPayload(f"{where}.fingerprint is not a text")
    summary = annotations.get("summary") or annotations.get("description") or ""
    return Alert(
        fingerprint, status == "firing", labels, summary[:_LONGEST], _time(value.get("startsAt"), where), source
    )


def _texts(value: Any, where: str) -> dict[str, str]:
    if not isinstance(value, dict) or len(value) > _MOST_LABELS:
        raise BadPayload(f"{where} is not an object of at most {_MOST_LABELS} texts")
    for name, text in value.items():
        if not isinstance(text, str) or len(name) > _LONGEST:
            raise BadPayload(f"{where}.{name[:80]} is not a text")
    return value


def _time(value: Any, where: str) -> float | None:
    if value is None:
        return None
    try:
        return datetime.fromisoformat(value).timestamp()
    except (TypeError, ValueError, OverflowError):
        raise BadPayload(f"{where}.startsAt is not a time") from None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a delivered alert leads to. `action` None: nothing, and `reason` says why."""

    alert: Alert
    action: Action | None
    reason: str

    def document(self) -> dict[str, Any]:
        return {
            "alertname": self.alert.name,
            "fingerprint": self.alert.fingerprint,
            "status": "firing" if self.alert.firing else "resolved",
            "action": str(self.action) if self.action is not None else None,
            "reason": self.reason,
        }


class AlertBook:
    """Which alerts fire, and what a delivery leads to. An alert that is delivered again (Alertmanager repeats what
    goes on) leads to nothing new."""

    def __init__(self, default: Action, run_started_s: float) -> None:
        self.run_started_s = run_started_s
        self._default = default
        self._firing: dict[str, Alert] = {}

    def judge(self, alerts: list[Alert]) -> list[Verdict]:
        """What these would lead to, without taking note of them."""
        return [self._judge(alert) for alert in alerts]

    def take(self, alerts: list[Alert]) -> list[Verdict]:
        """Take note of them; the verdicts are to be carried out."""
        verdicts = []
        for alert in alerts:
            verdicts.append(self._judge(alert))
            if alert.firing:
                if alert.fingerprint in self._firing or len(self._firing) < _MOST_ALERTS:
                    self._firing[alert.fingerprint] = alert
            else:
                self._firing.pop(alert.fingerprint, None)
        return verdicts

    def _judge(self, alert: Alert) -> Verdict:
        known = self._firing.get(alert.fingerprint)
        if not alert.firing:
            return Verdict(alert, None, "resolved" if known is not None else "resolved, and was not known")
        if known is not None and known.starts_s == alert.starts_s:
            return Verdict(alert, None, "known already")
        wanted = alert.labels.get(ACTION_LABEL)
        if wanted is not None:
            try:
                action = parse_action(wanted)
            except ObswarmError as error:
                return Verdict(alert, Action("notify"), f"its label {ACTION_LABEL}: {error}")
            reason = f"its label {ACTION_LABEL}"
        else:
            action, reason = self._default, "the default for alerts"
        if action.kind != "notify" and alert.starts_s is not None and alert.starts_s < self.run_started_s:
            return Verdict(alert, Action("notify"), "it fired before the run began, so the run is not its cause")
        return Verdict(alert, action, reason)

    def count(self, operand: AlertOperand) -> int:
        """How many firing alerts a guard's `alert(…)` fits."""
        return sum(operand.fits(dict(alert.labels)) for alert in self._firing.values())

    @property
    def firing(self) -> list[Alert]:
        return list(self._firing.values())
