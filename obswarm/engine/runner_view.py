"""`environment.runner`: the run under the names that load-test files know from Locust."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from obswarm.api import Environment, StatsView
from obswarm.engine.control import StopReason
from obswarm.engine.messages import CustomMessage, MessageListeners
from obswarm.record import RunState, Snapshot, StopKind


class Runner:
    """What listeners and users may ask of the run, and tell it, wherever they are."""

    worker_index = 0
    """0 to N-1: which of the N processes with users this one is."""

    client_id = "local"

    def __init__(self, environment: Environment, messages: MessageListeners) -> None:
        self.environment = environment
        self._messages = messages

    def register_message(self, msg_type: str, listener: Callable[..., Any], concurrent: bool = False) -> None:
        """Call `listener(environment, msg)` for messages of that type; `msg` has type, data and node_id. With
        `concurrent` in a greenlet of its own, so that a slow listener does not keep other messages waiting.

        Messages that came earlier, until the listeners of test_start have run, are delivered, too, in a greenlet of
        their own; users start after that."""
        self._messages.register(msg_type, listener, concurrent)

    def deliver(self, message: CustomMessage) -> None:
        """Give a message that has arrived to its listener."""
        self._messages.deliver(message)

    @property
    def stats(self) -> StatsView:
        return self.environment.stats


class RunnerControl(Protocol):
    """The run, as far as its runner needs it."""

    @property
    def state(self) -> RunState: ...

    def user_counts(self) -> Mapping[str, int]: ...

    def user_targets(self) -> Mapping[str, int]: ...

    def latest(self) -> Snapshot: ...

    def set_load(self, users: int, spawn_rate: float) -> None: ...

    def stop(self, reason: StopReason) -> None: ...


class SteeringRunner(Runner):
    """The runner where the run is steered: in the only process, or on the master."""

    def __init__(self, run: RunnerControl, environment: Environment, messages: MessageListeners) -> None:
        super().__init__(environment, messages)
        self._run = run

    def quit(self) -> None:
        """Stop the run gracefully and end the process."""
        self._run.stop(StopReason(StopKind.USER, "the load-test file called runner.quit()"))

    def stop(self) -> None:
        """As `quit`: without a web page there is nothing left to do for the process."""
        self._run.stop(StopReason(StopKind.USER, "the load-test file called runner.stop()"))

    def start(self, user_count: int, spawn_rate: float, wait: bool = False, user_classes: Any = None) -> None:
        """Head for that many users."""
        self._run.set_load(user_count, spawn_rate)

    @property
    def user_count(self) -> int:
        return sum(self.user_classes_count.values())

    @property
    def user_classes_count(self) -> dict[str, int]:
        return dict(self._run.user_counts())

    @property
    def target_user_count(self) -> int:
        return sum(self._run.user_targets().values())

    @property
    def state(self) -> str:
        return str(self._run.state)

    @property
    def exceptions(self) -> dict[str, Any]:
        return {
            key: {"count": found.count, "msg": found.message, "traceback": found.traceback, "nodes": ["local"]}
            for key, found in self._run.latest().exceptions.items()
        }


class LocalRunner(SteeringRunner):
    """Users are in this process; a message to the others is one to ourselves, as in Locust."""

    def send_message(self, msg_type: str, data: Any = None, client_id: str | None = None) -> None:
        self.deliver(CustomMessage(msg_type, data, self.client_id))
