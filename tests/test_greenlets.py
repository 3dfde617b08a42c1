"""Supervised greenlets: none ends by an exception in silence, and none is started anywhere else."""

import ast
from collections.abc import Callable
from pathlib import Path

import gevent
import pytest
from gevent.event import Event

from obswarm import greenlets
from obswarm.greenlets import Supervisor, kill_all
from obswarm.killed import is_killed
from obswarm.syntax import parse

PACKAGE = Path(greenlets.__file__).parent
SPAWNING = {"spawn", "spawn_later", "spawn_raw", "killall"}
SPAWNS_BY_ITSELF = {
    "greenlets.py": "it is the supervisor",
    "engine/user_pool.py": "users; what they raise is told to the crowd, and their end is a link's",
}
FAILURES = [ValueError("a"), gevent.Timeout(1), SystemExit(1), KeyboardInterrupt(), gevent.GreenletExit()]


def of_type(value: object) -> str:
    return type(value).__name__


def fail(error: BaseException) -> None:
    raise error


def told() -> tuple[list[tuple[str, str]], Callable[[str, BaseException], None]]:
    names: list[tuple[str, str]] = []
    return names, lambda name, error: names.append((name, type(error).__name__))


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(greenlets, "_FIRST_PAUSE_S", 0.0)


@pytest.mark.parametrize("error", FAILURES, ids=of_type)
def test_the_owner_is_told_whatever_a_greenlet_raises(error: BaseException, capsys: pytest.CaptureFixture[str]) -> None:
    deaths, on_death = told()
    Supervisor(on_death).spawn("The one", fail, error).join(1)
    assert deaths == [("The one", type(error).__name__)]
    assert capsys.readouterr().err == "", "gevent prints a traceback of what nobody takes"


@pytest.mark.parametrize("error", FAILURES, ids=of_type)
def test_what_is_kept_is_started_again_until_that_does_not_help(error: BaseException) -> None:
    deaths, on_death = told()
    restarts, on_restart = told()
    supervisor = Supervisor(on_death, on_restart)
    supervisor.keep("The other", fail, error).join(5)
    assert restarts == [("The other", type(error).__name__)] * 5
    assert deaths == [("The other", type(error).__name__)]
    assert supervisor.restarts == {"The other": 5}


def test_what_fails_now_and_then_is_started_again_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    hours = iter(range(0, 3_600_000, 3600))
    monkeypatch.setattr(greenlets, "monotonic", lambda: next(hours))
    deaths, on_death = told()
    calls = 0

    def now_and_then() -> None:
        nonlocal calls
        calls += 1
        if calls < 50:
            raise OSError("away")

    Supervisor(on_death, lambda name, error: None).keep("The third", now_and_then).join(20)
    assert (calls, deaths) == (50, [])


@pytest.mark.parametrize("start", ["spawn", "keep"])
def test_a_killed_greenlet_has_not_failed(start: str) -> None:
    deaths, on_death = told()
    waiting = Event()
    seen = []

    def wait() -> None:
        try:
            waiting.wait()
        finally:
            seen.append(is_killed())

    greenlet = getattr(Supervisor(on_death, on_death), start)("A", wait)
    gevent.sleep(0)
    kill_all([greenlet])
    assert (greenlet.dead, deaths, seen) == (True, [], [True])


def test_a_failure_to_tell_the_owner_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    Supervisor(lambda name, error: fail(OSError("no room"))).spawn("A", fail, ValueError("b")).join(1)
    assert "A failed (b), and its error handler failed, too: no room" in caplog.text


def _spawning(path: Path) -> list[str]:
    found = []
    for node in ast.walk(parse(path.read_text())):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "gevent":
            if node.attr in SPAWNING:
                found.append(f"line {node.lineno}: gevent.{node.attr}")
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("Greenlet"):
            found.append(f"line {node.lineno}: {ast.unparse(node.func)}")
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "gevent":
            names = {alias.name for alias in node.names} & SPAWNING
            found += [f"line {node.lineno}: import of {name}" for name in sorted(names)]
    return found


def test_every_greenlet_of_the_package_is_supervised() -> None:
    bare = {
        str(path.relative_to(PACKAGE)): found for path in sorted(PACKAGE.rglob("*.py")) if (found := _spawning(path))
    }
    for allowed in SPAWNS_BY_ITSELF:
        bare.pop(allowed, None)
    assert bare == {}, "start it with a Supervisor (obswarm/greenlets.py), so that its owner is told when it dies"


def test_a_bare_greenlet_would_be_noticed(tmp_path: Path) -> None:
    source = tmp_path / "new.py"
    source.write_text("import gevent\nfrom gevent import spawn_later\ngevent.spawn(print)\n")
    assert _spawning(source) == ["line 2: import of spawn_later", "line 3: gevent.spawn"]
