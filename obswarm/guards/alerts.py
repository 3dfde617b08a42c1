"""Track alerts received by webhook: which are firing, which are about this run, and which action follows. No I/O."""

from collections import deque
from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import dataclass, replace
from enum import IntEnum, StrEnum
from heapq import nlargest
from typing import Any

from obswarm import defaults
from obswarm.api import ObswarmError
from obswarm.guards.alert_payload import Alert, Refusal, RefusalReason
from obswarm.guards.conditions import AlertOperand
from obswarm.guards.guard import Action, parse_action
from obswarm.record import AlertStatus, GuardAction
from obswarm.units import format_duration, format_limit, format_tenths

ACTION_LABEL = "obswarm_action"
MAX_FIRING = 10_000
"""Maximum number of firing alerts that are tracked; see AlertTracker.take for further ones."""


_SAVED_FIELDS = ("fingerprint", "labels", "summary", "starts_s", "source")
_MAX_SAVED = 500
"""Maximum number of alerts in the state for a later master, which is written once a second."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The action that follows from a delivered alert, None for none, and the reason."""

    alert: Alert
    action: Action | None
    reason: str

    def document(self) -> dict[str, Any]:
        return {
            "alertname": self.alert.name,
            "fingerprint": self.alert.fingerprint,
            "status": self.alert.status,
            "action": str(self.action) if self.action is not None else None,
            "reason": self.reason,
        }


TOO_MANY = f"{MAX_FIRING:,} alerts fire already, and no more are tracked"
DISPLACED = f"{MAX_FIRING:,} alerts fire, and one of a higher rank has taken its place"


def too_many(verdicts: Iterable[Verdict]) -> list[Refusal]:
    """Return refusals of the alerts that are not tracked because too many are firing."""
    return [
        Refusal(RefusalReason.TOO_MANY, f"{verdict.alert.name}: {verdict.reason}")
        for verdict in verdicts
        if verdict.reason == TOO_MANY
    ]


def _since(alert: Alert, now_s: float) -> float:
    # A start in the future is of a clock that is ahead by an unknown time.
    return now_s if alert.starts_s is None else min(alert.starts_s, now_s)


class AlertScope(StrEnum):
    """Which run an alert is about."""

    OURS = "ours"
    OTHER_RUN = "other run"
    EARLIER = "earlier"
    """It fired before the run started."""
    UNCERTAIN = "uncertain"
    """It fired within the grace after the start, so its data may be from before."""


class _Rank(IntEnum):
    """Rank of an alert: when too many are firing, those of a higher rank are tracked."""

    NOTED = 0
    """It has no effect."""
    MAY_BE_COUNTED = 1
    """It notifies, and guards may count it after the grace."""
    COUNTED = 2
    MAY_ACT = 3
    """It may act after the grace, or delay the start of the run."""
    ACTS = 4


@dataclass(slots=True)
class _Firing:
    alert: Alert
    since_s: float
    """When it started to fire; when it was delivered if its start is unknown or in the future."""
    acted: bool = False

    def continues_in(self, alert: Alert) -> bool:
        """Return whether a delivered alert has been firing since then, and not started to fire again.

        The start of an alert moves back when Alertmanager merges alerts of two Prometheus servers.
        """
        before_s, after_s = self.alert.starts_s, alert.starts_s
        return before_s == after_s or (before_s is not None and after_s is not None and after_s < before_s)


class AlertTracker:
    """Track which alerts are firing, and return a verdict on each delivered alert. Times are wall time in seconds.

    Repeated deliveries, which Alertmanager sends while an alert fires, have no further effect. Only alerts about this
    run act and are counted by guards: those with its `run_id`, and those without the label that fired after the start.
    An alert of the latter kind that fires within `grace_s` of the start acts after that time if it is still firing;
    `due` returns those.
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
        self._displaced: list[Alert] = []

    def attach(self, run_id: str) -> None:
        """Set the run that the alerts are about."""
        self.run_id = run_id

    def begin(self, started_s: float) -> None:
        """Set the start of the run."""
        self._started_s = started_s

    def saved_state(self, now_s: float) -> list[list[Any]]:
        """Return the firing alerts of this run for `restore`; of very many, those of the highest rank."""
        ours = [
            known
            for known in self._firing.values()
            if self._scope(known.alert, known.since_s, now_s) in (AlertScope.OURS, AlertScope.UNCERTAIN)
        ]
        if len(ours) > _MAX_SAVED:
            ours = nlargest(_MAX_SAVED, ours, lambda known: self._rank(known.alert, known.since_s, now_s))
        return [[*(getattr(known.alert, name) for name in _SAVED_FIELDS), known.since_s, known.acted] for known in ours]

    def restore(self, saved_state: Iterable[Sequence[Any]]) -> None:
        """Track the firing alerts of an earlier master."""
        for *values, since_s, acted in saved_state:
            alert = Alert(status=AlertStatus.FIRING, **dict(zip(_SAVED_FIELDS, values, strict=True)))
            self._firing[alert.fingerprint] = _Firing(alert, since_s, acted)

    def dry_run(self, alerts: Sequence[Alert], now_s: float) -> list[Verdict]:
        """Return the verdicts that `take` would return, without tracking the alerts."""
        tried = copy(self)
        tried._firing = dict(self._firing)
        tried._displaced = []
        return tried.take(alerts, now_s)

    def take(self, alerts: Sequence[Alert], now_s: float) -> list[Verdict]:
        """Track delivered alerts and return the verdicts, which the caller carries out.

        When too many are firing, an alert replaces the oldest one of a lower rank; `take_displaced` returns those.
        """
        verdicts = []
        by_rank: dict[_Rank, deque[str]] | None = None
        for alert in alerts:
            verdict = self._verdict(alert, now_s)
            known = self._firing.get(alert.fingerprint)
            since_s = _since(alert, now_s)
            if not alert.firing:
                self._firing.pop(alert.fingerprint, None)
            elif known is not None and known.continues_in(alert):
                # Deliveries may differ in the start; a start later than the latest one is a new firing.
                self._firing[alert.fingerprint] = _Firing(
                    replace(alert, starts_s=known.alert.starts_s), min(known.since_s, since_s), known.acted
                )
            else:
                if known is None and len(self._firing) >= MAX_FIRING and by_rank is None:
                    by_rank = self._by_rank(now_s)
                if known is None and by_rank is not None:
                    rank = self._rank(alert, since_s, now_s)
                    if len(self._firing) >= MAX_FIRING and not self._displace(by_rank, rank):
                        verdicts.append(Verdict(alert, None, TOO_MANY))
                        continue
                    by_rank[rank].append(alert.fingerprint)
                acted = self._started_s is not None and self._scope(alert, since_s, now_s) is AlertScope.OURS
                self._firing[alert.fingerprint] = _Firing(alert, since_s, acted)
            verdicts.append(verdict)
        return verdicts

    def take_displaced(self) -> list[Refusal]:
        """Return refusals of firing alerts that are no longer tracked, each once."""
        displaced, self._displaced = self._displaced, []
        return [Refusal(RefusalReason.TOO_MANY, f"{alert.name}: {DISPLACED}") for alert in displaced]

    def _by_rank(self, now_s: float) -> dict[_Rank, deque[str]]:
        by_rank: dict[_Rank, deque[str]] = {rank: deque() for rank in _Rank}
        for fingerprint, known in self._firing.items():
            by_rank[self._rank(known.alert, known.since_s, now_s)].append(fingerprint)
        return by_rank

    def _displace(self, by_rank: dict[_Rank, deque[str]], rank: _Rank) -> bool:
        """Remove the oldest alert of a lower rank. Returns whether there was one."""
        for lower in sorted(_Rank):
            while lower < rank and by_rank[lower]:
                # It may have been resolved in the meantime.
                known = self._firing.pop(by_rank[lower].popleft(), None)
                if known is not None:
                    self._displaced.append(known.alert)
                    return True
        return False

    def _rank(self, alert: Alert, since_s: float, now_s: float) -> _Rank:
        acts = self._wanted(alert)[0].kind is not GuardAction.NOTIFY
        match self._scope(alert, since_s, now_s):
            case AlertScope.OURS:
                return _Rank.ACTS if acts else _Rank.COUNTED
            case AlertScope.UNCERTAIN:
                return _Rank.MAY_ACT if acts else _Rank.MAY_BE_COUNTED
            case AlertScope.EARLIER if self._started_s is None and acts:
                return _Rank.MAY_ACT
        return _Rank.NOTED

    def due(self, now_s: float) -> list[Verdict]:
        """Return the verdicts on firing alerts whose grace time has ended, each once."""
        if self._started_s is None:
            return []
        verdicts = []
        for known in self._firing.values():
            if not known.acted and self._scope(known.alert, known.since_s, now_s) is AlertScope.OURS:
                known.acted = True
                action, reason = self._wanted(known.alert)
                if action.kind is not GuardAction.NOTIFY:
                    late_s = now_s - self._started_s
                    verdicts.append(
                        Verdict(
                            known.alert,
                            action,
                            f"{reason}; it still fires {format_duration(round(late_s))} after the start of the run",
                        )
                    )
        return verdicts

    def _verdict(self, alert: Alert, now_s: float) -> Verdict:
        known = self._firing.get(alert.fingerprint)
        if not alert.firing:
            return Verdict(alert, None, "resolved" if known is not None else "resolved, was not known")
        if known is not None and known.continues_in(alert):
            return Verdict(replace(alert, starts_s=known.alert.starts_s), None, "known already")
        since_s = _since(alert, now_s)
        match self._scope(alert, since_s, now_s):
            case AlertScope.OURS if self._started_s is None:
                return Verdict(
                    alert,
                    None,
                    f"the run has not started yet; if it still fires then, the action is {self._wanted(alert)[0]}",
                )
            case AlertScope.OTHER_RUN:
                return Verdict(
                    alert, Action(GuardAction.NOTIFY), f"it is about the run {alert.run_id}, not about this one"
                )
            case AlertScope.EARLIER:
                return Verdict(alert, Action(GuardAction.NOTIFY), "it fired before the start of the run")
            case AlertScope.UNCERTAIN if (later := self._wanted(alert)[0]).kind is not GuardAction.NOTIFY:
                return Verdict(
                    alert,
                    Action(GuardAction.NOTIFY),
                    f"it fired {format_tenths(since_s - (self._started_s or since_s))} after the start of the run, so"
                    " its data may be from before; if it still fires"
                    f" {format_limit(self.grace_s)} after the start, the action is {later}",
                )
        return Verdict(alert, *self._wanted(alert))

    def _scope(self, alert: Alert, since_s: float, now_s: float) -> AlertScope:
        if alert.run_id is not None:
            return AlertScope.OURS if alert.run_id == self.run_id else AlertScope.OTHER_RUN
        if self._started_s is None or since_s < self._started_s:
            return AlertScope.EARLIER
        certain_s = self._started_s + self.grace_s
        return AlertScope.OURS if since_s >= certain_s or now_s >= certain_s else AlertScope.UNCERTAIN

    def _wanted(self, alert: Alert) -> tuple[Action, str]:
        """Return (the action of the label or the default, which of them it is)."""
        wanted = alert.labels.get(ACTION_LABEL)
        if wanted is None:
            return self._default, "the default for alerts"
        try:
            return parse_action(wanted), f"its label {ACTION_LABEL}"
        except ObswarmError as error:
            return Action(GuardAction.NOTIFY), f"its label {ACTION_LABEL}: {error}"

    def count(self, operand: AlertOperand, now_s: float) -> int:
        """Return the number of firing alerts of this run that match a guard's `alert(…)`."""
        return sum(
            operand.matches(known.alert.labels)
            for known in self._firing.values()
            if self._scope(known.alert, known.since_s, now_s) is AlertScope.OURS
        )

    def delaying_start(self, now_s: float) -> list[Alert]:
        """Return firing alerts from before the start that delay it: without `run_id`, with an action other than
        notify."""
        return [
            known.alert
            for known in self._firing.values()
            if self._scope(known.alert, known.since_s, now_s) is AlertScope.EARLIER
            and self._wanted(known.alert)[0].kind is not GuardAction.NOTIFY
        ]

    @property
    def firing(self) -> list[Alert]:
        return [known.alert for known in self._firing.values()]


def describe_alert(alert: Alert) -> str:
    """Return a sentence with the name and the summary of an alert."""
    return f"The alert {alert.name} fires{f' ({alert.summary})' if alert.summary else ''}"
