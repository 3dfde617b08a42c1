"""A run whose users live in workers: gives them out, adds up what comes back, survives the loss of any of them, and
its own."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gevent

from obswarm import clock, defaults
from obswarm.api import Environment, InternalError, LoadTestShape, ObswarmError
from obswarm.bounded_msgpack import unpack_content
from obswarm.cluster.master.journal import Journal, Progress, Recovered
from obswarm.cluster.master.local_workers import LocalProcesses, LocalWorkers
from obswarm.cluster.master.losses import Losses
from obswarm.cluster.master.recovery import restore_workers, worker_records
from obswarm.cluster.master.registry import WorkerRegistry
from obswarm.cluster.master.run_spec import RunSpec
from obswarm.cluster.master.worker_state import WorkerState, WorkerStatus
from obswarm.cluster.runners import MAX_CONTENT_ITEMS, MasterRunner, deliver
from obswarm.cluster.wire.bounds import RunBounds
from obswarm.cluster.wire.curve import CurveKeys
from obswarm.cluster.wire.messages import Custom, CustomReport, SpawningComplete, StatsReset, WorkerEvent
from obswarm.cluster.wire.transport import RouterSocket, new_context
from obswarm.engine import HealthMonitor, LoadSchedule, Outputs, ReplacedLoad, Run, StopReason, WorkerLoss
from obswarm.stats import Annotation, EndpointKey, GeneratorHealth, InFlight, RunState, StatsTable
from obswarm.units import counted

logger = logging.getLogger(__name__)

_STEP_S = 0.1
_STEP_OF_MANY_S = 0.2
_MANY_WORKERS = 200
_REPORTS_S = 0.35
_TAKEOVER_S = 3.0
"""That workers have to meet a new master before its first interval ends."""
_KEEP_S = 0.25
_START_S = 90.0
_WAITING_NOTICE_S = 30.0
_ON_STOP_S = 6.0
_FAREWELL_S = 2.0
_FAREWELL_STEP_S = 0.05
_ABORT_S = 3.0


class _Spawner:
    """The executor's numbers are what counts; workers are told of them in one go."""

    def spawn(self, user_class: str) -> None: ...

    def retire(self, user_class: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Expectation:
    """How many workers to wait for before the run starts, and for how long (None: as long as it takes). Where
    `fewer_do` the run begins with those that are there then."""

    workers: int = 1
    longest_s: float | None = None
    fewer_do: bool = False


class FleetRun(Run):
    """A RunCourse over workers. `endpoint` is where they dial to; with `local` they are this machine's own processes.

    With a journal, everything that workers were told to be safe is in its file, as long as that can be written;
    `recovered` goes on with a run that was found there. Raises ObswarmError when it cannot listen.
    """

    def __init__(
        self,
        environment: Environment,
        schedule: LoadSchedule,
        spec: RunSpec,
        *,
        test: str,
        planned_s: float | None = None,
        outputs: Outputs | None = None,
        max_endpoints: int = defaults.MAX_ENDPOINTS,
        interval_s: float = defaults.SNAPSHOT_INTERVAL_S,
        endpoint: str = "",
        keys: CurveKeys | None = None,
        by_capacity: bool = True,
        expect: Expectation | None = None,
        local: LocalWorkers | None = None,
        journal: Journal | None = None,
        recovered: Recovered | None = None,
    ) -> None:
        super().__init__(
            environment,
            schedule,
            _Spawner(),
            test=test,
            planned_s=planned_s,
            outputs=outputs or Outputs(),
            max_endpoints=max_endpoints,
            interval_s=interval_s,
            run_id=spec.run_id,
            burst_s=_STEP_OF_MANY_S * 2,
        )
        classes = [cls.__name__ for cls in environment.user_classes]
        self.fleet = WorkerRegistry(spec, self, by_capacity=by_capacity, bounds=RunBounds.of(max_endpoints, classes))
        self._max_endpoints = max_endpoints
        self._expect = expect or Expectation()
        self._local = LocalProcesses(local, self._process_ended, self.supervisor) if local is not None else None
        self._journal = journal
        self._recovered = recovered
        self._is_taken_up = recovered is not None
        self._orphan_timeout_s = spec.orphan_timeout_s
        self._health = HealthMonitor("master", supervisor=self.supervisor)
        self._dispatched: dict[str, int] = {}
        self._number = 0
        self._dirty = False
        self._spawning_told = True
        self._most_users_before = 0
        """Of the master before this one."""
        self._lost = Losses()
        self._extras: dict[str, dict[str, Any]] = {}
        self._over = False
        self._ended_users = 0
        """By themselves, when workers had last done all that they were told."""
        self._alone_since_s: float | None = None
        environment.runner = self.runner = MasterRunner(self, environment)
        if recovered is not None:
            restore_workers(recovered, self.fleet)
        where = self._local.endpoint if self._local is not None else endpoint
        self.listener = RouterSocket(new_context(), where, keys, self.fleet.received, self.supervisor)
        self.listener.on_handshake_failure = self._handshake_failed
        self.fleet.wire = self.listener
        self._keeper = self.supervisor.keep("The master's contact with its workers", self._keep)

    def _handshake_failed(self) -> None:
        if self.listener.handshake_failures == 1:
            logger.warning(
                "Somebody without the right secret tried to join at %s; refused and counted.", self.listener.endpoint
            )

    # What the course asks for.
    def user_counts(self) -> dict[str, int]:
        counts = dict.fromkeys(self._executor.placed, 0)
        counts.update(self.fleet.user_counts())
        return counts

    def users_max(self) -> int:
        # At the end nobody has anything more to tell.
        self.fleet.users.settle(clock.monotonic() if self._over else None)
        return max(self._most_users_before, self.fleet.users.most)

    def workers(self) -> tuple[GeneratorHealth, ...]:
        now = clock.monotonic()
        views = (member.view(now) for member in self.fleet.members.values())
        return tuple(view for view in views if view is not None)

    def in_flight(self) -> dict[EndpointKey, InFlight]:
        return self.fleet.in_flight(self._max_endpoints)

    def _prepare(self) -> None:
        if self._recovered is not None:
            logger.info("Going on with the run %s, which its master left.", self.run_id)
            return
        if self._local is not None:
            self._local.start(self._local.at_first)
            self._wait_for(self._local.at_first, _START_S)
            return
        wanted, longest_s = self._expect.workers, self._expect.longest_s
        logger.info("Waiting for %s at %s.", counted(wanted, "worker"), self.listener.endpoint)
        self._wait_for(wanted, longest_s)

    def _wait_for(self, count: int, longest_s: float | None) -> None:
        began = told = clock.monotonic()
        while not self._stopping.is_set():
            now = clock.monotonic()
            here = len(self.fleet.ready)
            if here >= count:
                return
            if longest_s is not None and now - began > longest_s:
                if here and self._expect.fewer_do:
                    logger.warning("%d of %d workers are ready after %.0f s; the run begins.", here, count, longest_s)
                    return
                self.fail(ObswarmError(f"{here} of {count} workers were ready after {longest_s:.0f} s."))
                return
            if now - told > _WAITING_NOTICE_S:
                told = now
                logger.info("%d of %d workers are ready.", here, count)
            if self._nudge.wait(0.1):
                self._nudge.clear()

    def _begin(self) -> None:
        self._health.start()
        if self._recovered is not None:
            self._take_up(self._recovered)
            return
        super()._begin()
        # Before workers begin: a master that is killed in the first second has a successor, too.
        self._collect()
        self.fleet.begin()

    def _take_up(self, recovered: Recovered) -> None:
        """Go on where the master before this one was, as `_progress` of it has said."""
        self.state = RunState.SPAWNING
        progress, now = recovered.progress, clock.monotonic()
        away_s = max(0.0, clock.wall() - progress.at_wall_s)
        self.statistics.restore(recovered.table)
        self._lost.note_requests(recovered.table.lost, self.fleet.members.values())
        self.statistics.begin(now, progress.elapsed_s + away_s, progress.stats_elapsed_s + away_s, away_s)
        if progress.load_s is not None:
            self.statistics.end_load(now, progress.load_s)
        self._in_force = dict(progress.in_force)
        schedule = self._executor.schedule
        if progress.ramp is not None:
            users, rate = progress.ramp
            classes = None if progress.ramp_classes is None else tuple(progress.ramp_classes)
            self._executor.schedule = schedule = ReplacedLoad(
                schedule, int(users), rate, is_scaled=progress.is_scaled, user_classes=classes
            )
        stood_still = progress.holding and schedule.stands_still
        elapsed_s = progress.profile_elapsed_s + (0.0 if stood_still else away_s)
        shape = self._environment.shape_class
        if isinstance(shape, LoadTestShape):
            shape.start_time -= elapsed_s
        held_s = max(0.0, progress.elapsed_s + away_s - elapsed_s) if schedule.stands_still else 0.0
        self._executor.start(now, elapsed_s, progress.placed, held_s)
        self._most_users_before = progress.users_max
        self._ended_users = progress.users_ended
        self.guards_before = progress.guards
        self._annotations = [Annotation(*mark) for mark in progress.annotations]
        if not any(mark.kind == "start" for mark in self._annotations):
            # The file is first written before the run starts; its outputs have had the mark.
            text = f"The run {self.run_id} starts"
            self._annotations.insert(0, Annotation(self.statistics.started_wall_s, "start", text))
        self._lost.restore(WorkerLoss(*loss) for loss in progress.losses)
        if progress.holding:
            self._executor.hold(now)
        if progress.stopping is not None:
            kind, detail = progress.stopping
            self.stop(StopReason(kind, detail))  # type: ignore[arg-type]  # it was one when it was written
        self.fleet.began = True

    @property
    def _step_s(self) -> float:  # type: ignore[override]
        return _STEP_S if len(self.fleet.members) <= _MANY_WORKERS else _STEP_OF_MANY_S

    def _after_step(self, now: float) -> None:
        placed = self._executor.placed
        if placed == self._dispatched and not self._dirty and not self.fleet.is_assigning:
            return
        self._dirty = False
        self._dispatched = dict(placed)
        load = self._executor.load
        self._number = self.fleet.assign(placed, load.rate if load is not None else 1.0)

    def _before_emit(self) -> None:
        if self.state is RunState.STOPPED:
            return
        self.fleet.pulse(collect=True)
        # The first interval of a run that was taken up has what workers have kept for it meanwhile.
        is_first = self._is_taken_up and self.last is None
        self.fleet.wait_for_reports(_TAKEOVER_S if is_first else _REPORTS_S * self._interval_s)
        self.fleet.look_after(clock.monotonic())
        users = sum(self.user_counts().values())
        for member in self.fleet.members.values():
            data = {"user_count": sum(member.users.values()), "user_classes_count": dict(member.users)}
            data.update(self._extras.pop(member.name, {}))
            self._environment.events.worker_report.fire(client_id=member.name, data=data)
        health, became_saturated = self._health.read(users)
        cpu_percent = health.cpu_ratio * 100
        self._environment.events.usage_monitor.fire(
            environment=self._environment, cpu_usage=cpu_percent, memory_usage=health.memory_bytes
        )
        if became_saturated:
            logger.warning("The master itself is busy (%s): figures come late.", self._health.watch.reason)

    def _collect(self) -> None:
        """Add up what has come in, and say that it is safe once it is."""
        # Listeners are called here, too, and what they raise is counted.
        own = self._environment.recorder.take()
        if not self.fleet.has_news and self._journal is None and own.is_empty():
            self.fleet.acknowledge()
            return
        table = self.fleet.take(self._max_endpoints)
        self._lost.note_requests(table.lost, self.fleet.members.values())
        table.merge(own)
        if self._journal is None:
            self.statistics.add(table)
        else:
            self._journal.append(table, self._progress(), worker_records(self.fleet))
            self.statistics.add(table)
            if self._journal.is_due:
                self._journal.rewrite(self.statistics.table, self._progress(), worker_records(self.fleet))
        self.fleet.acknowledge()

    def _progress(self) -> Progress:
        now = clock.monotonic()
        elapsed_s, stats_elapsed_s = self.statistics.elapsed_s(now)
        reason = self._reason
        replaced = self._executor.schedule if isinstance(self._executor.schedule, ReplacedLoad) else None
        return Progress(
            at_wall_s=clock.wall(),
            elapsed_s=elapsed_s,
            stats_elapsed_s=stats_elapsed_s,
            profile_elapsed_s=self._executor.elapsed(now),
            holding=self._executor.holding,
            placed=dict(self._executor.placed),
            ramp=None if replaced is None else [replaced.users, replaced.rate],
            ramp_classes=None if replaced is None or replaced.user_classes is None else list(replaced.user_classes),
            is_scaled=self._executor.is_scaled,
            in_force=dict(self._in_force),
            guards=self.observer.saved_state() if self.observer is not None else dict(self.guards_before),
            users_ended=self._users_ended(),
            users_max=self.users_max(),
            stopping=None if reason is None else [reason.kind, reason.detail],
            annotations=[[mark.time_s, mark.kind, mark.text] for mark in self._annotations],
            losses=[[loss.worker, loss.detail, loss.unreported_s, loss.users] for loss in self._lost.of_time],
            load_s=self.statistics.load_s(now) if self.statistics.load_has_ended else None,
        )

    def _users_ended(self) -> int:
        # Workers that still follow have not told yet whether more of them have ended.
        if self.fleet.ready and not self._dirty and self.fleet.settled(self._number):
            self._ended_users = self._executor.placed_users - sum(self.user_counts().values())
        return self._ended_users

    def _users_not_started(self, now: float) -> int:
        if not self.fleet.ready:
            return 0
        started = sum(member.most_users(now) for member in self.fleet.ready)
        return max(0, self._executor.placed_users - self._users_ended() - started)

    def _after_emit(self) -> None:
        self.fleet.begin_interval()
        if not self._spawning_told and self.fleet.settled(self._number):
            self._spawning_told = True
            self._tell_spawning_complete()
        if self._local is not None:
            self._local.start_another_when_needed(self.fleet.ready, self._executor.placed_users)
        self._end_when_alone()

    def _end_when_alone(self) -> None:
        """A run without workers makes no load, and has nobody to wait for. Of processes on this machine it is known
        when they end; one that does not answer has only much to do."""
        now = clock.monotonic()
        if self.fleet.ready or self._stopping.is_set() or self._local is not None:
            self._alone_since_s = None
            return
        if self._alone_since_s is None:
            self._alone_since_s = now
        if now - self._alone_since_s > self._orphan_timeout_s:
            self.stop(StopReason("lost", "no worker is left"))

    def _spawning_complete(self) -> None:
        # The executor's numbers are there; workers still have to follow.
        self._spawning_told = False

    def _tell_spawning_complete(self) -> None:
        users = sum(self.user_counts().values())
        self._environment.events.spawning_complete.fire(user_count=users)
        self.fleet.broadcast(SpawningComplete(users))
        if self._environment.reset_stats:
            self._reset_statistics()
            self.fleet.broadcast(StatsReset())
            if self._journal is not None:
                self._journal.append(self.statistics.table, self._progress(), worker_records(self.fleet), reset=True)

    def _everyone_has_left(self) -> bool:
        here = self.fleet.ready
        return bool(here) and self.fleet.settled(self._number) and not any(self.user_counts().values())

    def _end_users(self, timeout_s: float) -> None:
        self.fleet.stop(timeout_s)
        deadline = clock.monotonic() + timeout_s + _ON_STOP_S
        missing_deadline = deadline + self._orphan_timeout_s
        abort_deadline: float | None = None
        while True:
            now = clock.monotonic()
            if self._aborting and abort_deadline is None:
                abort_deadline = now + _ABORT_S
            if abort_deadline is not None and now > abort_deadline:
                return
            waiting = [member for member in self.fleet.members.values() if not member.complete]
            # Somebody who is missing may be cut off only, and has up to its own timeout to come back with what it has.
            missing = [
                member
                for member in waiting
                if member.state is WorkerStatus.MISSING and now - member.heard_s < self._orphan_timeout_s + _ON_STOP_S
            ]
            here = [member for member in waiting if member.state in (WorkerStatus.READY, WorkerStatus.LEAVING)]
            if (not missing or now > missing_deadline) and (not here or now > deadline):
                return
            gevent.sleep(0.02)

    def _kill_users(self) -> None:
        self.fleet.stop(0.0)

    def _end(self) -> None:
        self._health.stop()
        self._collect()
        self._over = True
        now = clock.monotonic()
        for member in self.fleet.members.values():
            if not member.complete and not member.is_over:
                # A connection that was closed and never came back is a worker that died by then; one that is silent
                # may have been at work until its own timeout.
                until_s = member.cut_off_s if member.cut_off_s is not None else now
                unreported_s = min(until_s - member.stats_s, self._orphan_timeout_s + self._interval_s)
                self._lost.note_worker(member, "it was not heard of again", unreported_s)
        self._say_farewell(0)
        if self._local is not None:
            self._local.end(_ON_STOP_S)

    def _say_farewell(self, exit_code: int) -> None:
        """A master that is killed afterwards has a successor that waits for nobody."""
        deadline = clock.monotonic() + _FAREWELL_S
        while self.fleet.end(exit_code) and self._local is None and clock.monotonic() < deadline:
            gevent.sleep(_FAREWELL_STEP_S)
        if self._journal is not None:
            self._journal.append(StatsTable(), self._progress(), worker_records(self.fleet, is_over=True))

    def give_up(self) -> None:
        """The run has crashed here: its workers end, and what they still have is put into the journal."""
        if self._over:
            return
        self._over = True
        self._keeper.kill()
        try:
            self.fleet.stop(0.0)
            deadline = clock.monotonic() + _ABORT_S
            while any(not member.complete for member in self.fleet.ready) and clock.monotonic() < deadline:
                gevent.sleep(_FAREWELL_STEP_S)
            self._collect()
        finally:
            self._say_farewell(4)
            self.listener.close()

    def _losses(self) -> tuple[WorkerLoss, ...]:
        return self._lost.all()

    def _rejected(self) -> tuple[int, int]:
        return self.listener.handshake_failures, self.fleet.dropped_frames

    def close(self) -> None:
        self._keeper.kill()
        self.listener.close()
        if self._local is not None:
            self._local.end(0)
        if self._journal is not None:
            self._journal.finish()

    # What the fleet tells.
    def on_change(self) -> None:
        self._dirty = True
        self._nudge.set()

    def on_join(self, member: WorkerState, again: bool) -> None:
        if not again:
            logger.debug("The worker %s has joined (%.0f requests/s).", member.name, member.capacity)
            self._environment.events.worker_connect.fire(client_id=member.name)
            if self._local is None:
                logger.info("Worker %s has joined: %s.", member.name, counted(member.processes, "process", "processes"))

    def on_forgotten(self, member: WorkerState) -> None:
        recovered = self._recovered
        away_s = clock.wall() - recovered.progress.at_wall_s if recovered is not None else 0.0
        unreported_s = max(clock.monotonic() - member.stats_s, away_s)
        detail = "the master before this one was killed while it could not write its state"
        self._lost.note_worker(member, detail, unreported_s)

    def on_failed(self, name: str, reason: str) -> None:
        if self._local is not None:
            self.fail(ObswarmError(reason))
        else:
            logger.error("The worker %s cannot run this load test: %s", name, reason)

    def on_fault(self, member: WorkerState, fault: WorkerEvent) -> None:
        if fault.kind == "error":
            self.fail(ObswarmError(fault.detail))
        elif fault.kind == "internal":
            self.fail(InternalError(fault.detail))
        elif fault.kind == "stop_test":
            self.stop_test(fault.detail or "a user raised StopTest")
        elif fault.kind == "quit":
            self.stop(StopReason("user", fault.detail))
        elif fault.kind == "warning":
            logger.warning("The worker %s: %s.", member.name, fault.detail)

    def on_custom(self, member: WorkerState, custom: Custom) -> None:
        deliver(self.runner, custom)

    def on_extra(self, member: WorkerState, extra: CustomReport) -> None:
        data = unpack_content(extra.content, MAX_CONTENT_ITEMS)
        if isinstance(data, dict):
            self._extras[member.name] = data

    def on_refused(self, member: WorkerState) -> None:
        self._lost.note_worker(member, f"refused: {member.refused}", clock.monotonic() - member.stats_s)

    def on_losses(self, member: WorkerState, losses: Sequence[WorkerLoss]) -> None:
        self._lost.note_processes(member, losses)

    def send_custom(self, custom: Custom) -> None:
        """To all workers, or to the one that `custom.node` names."""
        if not custom.node:
            self.fleet.broadcast(custom)
        elif not self.fleet.send_to(custom.node, custom):
            logger.warning("There is no worker %s to send a message of type %r to.", custom.node, custom.kind)

    def _process_ended(self, incarnation: str, code: int) -> None:
        if self._over:
            return
        member = self.fleet.members.get(incarnation)
        if member is None:
            self.fail(ObswarmError(f"A worker process ended with the exit code {code} before it was ready."))
            return
        if member.complete:
            return
        if not member.is_over:
            self.fleet.lose(member)
            unreported_s = clock.monotonic() - member.stats_s
            self._lost.note_worker(member, f"its process ended with the exit code {code}", unreported_s)
        if not self.fleet.ready:
            self.stop(StopReason("lost", "no worker process is left"))

    def _keep(self) -> None:
        """Workers hear from their master also before and after the run, and those that go are noticed."""
        while True:
            gevent.sleep(_KEEP_S)
            # Before the run nothing else has them answer, and who does not is missing.
            self.fleet.keep_alive(self._interval_s, collect=self.state is RunState.READY)
            if self.state in (RunState.READY, RunState.STOPPING):
                self.fleet.look_after(clock.monotonic())
