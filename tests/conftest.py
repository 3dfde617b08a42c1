"""Fixtures that several packages' tests use."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from obswarm.api import Environment, Events
from obswarm.redact import clear_secrets
from obswarm.stats import Recorder
from tests.distribution import BYTECODE
from tests.support.programs import CountingServer
from tests.support.reports import pytest_report_to_serializable as pytest_report_to_serializable

# How long an example takes says something about the machine, which other tests use at the same time.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


@pytest.fixture(scope="session", autouse=True)
def no_stack_of_this_machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Runs that tests start are not to be made by a stack that somebody has running, nor kept with somebody's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OBSWARM_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        patch.setenv("OBSWARM_STORE", str(tmp_path_factory.mktemp("store")))
        patch.setenv("OBSWARM_NO_REPORT", "1")
        yield


@pytest.fixture(scope="session", autouse=True)
def bytecode_is_kept(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Programs that tests start do not compile all modules each time, which is a third of the CPU time of a short run,
    also where PYTHONDONTWRITEBYTECODE keeps bytecode out of the checkout."""
    shared = getattr(pytestconfig, "workerinput", {}).get(BYTECODE)
    with pytest.MonkeyPatch.context() as patch:
        if os.environ.get("PYTHONDONTWRITEBYTECODE"):
            patch.delenv("PYTHONDONTWRITEBYTECODE")
            patch.setenv("PYTHONPYCACHEPREFIX", shared or str(tmp_path_factory.mktemp("bytecode")))
        yield


@pytest.fixture(scope="session", autouse=True)
def signals_that_end() -> None:
    """Programs that tests start are to end at SIGHUP and SIGINT, also where the tests run under nohup or in a shell's
    background, and ignore them."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def no_known_secrets() -> Iterator[None]:
    """What one test has as a secret may be a text of another one."""
    yield
    clear_secrets()


@pytest.fixture
def own_imports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Forget afterwards which modules of its folder a test has imported, and where it has them looked for."""
    monkeypatch.setattr(sys, "path", sys.path.copy())
    monkeypatch.setattr(sys, "meta_path", sys.meta_path.copy())
    yield
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file is not None and Path(file).is_relative_to(tmp_path):
            del sys.modules[name]


@pytest.fixture
def target() -> Iterator[CountingServer]:
    with CountingServer() as server:
        yield server


@pytest.fixture
def environment() -> Environment:
    """An environment with its own events, so that tests don't share listeners."""
    return Environment(events=Events(), recorder=Recorder(), stop_timeout=1)


@pytest.fixture
def loadtest(tmp_path: Path):
    """Write a load-test file: loadtest("...") returns its path."""

    def write(text: str, name: str = "loadtest.py") -> Path:
        path = tmp_path / name
        path.write_text(text)
        return path

    return write
