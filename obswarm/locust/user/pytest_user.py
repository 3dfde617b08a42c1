"""Tests for pytest as a load test: each test function is a user class, whose users call it again and again."""

import inspect
import logging
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, ClassVar

import gevent
from gevent.timeout import Timeout

from obswarm.api import ObswarmError, StopTest, StopUser, User
from obswarm.locust.exception import CatchResponseError

logger = logging.getLogger(__name__)

_PLUGIN = "obswarm.locust.pytest_plugin"
_ALONE = ("-s", "-p", _PLUGIN, "-p", "no:locust", "-p", "no:xdist", "-p", "no:cacheprovider", "-p", "no:terminal")
"""Options of the collection: without a report, without worker processes, and with this package's fixtures alone."""


class PytestUser(User):
    """Calls its `functions`, which are tests that pytest has collected, with the values of their fixtures.

    Fixtures are called once for each user; a parameter `user` of a fixture is the user. What a test raises because of a
    response is counted with the request; anything else is counted as an exception of the user, as that of a task.
    """

    abstract = True
    functions: ClassVar[list[Any]]

    def run(self) -> None:
        with ExitStack() as fixtures:
            try:
                calls = [(each, _arguments(each, self, fixtures)) for each in self.functions]
            except (StopUser, StopTest, ObswarmError):
                raise
            except (Exception, Timeout) as error:
                self.report_error(error)
                return
            while not self.is_stopping:
                for function, arguments in calls:
                    self._call(function, arguments)
                # A test that does not wait for anything would keep all others from running.
                gevent.sleep(0)

    def _call(self, function: Any, arguments: dict[str, Any]) -> None:
        from requests import RequestException

        try:
            function.obj(**arguments)
        except (StopUser, StopTest, ObswarmError):
            raise
        except (CatchResponseError, ConnectionError, RequestException) as error:
            if isinstance(error, ValueError):
                # An invalid URL is a mistake of the test.
                self.report_error(error)
            else:
                logger.debug("%s: %s", function.name, error)
        except (Exception, Timeout) as error:
            self.report_error(error)


def _arguments(function: Any, user: PytestUser, stack: ExitStack) -> dict[str, Any]:
    """Return the values of the fixtures of a test, by name; `stack` ends them."""
    values = _parameters(function)
    definitions = function._fixtureinfo.name2fixturedefs
    names = _wanted(function)
    return {name: _value(name, definitions, values, user, stack, function.config) for name in names}


def _parameters(function: Any) -> dict[str, Any]:
    """Return the values of `pytest.mark.parametrize`."""
    return dict(function.callspec.params) if hasattr(function, "callspec") else {}


def _wanted(function: Any) -> list[str]:
    """Return the names of the fixtures and parameters of a test. Raises ObswarmError for one that there is not."""
    known = {"pytestconfig", *function._fixtureinfo.name2fixturedefs, *_parameters(function)}
    parameters = inspect.signature(function.obj).parameters.values()
    wanted = [each.name for each in parameters if each.name in known or each.default is each.empty]
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise ObswarmError(
            f"{function.nodeid}: there is no fixture {unknown[0]!r}. Tests of a load test have those of their file, of"
            " conftest.py and of obswarm: session, fastsession."
        )
    return wanted


def _value(name: str, definitions: Any, values: dict[str, Any], user: PytestUser, stack: ExitStack, config: Any) -> Any:
    if name == "pytestconfig":
        return config
    if name not in values:
        if name not in definitions:
            raise LookupError(f"there is no fixture {name!r}")
        function = definitions[name][-1].func
        parameters = inspect.signature(function).parameters
        arguments = {
            each: user if each == "user" else _value(each, definitions, values, user, stack, config)
            for each, parameter in parameters.items()
            if each == "user" or parameter.default is parameter.empty
        }
        if inspect.isgeneratorfunction(function):
            generator = function(**arguments)
            values[name] = next(generator)
            # What follows its `yield` is executed whatever ends the user, as pytest does.
            stack.callback(next, generator, None)
        else:
            values[name] = function(**arguments)
    return values[name]


def has_tests(names: Sequence[str]) -> bool:
    """Whether a module with these names may have tests."""
    return any(name.startswith(("test", "Test")) for name in names)


def classes_of_tests(files: Sequence[Path]) -> list[type[PytestUser]]:
    """Return a user class for each test function of the files, by the name of the function. Raises ObswarmError without
    pytest, and if it cannot collect them."""
    try:
        import pytest
    except ModuleNotFoundError:
        raise ObswarmError(
            "The load test has tests in place of user classes, which needs pytest: pip install pytest"
        ) from None
    collected = _Collected()
    code = pytest.main(["--collect-only", "-o", "addopts=", *_ALONE, *map(str, files)], plugins=[collected])
    if collected.failures or code not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        reasons = "\n".join(collected.failures) or f"pytest ended with the exit code {int(code)}"
        raise ObswarmError(f"The tests of {', '.join(map(str, files))} cannot be collected:\n{reasons}")
    by_name: dict[str, list[Any]] = {}
    for item in collected.items:
        if isinstance(item, pytest.Function):
            _wanted(item)
            by_name.setdefault(item.name, []).append(item)
    return [type(name, (PytestUser,), {"functions": functions}) for name, functions in by_name.items()]


class _Collected:
    """A plug-in of pytest that keeps what was collected."""

    def __init__(self) -> None:
        self.items: list[Any] = []
        self.failures: list[str] = []

    def pytest_collectreport(self, report: Any) -> None:
        if report.failed:
            self.failures.append(str(report.longrepr))

    def pytest_collection_finish(self, session: Any) -> None:
        self.items = list(session.items)
