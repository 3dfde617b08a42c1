"""Client of Prometheus' HTTP API (https://prometheus.io/docs/prometheus/latest/querying/api/), also for compatible
servers (Mimir, Thanos, VictoriaMetrics). Responses of other servers become errors that describe the response."""

import json
import logging
import re
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import requests

from obswarm.http import (
    ApiAccess,
    ApiSession,
    ApiTarget,
    Failure,
    failure_of,
    naming_by_options,
    page_of,
    quoted,
    refusal_of,
)
from obswarm.redact import redact_url
from obswarm.sanitize import clean_text
from obswarm.targets.source import Sample, SourceError

logger = logging.getLogger(__name__)

TIMEOUT_S = 3.0
TOTAL_TIMEOUT_S = 6.0
_MAX_RESPONSE_BYTES = 32 * 1024 * 1024
_MAX_GET_QUERY_LENGTH = 2_000
"""Longest query, in characters, sent with GET; servers and proxies refuse longer URLs (HTTP 414)."""
_POST_REFUSED_STATUSES = (403, 405, 501)
"""Statuses of servers and proxies that allow only GET."""
_SHOWN_QUERY = 200
_MAX_NOTES = 100
_NO_JSON = "not JSON"
_NUMBERS = re.compile(r"\d+(\.\d+)?")


class PermanentSourceError(SourceError):
    """An error that retries cannot fix: wrong URL, credentials or certificates."""


class BadQuery(SourceError):
    """The query is invalid for this source."""


class PrometheusApi:
    """Send instant queries to a Prometheus. Several greenlets may use it concurrently."""

    def __init__(self, url: str, access: ApiAccess, timeout_s: float, total_timeout_s: float, trust_env: bool) -> None:
        """`timeout_s` limits the wait between two reads, `total_timeout_s` the time to the last byte of a response."""
        self.name = f"Prometheus at {redact_url(url)}"
        self._url = url
        self._api_target = ApiTarget(url, access, naming_by_options("prometheus"))
        self._timeout_s = timeout_s
        self._session = ApiSession(_MAX_RESPONSE_BYTES, total_timeout_s, trust_env, access)
        self._posts = True
        self._logged: set[str] = set()

    def close(self) -> None:
        self._session.close()

    def query(
        self, query: str, server_s: float | None, hints_level: int = logging.INFO
    ) -> tuple[list[Sample], float | None]:
        """Return the samples of an instant query, and the evaluation time if there are samples.

        `server_s` is the evaluation time on Prometheus' clock (seconds since the Unix epoch); None: now. Warnings of
        the response are logged once, its `infos` once at `hints_level`. Raises SourceError.
        """
        document = self._document("query", query, {} if server_s is None else {"time": f"{server_s:.3f}"})
        self._log_notes(document, query, hints_level)
        return self._samples(document, query)

    def query_range(
        self, query: str, start_s: float, end_s: float, step_s: float
    ) -> list[tuple[dict[str, str], list[Any]]]:
        """Return (labels, [(time, value as text), …]) of each series of a range query; times are on Prometheus' clock.
        Raises SourceError."""
        times = {"start": f"{start_s:.3f}", "end": f"{end_s:.3f}", "step": f"{step_s:g}"}
        document = self._document("query_range", query, times)
        self._log_notes(document, query, logging.DEBUG)
        return self._matrix(document)

    def query_matrix(self, query: str) -> list[tuple[dict[str, str], list[Any]]]:
        """Return the same as `query_range` for an instant query whose expression is a range: `requests[2h:15s]`. Raises
        SourceError; BadQuery if it is not."""
        document = self._document("query", query, {})
        self._log_notes(document, query, logging.INFO)
        data = document.get("data")
        if isinstance(data, dict) and data.get("resultType") in ("vector", "scalar", "string"):
            raise BadQuery(
                f"the query {clean_text(query, _SHOWN_QUERY)} returns numbers of one moment; write a time range and a"
                f" step behind it, e.g. …[2h:15s]"
            )
        return self._matrix(document)

    def _matrix(self, document: dict[str, Any]) -> list[tuple[dict[str, str], list[Any]]]:
        try:
            if document["data"]["resultType"] != "matrix":
                raise TypeError
            return [
                ({str(name): str(text) for name, text in series["metric"].items()}, list(series["values"]))
                for series in document["data"]["result"]
                # Native histograms have no values.
                if "values" in series
            ]
        except (LookupError, AttributeError, TypeError, ValueError):
            text = "returned JSON without the result of a range query: check that it is a Prometheus"
            raise PermanentSourceError(f"{self.name} {text}") from None

    def parse(self, query: str) -> None:
        """Let Prometheus parse the query without evaluating it. Raises SourceError; BadQuery if it is not PromQL."""
        self._document("format_query", query, {})

    def _request(self, path: str, query: str, time: dict[str, str]) -> requests.Response:
        url = _path_below(self._url, f"api/v1/{path}")
        if self._posts and len(quote(query)) > _MAX_GET_QUERY_LENGTH:
            response = self._session.post(url, data={"query": query, **time}, timeout=self._timeout_s)
            # A redirect may have turned it into a GET, without the query.
            became_get = bool(response.history) and response.request.method != "POST"
            if not became_get and response.status_code not in _POST_REFUSED_STATUSES:
                return response
            self._posts = False
        return self._session.get(url, params={"query": query, **time}, timeout=self._timeout_s)

    def _document(self, path: str, query: str, time: dict[str, str]) -> dict[str, Any]:
        """Send a request and return the JSON document of a success response."""
        try:
            response = self._request(path, query, time)
        except requests.RequestException as error:
            raise self._error(failure_of(error, self._api_target, self._timeout_s)) from None
        document, parse_problem = _json_of(response)
        is_api = isinstance(document, dict) and document.get("status") in ("success", "error")
        if is_api and document["status"] == "error" and response.status_code not in (401, 403, 404, 407, 429):
            raise self._refused_query(response, document, query)
        where = redact_url(_path_below(self._url, f"api/v1/{path}"))
        missing = f"has no Prometheus API at {where}: check the path before /api"
        failure = refusal_of(response, self._api_target, missing)
        if failure is None and not is_api:
            failure = page_of(response) or _not_prometheus(response, parse_problem)
        if failure is not None:
            raise self._error(failure)
        assert isinstance(document, dict)
        return document

    def _error(self, failure: Failure) -> SourceError:
        return (PermanentSourceError if failure.lasts else SourceError)(f"{self.name} {failure.text}")

    def _refused_query(self, response: requests.Response, document: dict[str, Any], query: str) -> SourceError:
        kind, message = str(document.get("errorType", "")), clean_text(document.get("error", ""))
        shown = f"the query {clean_text(query, _SHOWN_QUERY)}"
        if kind == "bad_data" or (not kind and response.status_code == 400):
            return BadQuery(f"{self.name} refuses {shown}: {message}")
        if kind in ("timeout", "canceled"):
            return SourceError(f"{self.name} aborted {shown}: {message}")
        return SourceError(
            f"{self.name} cannot evaluate {shown} (HTTP {response.status_code}, {kind or 'error'}): {message}"
        )

    def _log_notes(self, document: dict[str, Any], query: str, level: int) -> None:
        notes = [(logging.WARNING, text) for text in _texts(document.get("warnings"))]
        notes += [(level, text) for text in _texts(document.get("infos"))]
        if document.get("isPartial") is True:
            notes.append((logging.WARNING, "the result is partial, since some of its stores do not respond"))
        for at_level, text in notes:
            self._log_once(text, at_level, f"{self.name} on the query {clean_text(query, _SHOWN_QUERY)}: {text}")

    def warn(self, text: str) -> None:
        """Log a warning once."""
        self._log_once(text, logging.WARNING, text)

    def _log_once(self, what: str, level: int, text: str) -> None:
        # Some texts contain a number that changes each time.
        kind = _NUMBERS.sub("0", what)
        if kind not in self._logged and len(self._logged) < _MAX_NOTES:
            self._logged.add(kind)
            logger.log(level, "%s", text)

    def _samples(self, document: dict[str, Any], query: str) -> tuple[list[Sample], float | None]:
        try:
            data = document["data"]
            kind, result = data["resultType"], data["result"]
            if kind == "scalar":
                return [Sample({}, float(result[1]))], float(result[0])
            if kind != "vector":
                raise BadQuery(f"the query {query} returns a {clean_text(kind, 20)}; it has to return numbers")
            if any("histogram" in series and "value" not in series for series in result):
                raise BadQuery(
                    f"the query {query} returns native histograms; it has to return numbers, e.g. by"
                    " histogram_quantile(0.95, …) or histogram_count(…)"
                )
            samples = [
                Sample({str(name): str(text) for name, text in series["metric"].items()}, float(series["value"][1]))
                for series in result
            ]
            return samples, float(result[0]["value"][0]) if result else None
        except (LookupError, AttributeError, TypeError, ValueError, OverflowError):
            text = "returned JSON without a query result: check that it is a Prometheus"
            raise PermanentSourceError(f"{self.name} {text}") from None


def _path_below(url: str, path: str) -> str:
    """Append a path to a URL's own path, keeping its query string."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc, f"{parts.path.rstrip('/')}/{path}", parts.query, ""))


def _json_of(response: requests.Response) -> tuple[Any, str]:
    """Return (document, "") or (None, why it cannot be parsed)."""
    try:
        return response.json(), ""
    except (json.JSONDecodeError, UnicodeDecodeError):
        return None, _NO_JSON
    except ValueError:
        return None, "a number has too many digits"
    except RecursionError:
        return None, "nesting is too deep"


def _not_prometheus(response: requests.Response, parse_problem: str) -> Failure:
    """Describe a successful response that is neither empty nor an HTML page."""
    code, size = response.status_code, len(response.content)
    if not parse_problem:
        return Failure(f"returned JSON that is not a Prometheus response (HTTP {code}): {quoted(response)}", lasts=True)
    if parse_problem != _NO_JSON:
        return Failure(
            f"returned JSON that cannot be parsed, {parse_problem} (HTTP {code}): {quoted(response)}", lasts=True
        )
    if response.content.lstrip().startswith(b'{"status"'):
        return Failure(f"returned truncated JSON, {size:,} bytes (HTTP {code})")
    return Failure(f"returned something other than JSON (HTTP {code}): {quoted(response)}", lasts=True)


def _texts(value: Any) -> list[str]:
    return [clean_text(text) for text in value[:_MAX_NOTES]] if isinstance(value, list) else []
