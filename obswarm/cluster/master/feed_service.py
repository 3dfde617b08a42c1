"""FeedService: answers calls of workers for rows of feeds."""

import logging
from collections.abc import Callable, Iterable

from obswarm.api import Environment, ObswarmError
from obswarm.cluster.master.worker_state import WorkerState
from obswarm.cluster.wire.custom_content import message_content
from obswarm.cluster.wire.feed_calls import ERROR, MESSAGE, pack_answer, unpack
from obswarm.cluster.wire.messages import Custom, Message
from obswarm.engine import CustomMessage, MessageListeners
from obswarm.feeds import Call, FeedServer
from obswarm.record import WorkerStatus

logger = logging.getLogger(__name__)

_MARGIN_S = 2.0


class FeedService:
    """Answers by `send`, which gets a process's name and the message. Without a server, nothing asks."""

    def __init__(
        self,
        server: FeedServer | None,
        messages: MessageListeners,
        send: Callable[[str, Message], object],
        orphan_timeout_s: float,
    ) -> None:
        self.server = server
        self._send = send
        self._orphan_timeout_s = orphan_timeout_s
        self._gone: dict[str, str] = {}
        """What happened to the rows of processes that have left, by name of the process."""
        if server:
            messages.register(MESSAGE, self.received, False)

    def received(self, environment: Environment, msg: CustomMessage) -> None:
        """Answer a call."""
        assert self.server is not None
        try:
            call = unpack(msg.node_id, msg.data)
        except ValueError:
            logger.warning("The worker %s has sent an invalid call for rows.", msg.node_id)
            return
        # It is alive, whatever it was thought to be.
        self._gone.pop(msg.node_id, None)
        if not isinstance(call, Call):
            self.server.note_used(msg.node_id, call)
            return
        try:
            answer = self.server.call(call)
        except ObswarmError as error:
            answer = [ERROR, str(error)]
        content = message_content(MESSAGE, pack_answer(call.number, answer))
        self._send(call.node, Custom(MESSAGE, content, call.node))

    def look_after(self, workers: Iterable[WorkerState], now: float) -> None:
        """Take the rows of workers that are gone, or that have been missing for so long that their users have ended."""
        if not self.server:
            return
        for worker in workers:
            is_dead = worker.state is WorkerStatus.LOST or (
                worker.state is WorkerStatus.MISSING and now - worker.heard_s > self._orphan_timeout_s + _MARGIN_S
            )
            if is_dead or worker.state is WorkerStatus.GONE:
                for node in worker.nodes or (worker.name,):
                    self.gone(node)

    def gone(self, node: str) -> str:
        """Note that a process is gone. Returns which rows it had not used, as text; empty if there are none."""
        if not self.server:
            return ""
        if node not in self._gone:
            self._gone[node] = self.server.gone(node)
        return self._gone[node]
