"""Evaluate all guards of a run with each snapshot, from statistics, the target's metrics and alerts, and carry out
their actions through RunControl."""

import logging
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from typing import Any, assert_never

from obswarm import clock, defaults, targets
from obswarm.engine import RunControl, StopReason, id_of, name_of, named_id
from obswarm.guards.alert_counts import AlertCounts
from obswarm.guards.alert_payload import Alert, Delivery
from obswarm.guards.alerts import AlertTracker, Verdict, describe_alert, too_many
from obswarm.guards.conditions import AlertOperand, EngineOperand
from obswarm.guards.guard import Action, GuardRule
from obswarm.guards.operands import matches_any, selects_endpoints, value_of_interval
from obswarm.guards.polling import QueryPolling, TimedResult
from obswarm.guards.state_machine import Change, GuardStateMachine, NoData, deciding_result, describe_trip, trip_head
from obswarm.guards.suspects import FindSuspect, TripSuspects
from obswarm.record import DATA_RATIO_OVER_S, LOADED_STATES, AnnotationKind, GuardAction, GuardView, Snapshot, StopKind
from obswarm.targets import MetricSource
from obswarm.units import format_duration, format_limit, format_names

logger = logging.getLogger(__name__)

_OWN = "obswarm"
"""A query with this text is about the load test's own series, by their names or their job."""
_SCRAPE_S = 2.0
"""The time until Prometheus has scraped a change."""
_UNMATCHED_AFTER_S = 10.0
_MOST_SHOWN = 20
"""Maximum number of simultaneous alerts with the same action that are annotated individually."""


class GuardEvaluator:
    """The observer of a run that evaluates its guards.

    `attach` connects it to the run; from then on, alerts about this run are recognised. `start` begins to query
    `source`. `on_alert` is the default action of alerts. Raises ObswarmError if the source cannot evaluate a guard's
    query, or if there is no source for it.
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
        queries = sorted({rule.query for rule in rules if rule.query is not None})
        self._polling = (
            {query: QueryPolling(source, query, monotonic) for query in queries} if source is not None else {}
        )
        self._monotonic = monotonic
        self._wall = wall
        self._started_wall_s: float | None = None
        self._control: RunControl | None = None
        self._stopped: dict[str, str] = {}
        """Reasons of guards that have stopped the run without having tripped, by name."""
        self._unmatched = {
            guard: False for guard in self.guards if selects_endpoints(guard.rule.when.condition.operand)
        }
        """Guards whose labels have matched no request yet, and whether that was logged."""
        self._measuring_since_s: float | None = None
        self._warm_up_until_s = -math.inf
        """Until this time, the metric source of a run after a takeover may have no values yet."""
        self._evaluated_s = 0.0
        """Time of the last evaluation."""
        self._suspects: TripSuspects | None = None

    def attach(self, control: RunControl) -> None:
        self._control = control
        self.alerts.attach(control.run_id)

    def look_for_suspects(self, find: FindSuspect) -> None:
        """Look up the first suspect with `find` when a guard trips."""
        self._suspects = TripSuspects(find, self._announce)

    def start(self, control: RunControl, started_wall_s: float) -> None:
        self.attach(control)
        self._started_wall_s = started_wall_s
        self.alerts.begin(started_wall_s)
        self._resume(control)
        for polling in self._polling.values():
            polling.start()

    def _resume(self, control: RunControl) -> None:
        """Continue the guards of a run that an earlier master started.

        Actions in force are released when their guard clears, at once if the guard no longer exists. Trips count for
        the whole run.
        """
        by_name = {f"guard {guard.rule.name}": guard for guard in self.guards}
        for by in [by for by in control.in_force if by.startswith("guard ")]:
            if by in by_name:
                by_name[by].resume_tripped()
            else:
                self._release(by)
        before = control.guards_before
        self.alerts.restore(before.get("alerts", ()))
        if before:
            self._warm_up_until_s = self._monotonic() + _SCRAPE_S
        for guard in self.guards:
            if guard.rule.name in before.get("guards", {}):
                coverage, extremes = before["guards"][guard.rule.name]
                guard.coverage.restore(*coverage)
                guard.extremes = tuple(extremes) if extremes else None
            head = trip_head(guard.rule.name)
            guard.trips = sum(
                annotation.kind == AnnotationKind.GUARD and annotation.text.startswith(head)
                for annotation in control.annotations
            )

    def saved_state(self) -> dict[str, Any]:
        """Return the state that the evaluator of a later master continues with, as values of MessagePack."""
        return {
            "guards": {
                guard.rule.name: [
                    [
                        guard.coverage.watched_s(self._evaluated_s),
                        guard.coverage.missing_s(self._evaluated_s),
                        guard.coverage.reason,
                    ],
                    guard.extremes,
                ]
                for guard in self.guards
            },
            "alerts": self.alerts.saved_state(self._wall()),
        }

    def close(self) -> None:
        if self._suspects is not None:
            self._suspects.close()
        for polling in self._polling.values():
            polling.close()

    def on_snapshot(self, snapshot: Snapshot) -> Snapshot:
        """Evaluate all guards, act, and return the snapshot with their states."""
        now = self._monotonic()
        self._note_matches(snapshot, now)
        results = {query: polling.take() for query, polling in self._polling.items()}
        if snapshot.state in LOADED_STATES:
            self._evaluated_s = now
            self._act_on_alerts(self.alerts.due(self._wall()))
            for guard in self.guards:
                query = guard.rule.query
                if query is None:
                    self._act_on(guard, guard.update(now, self._value(guard.rule, snapshot)), now)
                else:
                    self._evaluate_results(guard, query, results[query], now)
        return self.view(snapshot)

    def view(self, snapshot: Snapshot) -> Snapshot:
        """Return the snapshot with the current states of the guards."""
        counts = self.alert_counts
        return snapshot.with_guards(self.views(snapshot.time_s), counts.received, counts.refused)

    def next_due_s(self) -> float | None:
        """Return when the first pending guard with an operand of the load test itself is due, None if there is none."""
        pending = (guard.due_s for guard in self.guards if isinstance(guard.rule.when.condition.operand, EngineOperand))
        return min((due_s for due_s in pending if due_s is not None), default=None)

    def _evaluate_results(
        self, guard: GuardStateMachine, query: str, results: Sequence[TimedResult], now: float
    ) -> None:
        counted_from_s = self._counted_from_s(query, now)
        for at_s, values in results:
            found = deciding_result(values, guard.rule)
            is_early = guard.coverage.has_no_value_yet and at_s < self._warm_up_until_s and isinstance(found, NoData)
            if at_s >= counted_from_s and not is_early:
                self._act_on(guard, guard.update(at_s, found), now)
        is_early = guard.coverage.has_no_value_yet and now < self._warm_up_until_s
        if now >= counted_from_s and not is_early:
            missing_s = guard.coverage.missing_now_s(now)
            lasts = f"for {format_duration(round(missing_s))}" if missing_s else "yet"
            reason = self._polling[query].ended or f"no response from the metric source {lasts}"
            self._act_on(guard, guard.wait(now, NoData(reason)), now)

    def _note_matches(self, snapshot: Snapshot, now: float) -> None:
        """Note guards whose labels match requests; log the others once, ten seconds after the first request."""
        for guard in self._unmatched.copy():
            operand = guard.rule.when.condition.operand
            assert isinstance(operand, EngineOperand)
            if matches_any(operand, snapshot):
                del self._unmatched[guard]
        if not snapshot.endpoints or snapshot.state not in LOADED_STATES:
            return
        if self._measuring_since_s is None:
            self._measuring_since_s = now
        for guard, is_logged in self._unmatched.items():
            if is_logged or now - self._measuring_since_s < _UNMATCHED_AFTER_S:
                continue
            self._unmatched[guard] = True
            text = f"No request matches the labels of the guard {guard.rule.name}"
            self._annotate(AnnotationKind.GUARD, text)
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
        """Return the time, on the clock of `now`, from which on a query of obswarm's own series is about this run only.

        Before that, its ranges may reach into an earlier run at the same address.
        """
        if _OWN not in query or self._started_wall_s is None:
            return -math.inf
        settled_s = max(self.alerts.grace_s, targets.lookback_s(query) + _SCRAPE_S)
        return now - (self._wall() - self._started_wall_s - settled_s)

    def _act_on(self, guard: GuardStateMachine, change: Change, now: float) -> None:
        rule = guard.rule
        if change.tripped:
            since_s = now - (guard.since_s if guard.since_s is not None else now)
            text = describe_trip(guard, clock.wall() - since_s)
            self._annotate(AnnotationKind.GUARD, text)
            logger.warning("%s. Action: %s.", text, rule.action)
            self._carry_out(rule.action, f"guard {rule.name}", StopReason(StopKind.GUARD, text))
            if self._suspects is not None:
                self._suspects.tripped(rule.name)
        elif change.cleared:
            logger.info("The guard %s is clear again.", rule.name)
            self._release(f"guard {rule.name}")
        elif change.has_gaps:
            ratio = guard.coverage.ratio(now) or 0.0
            share = f"{ratio:.0%} of the last {format_duration(DATA_RATIO_OVER_S)}"
            text = f"The guard {rule.name} has had values for {share}: {guard.coverage.reason}"
            self._annotate(AnnotationKind.GUARD, text)
            logger.warning("%s. Time without a value counts neither for nor against the condition.", text)
        elif change.no_data_too_long:
            lasts = f"no data for {format_limit(rule.no_data_after_s)}"
            text = f"The guard {rule.name} has had {lasts}: {guard.no_data_reason}"
            self._annotate(AnnotationKind.GUARD, text)
            logger.warning("%s. %s", text, "Stopping the run." if rule.on_no_data == "stop" else "The run goes on.")
            if rule.on_no_data == "stop":
                self._stopped[rule.name] = lasts
                self._carry_out(Action(GuardAction.STOP), f"guard {rule.name}", StopReason(StopKind.GUARD, text))

    def deliver(self, delivery: Delivery) -> list[Verdict]:
        """Carry out the actions of delivered alerts at once and return the verdicts; refused alerts are counted."""
        self.alert_counts.refuse(delivery.refused)
        verdicts = self.alerts.take(delivery.alerts, self._wall())
        for verdict in verdicts:
            self.alert_counts.receive(verdict.alert)
        self.alert_counts.refuse([*too_many(verdicts), *self.alerts.take_displaced()])
        self._act_on_alerts(verdicts)
        return verdicts

    def dry_run(self, alerts: Sequence[Alert]) -> list[Verdict]:
        """Return the verdicts that `deliver` would return, without acting."""
        return self.alerts.dry_run(alerts, self._wall())

    def _act_on_alerts(self, verdicts: Sequence[Verdict]) -> None:
        """Carry out all verdicts; annotate the first 20 of each action individually."""
        if not verdicts:
            return
        in_force = self._in_force_by_alert()
        counts: Counter[Action] = Counter()
        for verdict in verdicts:
            if verdict.action is not None:
                counts[verdict.action] += 1
            is_shown = verdict.action is None or counts[verdict.action] <= _MOST_SHOWN
            self._act_on_alert(verdict, is_shown, in_force[verdict.alert.fingerprint])
        for action, count in counts.items():
            if count > _MOST_SHOWN:
                text = f"{count - _MOST_SHOWN:,} more alerts fire at the same time. Action: {action}"
                self._annotate(AnnotationKind.ALERT, text)
                logger.warning("%s.", text)

    def _in_force_by_alert(self) -> defaultdict[str, list[str]]:
        """Return the actions of alerts that are in force, by fingerprint."""
        in_force: defaultdict[str, list[str]] = defaultdict(list)
        for by in self._control.in_force if self._control is not None else ():
            for fingerprint in id_of(by)[:1]:
                in_force[fingerprint].append(by)
        return in_force

    def _act_on_alert(self, verdict: Verdict, is_shown: bool, in_force: list[str]) -> None:
        """Carry out a verdict. `in_force` has the actions of this alert that are in force, and is updated."""
        alert = verdict.alert
        alert_id = named_id(f"alert {alert.name}", alert.fingerprint)
        # An alert that fires again scales again, even if no delivery said that it was resolved.
        firing_id = named_id(f"alert {alert.name}", alert.fingerprint, f"since {alert.starts_s}")
        for by in [by for by in in_force if not (alert.firing and by in (alert_id, firing_id))]:
            self._release(by)
            in_force.remove(by)
        if alert.firing and verdict.action is not None:
            text = describe_alert(alert)
            if is_shown:
                self._annotate(AnnotationKind.ALERT, f"{text}. Action: {verdict.action}, {verdict.reason}")
                logger.warning("%s. Action: %s (%s).", text, verdict.action, verdict.reason)
            by = firing_id if verdict.action.kind is GuardAction.SCALE else alert_id
            self._carry_out(verdict.action, by, StopReason(StopKind.ALERT, text))
            in_force.append(by)

    def delaying_start(self) -> list[Alert]:
        """Return firing alerts from before the start, which may delay it."""
        return self.alerts.delaying_start(self._wall())

    def _carry_out(self, action: Action, by: str, reason: StopReason) -> None:
        control = self._control
        if control is None:
            return
        match action.kind:
            case GuardAction.STOP:
                control.stop(reason)
            case GuardAction.ABORT:
                control.abort(reason)
            case GuardAction.HOLD:
                control.hold(by)
            case GuardAction.SCALE:
                control.scale(action.share, by)
            case GuardAction.NOTIFY:
                pass
            case _:
                assert_never(action.kind)

    def with_suspect(self, reason: StopReason) -> StopReason:
        """Return the reason of a stop by a guard with the first suspect when it tripped, if there is one."""
        if self._suspects is None or reason.kind is not StopKind.GUARD:
            return reason
        return StopReason(reason.kind, self._suspects.added_to(reason.detail))

    def _announce(self, guard: str, suspect: str) -> None:
        text = f"First suspect when the guard {guard} tripped: {suspect}"
        self._annotate(AnnotationKind.GUARD, text)
        logger.warning("%s.", text)

    def _annotate(self, kind: AnnotationKind, text: str) -> None:
        if self._control is not None:
            self._control.annotate(kind, text)

    def _release(self, by: str) -> None:
        control = self._control
        if control is None:
            return
        is_hold = control.in_force.get(by) == GuardAction.HOLD
        control.release(by)
        if is_hold:
            holders = [name_of(each) for each, action in control.in_force.items() if action == GuardAction.HOLD]
            others = f", which is still held by {format_names(list(dict.fromkeys(holders)))}" if holders else ""
            text = f"The {name_of(by)} no longer holds the load{others}"
            self._annotate(AnnotationKind.RELEASE, text)
            logger.info("%s.", text)

    def views(self, wall_s: float) -> tuple[GuardView, ...]:
        """Return the guards as they are in snapshots."""
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
                data_ratio=guard.coverage.ratio(self._evaluated_s),
                watched_s=guard.coverage.watched_s(self._evaluated_s),
                no_data_s=guard.coverage.missing_s(self._evaluated_s),
                no_data_reason=guard.no_data_reason or guard.coverage.reason,
                extremes=tuple((value, guard.rule.format_value(value)) for value in guard.extremes or ()),
                stopped=self._stopped.get(guard.rule.name, ""),
                suspect=self._suspects.found.get(guard.rule.name, "") if self._suspects is not None else "",
            )
            for guard in self.guards
        )
