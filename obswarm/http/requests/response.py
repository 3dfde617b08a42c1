"""HttpUser's responses: requests' own, with `success()` and `failure()`."""

import types
from datetime import timedelta
from typing import Any

import requests
from requests.cookies import RequestsCookieJar, extract_cookies_to_jar
from requests.structures import CaseInsensitiveDict

from obswarm.api import CatchResponseError, RequestRecord
from obswarm.http.body_buffer import gather
from obswarm.http.catch_response import CatchResponse
from obswarm.http.codings import decode
from obswarm.http.errors import HttpError, StreamConsumed
from obswarm.http.raw import RawResponse
from obswarm.http.response_parser import ResponseHead
from obswarm.http.response_stream import ResponseStream
from obswarm.sanitize import to_text
from obswarm.stats import PhaseTimes


# requests.Response comes first among the bases, since a response can only then be turned into this class.
class CountedResponse(requests.Response, CatchResponse):
    """requests.Response with `success()` and `failure(reason)`, and a context manager for catch_response=True.

    `error` is what kept the answer from coming, else None; without an answer `status_code` is 0, headers and body are
    empty, and `raise_for_status` and `json` raise the error. `timings` says where the time went, when the transport is
    ours, `wire_bytes` how much of a body came over the wire, when it has been read.
    """

    error: BaseException | None = None
    record: RequestRecord | None = None
    timings: PhaseTimes | None = None
    wire_bytes: int | None = None
    trace_id: str | None = None
    _received: bytes | None = None
    _content_consumed: bool
    damage: BaseException | None = None
    """The error in the body of a redirect, which only matters when the redirect is not followed."""

    @classmethod
    def bare(cls) -> "CountedResponse":
        """Return an empty response. As __init__, but for the cookie jar, which costs more than all the rest and is
        hardly ever looked at."""
        made = cls.__new__(cls)
        made._content = False  # type: ignore[assignment]
        made._content_consumed = False
        made._next = None  # type: ignore[attr-defined]
        made.history = []
        made.elapsed = timedelta(0)
        made.raw = None
        return made

    @classmethod
    def unanswered(
        cls, error: BaseException, url: str, request: requests.PreparedRequest | None, elapsed_s: float
    ) -> "CountedResponse":
        """Return the response of a request that was not answered, with all attributes of a response."""
        made = cls.bare()
        made.error = error
        made.status_code = 0
        made.reason = ""
        made.headers = CaseInsensitiveDict()
        made.encoding = None
        made.url = url
        made.request = request  # type: ignore[assignment]
        made.elapsed = timedelta(seconds=elapsed_s)
        made.raw = RawResponse(0, ResponseHead(b""), made.headers)
        made._content = made._received = b""
        made._content_consumed = True
        return made

    @property
    def cookies(self) -> RequestsCookieJar:
        """The cookies that this answer set."""
        found: RequestsCookieJar | None = self.__dict__.get("cookies")
        if found is None:
            found = self.__dict__["cookies"] = RequestsCookieJar()
            if self.raw is not None and getattr(self.raw, "_original_response", None) is not None:
                extract_cookies_to_jar(found, self.request, self.raw)
        return found

    @cookies.setter
    def cookies(self, cookies: RequestsCookieJar) -> None:
        self.__dict__["cookies"] = cookies

    @property
    def ok(self) -> bool:
        """As in requests; False without an answer, and from status 600 on, which is counted as a failure."""
        return self.error is None and super().ok

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
        return super().json(**kwargs)

    def close(self) -> None:
        """As in requests; of one that was unpickled there is nothing to close."""
        if self.raw is not None:
            super().close()

    def raise_for_status(self) -> None:
        """As in requests; also raises what kept the answer from coming, and HTTPError from status 600 on."""
        if self.error is not None:
            raise self.error
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
        raw: object = self.raw
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
