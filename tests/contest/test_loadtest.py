"""The contest's load test: whose account is whose, and how many contestants there are when."""

import importlib.util
from argparse import Namespace
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.contest import FOLDER


@pytest.fixture
def loadtest(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("OBSWARM_SIGNING_KEY", "a key of some length")
    spec = importlib.util.spec_from_file_location("contest_loadtest", FOLDER / "loadtest.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    from obswarm import events

    yield module
    for hook, listener in ((events.init, module.share_accounts), (events.init_command_line_parser, module.add_options)):
        hook.listeners.remove(listener)


def accounts_of(loadtest: Any, runner: Any, slices: int = 10) -> list[str]:
    options = Namespace(account_slices=slices)
    loadtest.share_accounts(SimpleNamespace(runner=runner, parsed_options=options))
    return [account["name"] for account in loadtest.Contestant.free_accounts]


def test_workers_have_different_accounts(loadtest: Any) -> None:
    found = [name for index in range(10) for name in accounts_of(loadtest, SimpleNamespace(worker_index=index))]
    assert len(found) == len(set(found)) == 4000
    assert accounts_of(loadtest, SimpleNamespace(worker_index=10)) == []
    assert len(accounts_of(loadtest, SimpleNamespace(worker_index=10), slices=20)) == 200
    assert len(accounts_of(loadtest, SimpleNamespace())) == 400


def test_an_account_is_one_contestants_until_he_leaves(loadtest: Any, environment: Any, monkeypatch) -> None:
    accounts_of(loadtest, SimpleNamespace(worker_index=3))
    monkeypatch.setattr(
        loadtest.FastHttpUser, "__init__", lambda self, _: setattr(self, "client", _client_that_answers_200())
    )
    one, other = loadtest.Contestant(environment), loadtest.Contestant(environment)
    one.on_start()
    other.on_start()
    assert one.account != other.account
    free = len(loadtest.Contestant.free_accounts)
    assert one.account not in loadtest.Contestant.free_accounts
    one.on_stop()
    assert len(loadtest.Contestant.free_accounts) == free + 1
    loadtest.Contestant.free_accounts.clear()
    with pytest.raises(RuntimeError, match="--account-slices"):
        loadtest.Contestant(environment).on_start()


def _client_that_answers_200() -> Any:
    answer = SimpleNamespace(status_code=200)
    return SimpleNamespace(post=lambda *_, **__: answer, get=lambda *_, **__: answer)


def test_the_contests_hour(loadtest: Any, monkeypatch) -> None:
    shape = loadtest.ContestHour()
    options = Namespace(contest_minutes=1.0, contestants=400)
    shape.runner = SimpleNamespace(environment=SimpleNamespace(parsed_options=options))

    def users_at(second: float) -> int | None:
        monkeypatch.setattr(shape, "get_run_time", lambda: second)
        tick = shape.tick()
        return None if tick is None else tick[0]

    assert [users_at(second) for second in (0, 4.5, 9, 36, 51, 59.9, 60)] == [8, 204, 400, 320, 400, 400, None]
