"""Plans a run from its configuration: load-test files, user classes, environment, load over time."""

import argparse
import logging
from collections.abc import Sequence
from dataclasses import dataclass
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
    format_stages,
    make_parser,
    parse_custom,
    user_traceback,
)
from obswarm.api.tracing import TraceSampler
from obswarm.app.missing_host import check_that_hosts_are_known
from obswarm.cluster import OpenedFiles
from obswarm.command_line import hide_secrets
from obswarm.config import RunConfig
from obswarm.engine import (
    LoadSchedule,
    LoadTest,
    Ramp,
    ShapeSchedule,
    StagesSchedule,
    check_file,
    find_loadtest,
    load,
    select,
)
from obswarm.stats import Recorder

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

    def user_classes(self, config: RunConfig) -> Sequence[type[User]]:
        """Return the requested user classes, with the tasks that the tags select."""
        load_config = config.load
        return select(
            self.loadtest.chosen(self.names), split_names(load_config.tags), split_names(load_config.exclude_tags)
        )


@dataclass(frozen=True, slots=True)
class RunPlan:
    """A planned run. `limit_s` is --run-time in seconds, None without a limit."""

    loaded: LoadedTest
    environment: Environment
    schedule: LoadSchedule
    limit_s: float | None

    @property
    def loadtest(self) -> LoadTest:
        return self.loaded.loadtest

    @property
    def files(self) -> tuple[Path, ...]:
        return self.loaded.files


_opened = OpenedFiles()


def load_test(config: RunConfig) -> LoadedTest:
    """Import the load test. Raises ObswarmError."""
    files, rest = files_of(config.load.arguments, config.load.files)
    with _opened.noting() as opened:
        loadtest = load(files, locust_names=not config.load.no_locust_compat)
    custom, names = _custom_options(loadtest, rest)
    return LoadedTest(loadtest, tuple(files), tuple(sorted(opened.paths)), custom, tuple(names))


def build_plan(config: RunConfig, *, is_made_here: bool = True) -> RunPlan:
    """Import the load test and plan its run. Without `is_made_here`, a master service executes the run, and may set the
    host itself. Raises ObswarmError."""
    load_config = config.load
    loaded = load_test(config)
    classes = loaded.user_classes(config)
    host = _check_hosts(classes, config)
    if is_made_here:
        check_that_hosts_are_known(classes, host, loaded.files, loaded.opened)
    schedule = _schedule(loaded.loadtest, classes, config)
    environment = Environment(
        events=events,
        recorder=Recorder(load_config.max_endpoints, detailed_timings=load_config.timings),
        user_classes=list(classes),
        shape_class=schedule.shape if isinstance(schedule, ShapeSchedule) else None,
        host=host,
        stop_timeout=load_config.stop_timeout,
        parsed_options=_parsed_options(loaded, config),
        locustfile=loaded.loadtest.name,
        tags=split_names(load_config.tags) or None,
        exclude_tags=split_names(load_config.exclude_tags) or None,
        reset_stats=load_config.reset_stats,
        trace_sampler=TraceSampler(load_config.trace_sample) if load_config.trace_sample else None,
    )
    has_own_end = isinstance(schedule, ShapeSchedule) and schedule.shape.use_common_options
    return RunPlan(loaded, environment, schedule, None if has_own_end else load_config.run_time)


def files_of(arguments: Sequence[str], named: Sequence[str]) -> tuple[list[Path], list[str]]:
    """Return the load-test files, and the other arguments. Raises ObswarmError."""
    rest = list(arguments)
    if named:
        files = [Path(part.strip()) for value in named for part in value.split(",") if part.strip()]
        if not files:
            raise ObswarmError("--loadtest is empty; give a file.")
        for file in files:
            try:
                check_file(file)
            except ObswarmError as error:
                raise ObswarmError(f"--loadtest: {error}") from None
        return files, rest
    position = next((i for i, text in enumerate(rest) if not text.startswith("-") and _looks_like_file(text)), None)
    if position is None:
        position = next((i for i, text in enumerate(rest) if not text.startswith("-")), None)
    if position is None:
        return [find_loadtest(Path.cwd())], rest
    return [Path(part) for part in rest.pop(position).split(",")], rest


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
    if named or any(not text.startswith("-") and _looks_like_file(text) for text in arguments):
        return True
    try:
        find_loadtest(Path.cwd())
    except ObswarmError:
        return False
    return True


def split_names(values: Sequence[str]) -> list[str]:
    """Split names that were given by repeating an option, by commas, or by both."""
    return [name for value in values for name in value.replace(",", " ").split()]


def _looks_like_file(text: str) -> bool:
    return text.endswith(".py") or Path(text).is_file()


def _custom_options(loadtest: LoadTest, arguments: Sequence[str]) -> tuple[OptionValues, list[str]]:
    custom, left = parse_custom(events, loadtest.name, arguments)
    hide_secrets(custom.secret_flags)
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


def _schedule(loadtest: LoadTest, classes: Sequence[type[User]], config: RunConfig) -> LoadSchedule:
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


def _parsed_options(loaded: LoadedTest, config: RunConfig) -> argparse.Namespace:
    """Return `environment.parsed_options`: obswarm's options under Locust's names, and those of the load test."""
    load_config, outputs = config.load, config.outputs
    ours = {
        "locustfile": loaded.loadtest.name,
        "host": load_config.host,
        "users": load_config.users,
        "num_users": load_config.users,
        "spawn_rate": load_config.spawn_rate,
        "run_time": load_config.run_time,
        "stages": format_stages([Stage(*each) for each in load_config.stages]) if load_config.stages else None,
        "headless": outputs.headless,
        "tags": split_names(load_config.tags) or None,
        "exclude_tags": split_names(load_config.exclude_tags) or None,
        "stop_timeout": load_config.stop_timeout,
        "reset_stats": load_config.reset_stats,
        "csv_prefix": outputs.csv,
        "loglevel": outputs.loglevel,
        "logfile": outputs.logfile,
        "exit_code_on_error": outputs.exit_code_on_error,
    }
    return argparse.Namespace(**{**ours, **vars(loaded.custom)})
