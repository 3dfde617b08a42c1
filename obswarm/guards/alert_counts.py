"""Counts of the alerts that were received by webhook, and of those that were refused, by reason."""

import logging
from collections import Counter
from collections.abc import Iterable

from obswarm.guards.alert_payload import Alert, Refusal, RefusalReason
from obswarm.record import AlertCount, AlertStatus, RefusedAlerts

logger = logging.getLogger(__name__)

_MOST_NAMES = 1_000
_OTHERS = "(others)"
"""Name under which alerts beyond the first thousand names are counted, as each name is a series in /metrics."""


class AlertCounts:
    """Count received and refused alerts, repeated deliveries included. The first refusal of each reason is logged."""

    def __init__(self) -> None:
        self._received: Counter[tuple[str, AlertStatus, str]] = Counter()
        self._names: set[str] = set()
        self._refused: Counter[RefusalReason] = Counter()
        self._examples: dict[RefusalReason, str] = {}

    def receive(self, alert: Alert) -> None:
        if alert.name not in self._names and len(self._names) < _MOST_NAMES:
            self._names.add(alert.name)
        name = alert.name if alert.name in self._names else _OTHERS
        self._received[name, alert.status, alert.source] += 1

    def restore(self, refused: Iterable[Refusal]) -> None:
        """Add refusals that have been logged already."""
        for refusal in refused:
            self._refused[refusal.reason] += refusal.count
            self._examples.setdefault(refusal.reason, refusal.text)

    def refuse(self, refused: Iterable[Refusal]) -> None:
        for refusal in refused:
            self._refused[refusal.reason] += refusal.count
            if refusal.reason not in self._examples:
                self._examples[refusal.reason] = refusal.text
                logger.warning(
                    "Refused alerts: %s. Further refusals for this reason (%s) are only counted.",
                    refusal.text,
                    refusal.reason,
                )

    @property
    def refusals(self) -> tuple[Refusal, ...]:
        """Return one refusal for each reason, as `restore` takes them."""
        return tuple(Refusal(reason, self._examples[reason], count) for reason, count in sorted(self._refused.items()))

    @property
    def received(self) -> tuple[AlertCount, ...]:
        return tuple(AlertCount(*key, count) for key, count in sorted(self._received.items()))

    @property
    def refused(self) -> tuple[RefusedAlerts, ...]:
        return tuple(
            RefusedAlerts(str(reason), count, self._examples[reason]) for reason, count in sorted(self._refused.items())
        )
