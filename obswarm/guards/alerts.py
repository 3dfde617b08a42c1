"""Alerts that others deliver: Alertmanager's and Grafana's webhook payloads as values, and which of them fire now. No
I/O.

Alertmanager's format is version 4 (https://prometheus.io/docs/alerting/latest/configuration/#webhook_config);
Grafana's is the same in what is read here (https://grafana.com/docs/grafana/latest/alerting/, webhook notifier).
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from obswarm import defaults
from obswarm.api import ObswarmError
from obswarm.guards.conditions import AlertOperand
from obswarm.guards.guard import Action, parse_action
from obswarm.sanitize import clean_text
from obswarm.units import counted

ACTION_LABEL = "obswarm_action"
RUN_LABEL = "run_id"
"""The run that an alert is about; the label of obswarm_run_info, joined by the alert's rule."""
RUN_ID = re.compile(r"\d{8}-\d{6}-[0-9a-f]{4}")
"""As obswarm.engine.new_run_id makes them: other programs have labels of that name for ids of their own."""
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

    @property
    def run_id(self) -> str | None:
        """The run that it is about, if it says so."""
        text = self.labels.get(RUN_LABEL, "")
        return text if RUN_ID.fullmatch(text) else None


def make_payload(alerts: Iterable[Alert]) -> bytes:
    """A delivery of these, as `parse_payload` reads it; of one source, or of Alertmanager if there are several."""
    alerts = list(alerts)
    document: dict[str, Any] = {
        "version": "4",
        "alerts": [
            {
                "status": "firing" if alert.firing else "resolved",
                "labels": dict(alert.labels),
                "annotations": {"summary": alert.summary},
                "startsAt": None if alert.starts_s is None else datetime.fromtimestamp(alert.starts_s, UTC).isoformat(),
                "fingerprint": alert.fingerprint,
            }
            for alert in alerts
        ],
    }
    if alerts and all(alert.source == "grafana" for alert in alerts):
        document["orgId"] = 0
    return json.dumps(document).encode()


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
        raise BadPayload(f"{counted(len(alerts), 'alert')} at once; at most {_MOST_ALERTS} are taken")
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
    return {clean_text(name): clean_text(text, _LONGEST) for name, text in value.items()}


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


def still_firing(before: Iterable[Alert], delivered: Iterable[Alert]) -> list[Alert]:
    """Those that fire after a delivery, the oldest first; what is too many is left out."""
    by_fingerprint = {alert.fingerprint: alert for alert in (*before, *delivered)}
    return [alert for alert in by_fingerprint.values() if alert.firing][:_MOST_ALERTS]


class Standing(StrEnum):
    """Whether an alert is this run's."""

    OURS = "ours"
    OTHER_RUN = "other run"
    EARLIER = "earlier"
    """It fired before the run began."""
    UNSURE = "unsure"
    """It fired so soon after the run's start that the data behind it may be from before."""


@dataclass(slots=True)
class _Firing:
    alert: Alert
    since_s: float
    """When it began to fire, else when it was delivered."""
    acted: bool = False


class AlertBook:
    """Which alerts fire, and what a delivery leads to. An alert that is delivered again (Alertmanager repeats what
    goes on) leads to nothing new. Times are wall time.

    Only alerts of this run act and are counted by guards. One with the label `run_id` is this run's if the id is; one
    without it, if it fired after the run began. What fires within `grace_s` of the begin acts once that time is over,
    if it still fires: `due` gives those.
    """

    def __init__(
        self,
        default: Action,
        grace_s: float = defaults.ALERTS_GRACE_S,
        *,
        run_id: str | None = None,
    ) -> None:
        self.run_id = run_id
        self.grace_s = grace_s
        self._started_s: float | None = None
        self._default = default
        self._firing: dict[str, _Firing] = {}

    def begin(self, started_s: float) -> None:
        """The run began then; what has been delivered before is from before, unless it says otherwise."""
        self._started_s = started_s

    def judge(self, alerts: list[Alert], now_s: float) -> list[Verdict]:
        """What these would lead to, without taking note of them."""
        return [self._judge(alert, now_s) for alert in alerts]

    def take(self, alerts: list[Alert], now_s: float) -> list[Verdict]:
        """Take note of them; the verdicts are to be carried out."""
        verdicts = []
        for alert in alerts:
            verdicts.append(self._judge(alert, now_s))
            known = self._firing.get(alert.fingerprint)
            if not alert.firing:
                self._firing.pop(alert.fingerprint, None)
            elif known is not None and known.alert.starts_s == alert.starts_s:
                known.alert = alert
            elif known is not None or len(self._firing) < _MOST_ALERTS:
                since_s = alert.starts_s if alert.starts_s is not None else now_s
                acted = self._started_s is not None and self._standing(alert, since_s, now_s) is Standing.OURS
                self._firing[alert.fingerprint] = _Firing(alert, since_s, acted)
        return verdicts

    def due(self, now_s: float) -> list[Verdict]:
        """Verdicts, to be carried out, on alerts that count from now on."""
        if self._started_s is None:
            return []
        verdicts = []
        for known in self._firing.values():
            if not known.acted and self._standing(known.alert, known.since_s, now_s) is Standing.OURS:
                known.acted = True
                action, reason = self._wanted(known.alert)
                if action.kind != "notify":
                    late_s = now_s - self._started_s
                    verdicts.append(
                        Verdict(known.alert, action, f"{reason}; it still fires {late_s:.0f} s after the run began")
                    )
        return verdicts

    def _judge(self, alert: Alert, now_s: float) -> Verdict:
        known = self._firing.get(alert.fingerprint)
        if not alert.firing:
            return Verdict(alert, None, "resolved" if known is not None else "resolved, and was not known")
        if known is not None and known.alert.starts_s == alert.starts_s:
            return Verdict(alert, None, "known already")
        since_s = alert.starts_s if alert.starts_s is not None else now_s
        match self._standing(alert, since_s, now_s):
            case Standing.OURS if self._started_s is None:
                return Verdict(
                    alert,
                    None,
                    f"the run has not begun yet; it leads to {self._wanted(alert)[0]} then, if it still fires",
                )
            case Standing.OTHER_RUN:
                return Verdict(alert, Action("notify"), f"it is about the run {alert.run_id}, not about this one")
            case Standing.EARLIER:
                return Verdict(alert, Action("notify"), "it fired before the run began, so the run is not its cause")
            case Standing.UNSURE if (later := self._wanted(alert)[0]).kind != "notify":
                return Verdict(
                    alert,
                    Action("notify"),
                    f"it fired {since_s - (self._started_s or since_s):.1f} s after the run began, and what it is about"
                    f" may be from before; if it still fires {self.grace_s:g} s after the begin, it leads to: {later}",
                )
        return Verdict(alert, *self._wanted(alert))

    def _standing(self, alert: Alert, since_s: float, now_s: float) -> Standing:
        if alert.run_id is not None:
            return Standing.OURS if alert.run_id == self.run_id else Standing.OTHER_RUN
        if self._started_s is None or since_s < self._started_s:
            return Standing.EARLIER
        certain_s = self._started_s + self.grace_s
        return Standing.OURS if since_s >= certain_s or now_s >= certain_s else Standing.UNSURE

    def _wanted(self, alert: Alert) -> tuple[Action, str]:
        """(what its label or the default asks for, which of them)."""
        wanted = alert.labels.get(ACTION_LABEL)
        if wanted is None:
            return self._default, "the default for alerts"
        try:
            return parse_action(wanted), f"its label {ACTION_LABEL}"
        except ObswarmError as error:
            return Action("notify"), f"its label {ACTION_LABEL}: {error}"

    def count(self, operand: AlertOperand, now_s: float) -> int:
        """How many firing alerts of this run a guard's `alert(…)` fits."""
        return sum(
            operand.fits(dict(known.alert.labels))
            for known in self._firing.values()
            if self._standing(known.alert, known.since_s, now_s) is Standing.OURS
        )

    def holding_back(self, now_s: float) -> list[Alert]:
        """Alerts from before the run that fire, are about no run, and would do more than notify."""
        return [
            known.alert
            for known in self._firing.values()
            if self._standing(known.alert, known.since_s, now_s) is Standing.EARLIER
            and self._wanted(known.alert)[0].kind != "notify"
        ]

    @property
    def firing(self) -> list[Alert]:
        return [known.alert for known in self._firing.values()]
