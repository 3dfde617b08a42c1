"""Bodies that are read while they arrive (`stream=True`): their request is counted when they end."""

from collections.abc import Callable, Iterator
from typing import Protocol
from weakref import ref

from obswarm import clock
from obswarm.api import RequestRecord
from obswarm.api.request import CUTS_OFF
from obswarm.http.codings import decoded
from obswarm.http.connection import Connection
from obswarm.http.errors import HttpError, StreamConsumed
from obswarm.http.pool import ConnectionPool
from obswarm.http.response_parser import ParsedResponse


class ResponseStream:
    """The body of a response that is still being received.

    `on_end` is called once, when it has been read, has failed or is closed: with the bytes that came, the seconds since
    the head, and the error.
    """

    __slots__ = ("_answer", "_connection", "_on_end", "_pool", "_received", "begun")

    def __init__(self, connection: Connection, answer: ParsedResponse, pool: ConnectionPool) -> None:
        self._connection: Connection | None = connection
        self._answer = answer
        self._pool = pool
        self._received = 0
        self._on_end: Callable[[int, float, BaseException | None], None] | None = None
        self.begun = False

    def when_it_ends(self, on_end: Callable[[int, float, BaseException | None], None]) -> None:
        self._on_end = on_end

    def pieces(self, coding: str | None = None) -> Iterator[bytes]:
        """As they come, without the coding that a Content-Encoding header names. Raises ReadTimeout, ConnectionLost,
        ProtocolError or DecodingError in the middle."""
        connection = self._connection
        if self.begun or connection is None:
            raise StreamConsumed("the body of this response has been read, or closed, already")
        self.begun = True
        try:
            yield from decoded(self._received_from(connection), coding)
        except HttpError as error:
            self._end(error)
            raise
        except GeneratorExit:
            # Whoever iterates has had enough; the rest may still be closed or left to the end of the block.
            raise
        except BaseException as error:
            # The end of the user says nothing about the answer; a time-out of the load test's own does.
            self._end(None if isinstance(error, CUTS_OFF) else error)
            raise
        self._end(None)

    def _received_from(self, connection: Connection) -> Iterator[bytes]:
        for piece in connection.pieces(self._answer):
            self._received += len(piece)
            yield piece

    @property
    def ended(self) -> bool:
        """Whether it has been read, has failed or is closed."""
        return self._connection is None

    @property
    def received(self) -> int:
        return self._received

    def release(self) -> None:
        """Give up the connection without reading the rest; `on_end` is not called."""
        connection, self._connection = self._connection, None
        self.begun = True
        if connection is not None:
            if self._answer.complete and not self._answer.body:
                self._answer.recycle()
                self._pool.give_back(connection)
            else:
                self._answer.keep_alive = False
                self._answer.recycle()
                self._pool.discard(connection)

    def close(self) -> None:
        """Stop reading; the rest of the body is not read."""
        self._end(None)

    def _end(self, error: BaseException | None) -> None:
        connection = self._connection
        since = clock.monotonic() - connection.first_byte_at if connection is not None else 0.0
        self.release()
        on_end, self._on_end = self._on_end, None
        if on_end is not None:
            on_end(self._received, since, error)

    def __del__(self) -> None:
        # Dropped without being read or closed: neither the connection nor the count may be lost.
        if self._connection is not None:
            self.close()


class Streamed(Protocol):
    """A response whose body is read while it arrives."""

    def note_download(self, received: int, since_first_byte_s: float) -> None: ...


def count_at_the_end(live: ResponseStream, record: RequestRecord, response: Streamed, catch_response: bool) -> None:
    """Count a streamed response when its body has been read or closed; the request is under way until then."""
    record.begin_body()
    # Weak, so that a response that is dropped unread is gone at once, and counted.
    reference = ref(response)

    def ended(received: int, since_first_byte_s: float, error: BaseException | None) -> None:
        record.end_body()
        answer = reference()
        record.response_bytes = received
        if record.timings is not None:
            record.timings = (*record.timings[:3], since_first_byte_s)
        if answer is not None:
            answer.note_download(received, since_first_byte_s)
        if error is not None and record.error is None:
            record.error = error
        if not catch_response:
            record.report(answer)

    live.when_it_ends(ended)
