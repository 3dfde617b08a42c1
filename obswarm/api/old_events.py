"""Event hooks from before version 1 of Locust, such as `request_success`: listeners of the events that are fired now,
called with the arguments of then."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any

from obswarm.api.event_hook import EventHook, Listener

logger = logging.getLogger(__name__)

_REQUEST = ("request_type", "name", "response_time", "response_length")


@dataclass(frozen=True, slots=True)
class OldEvent:
    """`new` is the name of the event that is fired now, `arguments` are those of then, by their names of today.
    `failed` says which requests it was for; None: it was for none."""

    new: str
    arguments: tuple[str, ...] = ()
    renamed: tuple[tuple[str, str], ...] = ()
    """Pairs of an argument's name today and its name then."""
    failed: bool | None = None

    def arguments_then(self, arguments: dict[str, Any]) -> dict[str, Any]:
        names = dict(self.renamed)
        return {names.get(name, name): arguments[name] for name in self.arguments if name in arguments}

    def arguments_now(self, arguments: dict[str, Any]) -> dict[str, Any]:
        names = {old: new for new, old in self.renamed}
        return {names.get(name, name): value for name, value in arguments.items()}


OLD_EVENTS = {
    "request_success": OldEvent("request", _REQUEST, failed=False),
    "request_failure": OldEvent("request", (*_REQUEST, "exception"), failed=True),
    "locust_error": OldEvent(
        "user_error", ("user_instance", "exception", "tb"), renamed=(("user_instance", "locust_instance"),)
    ),
    "hatch_complete": OldEvent("spawning_complete", ("user_count",)),
    "slave_report": OldEvent("worker_report", ("client_id", "data")),
    "slave_connect": OldEvent("worker_connect", ("client_id",)),
    "locust_start_hatching": OldEvent("test_start"),
    "master_start_hatching": OldEvent("test_start"),
    "locust_stop_hatching": OldEvent("test_stop"),
    "master_stop_hatching": OldEvent("test_stop"),
}
"""By name, what each is now."""


class OldHook(EventHook):
    """A hook of then. The first listener is warned of."""

    def __init__(self, name: str, old: OldEvent, new: EventHook) -> None:
        super().__init__(name)
        self._old = old
        self._new = new
        self._wrapped: dict[Callable[..., Any], Callable[..., Any]] = {}

    def add_listener(self, listener: Listener) -> Listener:
        if not self._wrapped:
            logger.warning(
                "events.%s is deprecated since version 1 of Locust; use events.%s%s.",
                self._name,
                self._old.new,
                "" if self._old.failed is None else ", whose `exception` says whether the request failed",
            )
        self._wrapped[listener] = self._new.add_listener(self._translated(listener))
        return super().add_listener(listener)

    def remove_listener(self, listener: Callable[..., Any]) -> None:
        super().remove_listener(listener)
        self._new.remove_listener(self._wrapped.pop(listener))

    def fire(self, /, *, reverse: bool = False, **kwargs: Any) -> None:
        """Fire the event of today; so a request is counted."""
        self._new.fire(reverse=reverse, **self._old.arguments_now(kwargs))

    def _translated(self, listener: Callable[..., Any]) -> Callable[..., Any]:
        old = self._old

        @wraps(listener)
        def call(**arguments: Any) -> None:
            if old.failed is None or old.failed is bool(arguments.get("exception")):
                listener(**old.arguments_then(arguments))

        return call
