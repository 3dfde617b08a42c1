"""Plans a run from its configuration: load-test files, user classes, environment, load over time."""

import argparse
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from obswarm import defaults
from obswarm.api import (
    Environment,
    LoadTestShape,
    ObswarmError,
    OptionValues,
    Stage,
    Stages,
    User,
    events,
    make_parser,
    parse_custom,
    user_traceback,
)
from obswarm.app.missing_host import check_that_hosts_are_known
from obswarm.app.parsed_options import options_for_locustfiles
from obswarm.cluster import OpenedFiles
from obswarm.command_line import hide_secrets
from obswarm.config import FileConfig, RunConfig
from obswarm.config.run_config import LoadConfig
from obswarm.engine import (
    ArrivalLoad,
    IterationLimit,
    LoadSchedule,
    LoadTest,
    Ramp,
    ShapeSchedule,
    StagesSchedule,
    UserSettings,
    find_loadtest,
    is_url,
    load,
    loadtest_files,
    plan_arrivals,
    plan_iterations,
    scenarios_in,
)
from obswarm.engine.otlp import exports, sampler_of
from obswarm.stats import RECORDED, Recorder
from obswarm.streams import echo
from obswarm.units import format_names

logger = logging.getLogger(__name__)


class UnknownOption(ObswarmError):
    """An option that neither the command nor the load test defines. `of_loadtest` are the load test's own options."""

    def __init__(self, option: str, of_loadtest: Sequence[str]) -> None:
        super().__init__(f"No such option: {option}.")
        self.option = option
        self.of_loadtest = of_loadtest


@dataclass(frozen=True, slots=True)
class LoadedTest:
    """An imported load test. `opened` are the files that it read during import, `custom` are its own options, `names`
    the requested user classes."""

    loadtest: LoadTest
    files: tuple[Path, ...]
    opened: tuple[str, ...]
    custom: OptionValues
    names: tuple[str, ...]
    tags: tuple[str, ...]
    exclude_tags: tuple[str, ...]

    def user_classes(self, config: RunConfig, with_scenarios: bool = True) -> Sequence[type[User]]:
        """Return the requested user classes, with the tasks that the tags select. With scenarios in the load test,
        these are their classes, unless a load is configured."""
        wanted = config.load
        names = self.names
        if self.loadtest.scenarios and with_scenarios and not _warn_of_replaced_scenarios(wanted):
            asked = self.loadtest.chosen(names)
            names = tuple(cls.__name__ for cls in self.loadtest.classes_of_scenarios if issubclass(cls, asked))
            if not names:
                raise ObswarmError(f"No scenario has users of {format_names([cls.__name__ for cls in asked])}.")
        return UserSettings(names, self.tags, self.exclude_tags, wanted.config_users, wanted.equal_weights).applied_to(
            self.loadtest
        )


@dataclass(frozen=True, slots=True)
class RunPlan:
    """A planned run. `limit_s` is --run-time in seconds, None without a limit."""

    loaded: LoadedTest
    environment: Environment
    schedule: LoadSchedule
    limit_s: float | None
    arrivals: Mapping[str, ArrivalLoad] = field(default_factory=dict)
    """The loads of user classes of the open model, by name; `schedule` is that of all others."""
    iterations: Sequence[IterationLimit] = ()

    @property
    def loadtest(self) -> LoadTest:
        return self.loaded.loadtest

    @property
    def files(self) -> tuple[Path, ...]:
        return self.loaded.files

    @property
    def closed_classes(self) -> list[type[User]]:
        """Those of the environment's user classes that have a number of users, not a rate of iterations."""
        return [cls for cls in self.environment.user_classes if cls.__name__ not in self.arrivals]

    @property
    def requirements(self) -> list[tuple[str, str]]:
        """(name of the scenario, requirement as text) of the scenarios of this run."""
        found = scenarios_in(self.environment.user_classes)
        return [(scenario.name, text) for scenario, _ in found for text in scenario.require]


_opened = OpenedFiles()


def load_test(config: RunConfig) -> LoadedTest:
    """Import the load test. Raises ObswarmError."""
    files, rest = files_of(config.load.arguments, config.load.files)
    with _opened.noting() as opened:
        loadtest = load(files, locust_names=not config.load.no_locust_compat)
    custom, names = _custom_options(loadtest, rest, config.file)
    tags, first = _tags_and_names(loadtest, config.load.tags)
    exclude_tags, second = _tags_and_names(loadtest, config.load.exclude_tags)
    return LoadedTest(
        loadtest,
        tuple(files),
        tuple(sorted(opened.paths)),
        custom,
        (*names, *first, *second) or config.load.user_classes,
        tuple(tags),
        tuple(exclude_tags),
    )


def build_plan(
    config: RunConfig,
    *,
    is_made_here: bool = True,
    with_scenarios: bool = True,
    loaded: LoadedTest | None = None,
    environment: Environment | None = None,
) -> RunPlan:
    """Import the load test and plan its run. Without `is_made_here`, a master service executes the run, and may set the
    host itself. `loaded` is a load test that has been imported already, `environment` the one of an earlier run of it,
    which is renewed. Without `with_scenarios`, all user classes have one load together. Raises ObswarmError."""
    load_config = config.load
    loaded = loaded or load_test(config)
    classes = loaded.user_classes(config, with_scenarios)
    host = _check_hosts(classes, config)
    if is_made_here:
        check_that_hosts_are_known(classes, host, loaded.files, loaded.opened)
    arrivals = plan_arrivals(classes, loaded.loadtest.arrival_rate, load_config)
    iterations = plan_iterations(classes, load_config.iterations)
    closed = [cls for cls in classes if cls.__name__ not in arrivals and cls._scenario is None]
    if not closed:
        _warn_of_unused_load(loaded.loadtest, load_config, any(cls._scenario is not None for cls in classes))
    schedule = schedule_of(loaded.loadtest, closed, config) if closed else Ramp(0, defaults.SPAWN_RATE)
    exports_spans = config.metrics.otlp and exports("traces")
    planned = Environment(
        events=events,
        recorder=Recorder(load_config.max_endpoints, detailed_timings=load_config.timings, custom=RECORDED),
        user_classes=list(classes),
        shape_class=schedule.shape if isinstance(schedule, ShapeSchedule) else None,
        host=host,
        stop_timeout=load_config.stop_timeout,
        parsed_options=argparse.Namespace(
            **{
                **options_for_locustfiles(config, loaded.loadtest.name, loaded.names, loaded.tags, loaded.exclude_tags),
                **vars(loaded.custom),
            }
        ),
        locustfile=loaded.loadtest.name,
        tags=list(loaded.tags) or None,
        exclude_tags=list(loaded.exclude_tags) or None,
        reset_stats=load_config.reset_stats,
        profile=config.store.profile,
        trace_sampler=sampler_of(load_config.trace_sample, exports_spans),
        exports_spans=exports_spans,
        parsed_locustfiles=[str(file) for file in loaded.files],
        available_user_classes={cls.__name__: cls for cls in loaded.loadtest.user_classes},
        available_shape_classes={type(each).__name__: each for each in (loaded.loadtest.shape,) if each is not None},
    )
    if environment is not None:
        environment.renew(planned)
    limit_s = limit_of(schedule, load_config)
    return RunPlan(loaded, environment or planned, schedule, limit_s, arrivals, iterations)


def files_of(arguments: Sequence[str], named: Sequence[str]) -> tuple[list[Path], list[str]]:
    """Return the load-test files, and the other arguments. Raises ObswarmError."""
    names, rest = split_arguments(arguments, named)
    try:
        files = [file for name in names for file in loadtest_files(name)]
    except ObswarmError as error:
        raise (ObswarmError(f"--loadtest: {error}") if named else error) from None
    return files or [find_loadtest(Path.cwd())], rest


def split_arguments(arguments: Sequence[str], named: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return what the load test is called, nothing if it is the one of the current folder, and the other arguments.
    `named` are values of --loadtest. Raises ObswarmError if those are empty."""
    rest = list(arguments)
    if not named:
        position = _position_of_file(rest)
        if position is None and not _has_default():
            # The name of a file that is not there.
            position = next((i for i in _words(rest) if not _is_option_before(rest, i)), None)
        return rest.pop(position).split(",") if position is not None else [], rest
    names = [part.strip() for value in named for part in value.split(",") if part.strip()]
    if not names:
        raise ObswarmError("--loadtest is empty; give a file.")
    return names, rest


def _position_of_file(arguments: Sequence[str]) -> int | None:
    """Return the index of the load-test file, None without one. What follows an option is its value, unless it is the
    name of a Python file: the load test, which knows how many values its options have, is not imported yet."""
    words = _words(arguments)
    free = [i for i in words if not _is_option_before(arguments, i)]
    chosen = [
        *(i for i in free if arguments[i].endswith(".py") or is_url(arguments[i])),
        *(i for i in words if arguments[i].endswith(".py")),
        *(i for i in free if Path(arguments[i]).is_file()),
        *(i for i in free[:1] if Path(arguments[i]).is_dir()),
    ]
    return chosen[0] if chosen else None


def _has_default() -> bool:
    try:
        find_loadtest(Path.cwd())
    except ObswarmError:
        return False
    return True


def _words(arguments: Sequence[str]) -> list[int]:
    return [i for i, text in enumerate(arguments) if not text.startswith("-")]


def _is_option_before(arguments: Sequence[str], position: int) -> bool:
    before = arguments[position - 1] if position else ""
    return before.startswith("-") and "=" not in before and before != "--"


def named_loadtest(config: RunConfig) -> Path | None:
    """Return the given load-test file, None without one. Raises ObswarmError if it does not exist."""
    if not config.load.arguments and not config.load.files:
        return None
    file = files_of(config.load.arguments, config.load.files)[0][0].resolve()
    if not file.is_file():
        raise ObswarmError(f"There is no load-test file {file}.")
    return file


def names_a_file(arguments: Sequence[str], named: Sequence[str]) -> bool:
    """Whether a load-test file was given, or the current folder contains one with a default name."""
    return bool(named) or _position_of_file(arguments) is not None or _has_default()


def _tags_and_names(loadtest: LoadTest, values: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the tags in values of --tags, and the user classes that follow them after a blank: on a command line both
    are words after the option."""
    classes = {cls.__name__ for cls in loadtest.user_classes}
    tags: list[str] = []
    names: list[str] = []
    for value in values:
        first, *further = value.split() or [""]
        tags += split_names([first])
        for word in further:
            (names if word in classes else tags).extend(split_names([word]))
    return tags, names


def split_names(values: Sequence[str]) -> list[str]:
    """Split names that were given by repeating an option, by commas, or by both."""
    return [name for value in values for name in value.replace(",", " ").split()]


def _custom_options(loadtest: LoadTest, arguments: Sequence[str], file: FileConfig) -> tuple[OptionValues, list[str]]:
    custom, left = parse_custom(events, loadtest.name, arguments, file.custom)
    hide_secrets(custom.secret_flags)
    unknown = [name for name in file.custom if name not in custom.long_names]
    if unknown:
        names = ", ".join(unknown)
        echo(f"Note: {file.where}{names}: neither obswarm nor the load test has such an option; not used.", err=True)
    for argument in left:
        if argument.startswith("-") and argument != "-":
            raise UnknownOption(
                argument.split("=", 1)[0], tuple(make_parser(events, loadtest.name)._option_string_actions)
            )
    return custom, left


def _check_hosts(classes: Sequence[type[User]], config: RunConfig) -> str | None:
    """Set the host of the configuration, if there is one, on the classes, normalized by each class's `check_host`.
    Returns the normalized host if it is the same for all classes, else the configured one.

    Raises ObswarmError if a class refuses the host, or its own one.
    """
    host = config.load.host
    taken = []
    for cls in classes:
        given = cls.host if host is None else host
        if given is None:
            continue
        try:
            cls.host = cls.check_host(given)
        except ValueError as error:
            if host is None:
                raise ObswarmError(f"{cls.__name__}.host: {error}.") from None
            raise ObswarmError(f"{config.label('host')}: {error} ({cls.__name__}).") from None
        except Exception as error:
            raise ObswarmError(f"{cls.__name__}.check_host raised:\n{user_traceback(error)}") from None
        taken.append(cls.host)
    return taken[0] if host is not None and all(each == taken[0] for each in taken) else host


def _warn_of_replaced_scenarios(load_config: LoadConfig) -> bool:
    """Return whether a load is configured, in place of the scenarios of the load test, and warn of that."""
    given = {
        "--users": load_config.users,
        "--stages": load_config.stages,
        "--arrival-rate": load_config.arrival_rate,
        "--iterations": load_config.iterations,
    }
    used = [name for name, value in given.items() if value is not None]
    if used:
        logger.warning("The scenarios of the load test are replaced by %s.", format_names(used))
    return bool(used)


def _warn_of_unused_load(loadtest: LoadTest, load_config: LoadConfig, has_scenarios: bool) -> None:
    """Warn of a number of users that is not the load, since all classes have scenarios or a rate of iterations."""
    unused = [f"the shape {type(loadtest.shape).__name__}"] if loadtest.shape is not None else []
    unused += ["--users"] if load_config.users is not None else []
    unused += ["--stages"] if load_config.stages is not None else []
    if unused:
        load = "that of the scenarios" if has_scenarios else "a rate of iterations"
        logger.warning("The load is %s; not used: %s.", load, format_names(unused))


def limit_of(schedule: LoadSchedule, load_config: LoadConfig) -> float | None:
    """Return the seconds after which --run-time ends the load; None without a limit."""
    has_own_end = isinstance(schedule, ShapeSchedule) and schedule.shape.use_common_options
    return None if has_own_end else load_config.run_time


def schedule_of(loadtest: LoadTest, classes: Sequence[type[User]], config: RunConfig) -> LoadSchedule:
    """Return the load over time from the configuration and the load-test file."""
    load_config, shape = config.load, loadtest.shape
    if load_config.stages is not None:
        if shape is not None:
            logger.warning("--stages is used instead of the shape %s.", type(shape).__name__)
        return StagesSchedule(tuple(Stage(*each) for each in load_config.stages))
    if shape is None:
        users = defaults.USERS if load_config.users is None else load_config.users
        return Ramp(users, defaults.SPAWN_RATE if load_config.spawn_rate is None else load_config.spawn_rate)
    if (load_config.users, load_config.spawn_rate) != (None, None) and not shape.use_common_options:
        logger.warning("The load comes from the shape %s; --users and --spawn-rate are not used.", type(shape).__name__)
    if isinstance(shape, Stages) and type(shape).tick is Stages.tick:
        return StagesSchedule(shape.parsed())
    assert isinstance(shape, LoadTestShape)
    return ShapeSchedule(shape, classes)
