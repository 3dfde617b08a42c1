"""Counts of what was delivered to a run by webhook: alerts that were taken, and what was refused, and why."""

import logging
from collections import Counter
from collections.abc import Iterable

from obswarm.guards.alert_payload import Alert, Refusal, RefusalReason
from obswarm.stats import AlertCount, AlertStatus, RefusedAlerts

logger = logging.getLogger(__name__)

_MOST_NAMES = 1_000
_OTHERS = "(others)"
"""In place of the names of alerts beyond the first thousand: each is a series in /metrics."""


class AlertCounts:
    """Counts deliveries; one that comes again is counted again. Says of each reason for a refusal once that it was
    there, with the alert."""

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
        """Count what another one has said already."""
        for refusal in refused:
            self._refused[refusal.reason] += refusal.count
            self._examples.setdefault(refusal.reason, refusal.text)

    def refuse(self, refused: Iterable[Refusal]) -> None:
        for refusal in refused:
            self._refused[refusal.reason] += refusal.count
            if refusal.reason not in self._examples:
                self._examples[refusal.reason] = refusal.text
                logger.warning(
                    "Refused of the alerts that were delivered: %s. More of that kind (%s) is only counted.",
                    refusal.text,
                    refusal.reason,
                )

    @property
    def refusals(self) -> tuple[Refusal, ...]:
        """What has been refused, one for each reason, as another one's `refuse` takes it."""
        return tuple(Refusal(reason, self._examples[reason], count) for reason, count in sorted(self._refused.items()))

    @property
    def received(self) -> tuple[AlertCount, ...]:
        return tuple(AlertCount(*key, count) for key, count in sorted(self._received.items()))

    @property
    def refused(self) -> tuple[RefusedAlerts, ...]:
        return tuple(
            RefusedAlerts(str(reason), count, self._examples[reason]) for reason, count in sorted(self._refused.items())
        )
