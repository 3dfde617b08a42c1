"""A simulated run with guards: the real Run, executor and GuardEvaluator with a fake clock, users that are numbers, and
a metric source with the values of the test."""

from collections.abc import Mapping, Sequence

import gevent

from obswarm.api import Environment, Events, LoadTestShape, User, task
from obswarm.engine import ClosedExecutor, LoadSchedule, Run
from obswarm.engine.schedule import begin_shape
from obswarm.guards import Alert, Delivery, GuardEvaluator, GuardRule, parse_action
from obswarm.record import AlertStatus, Annotation, GuardView
from obswarm.stats import Recorder
from obswarm.targets import Sample
from tests.support.fake_time import FakeTime
from tests.support.stub_generator import StubGenerator

_STEP_S = 0.05


class Nobody(User):
    @task
    def nothing(self) -> None: ...


class Source:
    """Answers with `answer`: a number, several of them, None for no series, [] for none
    because of the filters of the query, or an error to be raised; `takes_s`
    seconds after it was asked."""

    stale_after_s = 5.0

    def __init__(self) -> None:
        self.answer: object = 1.0
        self.takes_s = 0.0

    def query(self, query: str, at_s: float | None = None) -> list[Sample]:
        answer = self.answer
        if self.takes_s:
            gevent.sleep(self.takes_s)
        if isinstance(answer, Exception):
            raise answer
        values = answer if isinstance(answer, Sequence) else [] if answer is None else [answer]
        return [Sample({"series": str(number)}, value) for number, value in enumerate(values)]

    def check(self, query: str) -> None: ...

    def filters_all(self, query: str, at_s: float | None = None) -> bool:
        return self.answer == []

    def why_no_series(self, query: str) -> str:
        return ""

    def start(self) -> None: ...

    def close(self) -> None: ...

    def health(self) -> list:
        return []


class Simulation:
    """`second()` lets one pass; `users` has what was there at the end of each, `ended_s` when the run stopped."""

    def __init__(
        self,
        time: FakeTime,
        rules: Sequence[GuardRule],
        schedule: LoadSchedule,
        *,
        on_alert: str = "stop",
        alerts_grace_s: float = 0.0,
        limit_s: float | None = None,
        shape: LoadTestShape | None = None,
        in_force: Mapping[str, str] | None = None,
        marks: Sequence[str] = (),
    ) -> None:
        self.time = time
        self.source = Source()
        self.environment = Environment(events=Events(), recorder=Recorder(), user_classes=[Nobody], shape_class=shape)
        self.evaluator = GuardEvaluator(
            rules,
            self.source,
            parse_action(on_alert),
            alerts_grace_s=alerts_grace_s,
            monotonic=time.monotonic,
            wall=time.wall,
        )
        self.generator = StubGenerator(self.environment)
        self.run = Run(
            self.environment,
            ClosedExecutor(schedule, [Nobody]),
            self.generator,
            test="t",
            planned_s=limit_s,
            observer=self.evaluator,
            max_endpoints=10,
        )
        self.run._driver.restore(in_force or {})
        self.run._log.annotations += [Annotation(0.0, "guard", text) for text in marks]
        self.users: list[int] = []
        self.ended_s: float | None = None
        begin_shape(self.environment)
        self.run._begin()
        self.evaluator.start(self.run, self.run.statistics.started_wall_s)

    def second(self, good: int = 1, bad: int = 0, lasting_s: float = 0.1) -> None:
        """One more: as many requests succeed and fail in it, and last so long."""
        if self.ended_s is not None:
            return
        for _ in range(round(1 / _STEP_S)):
            if self.run._drive_once(self.time.now) is None:
                self._note_end()
                return
            self.time.advance(_STEP_S)
        for number in range(good + bad):
            fails = number >= good
            self.environment.recorder.record("GET", "/", lasting_s, 1, 500 if fails else 200, "no" if fails else None)
        self.run._emit()
        self.users.append(self.run._driver.executor.assigned_users)
        if self.run._stopping.is_set():
            self._note_end()

    def _note_end(self) -> None:
        self.ended_s = round(self.time.now - self.run.statistics.started_s, 2)

    def alert(
        self, action: str, firing: bool = True, repeated: bool = False, fingerprint: str = "f", name: str = "Busy"
    ) -> None:
        """An alert comes in, with that action as its label."""
        if firing and not repeated:
            self._fires_since_s = self.time.wall()
        labels = {"alertname": name, "obswarm_action": action}
        status = AlertStatus.FIRING if firing else AlertStatus.RESOLVED
        self.evaluator.deliver(Delivery((Alert(fingerprint, status, labels, "", self._fires_since_s, "alertmanager"),)))
        if self.run._stopping.is_set():
            self._note_end()

    def seconds(self, number: int) -> None:
        for _ in range(number):
            self.second()

    @property
    def guards(self) -> Sequence[GuardView]:
        assert self.run.last is not None
        return self.run.last.guards

    @property
    def reason(self) -> str:
        assert self.run._log.reason is not None
        return f"{self.run._log.reason.kind}: {self.run._log.reason.detail}"

    def close(self) -> None:
        self.evaluator.close()
