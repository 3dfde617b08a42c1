"""Calls that go through all steps of requests: those with hooks, authentication classes, streams, files and more."""

from collections.abc import Mapping
from typing import Any

import requests

from obswarm.http.raw import RawResponse
from obswarm.http.requests.adapter import read_and_discard, was_sent
from obswarm.http.requests.response import CountedResponse
from obswarm.http.urls import absolute
from obswarm.stats import PhaseTimes
from obswarm.stats.timings import Times


class FullCall:
    """A call, and the request that it sends. `arguments` are those of requests.Session.request."""

    __slots__ = ("_arguments", "_discards_body", "_request", "method", "path_url", "url")

    def __init__(
        self, base_url: str | None, method: str, url: str | bytes, discards_body: bool, arguments: dict[str, Any]
    ) -> None:
        """Raises MissingHost and InvalidRequest."""
        self.path_url = url.decode() if isinstance(url, bytes) else url
        self.url = absolute(base_url, self.path_url)
        self.method = method.upper()
        self._arguments = arguments
        self._discards_body = discards_body
        self._request: requests.PreparedRequest | None = None

    @property
    def is_sent(self) -> bool:
        """Whether the target may have received the request."""
        return was_sent(self._request)

    def prepared(self) -> requests.PreparedRequest | None:
        """Return the request as requests has it; None before it is prepared."""
        return self._request

    def begin(self, session: requests.Session) -> None:
        """Prepare the request. Raises what requests raises."""
        given = self._arguments
        request = requests.Request(
            self.method,
            self.url,
            given["headers"],
            given["files"],
            given["data"] or {},
            given["params"] or {},
            given["auth"],
            given["cookies"],
            given["hooks"],
            given["json"],
        )
        self._request = session.prepare_request(request)
        self.path_url = self._request.path_url

    def send(self, session: requests.Session, started: float) -> CountedResponse:
        """Send the request, and those of the redirects, and return the response. Raises what requests raises."""
        given = self._arguments
        request = self._request
        assert request is not None
        assert request.url is not None
        stream = True if self._discards_body else given["stream"]
        settings: Mapping[str, Any] = session.merge_environment_settings(
            request.url, given["proxies"] or {}, stream, given["verify"], given["cert"]
        )
        response: Any = session.send(
            request, timeout=given["timeout"], allow_redirects=given["allow_redirects"], **settings
        )
        if not isinstance(response, CountedResponse):
            # From another adapter. The object stays the one that requests made (hooks may have kept it); only its
            # class is extended.
            response.__class__ = CountedResponse
        counted: CountedResponse = response
        if counted.damage is not None:
            raise counted.damage
        if self._discards_body:
            read_and_discard(counted)
        return counted

    def size_of(self, response: CountedResponse) -> int:
        """Bytes of the body, as far as they have come; of a stream of another transport, those that it announces."""
        if response.wire_bytes is not None:
            return response.wire_bytes
        if isinstance(response.raw, RawResponse):
            return response.raw.received
        if self._arguments["stream"]:
            length = response.headers.get("content-length", "")
            return int(length) if length.isdecimal() else 0
        return len(response.content)

    def times_of(self, response: CountedResponse) -> Times | None:
        """Return the phases of a request, added up over all hops of a redirected one."""
        return times_of_all(response)


def times_of_all(response: CountedResponse) -> Times | None:
    """Return the phases of a request, added up over all hops of a redirected one."""
    times: PhaseTimes | None = response.timings
    for earlier in response.history:
        hop = getattr(earlier, "timings", None)
        if hop is not None and times is not None:
            times = PhaseTimes(
                _plus(times.connect_s, hop.connect_s),
                _plus(times.tls_s, hop.tls_s),
                times.first_byte_s + hop.first_byte_s,
                times.download_s + hop.download_s,
            )
    return times


def _plus(one: float | None, other: float | None) -> float | None:
    return other if one is None else one if other is None else one + other
