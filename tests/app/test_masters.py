"""Which process makes a run: by the options, and by what runs on this machine."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from obswarm.api import ObswarmError
from obswarm.app import masters as module
from obswarm.app import stack_master
from obswarm.app.masters import find_master
from obswarm.config import SETTINGS, Origin, RunConfig, Source
from obswarm.stack import StackError
from obswarm.web import MasterError

CLI, ENVIRONMENT, FILE = Source.COMMAND_LINE, Source.ENVIRONMENT, Source.FILE


def config(**given: tuple[Source, Any]) -> RunConfig:
    """Each setting with the source that gives it."""
    values = {name: value for name, (_, value) in given.items()}
    labels = {CLI: lambda name: SETTINGS[name].option, ENVIRONMENT: lambda name: SETTINGS[name].variable}
    return RunConfig.of(
        values,
        {
            name: Origin(source, labels.get(source, lambda name: f"{name} in obswarm.toml")(name))
            for name, (source, _) in given.items()
        },
    )


class Stack:
    """The stack of this machine: whether it was started, and what its master does."""

    def __init__(self) -> None:
        self.exists = True
        self.error: MasterError | None = None
        self.names: list[str] = []

    def named(self, name: str) -> Any:
        self.names.append(name)
        return SimpleNamespace(name=name, exists=self.exists, web_url="http://127.0.0.1:1", api_token="token")

    def client(self, *arguments: Any, **options: Any) -> Any:
        return SimpleNamespace(status=self.status)

    def status(self, timeout_s: float) -> None:
        if self.error is not None:
            raise self.error


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch) -> Stack:
    made = Stack()
    monkeypatch.setattr(module, "Project", made)
    monkeypatch.setattr(stack_master, "MasterClient", made.client)
    monkeypatch.setattr(module, "master_of", lambda project: f"the stack {project.name}")
    monkeypatch.setattr(stack_master, "_is_up", lambda project: False)
    return made


def test_a_master_that_is_named_makes_the_run(stack: Stack) -> None:
    found = find_master(config(master=(CLI, "http://master:8089"), api_token=(CLI, "token")))
    assert found is not None
    assert (found.url, found.token, found.where) == ("http://master:8089", "token", "the master at http://master:8089")
    assert stack.names == [], "no other one is looked for"


def test_a_master_without_a_token_is_a_sentence(stack: Stack) -> None:
    with pytest.raises(ObswarmError, match="--master needs --api-token"):
        find_master(config(master=(CLI, "http://master:8089")))


def test_workers_of_the_command_line_take_the_place_of_a_master_that_is_farther_away(
    stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    given = config(master=(ENVIRONMENT, "http://master:8089"), workers=(CLI, 2))
    assert find_master(given) is None
    assert "Note: OBSWARM_MASTER is not used, because of --workers." in capsys.readouterr().err
    near = config(master=(CLI, "http://master:8089"), api_token=(CLI, "token"), workers=(FILE, 2))
    assert find_master(near) is not None


def test_a_stack_that_runs_makes_the_run(stack: Stack) -> None:
    assert find_master(config()) == "the stack obswarm"
    assert find_master(config(project=(FILE, "shop"), workers=(FILE, 2))) == "the stack shop"


@pytest.mark.parametrize(
    "given",
    [
        {"local": (CLI, True)},
        {"local": (CLI, True), "project": (CLI, "shop")},
        {"workers": (CLI, 2)},
        {"workers": (CLI, 2), "project": (FILE, "shop")},
    ],
)
def test_a_run_that_is_to_be_made_here_asks_no_stack(stack: Stack, given: dict[str, Any]) -> None:
    assert find_master(config(**given)) is None
    assert stack.names == []


def test_a_stack_that_is_named_nearer_counts_more_than_local(stack: Stack) -> None:
    assert find_master(config(local=(FILE, True), project=(CLI, "shop"))) == "the stack shop"


@pytest.mark.parametrize("exists", [True, False])
def test_without_a_stack_that_answers_the_run_is_made_here(stack: Stack, exists: bool) -> None:
    stack.exists, stack.error = exists, MasterError("Connection refused")
    assert find_master(config()) is None


def test_a_stack_that_was_named_and_does_not_answer_is_a_sentence(stack: Stack) -> None:
    stack.error = MasterError("Connection refused")
    with pytest.raises(ObswarmError) as raised:
        find_master(config(project=(CLI, "shop")))
    assert str(raised.value) == (
        "The stack shop is not running (Connection refused). Start it with: obswarm up --project shop"
    )
    stack.exists = False
    with pytest.raises(ObswarmError, match=r"The stack shop is not running \(it was not started\)"):
        find_master(config(project=(CLI, "shop")))


class Engine:
    failures = (OSError,)


def no_engine() -> Engine:
    raise StackError("no Docker")


def not_answering(engine: Engine, project: str) -> list[Any]:
    raise OSError("gone")


Services = Callable[[Engine, str], list[Any]]


@pytest.mark.parametrize(
    ("engine", "services", "is_up"),
    [
        (no_engine, not_answering, False),
        (Engine, not_answering, False),
        (Engine, lambda engine, project: [SimpleNamespace(name="worker", state="running")], False),
        (Engine, lambda engine, project: [SimpleNamespace(name="master", state="exited")], False),
        (Engine, lambda engine, project: [SimpleNamespace(name="master", state="restarting")], True),
    ],
)
def test_whether_the_container_of_a_master_runs(
    monkeypatch: pytest.MonkeyPatch, engine: Callable[[], Engine], services: Services, is_up: bool
) -> None:
    monkeypatch.setattr(stack_master, "Engine", engine)
    monkeypatch.setattr(stack_master, "services_of", services)
    project: Any = SimpleNamespace(name="shop")
    assert stack_master._is_up(project) == is_up
