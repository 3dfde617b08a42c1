"""Outcomes of calls as Locust's clients of vector databases return them: dicts, for a user who counts them."""

from collections.abc import Callable
from typing import Any

from obswarm import clock
from obswarm.api import Environment, User

__all__ = ["CountsOutcomes", "outcome"]


def outcome(
    call: Callable[..., Any], is_empty: Callable[[Any], bool] | None = None, **arguments: Any
) -> dict[str, Any]:
    """Call a function of a client. Return `success`, `response_time` in milliseconds, and `result`, or `exception` if
    it raised one; with `is_empty` also `empty`, and an empty result is no success."""
    started = clock.monotonic()
    try:
        result = call(**arguments)
    except Exception as error:
        return {"success": False, "response_time": (clock.monotonic() - started) * 1000, "exception": error}
    measured = {"success": True, "response_time": (clock.monotonic() - started) * 1000, "result": result}
    if is_empty is not None:
        measured["empty"] = is_empty(result)
        measured["success"] = not measured["empty"]
    return measured


class CountsOutcomes(User):
    """A user who counts calls of its client, which return outcomes. `client_type` is the method of the requests."""

    abstract = True
    environment: Environment
    client_type = ""

    def _counted(self, name: str, *arguments: Any, **options: Any) -> dict[str, Any]:
        """Call the client's function of that name, and count it by it. Only an exception is a failure."""
        measured: dict[str, Any] = {}
        with self.environment.request(self.client_type, name) as request:
            measured.update(getattr(self.client, name)(*arguments, **options))
            if measured.get("exception") is not None:
                request.failure(measured["exception"])
        return measured

    def on_stop(self) -> None:
        self.client.close()
