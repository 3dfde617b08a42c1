"""Which of the alerts that others deliver fire, which of them are this run's, and what they lead to. No I/O."""

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
from obswarm.stats import AlertStatus, GuardAction

ACTION_LABEL = "obswarm_action"
MOST_FIRING = 10_000
"""Alerts that fire at once and are remembered. Those that count take the place of others: see AlertBook.take."""


_REMEMBERED = ("fingerprint", "labels", "summary", "starts_s", "source")
_MOST_REMEMBERED = 500
"""Alerts that a later master knows of: they are written down once a second."""


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
            "status": self.alert.status,
            "action": str(self.action) if self.action is not None else None,
            "reason": self.reason,
        }


TOO_MANY = f"{MOST_FIRING:,} alerts fire already, and no more are remembered"
DISPLACED = f"{MOST_FIRING:,} alerts fire, and one that counts for more has taken its place"


def too_many(verdicts: Iterable[Verdict]) -> list[Refusal]:
    """What there was no room for."""
    return [
        Refusal(RefusalReason.TOO_MANY, f"{verdict.alert.name}: {verdict.reason}")
        for verdict in verdicts
        if verdict.reason == TOO_MANY
    ]


def _since(alert: Alert, now_s: float) -> float:
    # An alert from the future comes from a clock that is ahead, and nobody knows by how much.
    return now_s if alert.starts_s is None else min(alert.starts_s, now_s)


class Standing(StrEnum):
    """Whether an alert is this run's."""

    OURS = "ours"
    OTHER_RUN = "other run"
    EARLIER = "earlier"
    """It fired before the run began."""
    UNSURE = "unsure"
    """It fired so soon after the run's start that the data behind it may be from before."""


class _Rank(IntEnum):
    """What an alert counts for when there is no room for all."""

    NOTED = 0
    """It never leads to anything."""
    MAY_BE_COUNTED = 1
    """It notifies, and guards may count it once the grace is over."""
    COUNTED = 2
    MAY_ACT = 3
    """It may act once the grace is over, or keep a start waiting."""
    ACTS = 4


@dataclass(slots=True)
class _Firing:
    alert: Alert
    since_s: float
    """When it began to fire; when it was delivered if that is not told, or lies in the future."""
    acted: bool = False

    def goes_on_in(self, alert: Alert) -> bool:
        """Whether a delivery that says that it fires is about the same firing, and not a later one.

        The start of an alert moves back when Alertmanager merges what two Prometheus servers say of it.
        """
        before_s, after_s = self.alert.starts_s, alert.starts_s
        return before_s == after_s or (before_s is not None and after_s is not None and after_s < before_s)


class AlertTracker:
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
        self._displaced: list[Alert] = []

    def begin(self, started_s: float) -> None:
        """The run began then; what has been delivered before is from before, unless it says otherwise."""
        self._started_s = started_s

    def memory(self, now_s: float) -> list[list[Any]]:
        """The alerts of this run that fire, for `restore`; of very many, those that act before others."""
        ours = [
            known
            for known in self._firing.values()
            if self._standing(known.alert, known.since_s, now_s) in (Standing.OURS, Standing.UNSURE)
        ]
        if len(ours) > _MOST_REMEMBERED:
            ours = nlargest(_MOST_REMEMBERED, ours, lambda known: self._rank(known.alert, known.since_s, now_s))
        return [[*(getattr(known.alert, name) for name in _REMEMBERED), known.since_s, known.acted] for known in ours]

    def restore(self, memory: Iterable[Sequence[Any]]) -> None:
        """Alerts that fired while another master had the run."""
        for *values, since_s, acted in memory:
            alert = Alert(status=AlertStatus.FIRING, **dict(zip(_REMEMBERED, values, strict=True)))
            self._firing[alert.fingerprint] = _Firing(alert, since_s, acted)

    def dry_run(self, alerts: Sequence[Alert], now_s: float) -> list[Verdict]:
        """What these would lead to, without taking note of them."""
        tried = copy(self)
        tried._firing = dict(self._firing)
        tried._displaced = []
        return tried.take(alerts, now_s)

    def take(self, alerts: Sequence[Alert], now_s: float) -> list[Verdict]:
        """Take note of them; the verdicts are to be carried out.

        When there is no room, an alert takes the place of the oldest of those that count for less: what leads to
        nothing goes before what guards may count, and that before what acts. `take_displaced` tells of them.
        """
        verdicts = []
        by_rank: dict[_Rank, deque[str]] | None = None
        for alert in alerts:
            verdict = self._verdict(alert, now_s)
            known = self._firing.get(alert.fingerprint)
            since_s = _since(alert, now_s)
            if not alert.firing:
                self._firing.pop(alert.fingerprint, None)
            elif known is not None and known.goes_on_in(alert):
                # Of one that was delivered with several starts, the latest tells a new firing.
                self._firing[alert.fingerprint] = _Firing(
                    replace(alert, starts_s=known.alert.starts_s), min(known.since_s, since_s), known.acted
                )
            else:
                if known is None and len(self._firing) >= MOST_FIRING and by_rank is None:
                    by_rank = self._by_rank(now_s)
                if known is None and by_rank is not None:
                    rank = self._rank(alert, since_s, now_s)
                    if len(self._firing) >= MOST_FIRING and not self._displace(by_rank, rank):
                        verdicts.append(Verdict(alert, None, TOO_MANY))
                        continue
                    by_rank[rank].append(alert.fingerprint)
                acted = self._started_s is not None and self._standing(alert, since_s, now_s) is Standing.OURS
                self._firing[alert.fingerprint] = _Firing(alert, since_s, acted)
            verdicts.append(verdict)
        return verdicts

    def take_displaced(self) -> list[Refusal]:
        """Alerts that fire and are remembered no longer; each is told of once."""
        displaced, self._displaced = self._displaced, []
        return [Refusal(RefusalReason.TOO_MANY, f"{alert.name}: {DISPLACED}") for alert in displaced]

    def _by_rank(self, now_s: float) -> dict[_Rank, deque[str]]:
        by_rank: dict[_Rank, deque[str]] = {rank: deque() for rank in _Rank}
        for fingerprint, known in self._firing.items():
            by_rank[self._rank(known.alert, known.since_s, now_s)].append(fingerprint)
        return by_rank

    def _displace(self, by_rank: dict[_Rank, deque[str]], rank: _Rank) -> bool:
        """Forget one that counts for less; gives whether there was one."""
        for lower in sorted(_Rank):
            while lower < rank and by_rank[lower]:
                # One that was resolved in the meantime is gone already.
                known = self._firing.pop(by_rank[lower].popleft(), None)
                if known is not None:
                    self._displaced.append(known.alert)
                    return True
        return False

    def _rank(self, alert: Alert, since_s: float, now_s: float) -> _Rank:
        acts = self._wanted(alert)[0].kind is not GuardAction.NOTIFY
        match self._standing(alert, since_s, now_s):
            case Standing.OURS:
                return _Rank.ACTS if acts else _Rank.COUNTED
            case Standing.UNSURE:
                return _Rank.MAY_ACT if acts else _Rank.MAY_BE_COUNTED
            case Standing.EARLIER if self._started_s is None and acts:
                return _Rank.MAY_ACT
        return _Rank.NOTED

    def due(self, now_s: float) -> list[Verdict]:
        """Verdicts, to be carried out, on alerts that count from now on."""
        if self._started_s is None:
            return []
        verdicts = []
        for known in self._firing.values():
            if not known.acted and self._standing(known.alert, known.since_s, now_s) is Standing.OURS:
                known.acted = True
                action, reason = self._wanted(known.alert)
                if action.kind is not GuardAction.NOTIFY:
                    late_s = now_s - self._started_s
                    verdicts.append(
                        Verdict(known.alert, action, f"{reason}; it still fires {late_s:.0f} s after the run began")
                    )
        return verdicts

    def _verdict(self, alert: Alert, now_s: float) -> Verdict:
        known = self._firing.get(alert.fingerprint)
        if not alert.firing:
            return Verdict(alert, None, "resolved" if known is not None else "resolved, and was not known")
        if known is not None and known.goes_on_in(alert):
            return Verdict(replace(alert, starts_s=known.alert.starts_s), None, "known already")
        since_s = _since(alert, now_s)
        match self._standing(alert, since_s, now_s):
            case Standing.OURS if self._started_s is None:
                return Verdict(
                    alert,
                    None,
                    f"the run has not begun yet; it leads to {self._wanted(alert)[0]} then, if it still fires",
                )
            case Standing.OTHER_RUN:
                return Verdict(
                    alert, Action(GuardAction.NOTIFY), f"it is about the run {alert.run_id}, not about this one"
                )
            case Standing.EARLIER:
                return Verdict(
                    alert, Action(GuardAction.NOTIFY), "it fired before the run began, so the run is not its cause"
                )
            case Standing.UNSURE if (later := self._wanted(alert)[0]).kind is not GuardAction.NOTIFY:
                return Verdict(
                    alert,
                    Action(GuardAction.NOTIFY),
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
            return Action(GuardAction.NOTIFY), f"its label {ACTION_LABEL}: {error}"

    def count(self, operand: AlertOperand, now_s: float) -> int:
        """How many firing alerts of this run a guard's `alert(…)` fits."""
        return sum(
            operand.fits(known.alert.labels)
            for known in self._firing.values()
            if self._standing(known.alert, known.since_s, now_s) is Standing.OURS
        )

    def holding_back(self, now_s: float) -> list[Alert]:
        """Alerts from before the run that fire, are about no run, and would do more than notify."""
        return [
            known.alert
            for known in self._firing.values()
            if self._standing(known.alert, known.since_s, now_s) is Standing.EARLIER
            and self._wanted(known.alert)[0].kind is not GuardAction.NOTIFY
        ]

    @property
    def firing(self) -> list[Alert]:
        return [known.alert for known in self._firing.values()]
