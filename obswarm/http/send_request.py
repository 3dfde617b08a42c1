"""One request and its answer over a pool's connection, with the one retry that a reused connection may need."""

from obswarm.clock import monotonic
from obswarm.http.call import Call
from obswarm.http.connection import Connection
from obswarm.http.errors import HttpError
from obswarm.http.pool import ConnectionPool
from obswarm.http.response_parser import ParsedResponse


def send_request(pool: ConnectionPool, call: Call, head: bytes, started: float) -> tuple[Connection, ParsedResponse]:
    """The answer, and the connection that it came over, which the caller gives back; of a streamed answer, only the
    head has been read.

    Raises HttpError; the connection is closed then.
    """
    prepared = call.prepared
    connection = pool.take(prepared.route, call.connect_timeout_s, call.deadline)
    call.reused = connection.answered > 0
    while True:
        call.sent_at = started if call.reused else monotonic()
        connection.deadline = call.deadline
        connection.read_timeout_s = call.read_timeout_s
        connection.max_response_bytes = call.max_response_bytes
        try:
            body = call.body
            if call.is_plain:
                assert isinstance(body, bytes)
                request = head + body if body else head
                return connection, connection.send_request(request, prepared.method == "HEAD", call.sent_at)
            connection.send(head, body, call.sent_at)
            answer = connection.read_head(prepared.method == "HEAD")
            if not call.stream:
                connection.read_body(answer)
            return connection, answer
        except HttpError as error:
            pool.discard(connection)
            if not connection.unsent and not call.may_retry(connection, error):
                raise
        except BaseException:
            pool.discard(connection)
            raise
        # The server closed the idle connection while the request was on its way; that is no failure of it.
        call.reused = False
        connection = pool.take_new(prepared.route, call.connect_timeout_s, call.deadline)
