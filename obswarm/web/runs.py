"""The API of a master that stays: what it does, runs to be started and stopped, and the news of one.

- GET /api/v1/status: JSON
- POST /api/v1/runs: a run request (obswarm.web.run_request); 201 with its id, 400, 409 while there is another run or no
  worker
- GET /api/v1/runs/ID/news?boot=B&after=N: waits a few seconds for news; MessagePack [boot, [[number, kind, …], …]]
- POST /api/v1/runs/ID/stop: JSON {"kind": …, "detail": …, "abort": true|false}

News are [number, "snapshot", packed], [number, "log", level, logger, text] and, as the last one, [number, "end", packed
result or nil, exit code, error or nil]. Numbers begin anew when the boot is another one, that is when the master was
started again.
"""

import json
import logging
import secrets
from collections import deque
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Protocol
from urllib.parse import parse_qs

from gevent.event import Event

from obswarm import clock
from obswarm.api import ObswarmError
from obswarm.engine import Output, RunControl, RunResult, StopReason
from obswarm.log_format import record_text
from obswarm.record import Snapshot, StopKind
from obswarm.web.answers import answer, has_token, json_answer, read_body, refuse_size, refuse_token
from obswarm.web.run_request import BadRunRequest, RunRequest
from obswarm.web.wire import pack_message, pack_result, pack_snapshot

STATUS_PATH = "/api/v1/status"
RUNS_PATH = "/api/v1/runs"
MESSAGEPACK = "application/vnd.msgpack"
LARGEST_ORDER_BYTES = 64 * 1024 * 1024
_LARGEST_COMMAND_BYTES = 10_000
_WAIT_S = 5.0
_SNAPSHOTS_KEPT = 15
_NEWS_KEPT = 500


class RunEvents(Output):
    """Output, and a handler of log records, that keeps the latest of a run for clients to fetch."""

    required = False

    def __init__(self) -> None:
        self.boot = secrets.token_hex(8)
        self.asked_s = clock.monotonic()
        """When a client last asked."""
        self._told = Event()
        self._number = 0
        self._kept: deque[tuple[int, str, Any]] = deque(maxlen=_NEWS_KEPT)
        self._changed = Event()

    def snapshot(self, snapshot: Snapshot) -> None:
        old = [each for each in self._kept if each[1] == "snapshot"]
        if len(old) >= _SNAPSHOTS_KEPT:
            self._kept.remove(old[0])
        self._add("snapshot", snapshot)

    def log(self, level: int, name: str, text: str) -> None:
        self._add("log", (level, name, text))

    def end(self, result: RunResult | None, exit_code: int, error: str | None = None) -> None:
        self._add("end", (pack_result(result) if result is not None else None, exit_code, error))

    def wait_until_told(self, longest_s: float) -> bool:
        """Until a client has fetched the end; gives whether it has."""
        return bool(self._told.wait(longest_s))

    def _add(self, kind: str, content: Any) -> None:
        self._number += 1
        self._kept.append((self._number, kind, content))
        self._changed.set()

    def since(self, number: int, longest_s: float) -> list[list[Any]]:
        """What came after a number; waits for it."""
        self.asked_s = clock.monotonic()
        if self._number <= number:
            self._changed.clear()
            self._changed.wait(longest_s)
        self.asked_s = clock.monotonic()
        found: list[list[Any]] = []
        for each, kind, content in list(self._kept):
            if each > number:
                found.append([each, kind, pack_snapshot(content)] if kind == "snapshot" else [each, kind, *content])
                if kind == "end":
                    self._told.set()
        return found


class RunEventsHandler(logging.Handler):
    """Log records as news, but for those of the loggers in `without`."""

    def __init__(self, news: RunEvents, without: Collection[str] = ()) -> None:
        super().__init__()
        self._news = news
        self._without = frozenset(without)

    def emit(self, record: logging.LogRecord) -> None:
        if record.name not in self._without:
            self._news.log(record.levelno, record.name, record_text(record))


class ServiceBusy(ObswarmError):
    """A run cannot be accepted now: there is another one, or no worker."""


class RunService(Protocol):
    """What makes the runs that clients request through the API."""

    def status(self) -> Mapping[str, Any]: ...

    def submit(self, request: RunRequest) -> RunRequest:
        """Accept a request; returns it with its id and the number of workers. Raises ServiceBusy, and ObswarmError for
        one that cannot be accepted at all."""
        ...

    def events_of(self, request_id: str) -> RunEvents | None: ...

    def control_of(self, request_id: str) -> RunControl | None: ...


class RunsApp:
    """A WSGI application for whoever has the token."""

    def __init__(self, service: RunService, token: str) -> None:
        self._service = service
        self._token = token.encode()

    def __call__(self, environ: Mapping[str, Any], start_response: Any) -> Iterable[bytes]:
        if not has_token(environ, self._token):
            return refuse_token(start_response)
        path: str = environ["PATH_INFO"]
        action = (environ["REQUEST_METHOD"], path.rpartition("/")[2] if path.startswith(f"{RUNS_PATH}/") else path)
        match action:
            case ("GET", "/api/v1/status"):
                return json_answer(start_response, "200 OK", dict(self._service.status()))
            case ("POST", "/api/v1/runs"):
                return self._submit(environ, start_response)
            case ("GET", "news"):
                return self._news(path, environ, start_response)
            case ("POST", "stop"):
                return self._stop(path, environ, start_response)
        text = f"There is no {environ['REQUEST_METHOD']} {path} here."
        return json_answer(start_response, "404 Not Found", {"error": text})

    def _submit(self, environ: Mapping[str, Any], start_response: Any) -> Iterable[bytes]:
        body = read_body(environ, LARGEST_ORDER_BYTES)
        if body is None:
            return refuse_size(start_response, LARGEST_ORDER_BYTES)
        try:
            accepted = self._service.submit(RunRequest.unpack(body))
        except ServiceBusy as error:
            return json_answer(start_response, "409 Conflict", {"error": str(error)})
        except (BadRunRequest, ObswarmError) as error:
            return json_answer(start_response, "400 Bad Request", {"error": str(error)})
        return json_answer(start_response, "201 Created", {"id": accepted.id, "workers": accepted.workers})

    def _news(self, path: str, environ: Mapping[str, Any], start_response: Any) -> Iterable[bytes]:
        news = self._service.events_of(_id_in(path))
        if news is None:
            return json_answer(start_response, "404 Not Found", {"error": "there is no such run here."})
        query = parse_qs(environ.get("QUERY_STRING", ""))
        after = query.get("after", ["0"])[0]
        number = int(after) if after.isdecimal() and query.get("boot") == [news.boot] else 0
        packed = pack_message([news.boot, news.since(number, _WAIT_S)])
        return answer(start_response, "200 OK", packed, MESSAGEPACK)

    def _stop(self, path: str, environ: Mapping[str, Any], start_response: Any) -> Iterable[bytes]:
        control = self._service.control_of(_id_in(path))
        if control is None:
            return json_answer(start_response, "404 Not Found", {"error": "there is no such run here."})
        try:
            command = json.loads(read_body(environ, _LARGEST_COMMAND_BYTES) or b"")
            kind, detail, abort = StopKind(command["kind"]), command["detail"], command["abort"]
            if type(detail) is not str or type(abort) is not bool:
                raise ValueError("wrong values")
        except (ValueError, KeyError, TypeError):
            return json_answer(start_response, "400 Bad Request", {"error": "it needs kind, detail and abort."})
        reason = StopReason(kind, detail)
        if abort:
            control.abort(reason)
        else:
            control.stop(reason)
        return json_answer(start_response, "200 OK", {})


def _id_in(path: str) -> str:
    return path.removeprefix(RUNS_PATH).strip("/").split("/")[0]
