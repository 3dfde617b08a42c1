"""One request of FastHttpUser's client and its response, without redirects and without being counted."""

from typing import ClassVar

from obswarm import defaults
from obswarm.api import Environment, RequestSigner
from obswarm.clock import monotonic
from obswarm.http.body import StreamedBody
from obswarm.http.call import Call, may_send_again, send_request
from obswarm.http.client.defaults import SessionDefaults
from obswarm.http.client.response import FastResponse
from obswarm.http.connection import Connection
from obswarm.http.deadlines import NEVER
from obswarm.http.errors import HttpError
from obswarm.http.head import Prepared, signature_for
from obswarm.http.known_heads import END_OF_HEAD, concerns_client, known_heads
from obswarm.http.pool import ConnectionPool
from obswarm.http.raw import content_coding, set_cookies
from obswarm.http.response_parser import ParsedResponse
from obswarm.http.response_stream import ResponseStream

_new_object = object.__new__


class SingleRequests(SessionDefaults):
    """Sends the requests of a session over the connections of its pool."""

    __slots__ = ("environment", "pool", "request_signer")

    response_class: ClassVar[type[FastResponse]] = FastResponse
    environment: Environment
    pool: ConnectionPool
    request_signer: RequestSigner | None

    def _send_over_idle(
        self, connection: Connection, prepared: Prepared, head: bytes, body: bytes, started: float
    ) -> tuple[FastResponse | None, bool]:
        """Send a request that is complete in bytes over an idle connection. Return its response, and whether nothing is
        left to be done about it but to count it; None when the server had closed the connection: then the request has
        to be sent once more."""
        settings = self.settings
        connection.deadline = NEVER
        connection.read_timeout_s = settings.read_timeout_s
        connection.max_response_bytes = settings.max_response_bytes
        try:
            piece = connection.exchange(head + body if body else head, started)
            known = prepared.answered
            if known is None or not piece.startswith(known.head):
                known = prepared.answered = known_heads.get(piece[: piece.find(END_OF_HEAD) + len(END_OF_HEAD)])
            if known is None or known.size_bytes != len(piece) or len(piece) > settings.max_response_bytes:
                answer = connection.finish(piece, False)
                return self._response_of(prepared, head, body, connection, answer, started, started, True), False
        except HttpError as error:
            self.pool.discard(connection)
            self.pool.note_failure(connection, error)
            if connection.unsent or may_send_again(prepared.method, connection, error):
                return None, False
            raise
        except BaseException:
            self.pool.discard(connection)
            raise
        connection.reusable = known.keep_alive
        self.pool.give_back(connection)
        # As its __init__, whose call takes as long as all of this.
        response = _new_object(self.response_class)
        response.prepared = prepared
        response.status_code = known.status
        response._raw = piece
        response.body = piece[known.body_at :]
        if head is not prepared.bare:
            response._sent_head, response._sent_body = head, body
        response.elapsed_s = response.first_byte_s = connection.first_byte_at - started
        if known.concerns_client:
            self._limit(response)
            self._note_headers(response)
        return response, known.is_plain

    def _send(self, call: Call, started: float) -> FastResponse:
        """One request and its answer, without following it anywhere."""
        prepared = call.prepared
        if self.request_signer is not None:
            call.signature = signature_for(
                self.request_signer, self.base_url, str(prepared.url), self.environment.run_id
            )
        head = call.head()
        connection, answer = send_request(self.pool, call, head, started)
        return self._response_of(
            prepared, head, call.body, connection, answer, started, call.sent_at, call.reused, call.stream
        )

    def _response_of(
        self,
        prepared: Prepared,
        head: bytes,
        sent_body: bytes | StreamedBody,
        connection: Connection,
        answer: ParsedResponse,
        started: float,
        sent_at: float,
        is_reused: bool,
        is_stream: bool = False,
    ) -> FastResponse:
        """Return the response to what has been sent over the connection, and give that back unless the body is still to
        be read. `started` and `sent_at` are the moments at which the hop and its sending began."""
        now = monotonic()
        raw = answer.raw
        body: bytes | None
        if is_stream and not answer.complete:
            body = None
        else:
            parts = answer.body
            body = (parts[0] if len(parts) == 1 else b"".join(parts)) if parts else b""
        response = self.response_class(prepared, head, sent_body, answer.status, raw, answer.interim, body)
        self._limit(response)
        first_byte_at = connection.first_byte_at
        response.first_byte_s = first_byte_at - sent_at
        response.elapsed_s = now - started
        if not is_reused:
            response.connect_s, response.tls_s = connection.connect_s, connection.tls_s
        if body is None:
            response.live = ResponseStream(connection, answer, self.pool)
        else:
            response.download_s = now - first_byte_at
            answer.recycle()
            self.pool.give_back(connection)
        if concerns_client(raw):
            self._note_headers(response)
        return response

    def _limit(self, response: FastResponse) -> None:
        if self.settings.max_response_bytes != defaults.MAX_RESPONSE_IN_MEMORY_BYTES:
            response.max_response_bytes = self.settings.max_response_bytes

    def _note_headers(self, response: FastResponse) -> None:
        """Take the content coding and the cookies from the headers."""
        headers = response.raw_headers
        response.coding = content_coding(headers)
        received = set_cookies(headers)
        if received:
            self.cookies.take_from(response.prepared.url, received)
