"""The client of `locust.contrib.fasthttp`'s FastHttpUser and its responses, with what Locust's have."""

import logging
import ssl
import zlib
from collections.abc import Iterator, Mapping
from functools import cache
from http.cookiejar import CookieJar
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

from gevent import Timeout

from obswarm import defaults, http
from obswarm.api import EventHook, ObswarmError, RequestRecord, User
from obswarm.http import ConnectionPool, HttpError, session_settings
from obswarm.http.body import FORM, StreamedBody, encode_body
from obswarm.http.catch_response import NotCatching
from obswarm.http.client.response import SentRequest
from obswarm.locust.catching import BlockOfLocust, NotCatchingError, environment_for
from obswarm.locust.rest import RestMixin
from obswarm.locust.stand_in import StandIn

logger = logging.getLogger(__name__)

WITHOUT_EFFECT = frozenset(
    (
        "verify",
        "cert",
        "proxies",
        "hooks",
        "max_redirects",
        "max_retries",
        "debug_stream",
        "to_string",
    )
)
"""Arguments of requests' and of geventhttpclient's calls that FastHttpUser's calls take and do not use."""


class LocustBadStatusCode(Exception):
    """A status from 400 on, with the `response`, its `url` and its `code`.

    The text has the code alone, which is what reports show; the URL may differ from request to request."""

    def __init__(self, url: str, *, code: int, response: "http.FastResponse | None" = None) -> None:
        self.url = url
        self.code = code
        self.response = response
        super().__init__(f"code={code}")


FAILURE_EXCEPTIONS = (LocustBadStatusCode, HttpError, OSError, Timeout, zlib.error)
"""What a request without an answer, or with a status from 400 on, fails with."""


def insecure_ssl_context_factory() -> ssl.SSLContext:
    """Return a context that accepts any certificate, for `ssl_context_factory`."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


FastRequest = SentRequest
"""The request of a response: `method`, `url`, `headers`, `body`."""


class FastResponse(http.FastResponse):
    """The response of a request of FastHttpUser's client."""

    js: Any
    not_catching: ClassVar[type[NotCatching]] = NotCatchingError
    _error: BaseException | None = None

    @property
    def error(self) -> BaseException | None:
        """What kept the answer from coming, LocustBadStatusCode from status 400 on, else None. It stays what it is
        after success() and failure(reason)."""
        # Not kept from the start: it refers to its response, and would leave a cycle of every failed request.
        if self._error is None and self.status_code >= 400:
            known = self.record.error if self.record is not None else None
            is_of_status = isinstance(known, LocustBadStatusCode) and known.response is self
            self._error = known if is_of_status else LocustBadStatusCode(self.url, code=self.status_code, response=self)
        return self._error

    @error.setter
    def error(self, error: BaseException | None) -> None:
        self._error = error

    def __getstate__(self) -> dict[str, Any]:
        """As obswarm's; the exception of a status, which cannot be pickled, is made again."""
        return {**super().__getstate__(), "_error": None if self.status_code else self._error}

    def raise_for_status(self) -> None:
        """Raise what kept the answer from coming, or LocustBadStatusCode from status 400 on."""
        error = self.error
        if error is not None:
            raise error

    def iter_content(
        self, chunk_size: int | None = 1024, decode_unicode: bool = False, decode_content: bool | None = None
    ) -> Iterator[Any]:
        """The body in pieces of `chunk_size` bytes; with `decode_content` as text where it is UTF-8."""
        for piece in super().iter_content(chunk_size, decode_unicode):
            yield _as_text(piece) if decode_content else piece

    @property
    def data(self) -> bytes:
        """The body, as `content`."""
        return self.content

    @property
    def stream(self) -> Any:
        """The body to be read as from a file, as `raw`."""
        return self.raw

    def read(self, size_bytes: int | None = None) -> bytes:
        """Return so many bytes of the body, or what is left of it."""
        read: bytes = self.raw.read(size_bytes)
        return read


def _as_text(piece: Any) -> Any:
    try:
        return piece.decode()
    except UnicodeDecodeError:
        return piece


class ResponseContextManager(FastResponse, BlockOfLocust):
    """The response of a request with catch_response=True."""

    def raise_for_status(self) -> None:
        """As without `with`, unless the load test has said what the request is: success() leaves nothing to raise, and
        after failure(reason) that is raised."""
        declared = self._manual_result
        if isinstance(declared, BaseException):
            raise declared
        if declared is None:
            super().raise_for_status()

    def __exit__(self, kind: Any = None, raised: BaseException | None = None, traceback: Any = None) -> bool:
        reported, ends_here = self._leave(raised)
        super().__exit__(kind, reported, traceback)
        return ends_here


RestResponseContextManager = ResponseContextManager


class _Unanswered(type):
    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, http.FastResponse) and not instance.status_code


class ErrorResponse(FastResponse, metaclass=_Unanswered):
    """For `isinstance`: a response of a request without an answer, with `status_code` 0 and `error`."""


class LocustUserAgent:
    """`client.client` of a FastHttpUser: of geventhttpclient's agent `clientpool.close()`, `cookiejar` and
    `default_headers`; AttributeError says so for anything else. A load test that makes one itself gets an
    ObswarmError."""

    _session: "FastHttpSession"

    def __init__(self, *_: Any, **__: Any) -> None:
        raise ObswarmError(
            "LocustUserAgent: obswarm's FastHttpUser does not use geventhttpclient. Its attributes and those of its"
            " client set what there is; geventhttpclient itself can be used with environment.request(), in a User."
        )

    @classmethod
    def of(cls, session: "FastHttpSession") -> "LocustUserAgent":
        """Return the agent of a session."""
        agent = cls.__new__(cls)
        agent._session = session
        return agent

    @property
    def clientpool(self) -> ConnectionPool:
        """The connections; `close()` closes them, and later requests open others."""
        return self._session.pool

    @property
    def cookiejar(self) -> CookieJar:
        return self._session.cookies

    @property
    def default_headers(self) -> Any:
        """Headers of all requests."""
        return self._session.headers

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(
            f"client.{name}: obswarm's FastHttpUser has of geventhttpclient's agent only clientpool, cookiejar and"
            " default_headers"
        )


class FastHttpSession(RestMixin, http.FastHttpSession, metaclass=StandIn):
    """A client of FastHttpUser. Requests without a name are counted by their URL as given, and LocustBadStatusCode is
    what a status from 400 on fails with."""

    stands_for = http.FastHttpSession
    response_class: ClassVar[type[http.FastResponse]] = FastResponse
    names_are_urls = True
    accepts_json = True

    def __init__(
        self,
        base_url: str | None,
        request_event: EventHook,
        user: User | None,
        insecure: bool = True,
        client_pool: Any = None,
        ssl_context_factory: Any = None,
        headers: Mapping[str, str] | None = None,
        max_retries: int = 0,
        cookiejar: CookieJar | None = None,
        **attributes: Any,
    ) -> None:
        """Requests are counted in the user's run, and its `request` event is fired; without a user, `request_event` is.
        `headers` are sent with each request. `attributes` are those of FastHttpUser: connection_timeout, max_redirects
        … Raises TypeError for others."""
        if headers:
            attributes["default_headers"] = headers
        settings = session_settings(insecure=insecure, ssl_context_factory=ssl_context_factory, **attributes)
        super().__init__(environment_for(user, request_event), base_url, user, settings, pool_of(client_pool))
        self.request_event = request_event
        if max_retries:
            warn_of_retries("FastHttpSession")
        for cookie in cookiejar or ():
            self.cookies.set_cookie(cookie)

    def _rest_client(self) -> Any:
        return self

    @property
    def client(self) -> "LocustUserAgent":
        """What load tests use of geventhttpclient's agent: `client.clientpool.close()`."""
        return LocustUserAgent.of(self)

    @staticmethod
    def _encode_body(data: Any, json: Any, files: Any = None) -> tuple[bytes | StreamedBody, str | None]:
        """As obswarm's, with a type for text and for bytes, and the character set of forms."""
        body, content_type = encode_body(data, json, files)
        if content_type == FORM:
            content_type = f"{FORM}; charset=utf-8"
        elif content_type is None and isinstance(data, str) and data:
            content_type = "text/plain; charset=utf-8"
        elif content_type is None and body:
            content_type = "application/octet-stream"
        return body, content_type

    @property
    def auth_header(self) -> str | None:
        """The Authorization header of every request; None: there is none."""
        return self.current_template().fields.get("Authorization")

    @auth_header.setter
    def auth_header(self, value: str | None) -> None:
        if value is None:
            self.headers.pop("Authorization", None)
        else:
            self.headers["Authorization"] = value

    def failure_of(self, response: Any, record: RequestRecord) -> BaseException | None:
        """Return LocustBadStatusCode."""
        return LocustBadStatusCode(response.url, code=response.status_code, response=response)

    def _take_others(self, others: dict[str, Any], method: str, params: Any, data: Any) -> tuple[Any, Any]:
        """Leave out what a call cannot have; the rest is sent as parameters of the query, or fields of a POST's form,
        as with geventhttpclient. With a body that is no form it is not sent."""
        sent = {name: value for name, value in others.items() if name not in WITHOUT_EFFECT}
        if len(sent) < len(others):
            _warn_once(", ".join(sorted(name for name in others if name in WITHOUT_EFFECT)))
        if not sent:
            return params, data
        if method.upper() == "POST":
            is_form = data is None or isinstance(data, dict)
            return params, {**(data or {}), **sent} if is_form else data
        return {**(params or {}), **sent} if params is None or isinstance(params, dict) else params, data

    def _add_to(self, record: Any, asked: Any, response: Any, catch_response: bool, context: Any) -> None:
        if catch_response:
            response.__class__ = ResponseContextManager
        super()._add_to(record, asked, response, catch_response, context)


@cache
def _warn_once(names: str) -> None:
    logger.warning(
        "%s of a call has no effect on a FastHttpUser. Certificates, redirects and the like are set in the class: "
        "insecure = True, max_redirects = 5.",
        names,
    )


_pools: WeakKeyDictionary[Any, ConnectionPool] = WeakKeyDictionary()


def session_of(user: Any, base_url: str | None, settings: Any) -> FastHttpSession:
    """Return the client of a FastHttpUser."""
    session = FastHttpSession.__new__(FastHttpSession)
    http.FastHttpSession.__init__(session, user.environment, base_url, user, settings, pool_of(user.client_pool))
    session.request_event = user.environment.events.request
    return session


def pool_of(client_pool: Any) -> ConnectionPool | None:
    """Return the pool of connections for a `client_pool`: itself, or one in place of geventhttpclient's, with as many
    connections, and the same one for all sessions that share that."""
    if client_pool is None or isinstance(client_pool, ConnectionPool):
        return client_pool
    if client_pool not in _pools:
        arguments = getattr(client_pool, "client_args", {})
        _pools[client_pool] = ConnectionPool(arguments.get("concurrency", defaults.POOL_CONNECTIONS), None)
    return _pools[client_pool]


def warn_of_retries(name: str) -> None:
    """Log that a request without an answer is not repeated."""
    logger.warning("%s: max_retries has no effect: a request that gets no response is counted as a failure.", name)
