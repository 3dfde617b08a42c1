"""The HTTP API of Prometheus (https://prometheus.io/docs/prometheus/latest/querying/api/), as it is answered by
Prometheus, by what has the same (Mimir, Thanos, VictoriaMetrics), and by what stands in its place by mistake."""

import json
import logging
import re
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import requests

from obswarm.http import (
    ApiAccess,
    ApiSession,
    Asked,
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
LONGEST_S = 6.0
_LARGEST_ANSWER_BYTES = 32 * 1024 * 1024
_LONGEST_QUERY = 2_000
"""Characters of a query that goes into the address of a request; beyond, servers and proxies refuse it (HTTP 414)."""
_NO_POST = (403, 405, 501)
"""What those say who let GET pass alone."""
_SHOWN_QUERY = 200
_MOST_NOTES = 100
_NO_JSON = "it is none"
_NUMBERS = re.compile(r"\d+(\.\d+)?")


class SourceRefuses(SourceError):
    """No answer will come until somebody changes something: an address, credentials, certificates."""


class BadQuery(SourceError):
    """The query is one that is never answered."""


class PrometheusApi:
    """Asks one for the values that queries have now. Several greenlets may ask at a time."""

    def __init__(self, url: str, access: ApiAccess, timeout_s: float, longest_s: float, trust_env: bool) -> None:
        """`timeout_s` is the longest silence, `longest_s` the longest time to the last byte of an answer."""
        self.name = f"Prometheus at {redact_url(url)}"
        self._url = url
        self._asked = Asked(url, access, naming_by_options("prometheus"))
        self._timeout_s = timeout_s
        self._session = ApiSession(_LARGEST_ANSWER_BYTES, longest_s, trust_env, access)
        self._posts = True
        self._noted: set[str] = set()

    def close(self) -> None:
        self._session.close()

    def query(
        self, query: str, server_s: float | None, hints_level: int = logging.INFO
    ) -> tuple[list[Sample], float | None]:
        """The values at a time of Prometheus' clock (seconds since 1970), now unless given, and which time that was as
        far as they say. Raises SourceError. What Prometheus notes about the query is logged once: warnings as such,
        hints (`infos`) at a level."""
        document = self._document("query", query, {} if server_s is None else {"time": f"{server_s:.3f}"})
        self._note(document, query, hints_level)
        return self._samples(document, query)

    def parse(self, query: str) -> None:
        """Have it read alone, which is quick. Raises SourceError, BadQuery when it is no PromQL."""
        self._document("format_query", query, {})

    def _ask(self, path: str, query: str, time: dict[str, str]) -> requests.Response:
        url = _path_below(self._url, f"api/v1/{path}")
        if self._posts and len(quote(query)) > _LONGEST_QUERY:
            answer = self._session.post(url, data={"query": query, **time}, timeout=self._timeout_s)
            # What redirects may have made a GET of it, without the query.
            became_get = bool(answer.history) and answer.request.method != "POST"
            if not became_get and answer.status_code not in _NO_POST:
                return answer
            self._posts = False
        return self._session.get(url, params={"query": query, **time}, timeout=self._timeout_s)

    def _document(self, path: str, query: str, time: dict[str, str]) -> dict[str, Any]:
        """What it says with success."""
        try:
            answer = self._ask(path, query, time)
        except requests.RequestException as error:
            raise self._error(failure_of(error, self._asked, self._timeout_s)) from None
        document, unread = _json_of(answer)
        is_api = isinstance(document, dict) and document.get("status") in ("success", "error")
        if is_api and document["status"] == "error" and answer.status_code not in (401, 403, 404, 407, 429):
            raise self._refused_query(answer, document, query)
        where = redact_url(_path_below(self._url, f"api/v1/{path}"))
        missing = f"has no API of a Prometheus at {where}: see whether the path before /api is right"
        failure = refusal_of(answer, self._asked, missing)
        if failure is None and not is_api:
            failure = page_of(answer) or _not_prometheus(answer, unread)
        if failure is not None:
            raise self._error(failure)
        assert isinstance(document, dict)
        return document

    def _error(self, failure: Failure) -> SourceError:
        return (SourceRefuses if failure.lasts else SourceError)(f"{self.name} {failure.text}")

    def _refused_query(self, answer: requests.Response, document: dict[str, Any], query: str) -> SourceError:
        kind, said = str(document.get("errorType", "")), clean_text(document.get("error", ""))
        shown = f"the query {clean_text(query, _SHOWN_QUERY)}"
        if kind == "bad_data" or (not kind and answer.status_code == 400):
            return BadQuery(f"{self.name} refuses {shown}: {said}")
        if kind in ("timeout", "canceled"):
            return SourceError(f"{self.name} gave {shown} up: {said}")
        return SourceError(f"{self.name} cannot answer {shown} (HTTP {answer.status_code}, {kind or 'error'}): {said}")

    def _note(self, document: dict[str, Any], query: str, level: int) -> None:
        notes = [(logging.WARNING, text) for text in _texts(document.get("warnings"))]
        notes += [(level, text) for text in _texts(document.get("infos"))]
        if document.get("isPartial") is True:
            notes.append((logging.WARNING, "the answer is partial, since some of its stores do not answer"))
        for at_level, text in notes:
            self._log_once(text, at_level, f"{self.name} on the query {clean_text(query, _SHOWN_QUERY)}: {text}")

    def warn(self, text: str) -> None:
        """Log it, once."""
        self._log_once(text, logging.WARNING, text)

    def _log_once(self, what: str, level: int, text: str) -> None:
        # Some have a number that is another one each time.
        kind = _NUMBERS.sub("0", what)
        if kind not in self._noted and len(self._noted) < _MOST_NOTES:
            self._noted.add(kind)
            logger.log(level, "%s", text)

    def _samples(self, document: dict[str, Any], query: str) -> tuple[list[Sample], float | None]:
        try:
            data = document["data"]
            kind, result = data["resultType"], data["result"]
            if kind == "scalar":
                return [Sample({}, float(result[1]))], float(result[0])
            if kind != "vector":
                raise BadQuery(f"the query {query} gives a {clean_text(kind, 20)}; it has to give numbers")
            if any("histogram" in series and "value" not in series for series in result):
                raise BadQuery(
                    f"the query {query} gives native histograms; it has to give numbers: histogram_quantile(0.95, …),"
                    " histogram_count(…) or the like"
                )
            samples = [
                Sample({str(name): str(text) for name, text in series["metric"].items()}, float(series["value"][1]))
                for series in result
            ]
            return samples, float(result[0]["value"][0]) if result else None
        except (LookupError, AttributeError, TypeError, ValueError, OverflowError):
            text = "answers JSON that has no result of a query: see whether it is a Prometheus"
            raise SourceRefuses(f"{self.name} {text}") from None


def _path_below(url: str, path: str) -> str:
    """The URL with a path added to its own, and with its query."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc, f"{parts.path.rstrip('/')}/{path}", parts.query, ""))


def _json_of(answer: requests.Response) -> tuple[Any, str]:
    """What it says, and why that cannot be read when it cannot."""
    try:
        return answer.json(), ""
    except (json.JSONDecodeError, UnicodeDecodeError):
        return None, _NO_JSON
    except ValueError:
        return None, "a number in it has too many digits"
    except RecursionError:
        return None, "it is nested too deeply"


def _not_prometheus(answer: requests.Response, unread: str) -> Failure:
    """Of an answer with success that is neither empty nor a page."""
    code, size = answer.status_code, len(answer.content)
    if not unread:
        return Failure(f"answers JSON, but not as a Prometheus does (HTTP {code}): {quoted(answer)}", lasts=True)
    if unread != _NO_JSON:
        return Failure(f"answers JSON that cannot be read, as {unread} (HTTP {code}): {quoted(answer)}", lasts=True)
    if answer.content.lstrip().startswith(b'{"status"'):
        return Failure(f"broke its answer off, after {size:,} bytes of JSON (HTTP {code})")
    return Failure(f"answers with what is no JSON (HTTP {code}): {quoted(answer)}", lasts=True)


def _texts(value: Any) -> list[str]:
    return [clean_text(text) for text in value[:_MOST_NOTES]] if isinstance(value, list) else []
