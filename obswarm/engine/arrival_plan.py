"""Plans the open model: the rates of user classes from the configuration and the load-test file."""

from collections.abc import Mapping, Sequence

from obswarm.api import ArrivalRate, ObswarmError, User, arrival_rate_of
from obswarm.config.run_config import LoadConfig
from obswarm.engine.allocation import apportion, apportion_rate, weight_of
from obswarm.engine.executor import ArrivalLoad, RateCurve
from obswarm.engine.scenario_classes import scenarios_in


def plan_arrivals(
    classes: Sequence[type[User]], of_file: ArrivalRate | None, config: LoadConfig
) -> Mapping[str, ArrivalLoad]:
    """Return the loads of the user classes with a rate of iterations, by name, and set on these classes how iterations
    arrive. `of_file` is the `arrival_rate` of the load-test file. Master and workers call it with the same arguments.

    --arrival-rate is divided among all classes by weight; without it, the rate of the file among those that have none
    of their own, unless a number of users for these is given. Classes of a scenario have its rate, or none.

    Raises ObswarmError for a class that cannot run iterations by themselves, or an invalid value.
    """
    if config.arrival_rate is not None:
        return _divided(classes, ArrivalRate(config.arrival_rate), config)
    loads: dict[str, ArrivalLoad] = {}
    others: list[type[User]] = []
    for scenario, own_classes in scenarios_in(classes):
        load = scenario.parsed_load()
        if isinstance(load, ArrivalRate):
            loads |= _divided(own_classes, load, config)
    for cls in classes:
        if cls._scenario is not None:
            continue
        own = arrival_rate_of(cls.arrival_rate, f"{cls.__name__}.arrival_rate")
        if own is None:
            others.append(cls)
        else:
            loads |= _divided([cls], own, config)
    if of_file is not None and others and config.users is None and config.stages is None:
        loads |= _divided(others, of_file, config)
    return loads


def has_seeded_arrivals(cls: type[User]) -> bool:
    """Whether the iterations of a class start at random times that are to be the same ones in every run."""
    arrivals, seed = cls._arrivals
    return arrivals == "poisson" and seed is not None


def _divided(classes: Sequence[type[User]], load: ArrivalRate, config: LoadConfig) -> dict[str, ArrivalLoad]:
    """Divide a load among classes by weight."""
    for cls in classes:
        if cls.run is not User.run:
            raise ObswarmError(
                f"{cls.__name__} overrides User.run, so its users have no iterations that could be started at a rate."
            )
    weights = [float(weight_of(cls).weight) for cls in classes]
    if len(classes) > 1:
        for cls in classes:
            if cls.fixed_count:
                raise ObswarmError(
                    f"{cls.__name__} has a fixed_count of {cls.fixed_count}, but the load is a rate of iterations,"
                    " which is divided by weight. Remove fixed_count, or give classes an arrival_rate of their own."
                )
    else:
        weights = [1.0]
    max_users = load.max_users or config.max_users
    if max_users < len(classes):
        raise ObswarmError(
            f"A maximum of {max_users:,} users is too low for {len(classes)} user classes; each needs one at least."
        )
    most = [1 + extra for extra in apportion(max_users - len(classes), weights)]
    stages = load.stages()
    parts = [apportion_rate(stage.rate, weights) for stage in stages]
    loads = {}
    for number, cls in enumerate(classes):
        own = [stage._replace(rate=part[number]) for stage, part in zip(stages, parts, strict=True)]
        loads[cls.__name__] = ArrivalLoad(RateCurve.of(own), most[number])
        cls._arrivals = (load.arrivals or config.arrivals, config.arrivals_seed if load.seed is None else load.seed)
    return loads
