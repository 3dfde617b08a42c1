"""What run_single_user makes of its command line."""

import sys

import pytest

from obswarm.api import User, run_single_user
from obswarm.http import HttpUser

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


def test_the_client_is_closed_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["loadtest.py", "-H", "grpc://x"])
    closed = []

    class Client:
        def close(self) -> None:
            closed.append(self)

    class Visitor(User):
        def __init__(self, environment: object) -> None:
            super().__init__(environment)  # type: ignore[arg-type]
            self.client = Client()

        def run(self) -> None:
            assert self.host == "grpc://x"

    run_single_user(Visitor, loglevel=None)
    assert len(closed) == 1
