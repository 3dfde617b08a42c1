"""HTTP client of a master service: submits a run, receives its events, and stops it."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import gevent
import requests

from obswarm import __version__, clock
from obswarm.api import ObswarmError
from obswarm.bounded_msgpack import unpack as unpack_limited
from obswarm.engine import RunResult, StopReason
from obswarm.http import ApiAccess, ApiSession, ApiTarget, failure_of, naming_of_token, plain_reason, trouble_of
from obswarm.record import ServiceState, Snapshot
from obswarm.units import format_duration
from obswarm.web.run_request import RunRequest
from obswarm.web.runs import MESSAGEPACK, RUNS_PATH, SERVICE_PATH
from obswarm.web.wire import NotReadable, unpack_result, unpack_snapshot

_TIMEOUT_S = 10.0
_STATUS_TIMEOUT_S = 2.0
_LONGEST_S = 120.0
"""A run request may have 64 MiB, and the events of a run several."""

_LARGEST_ANSWER_BYTES = 256 * 1024 * 1024
_SUBMIT_TIMEOUT_S = 40.0
"""Enough for a large load test, and for a master that waits for its workers."""
_START_S = 8.0
"""Maximum time for the start of a master's process."""
_AGAIN_S = 0.3
_SILENT_S = 60.0
_UNKNOWN_S = 5.0
"""A run has ended when a master that waits for runs has not known it for this long."""
_MOST_ITEMS = 1_000_000


class MasterError(ObswarmError):
    """The master does not respond, or refuses a request."""


class Submitted(NamedTuple):
    """A run that the master has accepted: the number of its request, its workers, and its id."""

    number: str
    workers: int
    run_id: str


@dataclass(frozen=True, slots=True)
class Log:
    """A log record of the master."""

    level: int
    name: str
    text: str


@dataclass(frozen=True, slots=True)
class End:
    """The end of the run: its result, or the error that prevented it."""

    result: RunResult | None
    exit_code: int
    error: str | None


class _UnknownRun(NotReadable):
    """The master does not know the requested run."""


class MasterClient:
    """Client of the API at `url`. All methods raise MasterError."""

    def __init__(self, url: str, token: str, trust_env: bool = True, verify: bool = True) -> None:
        """`trust_env`: use the proxies and certificates of the environment. Without `verify`, the master may have any
        certificate, for a master whose address no other process can have."""
        self.url = url.rstrip("/")
        self._given_up = False
        self._give_up_at_s = math.inf
        self.restarts = 0
        """Number of restarts of the master's process that `events` has noticed."""
        access = ApiAccess(token=token)
        self._api_target = ApiTarget(self.url, access, naming_of_token("--api-token"))
        self._session = ApiSession(_LARGEST_ANSWER_BYTES, _LONGEST_S, trust_env, access)
        self._how: dict[str, Any] = {} if verify else {"verify": False}

    def give_up(self) -> None:
        """Stop waiting when the master does not respond."""
        self._given_up = True

    def give_up_at(self, time_s: float) -> None:
        """Have `events` stop waiting for the end of the run at this monotonic time."""
        self._give_up_at_s = time_s

    def status(self, timeout_s: float = _TIMEOUT_S) -> dict[str, Any]:
        """Return version, state, run_id, loadtest, and workers by name."""
        return self._request("GET", SERVICE_PATH, timeout_s=timeout_s)

    def wait_for_workers(self, wanted: int, longest_s: float) -> bool:
        """Wait until `wanted` workers are idle, or a run is in progress, also while the master restarts. Returns False
        after `longest_s` seconds."""
        until_s = clock.monotonic() + longest_s
        while True:
            try:
                status = self.status(timeout_s=_STATUS_TIMEOUT_S)
            except MasterError:
                status = {}
            if status.get("state") == ServiceState.RUNNING or len(status.get("workers", ())) >= wanted:
                return True
            if clock.monotonic() > until_s:
                return False
            gevent.sleep(_AGAIN_S)

    def submit(self, request: RunRequest) -> Submitted:
        """Submit a run. Waits while the master restarts."""
        self._wait_for_master()
        answer = self._request("POST", RUNS_PATH, request.pack(), MESSAGEPACK, _SUBMIT_TIMEOUT_S)
        number, workers, run_id = (answer.get(name) for name in ("id", "workers", "run_id"))
        if not isinstance(number, str) or not isinstance(workers, int) or not isinstance(run_id, str):
            raise MasterError(f"The server at {self.url} is not a master of obswarm {__version__}.")
        return Submitted(number, workers, run_id)

    def _wait_for_master(self) -> None:
        until_s = clock.monotonic() + _START_S
        while True:
            try:
                self._session.get(self.url + SERVICE_PATH, timeout=_TIMEOUT_S, **self._how)
                return
            except requests.RequestException as error:
                # Other errors are reported when the run is submitted.
                if not isinstance(error, requests.ConnectionError) or clock.monotonic() > until_s:
                    return
            gevent.sleep(_AGAIN_S)

    def stop(self, number: str, reason: StopReason, abort: bool) -> None:
        command = {"kind": reason.kind, "detail": reason.detail, "abort": abort}
        self._request("POST", f"{RUNS_PATH}/{number}/stop", command)

    def _request(
        self, method: str, path: str, body: Any = None, content_type: str = "", timeout_s: float = _TIMEOUT_S
    ) -> dict[str, Any]:
        how: dict[str, Any] = (
            {"data": body, "headers": {"Content-Type": content_type}} if content_type else {"json": body}
        )
        try:
            answer = self._session.request(method, self.url + path, timeout=timeout_s, **how, **self._how)
        except requests.RequestException as error:
            why = failure_of(error, self._api_target, timeout_s).reason
            raise MasterError(f"No master responds at {self.url}: {why}") from None
        if answer.status_code == 401:
            raise MasterError(f"The master at {self.url} does not accept the token; check --api-token.")
        try:
            document = answer.json()
        except (ValueError, RecursionError):
            document = None
        if answer.ok and isinstance(document, dict):
            return document
        reason = document.get("error") if isinstance(document, dict) else None
        failure = None if reason else trouble_of(answer, self._api_target, "has no API of a master at that path")
        if failure is not None:
            raise MasterError(f"The server at {self.url} {failure.text}.")
        raise MasterError(f"The master at {self.url} refuses the request: {reason or f'HTTP {answer.status_code}'}")

    def events(self, number: str) -> Iterator[Snapshot | Log | End]:
        """Receive the events of a run until its end. Waits up to 60 s while the master does not respond."""
        boot, last, heard_s = "", 0, clock.monotonic()
        unknown_since_s: float | None = None
        while True:
            if clock.monotonic() >= self._give_up_at_s:
                raise MasterError(f"The master at {self.url} has not ended the run on request.")
            try:
                boot_now, items = self._events(number, boot, last)
            except (requests.RequestException, NotReadable) as error:
                now = clock.monotonic()
                if not (isinstance(error, _UnknownRun) and self._is_waiting()):
                    unknown_since_s = None
                elif unknown_since_s is None:
                    unknown_since_s = now
                elif now - unknown_since_s > _UNKNOWN_S:
                    raise MasterError(
                        f"The master at {self.url} does not know the run any more: it was restarted, and lost the run."
                    ) from None
                if self._given_up or now - heard_s > _SILENT_S:
                    reason = plain_reason(error) if isinstance(error, requests.RequestException) else str(error)
                    silence = format_duration(round(now - heard_s))
                    raise MasterError(f"The master at {self.url} has not responded for {silence}: {reason}") from None
                gevent.sleep(_AGAIN_S)
                continue
            self.restarts += boot not in ("", boot_now)
            heard_s, boot, unknown_since_s = clock.monotonic(), boot_now, None
            for item in items:
                try:
                    last, event = _read(item)
                except NotReadable as error:
                    raise MasterError(f"An event from the master at {self.url} cannot be read: {error}.") from None
                yield event
                if isinstance(event, End):
                    return

    def _is_waiting(self) -> bool:
        try:
            return bool(self.status()["state"] == ServiceState.WAITING)
        except (MasterError, KeyError):
            return False

    def _events(self, number: str, boot: str, after: int) -> tuple[str, list[Any]]:
        timeout_s = max(_AGAIN_S, min(_TIMEOUT_S, self._give_up_at_s - clock.monotonic()))
        answer = self._session.get(
            f"{self.url}{RUNS_PATH}/{number}/news",
            params={"boot": boot, "after": str(after)},
            timeout=timeout_s,
            **self._how,
        )
        # Also the response before the process of the run has started.
        if answer.status_code == 404:
            raise _UnknownRun("it does not know the run")
        if answer.status_code != 200:
            raise NotReadable(f"it does not know the run (HTTP {answer.status_code})")
        try:
            boot, items = unpack_limited(answer.content, _MOST_ITEMS)
        except (ValueError, TypeError) as error:
            raise NotReadable(f"its response is invalid ({type(error).__name__})") from None
        return boot, items


def _read(item: Any) -> tuple[int, Snapshot | Log | End]:
    """Decode an event and its number. Raises NotReadable."""
    try:
        number, kind, *content = item
        if kind == "snapshot":
            return number, unpack_snapshot(content[0])
        if kind == "log":
            level, name, text = content
            return number, Log(int(level), str(name), str(text))
        packed, exit_code, error = content
        return number, End(unpack_result(packed) if packed is not None else None, exit_code, error)
    except NotReadable:
        raise
    except (ValueError, TypeError, IndexError) as error:
        raise NotReadable(f"it is not an event of this version ({type(error).__name__})") from None
