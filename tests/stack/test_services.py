"""What is said of a service that has failed."""

from typing import Any

import pytest

from obswarm.stack import Service, StackError, check_failures


class _Container:
    attrs: dict[str, Any] = {}

    def logs(self, tail: int) -> bytes:
        return b"".join(b"line %d\n" % number for number in range(1, 9)[-tail:])


def _service(name: str, state: str, health: str = "", exit_code: int = 0) -> Service:
    return Service(name, 1, state, health, exit_code, (), _Container())


def test_the_one_that_has_ended_is_named_with_its_last_words() -> None:
    services = [_service("database", "running", "healthy"), _service("app", "exited", exit_code=22)]
    with pytest.raises(StackError) as caught:
        check_failures(services)
    text = str(caught.value)
    assert text.startswith("The service app is not healthy (exited, exit code 22). Its last lines:\n")
    assert text.endswith("\n  line 7\n  line 8")


def test_services_that_are_starting_have_not_failed() -> None:
    check_failures([_service("database", "running", "healthy"), _service("app", "running", "starting")])
