"""Who makes a run: a stack whose master is just being started again is waited for, one that is down is not."""

import itertools
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from obswarm.app import stack_master as module
from obswarm.web import MasterError
from tests.support.patience import HANG_S

PROJECT: Any = SimpleNamespace(name="stack", web_url="http://127.0.0.1:1", api_token="token")


class Engine:
    failures = (OSError,)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[int]]:
    """A master that answers the question after so many, in a container that is in these states; it is waited for as
    long as `starts_s`."""

    def prepare(refusals: int, states: list[str], starts_s: float = HANG_S) -> list[int]:
        asked: list[int] = []

        class Client:
            def __init__(self, url: str, token: str, trust_env: bool) -> None: ...

            def status(self, timeout_s: float) -> None:
                asked.append(1)
                if len(asked) <= refusals:
                    raise MasterError("Connection refused")

        def services(engine: Engine, project: str) -> list[Any]:
            return [SimpleNamespace(name="master", state=state) for state in states]

        monkeypatch.setattr(module, "MasterClient", Client)
        monkeypatch.setattr(module, "Engine", Engine)
        monkeypatch.setattr(module, "services_of", services)
        monkeypatch.setattr(module, "_AGAIN_S", 0.001)
        monkeypatch.setattr(module, "_STARTS_S", starts_s)
        return asked

    return prepare


@pytest.mark.parametrize("state", ["running", "restarting"])
def test_a_master_that_is_being_started_again_is_waited_for(asked, state: str) -> None:
    questions = asked(4, [state])
    assert module.unreachable_reason(PROJECT) is None
    assert len(questions) == 5


@pytest.mark.parametrize("states", [[], ["exited"], ["created"]])
def test_a_stack_that_is_down_is_not_waited_for(asked, states: list[str]) -> None:
    questions = asked(99, states)
    assert module.unreachable_reason(PROJECT) == "Connection refused"
    assert len(questions) == 1


def test_a_stack_that_never_answers_is_not_waited_for_forever(asked, monkeypatch: pytest.MonkeyPatch) -> None:
    questions = asked(10**6, ["running"], starts_s=5)
    now = itertools.count()
    # Of the module alone: greenlets of other tests may look at the clock, too.
    monkeypatch.setattr(module, "clock", SimpleNamespace(monotonic=lambda: float(next(now))))
    assert module.unreachable_reason(PROJECT) == "Connection refused"
    assert len(questions) == 6, "a second each"
