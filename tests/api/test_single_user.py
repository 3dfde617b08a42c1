"""What run_single_user makes of its command line."""

import sys

import pytest

from obswarm.api import User, events, run_single_user, task
from obswarm.http import FastHttpUser, HttpUser

WRONG = {
    ("-H", "grpc://x"): "Error: -H/--host: 'grpc://x' is not a base URL",
    ("--nonsense",): "unrecognized arguments: --nonsense",
    (): "Error: Visitor.host: 'db:1' is not a base URL",
}


@pytest.mark.parametrize("arguments", WRONG)
def test_wrong_options_are_a_sentence_and_exit_code_2(
    arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["loadtest.py", *arguments])
    with pytest.raises(SystemExit) as ended:
        run_single_user(type("Visitor", (HttpUser,), {"host": "db:1"}), loglevel=None)
    assert ended.value.code == 2
    assert WRONG[arguments] in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "variable", "own", "host"),
    [
        (("-H", "http://a"), "http://b", "http://c", "http://a"),
        ((), "http://b", "http://c", "http://b"),
        ((), None, "http://c", "http://c"),
        ((), None, None, None),
    ],
)
def test_the_host_is_of_the_command_line_else_of_the_environment_else_of_the_class(
    arguments: tuple[str, ...], variable: str | None, own: str | None, host: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["loadtest.py", *arguments])
    monkeypatch.delenv("OBSWARM_HOST", raising=False)
    if variable is not None:
        monkeypatch.setenv("OBSWARM_HOST", variable)
    seen = []

    class Visitor(User):
        def run(self) -> None:
            options = self.environment.parsed_options
            assert options is not None
            seen.append((self.host, self.environment.host, options.host))

    Visitor.host = own
    run_single_user(Visitor, loglevel=None)
    assert seen == [(host, host, host)]


def test_a_wrong_host_of_the_environment_is_named_as_such(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["loadtest.py"])
    monkeypatch.setenv("OBSWARM_HOST", "db:1")
    with pytest.raises(SystemExit):
        run_single_user(type("Visitor", (HttpUser,), {}), loglevel=None)
    assert capsys.readouterr().err.startswith("Error: OBSWARM_HOST: 'db:1' is not a base URL")


@pytest.mark.parametrize("kind", [HttpUser, FastHttpUser])
def test_a_request_without_a_host_is_a_sentence_and_exit_code_2(
    kind: type[User], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["loadtest.py"])
    monkeypatch.delenv("OBSWARM_HOST", raising=False)

    class Visitor(kind):  # type: ignore[valid-type, misc]
        @task
        def page(self) -> None:
            self.client.get("/")

    with pytest.raises(SystemExit) as ended:
        run_single_user(Visitor, loglevel=None)
    assert ended.value.code == 2
    assert capsys.readouterr().err == (
        "Error: No host for the request of '/': give one with -H/--host, or set `host` on the user class.\n"
    )


@pytest.mark.parametrize("is_ours", [True, False])
def test_the_client_is_closed_at_the_end_unless_it_is_the_load_tests_own(
    is_ours: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["loadtest.py", "-H", "grpc://x"])
    closed = []

    class Client:
        if is_ours:
            closed_with_user = True

        def close(self) -> None:
            closed.append(self)

    class Visitor(User):
        def __init__(self, environment: object) -> None:
            super().__init__(environment)  # type: ignore[arg-type]
            self.client = Client()

        def run(self) -> None:
            assert self.host == "grpc://x"

    run_single_user(Visitor, loglevel=None)
    assert len(closed) == (1 if is_ours else 0)


def test_ctrl_c_is_no_error_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["loadtest.py"])
    errors: list[BaseException] = []

    def note(exception: BaseException, **_: object) -> None:
        errors.append(exception)

    class Visitor(User):
        @task
        def work(self) -> None:
            raise KeyboardInterrupt

    events.user_error.add_listener(note)
    try:
        with pytest.raises(KeyboardInterrupt):
            run_single_user(Visitor, loglevel=None)
    finally:
        events.user_error.remove_listener(note)
    assert errors == []
