"""What listeners of `init` change in the plan of a run, as locustfiles do: number of users, spawn rate, time, shape."""

from dataclasses import replace
from typing import Any, Protocol

from obswarm.api import LoadTestShape, ObswarmError
from obswarm.app.planning import RunPlan, limit_of, schedule_of
from obswarm.config import RunConfig
from obswarm.engine import LoadSchedule, LoadTest
from obswarm.units import parse_duration

_OPTIONS = {"num_users": "users", "users": "users", "spawn_rate": "spawn_rate", "run_time": "run_time"}
"""Fields of the configuration by their names for load tests. Of two names the first one that was changed counts."""


class Replanned(Protocol):
    """A run before its start."""

    def replace_plan(self, plan: LoadSchedule, limit_s: float | None, has_shape: bool) -> None: ...

    def fail(self, error: ObswarmError) -> None: ...


class Replanning:
    """Compares `environment.parsed_options` and `environment.shape_class` with what they were when it was made."""

    def __init__(self, config: RunConfig, plan: RunPlan) -> None:
        self._config = config
        self._plan = plan
        self._options = self._present()
        self._shape = plan.environment.shape_class

    def apply(self, run: Replanned) -> None:
        """Give the run another plan if listeners have changed it. What they wrote fails the run if it is invalid."""
        try:
            fields, loadtest = self.changes()
            if not fields and loadtest is self._plan.loadtest:
                return
            config = replace(self._config, load=replace(self._config.load, **fields))
            schedule = schedule_of(loadtest, self._plan.closed_classes, config)
            run.replace_plan(schedule, limit_of(schedule, config.load), loadtest.shape is not None)
        except ObswarmError as error:
            run.fail(error)

    def changes(self) -> tuple[dict[str, Any], LoadTest]:
        """Return the fields of the load that listeners have changed, and the load test with their shape. Raises
        ObswarmError for what is invalid."""
        shape = self._plan.environment.shape_class
        if shape is not None and not isinstance(shape, LoadTestShape):
            raise ObswarmError(f"environment.shape_class has to be an instance of a LoadTestShape, not {shape!r}.")
        fields: dict[str, Any] = {}
        for name, value in self._present().items():
            if value != self._options[name]:
                fields.setdefault(_OPTIONS[name], _checked(name, value))
        loadtest = replace(self._plan.loadtest, shape=shape) if shape is not self._shape else self._plan.loadtest
        return fields, loadtest

    def _present(self) -> dict[str, Any]:
        options = self._plan.environment.parsed_options
        return {name: getattr(options, name, None) for name in _OPTIONS}


def _checked(name: str, value: Any) -> Any:
    """Return what a listener has set as the field's value. Raises ObswarmError."""
    where = f"environment.parsed_options.{name} is {value!r}, set by a listener"
    if name == "run_time":
        try:
            return None if value is None else parse_duration(value)
        except (TypeError, ValueError) as error:
            raise ObswarmError(f"{where}: {error}.") from None
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if value is not None and not (is_number and (value >= 0 if _OPTIONS[name] == "users" else value > 0)):
        least = "a whole number, 0 or more" if _OPTIONS[name] == "users" else "a number above 0"
        raise ObswarmError(f"{where}; it has to be {least}.")
    return int(value) if value is not None and _OPTIONS[name] == "users" else value
