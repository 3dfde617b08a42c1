"""Client of Tempo's and Jaeger's HTTP APIs, as far as a search for slow traces needs them."""

import json
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import requests

from obswarm import clock
from obswarm.http import ApiAccess, ApiSession, ApiTarget, Failure, failure_of, page_of, quoted, refusal_of
from obswarm.redact import redact_url
from obswarm.targets.source import SourceError
from obswarm.targets.traces import FoundTrace, NotTraces, Trace, found_by_tempo, trace_of_tempo, traces_of_jaeger

_TIMEOUT_S = 5.0
_TOTAL_TIMEOUT_S = 10.0
"""Timeout of one request."""
DEADLINE_S = 40.0
"""Timeout of all requests together."""
_MAX_RESPONSE_BYTES = 32 * 1024 * 1024
_SEARCHED = 100
"""Traces that a search returns at most."""
_MAX_SERVICES = 10


class TraceApi:
    """Reads traces from a Tempo or a Jaeger, whichever it is. A context manager."""

    def __init__(self, url: str, deadline_s: float = DEADLINE_S) -> None:
        self._url = url
        self._deadline_s = clock.monotonic() + deadline_s
        self._api = ApiTarget(url, ApiAccess(), lambda name: "")
        self._session = ApiSession(_MAX_RESPONSE_BYTES, _TOTAL_TIMEOUT_S)
        self._services: list[str] | None = None
        """The services of a Jaeger; None for a Tempo."""
        self._is_tempo = False

    @property
    def name(self) -> str:
        kind = "Jaeger" if self._services is not None else "Tempo" if self._is_tempo else "the source of traces"
        return f"{kind} at {redact_url(self._url)}"

    def __enter__(self) -> "TraceApi":
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def slowest(self, start_s: float, end_s: float, most: int) -> list[Trace]:
        """Return the slowest traces that began in a time (Unix, seconds), the slowest first: of the 100 that a search
        returns, and with Jaeger of 100 of each of ten services. Raises SourceError."""
        if not self._is_tempo and self._services is None:
            self._find_out()
        if self._services is not None:
            traces = self._of_jaeger(start_s, end_s)
            return sorted(traces, key=lambda trace: -trace.duration_s)[:most]
        found = sorted(self._search(start_s, end_s), key=lambda each: -each.duration_s)
        return [trace for each in found[:most] if (trace := self._tempo_trace(each.id)) is not None]

    def _find_out(self) -> None:
        """Find out which of the two it is: only Jaeger has a list of services."""
        response = self._get("api/services", {})
        document = _json_of(response)
        if response.status_code == 200 and isinstance(document, dict) and isinstance(document.get("data"), list):
            names = [name for name in document["data"] if isinstance(name, str) and name]
            # Jaeger's own requests are traced, too.
            self._services = [name for name in names if not name.startswith("jaeger")][:_MAX_SERVICES]
            return
        if response.status_code in (401, 403, 407) or response.status_code >= 500:
            raise self._error(refusal_of(response, self._api, ""))
        self._is_tempo = True

    def _of_jaeger(self, start_s: float, end_s: float) -> list[Trace]:
        found: dict[str, Trace] = {}
        for service in self._services or ():
            time = {"start": str(round(start_s * 1e6)), "end": str(round(end_s * 1e6))}
            document = self._document("api/traces", {"service": service, **time, "limit": str(_SEARCHED)})
            try:
                found |= {trace.id: trace for trace in traces_of_jaeger(document)}
            except NotTraces as error:
                raise self._not_traces(error) from None
        return list(found.values())

    def _search(self, start_s: float, end_s: float) -> list[FoundTrace]:
        # Whole seconds; the end has to be later than the start.
        time = {"start": str(int(start_s)), "end": str(max(int(end_s), int(start_s) + 1))}
        document = self._document("api/search", {"q": "{}", **time, "limit": str(_SEARCHED)})
        try:
            return found_by_tempo(document)
        except NotTraces as error:
            raise self._not_traces(error) from None

    def _tempo_trace(self, trace_id: str) -> Trace | None:
        response = self._get(f"api/traces/{quote(trace_id, safe='')}", {})
        if response.status_code == 404:
            # It has been removed since the search.
            return None
        try:
            return trace_of_tempo(trace_id, self._json(response, "api/traces"))
        except NotTraces as error:
            raise self._not_traces(error) from None

    def _document(self, path: str, parameters: dict[str, str]) -> Any:
        return self._json(self._get(path, parameters), path)

    def _get(self, path: str, parameters: dict[str, str]) -> requests.Response:
        if clock.monotonic() > self._deadline_s:
            raise SourceError(f"{self.name} is too slow: the time for reading traces is over")
        parts = urlsplit(self._url)
        url = urlunsplit((parts.scheme, parts.netloc, f"{parts.path.rstrip('/')}/{path}", parts.query, ""))
        try:
            return self._session.get(url, params=parameters, timeout=_TIMEOUT_S, headers={"Accept": "application/json"})
        except requests.RequestException as error:
            raise self._error(failure_of(error, self._api, _TIMEOUT_S)) from None

    def _json(self, response: requests.Response, path: str) -> Any:
        missing = f"has neither Tempo's nor Jaeger's API at /{path}: check the URL"
        failure = refusal_of(response, self._api, missing) or page_of(response)
        document = _json_of(response)
        if failure is None and document is None:
            failure = Failure(f"returned something other than JSON: {quoted(response)}")
        if failure is not None:
            raise self._error(failure)
        return document

    def _error(self, failure: Failure | None) -> SourceError:
        return SourceError(f"{self.name} {failure.text if failure is not None else 'failed'}")

    def _not_traces(self, error: NotTraces) -> SourceError:
        return SourceError(f"{self.name} returned JSON that is not a response with traces: {error}")


def _json_of(response: requests.Response) -> Any:
    try:
        return json.loads(response.content)
    except (ValueError, RecursionError):
        return None
