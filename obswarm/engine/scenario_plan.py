"""Plans the scenarios of a run: an executor for each."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from obswarm import defaults
from obswarm.api import ArrivalRate, User
from obswarm.engine.executor import ArrivalLoad, ClosedExecutor, OpenExecutor, ScenarioPlan
from obswarm.engine.scenario_classes import scenarios_in
from obswarm.engine.schedule import LoadSchedule, Ramp, StagesSchedule


def plan_scenarios(
    classes: Iterable[type[User]], arrivals: Mapping[str, ArrivalLoad], is_done: Callable[[str], bool]
) -> Sequence[ScenarioPlan]:
    """Return the plans of the scenarios that these classes are for. `arrivals` are the loads of those of the open
    model; `is_done` returns whether all iterations of the limit of that name have ended.

    A scenario that starts after one that is not among them starts at once.
    """
    found = scenarios_in(classes)
    names = {scenario.name for scenario, _ in found}
    plans = []
    for scenario, own in found:
        load, start_s = scenario.parsed_load(), scenario.start_s()
        executor: ClosedExecutor | OpenExecutor
        if isinstance(load, ArrivalRate):
            executor = OpenExecutor({cls.__name__: arrivals[cls.__name__] for cls in own})
        else:
            schedule: LoadSchedule = (
                StagesSchedule(load)
                if isinstance(load, tuple)
                else Ramp(load, scenario.spawn_rate or defaults.SPAWN_RATE)
            )
            executor = ClosedExecutor(schedule, own)
        after = str(scenario.start_after) if start_s is None else ""
        if start_s is None and after not in names:
            start_s = 0.0
        plans.append(
            ScenarioPlan(
                scenario.name,
                executor,
                start_s,
                after,
                scenario.run_time_s,
                lambda name=scenario.name: is_done(name),  # type: ignore[misc]
            )
        )
    return plans
