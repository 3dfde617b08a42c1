"""`environment.runner`: the run, with Locust's names of attributes and methods."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from obswarm.api import Environment, StatsView
from obswarm.engine.control import StopReason
from obswarm.engine.messages import CustomMessage, MessageListeners
from obswarm.record import RunState, Snapshot, StopKind


class Runner:
    """The interface of listeners and users to the run, in any process."""

    worker_index = 0
    """Index of this process among the N processes with users, from 0 to N-1."""

    client_id = "local"

    def __init__(self, environment: Environment, messages: MessageListeners) -> None:
        self.environment = environment
        self._messages = messages

    def register_message(self, msg_type: str, listener: Callable[..., Any], concurrent: bool = False) -> None:
        """Call `listener(environment, msg)` for messages of that type; `msg` has type, data and node_id. With
        `concurrent`, in a separate greenlet, so that a slow listener does not delay other messages.

        Earlier messages are delivered, too, until the listeners of test_start have run, in a separate greenlet; users
        start after that."""
        self._messages.register(msg_type, listener, concurrent)

    def deliver(self, message: CustomMessage) -> None:
        """Pass a received message to its listener."""
        self._messages.deliver(message)

    @property
    def stats(self) -> StatsView:
        return self.environment.stats


class RunnerControl(Protocol):
    """The part of a run that its runner uses."""

    @property
    def state(self) -> RunState: ...

    def user_counts(self) -> Mapping[str, int]: ...

    def user_targets(self) -> Mapping[str, int]: ...

    def latest(self) -> Snapshot: ...

    def set_load(self, users: int, spawn_rate: float) -> None: ...

    def stop(self, reason: StopReason) -> None: ...


class SteeringRunner(Runner):
    """The runner of the process that controls the run: the only process, or the master."""

    def __init__(self, run: RunnerControl, environment: Environment, messages: MessageListeners) -> None:
        super().__init__(environment, messages)
        self._run = run

    def quit(self) -> None:
        """Stop the run gracefully and end the process."""
        self._run.stop(StopReason(StopKind.USER, "the load-test file called runner.quit()"))

    def stop(self) -> None:
        """Do the same as `quit`."""
        self._run.stop(StopReason(StopKind.USER, "the load-test file called runner.stop()"))

    def start(self, user_count: int, spawn_rate: float, wait: bool = False, user_classes: Any = None) -> None:
        """Set the target number of users."""
        self._run.set_load(user_count, spawn_rate)

    @property
    def user_count(self) -> int:
        return sum(self.user_classes_count.values())

    @property
    def user_classes_count(self) -> dict[str, int]:
        return dict(self._run.user_counts())

    @property
    def target_user_count(self) -> int:
        return sum(self.target_user_classes_count.values())

    @property
    def target_user_classes_count(self) -> dict[str, int]:
        return dict(self._run.user_targets())

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
    """The runner of a run without workers; messages are delivered to this process, as in Locust."""

    def send_message(self, msg_type: str, data: Any = None, client_id: str | None = None) -> None:
        self.deliver(CustomMessage(msg_type, data, self.client_id))
