"""Loads load-test files: their user classes, shape and guards; errors become an ObswarmError."""

import importlib.util
import inspect
import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType

from obswarm import defaults
from obswarm.api import (
    ArrivalRate,
    LoadTestShape,
    ObswarmError,
    Scenario,
    TaskSet,
    User,
    arrival_rate_of,
    filter_by_tags,
    user_traceback,
)
from obswarm.engine.allocation import weight_of
from obswarm.engine.import_alias import LOCUST, OURS, stop_using_locust_names, use_locust_names
from obswarm.engine.import_hints import import_hint
from obswarm.engine.import_path import add_folder, is_reserved
from obswarm.engine.scenario_classes import checked_scenarios, classes_of_scenarios
from obswarm.nearest import nearest_names
from obswarm.sanitize import clean_text, is_clean

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LoadTest:
    """The contents of load-test files, in the order of definition."""

    files: tuple[Path, ...]
    user_classes: tuple[type[User], ...]
    shape: LoadTestShape | None
    guards: tuple[object, ...] = ()
    """Unchecked contents of the `guards` lists of the files."""
    arrival_rate: ArrivalRate | None = None
    """The `arrival_rate` of the files, at most one."""
    scenarios: tuple[Scenario, ...] = ()
    classes_of_scenarios: tuple[type[User], ...] = ()
    """See obswarm.engine.scenario_classes."""

    @property
    def name(self) -> str:
        return ",".join(file.name for file in self.files)

    def chosen(self, names: Sequence[str]) -> tuple[type[User], ...]:
        """Return the classes with these names, all without names. Raises ObswarmError for an unknown one."""
        if not names:
            return self.user_classes
        by_name = {cls.__name__: cls for cls in (*self.user_classes, *self.classes_of_scenarios)}
        for name in names:
            if name not in by_name:
                nearest = nearest_names(name, by_name, 1)
                hint = f" Did you mean {nearest[0]}?" if nearest else ""
                raise ObswarmError(f"{self.name} has no user class {name!r}; it has {', '.join(by_name)}.{hint}")
        return tuple(by_name[name] for name in dict.fromkeys(names))


def find_loadtest(directory: Path) -> Path:
    """Return the default load-test file in a folder. Raises ObswarmError if there is none."""
    for name in defaults.LOADTEST_FILES:
        if (directory / name).is_file():
            return directory / name
    wanted = " or ".join(defaults.LOADTEST_FILES)
    raise ObswarmError(f"No load-test file: give one (obswarm run FILE), or create {wanted} in {directory}.")


def load(paths: Sequence[Path], *, locust_names: bool = True) -> LoadTest:
    """Import load-test files; with `locust_names`, `import locust` in them imports obswarm.locust.

    Raises ObswarmError if a file is missing, cannot be imported, or defines no user class; the message contains the
    traceback of an exception in it.
    """
    if locust_names:
        use_locust_names()
    else:
        stop_using_locust_names()
    modules = [import_file(path) for path in paths]
    classes: dict[str, type[User]] = {}
    shapes: dict[str, type[LoadTestShape]] = {}
    for module in modules:
        for value in vars(module).values():
            if not inspect.isclass(value):
                continue
            if issubclass(value, User) and not value.abstract:
                if not is_clean(value.__name__) or len(value.__name__) > defaults.MAX_NAME_LENGTH:
                    raise ObswarmError(
                        f"{module.__file__}: invalid name {clean_text(value.__name__)} of a user class; it may have at"
                        f" most {defaults.MAX_NAME_LENGTH} characters, and no control characters."
                    )
                other = classes.get(value.__name__)
                if other is not None and other is not value:
                    raise ObswarmError(
                        f"Two user classes have the name {value.__name__} ({other.fullname()} and {value.fullname()});"
                        " statistics are grouped by name, so rename one of them."
                    )
                classes[value.__name__] = value
            elif issubclass(value, LoadTestShape) and not value.abstract:
                shapes[value.__name__] = value
    names = ", ".join(str(path) for path in paths)
    if not classes and locust_names:
        classes = _of_tests(paths, modules)
    if not classes:
        raise ObswarmError(
            f"{names} defines no user class. Subclass HttpUser, FastHttpUser or User, and give it tasks"
            " (a class with abstract = True does not count)."
        )
    if len(shapes) > 1:
        raise ObswarmError(f"{names} defines {len(shapes)} load shapes ({', '.join(shapes)}); only one is allowed.")
    shape = next(iter(shapes.values()))() if shapes else None
    guards: list[object] = []
    for path, module in zip(paths, modules, strict=True):
        found = getattr(module, "guards", ())
        if inspect.ismodule(found) or callable(found):
            continue
        if not isinstance(found, list | tuple):
            raise ObswarmError(f"{path}: guards is a {type(found).__name__}; it has to be a list of Guard(…).")
        guards.extend(found)
    scenarios = checked_scenarios(
        each for path, module in zip(paths, modules, strict=True) for each in _scenarios(path, module)
    )
    return LoadTest(
        tuple(paths),
        tuple(classes.values()),
        shape,
        tuple(guards),
        _arrival_rate(paths, modules),
        scenarios,
        classes_of_scenarios(scenarios),
    )


def _of_tests(paths: Sequence[Path], modules: Sequence[ModuleType]) -> dict[str, type[User]]:
    """Return the user classes of tests for pytest, which Locust takes, too. Raises ObswarmError if there are some that
    cannot be collected."""
    tests = import_module(f"{OURS}.user.pytest_user")
    if not any(tests.has_tests(list(vars(module))) for module in modules):
        return {}
    return {cls.__name__: cls for cls in tests.classes_of_tests(paths)}


def _scenarios(path: Path, module: ModuleType) -> Sequence[object]:
    """Return the scenarios of a file. A variable of that name may be of the load test's own: texts of a locustfile,
    say, that has neither Scenario nor user classes in it. Raises ObswarmError if it is meant as scenarios and is
    none."""
    found = getattr(module, "scenarios", None)
    if found is None or inspect.ismodule(found) or callable(found):
        return ()
    parts: Sequence[object] = found if isinstance(found, list | tuple) else [found]
    if not _uses(module, Scenario) and not any(isinstance(each, Scenario) or _is_user_class(each) for each in parts):
        return ()
    if not isinstance(found, list | tuple):
        raise ObswarmError(f"{path}: scenarios is {_described(found)}; it has to be a list of Scenario(…).")
    if not parts:
        raise ObswarmError(f"{path}: scenarios is an empty list. Write a Scenario(…) into it, or leave it out.")
    for each in parts:
        if not isinstance(each, Scenario):
            raise ObswarmError(
                f"{path}: scenarios contains {_described(each)}; each has to be a Scenario(…), such as"
                ' Scenario("browse", Visitor, 50).'
            )
    return parts


def _uses(module: ModuleType, declaration: type) -> bool:
    """Whether a load-test file has imported a class for its declarations."""
    return any(value is declaration for value in vars(module).values())


def _is_user_class(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, User)


def _described(value: object) -> str:
    if _is_user_class(value):
        return f"the user class {value.__name__}"  # type: ignore[attr-defined]
    return clean_text(repr(value), 80)


def _arrival_rate(paths: Sequence[Path], modules: Sequence[ModuleType]) -> ArrivalRate | None:
    found: dict[Path, ArrivalRate] = {}
    for path, module in zip(paths, modules, strict=True):
        value = getattr(module, "arrival_rate", None)
        # Functions and numbers of that name are the load test's own, unless it has imported ArrivalRate.
        is_own = value is None or inspect.ismodule(value) or callable(value)
        if isinstance(value, ArrivalRate | str) or (not is_own and _uses(module, ArrivalRate)):
            load = arrival_rate_of(value, f"{path}: arrival_rate")
            assert load is not None
            found[path] = load
    if len(found) > 1:
        raise ObswarmError(f"{' and '.join(map(str, found))} have an arrival_rate each; only one is allowed.")
    return next(iter(found.values()), None)


def check_file(path: Path) -> None:
    """Raise ObswarmError if the file does not exist."""
    if not path.exists():
        raise ObswarmError(f"No such load-test file: {path}.{_nearest(path)}")
    if path.is_dir():
        raise ObswarmError(f"{path} is a folder; give the load-test file in it.")


def import_file(path: Path) -> ModuleType:
    """Import a load-test file. Raises ObswarmError if it is missing or cannot be imported."""
    check_file(path)
    out_of_reach = add_folder(path.resolve().parent)
    if out_of_reach:
        logger.debug("%s: not importable, as these names are reserved: %s.", path.parent, ", ".join(out_of_reach))
    is_free = path.stem.isidentifier() and path.stem not in {*sys.modules, LOCUST} and not is_reserved(path.stem)
    module_name = path.stem if is_free else f"loadtest_{abs(hash(path))}"
    spec = importlib.util.spec_from_file_location(module_name, path)
    if spec is None or spec.loader is None:
        raise ObswarmError(f"{path} is not a Python file; a load-test file ends in .py.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    try:
        spec.loader.exec_module(module)
    except ObswarmError as error:
        raise ObswarmError(f"{path}: {error}") from error
    except SystemExit as error:
        raise ObswarmError(f"{path} called sys.exit({error.code!r}) while it was being imported.") from None
    except Exception as error:
        its_own = isinstance(error, SyntaxError) and error.filename in (None, str(path), str(path.resolve()))
        kind = "has a syntax error" if its_own else "cannot be imported"
        hint = import_hint(error, path, out_of_reach)
        raise ObswarmError(f"{path} {kind}:\n{user_traceback(error)}{hint}") from error
    return module


def _nearest(path: Path) -> str:
    try:
        names = [entry.name for entry in path.parent.iterdir() if entry.suffix == ".py"]
    except OSError:
        return ""
    nearest = nearest_names(path.name, names, 1)
    return f" Did you mean {path.parent / nearest[0]}?" if nearest else ""


def select(
    classes: Sequence[type[User]], tags: Sequence[str] = (), exclude_tags: Sequence[str] = ()
) -> tuple[type[User], ...]:
    """Return the classes with a weight or count above 0, and with tasks that the tags select. Classes without tasks
    are left out with a warning, if others have some.

    Raises ObswarmError if there is none.
    """
    without = [cls for cls in classes if not cls.tasks and cls.run is User.run]
    for cls in without:
        hint = " It has an attribute `task`; it should be `tasks`." if hasattr(cls, "task") else ""
        text = (
            f"{cls.__name__} has no tasks. Mark methods with @task or set `tasks`"
            f" (or set abstract = True when it is only there to be subclassed).{hint}"
        )
        if len(without) == len(classes):
            raise ObswarmError(text)
        logger.warning("No users of %s: %s", cls.__name__, text)
    classes = [cls for cls in classes if cls not in without]
    for cls in classes:
        _check_nested(cls, cls.tasks, set())
    if tags or exclude_tags:
        for cls in classes:
            filter_by_tags(cls, frozenset(tags) if tags else None, frozenset(exclude_tags) if exclude_tags else None)
        classes = [cls for cls in classes if cls.tasks or cls.run is not User.run]
        if not classes:
            chosen = [f"--tags {','.join(tags)}"] if tags else []
            chosen += [f"--exclude-tags {','.join(exclude_tags)}"] if exclude_tags else []
            raise ObswarmError(f"No task matches {' '.join(chosen)}.")
    left = tuple(cls for cls in classes if any(weight_of(cls)[1:]))
    if not left:
        raise ObswarmError("Every user class has the weight 0, so there is nothing to run.")
    return left


def _check_nested(owner: type[User], tasks: Sequence[object], seen: set[object]) -> None:
    for entry in tasks:
        if isinstance(entry, type) and issubclass(entry, TaskSet) and entry not in seen:
            seen.add(entry)
            if not entry.tasks and entry.get_next_task is TaskSet.get_next_task:
                raise ObswarmError(f"{owner.__name__} uses the TaskSet {entry.__name__}, which has no tasks.")
            _check_nested(owner, entry.tasks, seen)
