"""Responses of FastHttpUser's client, with the attributes that requests' have."""

import json
from collections.abc import Iterator
from datetime import timedelta
from email.message import Message
from typing import TYPE_CHECKING, Any

from obswarm import defaults
from obswarm.api import RequestRecord
from obswarm.http.body import StreamedBody
from obswarm.http.body_buffer import gather
from obswarm.http.case_insensitive import CaseInsensitiveDict
from obswarm.http.catch_response import CatchResponse, status_error
from obswarm.http.client.cookies import Cookies
from obswarm.http.client.redirects import PERMANENT_REDIRECTS, REDIRECTS
from obswarm.http.codings import decode
from obswarm.http.errors import HttpError, StreamConsumed
from obswarm.http.head import Prepared
from obswarm.http.raw import RawResponse, join_headers, parse_links, regrouped, set_cookies
from obswarm.http.response_parser import Header, ResponseHead
from obswarm.http.response_stream import ResponseStream
from obswarm.http.urls import parse_url, redirect_target
from obswarm.stats import PhaseTimes

if TYPE_CHECKING:
    import requests


class SentRequest:
    """The request of a response: method, url, headers, body."""

    __slots__ = ("body", "headers", "method", "url")

    def __init__(self, prepared: Prepared, head: bytes, body: bytes | StreamedBody) -> None:
        self.method = prepared.method
        self.url = str(prepared.url)
        lines = head.decode("latin-1").split("\r\n")[1:]
        self.headers: CaseInsensitiveDict[str] = CaseInsensitiveDict(_field(line) for line in lines if line)
        self.body = body


class FastResponse(CatchResponse):
    """An answer, or, with `status_code` 0 and `error` set, the lack of one.

    With `catch_response=True` it is a context manager, and `success()` and `failure(reason)` overrule the status. One
    that is streamed is a context manager in any case, which closes it.
    """

    error: BaseException | None = None
    record: RequestRecord | None = None
    elapsed_s = 0.0
    connect_s: float | None = None
    tls_s: float | None = None
    coding: str | None = None
    """The Content-Encoding header."""

    first_byte_s = 0.0
    download_s = 0.0
    live: ResponseStream | None = None
    max_response_bytes: float = defaults.MAX_RESPONSE_IN_MEMORY_BYTES
    """The most that the decoded body may have, where it is read as a whole."""

    discarded_bytes = 0
    """Size on the wire of a body that was discarded."""

    trace_id: str | None = None
    """The W3C trace id that the request carried, when it was sampled."""

    _sent_head: bytes | None = None
    """The head that was sent, None if it was that of `prepared` as it is."""

    _sent_body: bytes | StreamedBody = b""
    _interim = 0
    _parsed: ResponseHead | None = None
    _history: "list[FastResponse] | None" = None
    _headers: "CaseInsensitiveDict[str] | None" = None
    _content: bytes | None = None
    _encoding: str | None = None
    _raw_answer: RawResponse | None = None

    def __init__(
        self,
        prepared: Prepared,
        sent_head: bytes,
        sent_body: bytes | StreamedBody,
        status_code: int,
        raw: bytes,
        interim: int,
        body: bytes | None,
    ) -> None:
        """`raw` and `interim` are what ResponseHead takes, `body` is None when it is still to come.
        SingleRequests makes most responses without a call of this."""
        self.prepared = prepared
        self._sent_head = sent_head
        self._sent_body = sent_body
        self.status_code = status_code
        self._raw = raw
        self._interim = interim
        self.body = body

    @property
    def request(self) -> SentRequest:
        """The request of this response; after redirects, the last one."""
        return SentRequest(self.prepared, self._sent_head or self.prepared.bare, self._sent_body)

    @property
    def url(self) -> str:
        """The URL of the response; after redirects, the last one."""
        return str(self.prepared.url)

    @property
    def reason(self) -> str:
        """The reason phrase of the status line, empty where there is none, as in requests."""
        return self._head().reason.decode("latin-1")

    def _head(self) -> ResponseHead:
        if self._parsed is None:
            self._parsed = ResponseHead(self._raw, self._interim)
        return self._parsed

    @property
    def raw_headers(self) -> list[Header]:
        """Names and values of the headers as they were received."""
        return self._head().headers

    @property
    def history(self) -> "list[FastResponse]":
        """The redirecting responses before this one."""
        return self._history or []

    @history.setter
    def history(self, history: "list[FastResponse]") -> None:
        self._history = history

    @property
    def timings(self) -> PhaseTimes:
        """The phases of the request, added up over all hops of a redirected one."""
        return PhaseTimes(self.connect_s, self.tls_s, self.first_byte_s, self.download_s)

    @property
    def headers(self) -> "CaseInsensitiveDict[str]":
        """Header values by name, case-insensitive; repeated ones joined by commas."""
        if self._headers is None:
            self._headers = join_headers(self.raw_headers, CaseInsensitiveDict())
        return self._headers

    @property
    def cookies(self) -> Cookies:
        """The cookies that this response sets."""
        jar = Cookies()
        jar.take_from(self.prepared.url, set_cookies(self.raw_headers))
        return jar

    @property
    def elapsed(self) -> timedelta:
        """From the call to the last byte, redirects included; for a streamed answer, to the end of its head."""
        return timedelta(seconds=self.elapsed_s)

    @property
    def ok(self) -> bool:
        """Whether the request is counted as a success, unless the load test says otherwise."""
        return self.error is None and self.status_code < 400

    @property
    def is_redirect(self) -> bool:
        return self.status_code in REDIRECTS and "location" in self.headers

    @property
    def is_permanent_redirect(self) -> bool:
        return self.status_code in PERMANENT_REDIRECTS and "location" in self.headers

    @property
    def next(self) -> "requests.PreparedRequest | None":
        """The request that follows this redirect, with its method and URL; None when there is none."""
        if not self.is_redirect:
            return None
        # Only here: FastHttpUser does not import requests.
        import requests
        from requests.sessions import SessionRedirectMixin

        try:
            target = str(parse_url(redirect_target(self.url, self.headers["location"])))
            request = requests.Request(self.prepared.method, target).prepare()
        except ValueError:
            return None
        SessionRedirectMixin().rebuild_method(request, self)  # type: ignore[arg-type]  # looks at the status alone
        return request

    @property
    def links(self) -> dict[Any, dict[str, str]]:
        """The Link header (RFC 8288) by relation, as requests parses it."""
        parsed = parse_links(self.headers.get("link", ""))
        return {link.get("rel") or link.get("url"): link for link in parsed}

    @property
    def raw(self) -> RawResponse:
        """The body to be read as from urllib3's response, such as `raw.read(10)`; as a stream where it is one."""
        if self._raw_answer is None:
            made = self._raw_answer = RawResponse(self.status_code, self._head(), self.headers, self.url)
            made.body, made.whole = (self.live, None) if self.body is None else (None, self.body)
        return self._raw_answer

    @property
    def raw_body(self) -> bytes:
        """The body as it came over the wire, its content coding not undone."""
        if self.body is None:
            if self.live is None:
                raise StreamConsumed("the body of this response has been thrown away (discard_body)")
            self.body = gather(self.live.pieces())
        return self.body

    @property
    def content(self) -> bytes:
        """The body. Of one that is streamed, and of an answer in `history`, raises DecodingError when it is not in the
        content coding that its header names, ResponseTooLarge when it is larger than `max_response_bytes` without that,
        and what breaks the connection; elsewhere that has made the request a failure."""
        if self._content is None:
            self._content = decode(self.raw_body, self.coding, self.max_response_bytes)
        return self._content

    def check_codings(self) -> None:
        """Undo the content codings, so that a damaged body is found before the request is counted. Raises what
        `content` raises; nothing of the body is kept then."""
        try:
            _ = self.content
        except HttpError as error:
            # The exception stays with the response that is counted, and with it the frames that it went through.
            error.__traceback__ = None
            self.body = b""
            raise

    @property
    def encoding(self) -> str:
        """The character set of the Content-Type header, UTF-8 when it names none; may be set."""
        if self._encoding is not None:
            return self._encoding
        message = Message()
        message["content-type"] = self.headers.get("content-type", "")
        return message.get_content_charset() or "utf-8"

    @encoding.setter
    def encoding(self, encoding: str | None) -> None:
        self._encoding = encoding

    @property
    def apparent_encoding(self) -> str | None:
        """The character set that the body looks like."""
        import requests

        return requests.Response.apparent_encoding.fget(self)  # type: ignore[attr-defined,no-any-return]

    @property
    def text(self) -> str:
        return self._to_text(self.content)

    def _to_text(self, content: bytes) -> str:
        try:
            return content.decode(self.encoding, errors="replace")
        except (LookupError, ValueError):
            # The server may name what is no character set, or one that cannot leave out what is not in it.
            return content.decode("utf-8", errors="replace")

    def json(self, **kwargs: Any) -> Any:
        """The body as JSON. Raises json.JSONDecodeError (a ValueError) when it is not, and, of a request without an
        answer, what kept it from coming."""
        if self.error is not None and not self.status_code:
            raise self.error
        try:
            return json.loads(self.content, **kwargs)
        except RecursionError:
            raise json.JSONDecodeError("Nested too deeply", self.text, 0) from None

    def iter_content(self, chunk_size: int | None = None, decode_unicode: bool = False) -> Iterator[Any]:
        """The decoded body in pieces: of `chunk_size` bytes (the last one shorter), or as they come for None."""
        if chunk_size is not None and chunk_size < 1:
            raise ValueError(f"chunk_size={chunk_size!r}: give a number of bytes above 0")
        pieces = self._pieces()
        if chunk_size is not None:
            pieces = regrouped(pieces, chunk_size)
        for piece in pieces:
            yield self._to_text(piece) if decode_unicode else piece

    def iter_lines(self, chunk_size: int | None = None, decode_unicode: bool = False) -> Iterator[Any]:
        """The lines of the body as they come, without their ends; bytes, or text with `decode_unicode`."""
        rest = b""
        for piece in self._pieces():
            lines = (rest + piece).split(b"\n")
            rest = lines.pop()
            for line in lines:
                yield self._line(line, decode_unicode)
        if rest:
            yield self._line(rest, decode_unicode)

    def _line(self, line: bytes, as_text: bool) -> Any:
        line = line.removesuffix(b"\r")
        return self._to_text(line) if as_text else line

    def _pieces(self) -> Iterator[bytes]:
        if self.live is None or self.body is not None:
            if self.content:
                yield self.content
        elif self.live.begun:
            raise StreamConsumed("the body of this response has been read, or closed, already")
        else:
            yield from self.live.pieces(self.coding)

    def __iter__(self) -> Iterator[bytes]:
        return self.iter_content()

    def discard(self) -> None:
        """Read the body to its end and discard it as it arrives. Raises the error that breaks the connection."""
        if self.live is not None:
            self.live.when_it_ends(self._note_end)
            for _ in self.live.pieces():
                pass
            self.live = None
        else:
            self.discarded_bytes = len(self.raw_body)
        self.body = None

    def _note_end(self, received: int, since_first_byte_s: float, error: BaseException | None) -> None:
        self.discarded_bytes = received
        self.download_s += since_first_byte_s

    def add_timings(self, earlier: "FastResponse") -> None:
        """Add the times of the hop before this one."""
        self.first_byte_s += earlier.first_byte_s
        self.download_s += earlier.download_s
        if earlier.connect_s is not None:
            self.connect_s = earlier.connect_s + (self.connect_s or 0.0)
        if earlier.tls_s is not None:
            self.tls_s = earlier.tls_s + (self.tls_s or 0.0)

    def note_download(self, received: int, since_first_byte_s: float) -> None:
        """Take the time of a streamed body that has been read or closed."""
        self.download_s = since_first_byte_s

    def close(self) -> None:
        """Leave the rest of a streamed body unread; its connection is closed, and the request counted."""
        if self.live is not None:
            self.live.close()

    def raise_for_status(self) -> None:
        """Raises what kept the answer from coming, or ResponseError from status 400 on."""
        if self.error is not None:
            raise self.error
        failure = status_error(self.status_code, self.reason)
        if failure is not None:
            raise failure

    def __exit__(self, kind: Any = None, raised: BaseException | None = None, traceback: Any = None) -> bool:
        if self.live is not None:
            self.live.close()
        return super().__exit__(kind, raised, traceback)

    def __bool__(self) -> bool:
        return self.ok

    def __getstate__(self) -> dict[str, Any]:
        """For pickle and copy: with the body, and without the record of the request, which is counted once."""
        if self.live is not None:
            _ = self.raw_body
        return {**self.__dict__, "live": None, "record": None, "_raw_answer": None}

    def __repr__(self) -> str:
        return f"<FastResponse [{self.status_code or self.error!r}]>"


def _field(line: str) -> tuple[str, str]:
    name, _, value = line.partition(": ")
    return name, value
