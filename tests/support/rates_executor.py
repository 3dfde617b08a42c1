"""An executor of no workload model: it assigns what a test says, rates of iterations among it."""

from collections.abc import Mapping

from obswarm.engine import Assignment, ExecutorState


class RatesExecutor:
    """An Executor whose load is `users` and `rates` until a test changes them. As for every other one, the load of one
    that goes on with the run of another process is that of its state."""

    duration_s: float | None = None
    end = "the load is over"
    settled = True
    holding = False
    plan_step = 0
    plan_change = ""

    def __init__(self, rates: Mapping[str, float], users: Mapping[str, int] | None = None) -> None:
        self.rates = dict(rates)
        self.users = dict(users or {})

    @property
    def target(self) -> dict[str, int]:
        return dict(self.users)

    @property
    def plan_load(self) -> str:
        return f"{sum(self.rates.values()):g} iterations/s"

    def start(self, now: float, *, burst_s: float | None = None) -> None: ...

    def resume(
        self, state: ExecutorState, now: float, *, run_s: float, away_s: float, burst_s: float | None = None
    ) -> float:
        self.rates, self.users = dict(state.rates), dict(state.users)
        return state.elapsed_s + away_s

    def state(self, now: float) -> ExecutorState:
        return ExecutorState(0.0, False, dict(self.users), dict(self.rates))

    def step(self, now: float) -> Assignment:
        return Assignment(dict(self.users), 1_000.0, 0.05, rates=dict(self.rates))

    def may_want_more(self, now: float) -> bool:
        return False

    def unfollowed_s(self, now: float) -> float:
        return 0.0

    def hold(self, now: float) -> None: ...

    def release(self, now: float) -> None: ...

    def set_load(self, users: int, rate: float, now: float, user_classes: tuple[str, ...] | None = None) -> None: ...

    def set_rate(self, rate: float, now: float) -> None: ...

    def scale(self, share: float, now: float, ended: int = 0, not_started: int = 0) -> None: ...
