"""All guards of a run: evaluated once a snapshot, fed by the target's metrics and by alerts, acting through
RunControl."""

import logging
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from obswarm import clock, defaults
from obswarm.engine import RunControl, StopReason, id_of, named_id
from obswarm.guards.alert_counts import AlertCounts
from obswarm.guards.alert_payload import Alert, Delivery
from obswarm.guards.alerts import AlertTracker, Verdict, too_many
from obswarm.guards.conditions import AlertOperand, EngineOperand
from obswarm.guards.guard import Action, GuardRule
from obswarm.guards.operands import matches_any, selects_endpoints, value_of_interval
from obswarm.guards.polling import Answer, QueryPolling
from obswarm.guards.state_machine import Change, GuardStateMachine, NoData, deciding_answer
from obswarm.stats import LOADED_STATES, SEEN_OVER_S, GuardAction, GuardView, Snapshot
from obswarm.targets import MetricSource, lookback_s
from obswarm.units import format_names

logger = logging.getLogger(__name__)

_OWN = "obswarm"
"""In a query: it asks for the load test's own series, by their names or their job."""
_SCRAPE_S = 2.0
"""Until Prometheus has scraped a change and can be asked for it."""
_UNMATCHED_AFTER_S = 10.0
_MOST_SHOWN = 20
"""Alerts at once with the same action that are told of one by one."""

Annotate = Callable[[str, str], None]
"""Keep a note with the run: (kind, text)."""


class GuardEvaluator:
    """Give it to a run as its watch. `start` begins to ask `source` for what guards need of it.

    Raises ObswarmError when a guard's query is beyond the source, or there is none.
    """

    def __init__(
        self,
        rules: Sequence[GuardRule],
        source: MetricSource | None,
        on_alert: Action,
        *,
        alerts_grace_s: float = defaults.ALERTS_GRACE_S,
        monotonic: Callable[[], float] = clock.monotonic,
        wall: Callable[[], float] = clock.wall,
    ) -> None:
        stale_after_s = source.stale_after_s if source is not None else 0.0
        self.guards = [GuardStateMachine(rule, stale_after_s if rule.query is not None else 0.0) for rule in rules]
        self.alerts = AlertTracker(on_alert, alerts_grace_s)
        self.alert_counts = AlertCounts()
        self.annotate: Annotate = lambda kind, text: None
        queries = sorted({rule.query for rule in rules if rule.query is not None})
        self._polling = (
            {query: QueryPolling(source, query, monotonic) for query in queries} if source is not None else {}
        )
        self._monotonic = monotonic
        self._wall = wall
        self._started_wall_s: float | None = None
        self._control: RunControl | None = None
        self._stopped: dict[str, str] = {}
        """Guards that have stopped the run without having tripped, and why."""
        self._unmatched = {
            guard: False for guard in self.guards if selects_endpoints(guard.rule.when.condition.operand)
        }
        """Guards that have chosen no endpoint yet, and whether that was said."""
        self._measuring_since_s: float | None = None
        self._first_answers_until_s = -math.inf
        """Until then a source of a run that was taken up has perhaps read nothing yet."""
        self._looked_s = 0.0
        """When they were evaluated last."""

    def start(self, control: RunControl, started_wall_s: float) -> None:
        self._control = control
        self._started_wall_s = started_wall_s
        self.alerts.begin(started_wall_s)
        self._take_up(control)
        for polling in self._polling.values():
            polling.start()

    def _take_up(self, control: RunControl) -> None:
        """A run that another master began: what its guards have in force is released when these are clear. Guards that
        there are no longer have nothing in force. Trips count for the whole run."""
        by_name = {f"guard {guard.rule.name}": guard for guard in self.guards}
        for by in [by for by in control.in_force if by.startswith("guard ")]:
            if by in by_name:
                by_name[by].take_up()
            else:
                control.release(by)
        before = control.guards_before
        self.alerts.restore(before.get("alerts", ()))
        if before:
            self._first_answers_until_s = self._monotonic() + _SCRAPE_S
        for guard in self.guards:
            if guard.rule.name in before.get("guards", {}):
                coverage, extremes = before["guards"][guard.rule.name]
                guard.coverage.restore(*coverage)
                guard.extremes = tuple(extremes) if extremes else None
            head = _trip_head(guard.rule)
            guard.trips = sum(mark.kind == "guard" and mark.text.startswith(head) for mark in control.annotations)

    def memory(self) -> dict[str, Any]:
        """What the board of a later master needs to go on."""
        return {
            "guards": {
                guard.rule.name: [
                    [
                        guard.coverage.watched_s(self._looked_s),
                        guard.coverage.missing_s(self._looked_s),
                        guard.coverage.reason,
                    ],
                    guard.extremes,
                ]
                for guard in self.guards
            },
            "alerts": self.alerts.memory(self._wall()),
        }

    def close(self) -> None:
        for polling in self._polling.values():
            polling.close()

    def on_snapshot(self, snapshot: Snapshot) -> Snapshot:
        """Evaluate all guards; gives the snapshot with their states."""
        now = self._monotonic()
        self._note_matches(snapshot, now)
        answers = {query: polling.take() for query, polling in self._polling.items()}
        if snapshot.state in LOADED_STATES:
            self._looked_s = now
            self._act_on_alerts(self.alerts.due(self._wall()))
            for guard in self.guards:
                query = guard.rule.query
                if query is None:
                    self._act_on(guard, guard.update(now, self._value(guard.rule, snapshot)), now)
                else:
                    self._take_answers(guard, query, answers[query], now)
        return self.view(snapshot)

    def view(self, snapshot: Snapshot) -> Snapshot:
        """Give the snapshot with the states that guards have now."""
        counts = self.alert_counts
        return snapshot.guarded(self.views(snapshot.time_s), counts.received, counts.refused)

    def next_due_s(self) -> float | None:
        """When the first pending guard about the load test's own figures is to act, if nothing changes."""
        pending = (guard.due_s for guard in self.guards if isinstance(guard.rule.when.condition.operand, EngineOperand))
        return min((due_s for due_s in pending if due_s is not None), default=None)

    def _take_answers(self, guard: GuardStateMachine, query: str, answers: Sequence[Answer], now: float) -> None:
        counted_from_s = self._counted_from_s(query, now)
        for at_s, values in answers:
            found = deciding_answer(values, guard.rule)
            is_early = guard.coverage.nothing_yet and at_s < self._first_answers_until_s and isinstance(found, NoData)
            if at_s >= counted_from_s and not is_early:
                self._act_on(guard, guard.update(at_s, found), now)
        is_early = guard.coverage.nothing_yet and now < self._first_answers_until_s
        if now >= counted_from_s and not is_early:
            missing_s = guard.coverage.missing_now_s(now)
            lasts = f"for {missing_s:.0f} s" if missing_s else "yet"
            reason = self._polling[query].ended or f"the target's metrics have not answered {lasts}"
            self._act_on(guard, guard.wait(now, NoData(reason)), now)

    def _note_matches(self, snapshot: Snapshot, now: float) -> None:
        """Which guards choose endpoints that there are; says of the others so, once, when there was time enough."""
        for guard in self._unmatched.copy():
            operand = guard.rule.when.condition.operand
            assert isinstance(operand, EngineOperand)
            if matches_any(operand, snapshot):
                del self._unmatched[guard]
        if not snapshot.endpoints or snapshot.state not in LOADED_STATES:
            return
        if self._measuring_since_s is None:
            self._measuring_since_s = now
        for guard, told in self._unmatched.items():
            if told or now - self._measuring_since_s < _UNMATCHED_AFTER_S:
                continue
            self._unmatched[guard] = True
            text = f"No request matches the labels of the guard {guard.rule.name}"
            self.annotate("guard", text)
            logger.warning(
                "%s. Requests so far: %s.",
                text,
                format_names([key.label for key in {**snapshot.endpoints, **snapshot.in_flight}]),
            )

    def _value(self, rule: GuardRule, snapshot: Snapshot) -> float | None:
        operand = rule.when.condition.operand
        if isinstance(operand, EngineOperand):
            return value_of_interval(operand, snapshot)
        assert isinstance(operand, AlertOperand)
        return float(self.alerts.count(operand, self._wall()))

    def _counted_from_s(self, query: str, now: float) -> float:
        """From when on what a query says of obswarm's own series cannot be about the run before, at the same address;
        on the clock of `now`."""
        if _OWN not in query or self._started_wall_s is None:
            return -math.inf
        settled_s = max(self.alerts.grace_s, lookback_s(query) + _SCRAPE_S)
        return now - (self._wall() - self._started_wall_s - settled_s)

    def _act_on(self, guard: GuardStateMachine, change: Change, now: float) -> None:
        rule = guard.rule
        if change.tripped:
            since_s = now - (guard.since_s if guard.since_s is not None else now)
            text = describe_trip(guard, clock.wall() - since_s)
            self.annotate("guard", text)
            logger.warning("%s. Action: %s.", text, rule.action)
            self._carry_out(rule.action, f"guard {rule.name}", StopReason("guard", text))
        elif change.cleared:
            logger.info("The guard %s is clear again.", rule.name)
            self._release(f"guard {rule.name}")
        elif change.has_gaps:
            ratio = guard.coverage.ratio(now) or 0.0
            text = (
                f"The guard {rule.name} has seen {ratio:.0%} of the last {SEEN_OVER_S:.0f} s: {guard.coverage.reason}"
            )
            self.annotate("guard", text)
            logger.warning("%s. Its times are those that it has seen.", text)
        elif change.no_data_too_long:
            text = f"The guard {rule.name} has had no data for {rule.no_data_after_s:g} s: {guard.no_data_reason}"
            self.annotate("guard", text)
            logger.warning("%s. %s", text, "Stopping the run." if rule.on_no_data == "stop" else "The run goes on.")
            if rule.on_no_data == "stop":
                self._stopped[rule.name] = f"no data for {rule.no_data_after_s:g} s"
                self._carry_out(Action(GuardAction.STOP), f"guard {rule.name}", StopReason("guard", text))

    def deliver(self, delivery: Delivery) -> list[Verdict]:
        """Act at once upon alerts that have come in; what was refused of them is counted."""
        self.alert_counts.refuse(delivery.refused)
        verdicts = self.alerts.take(delivery.alerts, self._wall())
        for verdict in verdicts:
            self.alert_counts.receive(verdict.alert)
        self.alert_counts.refuse([*too_many(verdicts), *self.alerts.take_displaced()])
        self._act_on_alerts(verdicts)
        return verdicts

    def dry_run(self, alerts: Sequence[Alert]) -> list[Verdict]:
        """What they would lead to."""
        return self.alerts.dry_run(alerts, self._wall())

    def _act_on_alerts(self, verdicts: Sequence[Verdict]) -> None:
        """Act upon all of them, and tell of the first of each action one by one."""
        if not verdicts:
            return
        given = self._given_by_alerts()
        counts: Counter[Action] = Counter()
        for verdict in verdicts:
            if verdict.action is not None:
                counts[verdict.action] += 1
            is_shown = verdict.action is None or counts[verdict.action] <= _MOST_SHOWN
            self._act_on_alert(verdict, is_shown, given[verdict.alert.fingerprint])
        for action, count in counts.items():
            if count > _MOST_SHOWN:
                text = f"{count - _MOST_SHOWN:,} more alerts fire at the same time. Action: {action}"
                self.annotate("alert", text)
                logger.warning("%s.", text)

    def _given_by_alerts(self) -> defaultdict[str, list[str]]:
        """What alerts have in force, by their fingerprints."""
        given: defaultdict[str, list[str]] = defaultdict(list)
        for by in self._control.in_force if self._control is not None else ():
            for fingerprint in id_of(by)[:1]:
                given[fingerprint].append(by)
        return given

    def _act_on_alert(self, verdict: Verdict, is_shown: bool, given: list[str]) -> None:
        """`given` is what this alert has in force, and is kept up to date."""
        alert = verdict.alert
        who = named_id(f"alert {alert.name}", alert.fingerprint)
        # An alert that fires once more scales once more, also when nobody has said that it was resolved.
        once = named_id(f"alert {alert.name}", alert.fingerprint, f"since {alert.starts_s}")
        for by in [by for by in given if not (alert.firing and by in (who, once))]:
            self._release(by)
            given.remove(by)
        if alert.firing and verdict.action is not None:
            text = describe_alert(alert)
            if is_shown:
                self.annotate("alert", f"{text}. Action: {verdict.action}, {verdict.reason}")
                logger.warning("%s. Action: %s (%s).", text, verdict.action, verdict.reason)
            by = once if verdict.action.kind is GuardAction.SCALE else who
            self._carry_out(verdict.action, by, StopReason("alert", text))
            given.append(by)

    def holding_back(self) -> list[Alert]:
        """Alerts because of which a start may wait: they fire since before the run."""
        return self.alerts.holding_back(self._wall())

    def _carry_out(self, action: Action, who: str, reason: StopReason) -> None:
        control = self._control
        if control is None:
            return
        match action.kind:
            case GuardAction.STOP:
                control.stop(reason)
            case GuardAction.ABORT:
                control.abort(reason)
            case GuardAction.HOLD:
                control.hold(who)
            case GuardAction.SCALE:
                control.scale(action.share, who)
            case GuardAction.NOTIFY:
                pass

    def _release(self, who: str) -> None:
        if self._control is not None:
            self._control.release(who)

    def views(self, wall_s: float) -> tuple[GuardView, ...]:
        """The guards as snapshots show them."""
        now = self._monotonic()
        return tuple(
            GuardView(
                name=guard.rule.name,
                when=str(guard.rule.when),
                action=str(guard.rule.action),
                state=guard.state,
                value=guard.value,
                shown=guard.shown,
                since_s=None if guard.since_s is None else wall_s - (now - guard.since_s),
                trips=((str(guard.rule.action), guard.trips),) if guard.trips else (),
                matched=guard not in self._unmatched,
                seen_ratio=guard.coverage.ratio(self._looked_s),
                watched_s=guard.coverage.watched_s(self._looked_s),
                no_data_s=guard.coverage.missing_s(self._looked_s),
                no_data_reason=guard.no_data_reason or guard.coverage.reason,
                extremes=tuple((value, guard.rule.format_value(value)) for value in guard.extremes or ()),
                stopped=self._stopped.get(guard.rule.name, ""),
            )
            for guard in self.guards
        )


def describe_alert(alert: Alert) -> str:
    """Which alert, and what it says."""
    return f"The alert {alert.name} fires{f' ({alert.summary})' if alert.summary else ''}"


def describe_trip(guard: GuardStateMachine, since_wall_s: float) -> str:
    """Which guard, which value, since when."""
    value = guard.rule.format_value(guard.value) if guard.value is not None else "unknown"
    operand = guard.rule.when.condition.operand
    return f"{_trip_head(guard.rule)}{operand} is {value}, since {clock.iso(since_wall_s)}"


def _trip_head(rule: GuardRule) -> str:
    return f"The guard {rule.name} tripped: "
