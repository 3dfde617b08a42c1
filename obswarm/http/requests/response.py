"""HttpUser's responses: requests' own, with `success()` and `failure()`."""

import re
import types
from collections.abc import Callable
from datetime import timedelta
from functools import lru_cache
from typing import Any, Protocol

import requests
import requests.models
from requests.cookies import RequestsCookieJar, extract_cookies_to_jar
from requests.models import REDIRECT_STATI
from requests.structures import CaseInsensitiveDict
from requests.utils import get_encoding_from_headers

from obswarm.api import CatchResponseError, RequestRecord
from obswarm.http.body_buffer import gather
from obswarm.http.catch_response import CatchResponse
from obswarm.http.codings import decode
from obswarm.http.errors import HttpError, StreamConsumed
from obswarm.http.raw import RawResponse, join_headers
from obswarm.http.response_parser import ResponseHead
from obswarm.http.response_stream import ResponseStream
from obswarm.sanitize import to_text
from obswarm.stats import PhaseTimes
from obswarm.stats.timings import Times

_loads: Callable[[str], Any] = requests.models.complexjson.loads  # type: ignore[attr-defined]
_UNUSUAL = re.compile(rb"\n[ \t\n]").search
"""Folded lines, or another end of the head than CR LF."""
_CONTENT_TYPE = re.compile(rb"\ncontent-type:([^\n]*)", re.IGNORECASE)
_dict_of: Callable[[Any], dict[str, Any]] = requests.Response.__dict__["__dict__"].__get__
"""The attributes of a response that have been made."""


class Sent(Protocol):
    """What a request was made of."""

    def prepared(self) -> requests.PreparedRequest:
        """Return the request as requests has it."""


# requests.Response comes first among the bases, since a response can only then be turned into this class.
class CountedResponse(requests.Response, CatchResponse):
    """requests.Response with `success()` and `failure(reason)`, and a context manager for catch_response=True.

    `error` is what kept the answer from coming, else None; without an answer `status_code` is 0, headers and body are
    empty, and `raise_for_status` and `json` raise the error. `timings` says where the time went, when the transport is
    ours, `wire_bytes` how much of a body came over the wire, when it has been read.
    """

    error: BaseException | None = None
    record: RequestRecord | None = None
    wire_bytes: int | None = None
    trace_id: str | None = None
    damage: BaseException | None = None
    """The error in the body of a redirect, which only matters when the redirect is not followed."""

    concerns_client = True
    """Whether the answer may have headers that the session has to look at."""

    timings: PhaseTimes | None
    _content_consumed: bool
    _received: bytes | None = None
    _elapsed_s = 0.0
    _head: tuple[bytes, int] | None = None
    _sent: Sent | None = None
    _times: Times | None = None

    @classmethod
    def of_answer(cls, head: bytes, interim: int, status: int, url: str, times: Times | None) -> "CountedResponse":
        """Return a response without its body. `head` and `interim` are what ResponseHead takes.

        Most load tests look at status and body alone, so everything else is made when it is asked for (`__getattr__`).
        """
        made = cls.__new__(cls)
        made._content = False  # type: ignore[assignment]
        made._content_consumed = False
        made._head = head, interim
        made._times = times
        made.status_code = status
        made.url = url
        return made

    def __getattr__(self, name: str) -> Any:
        """Make a part that is asked for the first time."""
        make = _PARTS.get(name)
        if make is None or (self._head is None and name != "timings"):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        value = make(self)
        setattr(self, name, value)
        return value

    @property
    def __dict__(self) -> dict[str, Any]:  # type: ignore[override]
        """All attributes, as `vars(response)` and debuggers show them: those of a response of requests among them."""
        if self._head is not None:
            for name in _PARTS:
                getattr(self, name)
        return _dict_of(self)

    @classmethod
    def unanswered(
        cls, error: BaseException, url: str, request: requests.PreparedRequest | None, elapsed_s: float
    ) -> "CountedResponse":
        """Return the response of a request that was not answered, with all attributes of a response."""
        made = cls.of_answer(b"", 0, 0, url, None)
        made.error = error
        made.request = request  # type: ignore[assignment]
        made.elapsed = timedelta(seconds=elapsed_s)
        made._content = made._received = b""
        made._content_consumed = True
        return made

    @property
    def ok(self) -> bool:
        """As in requests; False without an answer, and from status 600 on, which is counted as a failure."""
        return self.error is None and self.status_code < 400

    @property
    def is_redirect(self) -> bool:
        return self.status_code in REDIRECT_STATI and "location" in self.headers

    @property
    def text(self) -> str:
        """As in requests, also where the server names a character set that cannot leave out what is not in it."""
        try:
            return super().text
        except UnicodeError:
            return self.content.decode("utf-8", errors="replace")

    def json(self, **kwargs: Any) -> Any:
        """As in requests; raises what kept the answer from coming."""
        if self.error is not None:
            raise self.error
        if not kwargs and self.encoding == "utf-8":
            try:
                return _loads(str(self.content, "utf-8", "replace"))
            except ValueError:
                # Which requests raises in its own words.
                pass
        return super().json(**kwargs)

    def close(self) -> None:
        """As in requests; of one that was unpickled there is nothing to close."""
        if _dict_of(self).get("raw") is not None:
            super().close()

    def raise_for_status(self) -> None:
        """As in requests; also raises what kept the answer from coming, and HTTPError from status 600 on."""
        if self.error is not None:
            raise self.error
        if self.status_code < 400:
            return
        super().raise_for_status()
        if self.status_code >= 600:
            reason = to_text(self.reason or "")
            raise requests.HTTPError(f"{self.status_code} Error: {reason} for url: {self.url}", response=self)

    @property
    def raw_body(self) -> bytes:
        """The body as it came over the wire, its content coding not undone. Raises StreamConsumed where that is gone:
        of a coded body that was streamed and read, or came through an adapter that is not ours."""
        coding = self.headers.get("content-encoding")
        if not coding:
            return self.content
        if self._received is None:
            if self._content_consumed:
                raise StreamConsumed("the body of this response has been read, and only what it was decoded to is kept")
            self._received = gather(self.raw.stream(decode_content=False))
            self._content = decode(self._received, coding)
            self._content_consumed = True
        return self._received

    @property
    def live(self) -> ResponseStream | None:
        """The body while it is still to be read, over our own transport."""
        # Of an answer that was read whole, `raw` is only made when it is asked for.
        raw = _dict_of(self).get("raw")
        body = raw.body if isinstance(raw, RawResponse) else None
        return body if body is not None and not body.ended else None

    def note_download(self, received: int, since_first_byte_s: float) -> None:
        """Take size and time of a streamed body that has been read or closed."""
        self.wire_bytes = received
        if self.timings is not None:
            self.timings = self.timings._replace(download_s=since_first_byte_s)

    __enter__ = CatchResponse.__enter__

    def __exit__(  # type: ignore[override]  # requests gives the response away at the end of a block
        self,
        kind: type[BaseException] | None = None,
        raised: BaseException | None = None,
        traceback: types.TracebackType | None = None,
    ) -> bool:
        if isinstance(raised, requests.HTTPError):
            # response.raise_for_status() in the block says no more than that the request failed.
            raised = CatchResponseError(to_text(raised))
        elif isinstance(raised, requests.RequestException) and raised is not self.error and self.record is not None:
            # What broke a stream off, without the exceptions of requests' around it.
            broken = self.record.error
            raised = broken if isinstance(broken, HttpError) else raised
        if self.live is not None:
            # Counted with all that came of it.
            self.close()
        ends_here = CatchResponse.__exit__(self, kind, raised, traceback)
        if self.wire_bytes is None:
            self.close()
        return ends_here

    def __getstate__(self) -> Any:
        state: Any = super().__getstate__()
        return {
            **state,
            "cookies": self.cookies,
            "error": self.error,
            "timings": self.timings,
            "wire_bytes": self.wire_bytes,
            "_received": self._received,
            "trace_id": self.trace_id,
        }


def _parsed_head(response: CountedResponse) -> ResponseHead:
    assert response._head is not None
    return ResponseHead(*response._head)


def _cookies(response: CountedResponse) -> RequestsCookieJar:
    """Return the cookies that the answer set."""
    jar = RequestsCookieJar()
    if response.raw._original_response is not None:
        extract_cookies_to_jar(jar, response.request, response.raw)
    return jar


def _encoding(response: CountedResponse) -> str | None:
    """Return the character set that the Content-Type header names, or implies, as in requests."""
    assert response._head is not None
    head, interim = response._head
    end = head.find(b"\n\r\n") + 1
    values = _CONTENT_TYPE.findall(head, 0, end)
    if interim or not end or len(values) > 1 or _UNUSUAL(head, 0, end):
        return get_encoding_from_headers(response.headers)
    return _encoding_of(values[0]) if values else None


@lru_cache(maxsize=256)
def _encoding_of(content_type: bytes) -> str | None:
    return get_encoding_from_headers(CaseInsensitiveDict({"content-type": content_type.strip().decode("latin-1")}))


def _request(response: CountedResponse) -> requests.PreparedRequest:
    if response._sent is None:
        raise AttributeError("request")
    return response._sent.prepared()


_PARTS: dict[str, Callable[[CountedResponse], Any]] = {
    "_parsed_head": _parsed_head,
    "headers": lambda response: join_headers(response._parsed_head.headers, CaseInsensitiveDict()),
    "reason": lambda response: response._parsed_head.reason.decode("latin-1"),
    "encoding": _encoding,
    "request": _request,
    "raw": lambda response: RawResponse(response.status_code, response._parsed_head, response.headers, response.url),
    "cookies": _cookies,
    "history": lambda _: [],
    "elapsed": lambda response: timedelta(seconds=response._elapsed_s),
    "timings": lambda response: None if response._times is None else PhaseTimes(*response._times),
    "_next": lambda _: None,
}
"""What is made when it is asked for, by its name."""
