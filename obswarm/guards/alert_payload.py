"""Parse webhook payloads of Alertmanager and Grafana. No I/O.

Alertmanager's format is version 4 (https://prometheus.io/docs/alerting/latest/configuration/#webhook_config);
Grafana's format has the same alerts and some fields of its own
(https://grafana.com/docs/grafana/latest/alerting/configure-notifications/manage-contact-points/integrations/webhook-notifier/).
"""

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any

from obswarm.defaults import MAX_NAME_LENGTH
from obswarm.record import AlertStatus
from obswarm.sanitize import clean_text
from obswarm.units import counted

RUN_LABEL = "run_id"
"""The label that says which run an alert is about; alert rules join it from obswarm_run_info."""
RUN_ID = re.compile(r"\d{8}-\d{6}-[0-9a-f]{4}")
"""Format of obswarm.engine.new_run_id. Other programs may use a label of that name for their own ids."""
_MOST_LABELS = 64
_LONGEST = 2_000
_LONGEST_INTEGER = 400
_MOST_LEFT_OUT = 1_000_000


class RefusalReason(StrEnum):
    """Why an alert, or a whole delivery, was refused: values of the label `reason` of obswarm_alerts_refused_total."""

    NOT_JSON = "not_json"
    NO_ALERTS = "no_alerts"
    TOO_LARGE = "too_large"
    TOKEN = "token"
    NO_OBJECT = "no_object"
    STATUS = "status"
    LABELS = "labels"
    FINGERPRINT = "fingerprint"
    STARTS_AT = "starts_at"
    TOO_MANY = "too_many"
    """More alerts are firing than obswarm tracks."""
    TRUNCATED = "truncated"
    """The sender left them out (`max_alerts` of Alertmanager's webhook)."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A refused alert or delivery.

    `text` names the alert and what is wrong with it. `count` is the number of alerts; a whole delivery counts as one.
    """

    reason: RefusalReason
    text: str
    count: int = 1


class BadPayload(ValueError):
    """The payload is not one of Alertmanager or Grafana."""

    def __init__(self, reason: RefusalReason, text: str) -> None:
        super().__init__(text)
        self.refusal = Refusal(reason, text)


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert of a delivery. `starts_s` is its start as wall time in seconds, None if the payload has none."""

    fingerprint: str
    status: AlertStatus
    labels: Mapping[str, str]
    summary: str
    starts_s: float | None
    source: str
    """alertmanager or grafana."""

    @property
    def firing(self) -> bool:
        return self.status is AlertStatus.FIRING

    @property
    def name(self) -> str:
        return self.labels.get("alertname", "(no name)")

    @property
    def run_id(self) -> str | None:
        """The run that the alert is about, None if it has no valid label `run_id`."""
        text = self.labels.get(RUN_LABEL, "")
        return text if RUN_ID.fullmatch(text) else None


@dataclass(frozen=True, slots=True)
class Delivery:
    """The content of one webhook request: alerts that were parsed, and what was refused."""

    alerts: tuple[Alert, ...] = ()
    refused: tuple[Refusal, ...] = ()


def encode_delivery(delivery: Delivery) -> bytes:
    """Return a delivery as JSON for `decode_delivery`, to store it for the next run.

    All its alerts get the same source: Grafana if all are from there, else Alertmanager.
    """
    document: dict[str, Any] = {
        "version": "4",
        "alerts": [
            {
                "status": alert.status,
                "labels": dict(alert.labels),
                "annotations": {"summary": alert.summary},
                "startsAt": None if alert.starts_s is None else datetime.fromtimestamp(alert.starts_s, UTC).isoformat(),
                "fingerprint": alert.fingerprint,
            }
            for alert in delivery.alerts
        ],
        "refused": [[refusal.reason, refusal.text, refusal.count] for refusal in delivery.refused],
    }
    if delivery.alerts and all(alert.source == "grafana" for alert in delivery.alerts):
        document["orgId"] = 0
    return json.dumps(document).encode()


def decode_delivery(body: bytes) -> Delivery:
    """Parse the result of `encode_delivery`. Raises BadPayload for anything else."""
    delivery = parse_payload(body)
    try:
        refused = [Refusal(RefusalReason(reason), text, count) for reason, text, count in json.loads(body)["refused"]]
    except (ValueError, KeyError, TypeError) as error:
        raise BadPayload(RefusalReason.NOT_JSON, f"its list `refused` cannot be read: {error}") from None
    return Delivery(delivery.alerts, (*delivery.refused, *refused))


def parse_payload(body: bytes) -> Delivery:
    """Parse a delivery. An alert that cannot be parsed is refused without an effect on the others.

    Raises BadPayload if the payload has no list of alerts.
    """
    try:
        document = json.loads(body, parse_int=_integer)
    except (ValueError, RecursionError) as error:
        raise BadPayload(RefusalReason.NOT_JSON, f"the body is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise BadPayload(RefusalReason.NO_ALERTS, "the body is not a JSON object")
    values = document.get("alerts")
    if not isinstance(values, list):
        text = "it has no list `alerts`, which the webhooks of Alertmanager and Grafana have"
        raise BadPayload(RefusalReason.NO_ALERTS, text)
    # Only Grafana sends the id of an organisation.
    source = "grafana" if "orgId" in document else "alertmanager"
    alerts, refused = [], []
    for number, value in enumerate(values):
        try:
            alerts.append(_alert(value, f"alerts[{number}]", source))
        except BadPayload as error:
            refused.append(error.refusal)
    left_out = _left_out(document.get("truncatedAlerts"))
    if left_out:
        more = "more than " if left_out > _MOST_LEFT_OUT else ""
        left_out = min(left_out, _MOST_LEFT_OUT)
        text = f"{more}{counted(left_out, 'alert')} left out by the sender (max_alerts of its webhook)"
        refused.append(Refusal(RefusalReason.TRUNCATED, text, left_out))
    return Delivery(tuple(alerts), tuple(refused))


def _integer(text: str) -> int | float:
    # Python limits the length of integers; the alerts of a payload with a longer one are still valid.
    return int(text) if len(text) <= _LONGEST_INTEGER else float(text)


def _left_out(value: Any) -> int:
    """Return the number of alerts that the sender has left out, at most _MOST_LEFT_OUT + 1. JSON has 2 and 2.0."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        return 0
    return math.floor(min(value, _MOST_LEFT_OUT + 1))


def _alert(value: Any, where: str, source: str) -> Alert:
    if not isinstance(value, dict):
        raise BadPayload(RefusalReason.NO_OBJECT, f"{where} is not an object")
    labels, annotations = value.get("labels"), value.get("annotations")
    where += _named(labels)
    status = value.get("status")
    if status not in tuple(AlertStatus):
        text = f"{where}: status is {_short(status)}; it must be {' or '.join(AlertStatus)}"
        raise BadPayload(RefusalReason.STATUS, text)
    labels = _labels(labels, where)
    fingerprint = value.get("fingerprint")
    if fingerprint is None or (isinstance(fingerprint, str) and not fingerprint.strip()):
        fingerprint = hashlib.sha256(json.dumps(sorted(labels.items())).encode()).hexdigest()[:16]
    if not isinstance(fingerprint, str) or len(fingerprint) > _LONGEST:
        text = f"{where}: fingerprint is not a text of at most {counted(_LONGEST, 'character')}"
        raise BadPayload(RefusalReason.FINGERPRINT, text)
    return Alert(
        clean_text(fingerprint, _LONGEST),
        AlertStatus(status),
        labels,
        _summary(annotations),
        _time(value.get("startsAt"), where),
        source,
    )


def _named(labels: Any) -> str:
    """Return the alert's name in parentheses for messages, empty if it has none."""
    name = labels.get("alertname") if isinstance(labels, dict) else None
    return f" ({clean_text(name, 200)})" if isinstance(name, str) else ""


def _short(value: Any) -> str:
    return "missing" if value is None else clean_text(repr(value), 80)


def _summary(annotations: Any) -> str:
    """Return the summary or description of the alert. Invalid annotations are no reason to refuse it."""
    if isinstance(annotations, dict):
        for name in ("summary", "description"):
            text = annotations.get(name)
            if isinstance(text, str) and text:
                return _clean(text, _LONGEST)
    return ""


def _labels(value: Any, where: str) -> dict[str, str]:
    if not isinstance(value, dict):
        raise BadPayload(RefusalReason.LABELS, f"{where}: labels is not an object of texts")
    if len(value) > _MOST_LABELS:
        text = f"{where} has {counted(len(value), 'label')}; at most {_MOST_LABELS} are accepted"
        raise BadPayload(RefusalReason.LABELS, text)
    for name, text in value.items():
        if not isinstance(text, str) or len(name) > _LONGEST:
            raise BadPayload(RefusalReason.LABELS, f"{where}: labels.{clean_text(name, 80)} is not a text")
    return {_clean(name, MAX_NAME_LENGTH): _clean(text, _LONGEST) for name, text in value.items()}


@lru_cache(maxsize=4096)
def _clean(text: str, max_length: int) -> str:
    # Cached, as thousands of alerts have mostly the same labels.
    return clean_text(text, max_length)


def _time(value: Any, where: str) -> float | None:
    """Parse a time in the format of RFC 3339, which both senders use; UTC if it has no time zone."""
    if value is None:
        return None
    try:
        time = datetime.fromisoformat(value)
        return (time if time.tzinfo is not None else time.replace(tzinfo=UTC)).timestamp()
    except (TypeError, ValueError, OverflowError):
        raise BadPayload(RefusalReason.STARTS_AT, f"{where}: startsAt is not a time") from None
