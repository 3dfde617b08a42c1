"""Asks a master that stays for runs."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import gevent
import requests

from obswarm import __version__, clock
from obswarm.api import ObswarmError
from obswarm.bounded_msgpack import unpack as unpack_limited
from obswarm.engine import RunResult, StopReason
from obswarm.http import ApiAccess, ApiSession, Asked, failure_of, naming_of_token, plain_reason, trouble_of
from obswarm.record import Snapshot
from obswarm.web.run_request import RunRequest
from obswarm.web.runs import MESSAGEPACK, RUNS_PATH, STATUS_PATH
from obswarm.web.wire import NotReadable, unpack_result, unpack_snapshot

_TIMEOUT_S = 10.0
_STATUS_TIMEOUT_S = 2.0
_LONGEST_S = 120.0
"""An order may have 64 MiB, and the news of a run some."""

_LARGEST_ANSWER_BYTES = 256 * 1024 * 1024
_ORDER_TIMEOUT_S = 40.0
"""A large load test, and a master that waits for its workers."""
_START_S = 8.0
"""How long the start of a master's process may take."""
_AGAIN_S = 0.3
_SILENT_S = 60.0
_UNKNOWN_S = 5.0
"""How long a master that waits for runs may not know a run before that is taken as its end."""
_MOST_ITEMS = 1_000_000


class MasterError(ObswarmError):
    """It does not answer, or does not do what it is asked."""


@dataclass(frozen=True, slots=True)
class Log:
    """A log record of the master's."""

    level: int
    name: str
    text: str


@dataclass(frozen=True, slots=True)
class End:
    """How it ended: a result, or an error because of which there was no run."""

    result: RunResult | None
    exit_code: int
    error: str | None


class _UnknownRun(NotReadable):
    """It does not know the run that it is asked about."""


class MasterClient:
    """Talks to the API at `url`. All methods raise MasterError."""

    def __init__(self, url: str, token: str, trust_env: bool = True) -> None:
        """With `trust_env` the environment's proxies and certificates are used."""
        self.url = url.rstrip("/")
        self._given_up = False
        self.give_up_at_s = math.inf
        """Then the end of the run is not waited for any more."""
        self.restarts = 0
        """How often the master was seen to have become another process."""
        access = ApiAccess(token=token)
        self._asked = Asked(self.url, access, naming_of_token("--api-token"))
        self._session = ApiSession(_LARGEST_ANSWER_BYTES, _LONGEST_S, trust_env, access)

    def give_up(self) -> None:
        """Do not wait for a master that does not answer."""
        self._given_up = True

    def status(self, timeout_s: float = _TIMEOUT_S) -> dict[str, Any]:
        """What it does: version, state, run_id, loadtest, workers by name."""
        return self._ask("GET", STATUS_PATH, timeout_s=timeout_s)

    def wait_for_workers(self, wanted: int, longest_s: float) -> bool:
        """Until so many workers wait for a run, or there is a run; gives whether that came true in that time. A master
        that is being started again is waited for, too."""
        until_s = clock.monotonic() + longest_s
        while True:
            try:
                status = self.status(timeout_s=_STATUS_TIMEOUT_S)
            except MasterError:
                status = {}
            if status.get("state") == "running" or len(status.get("workers", ())) >= wanted:
                return True
            if clock.monotonic() > until_s:
                return False
            gevent.sleep(_AGAIN_S)

    def order(self, order: RunRequest) -> tuple[str, int]:
        """(id of the run that was asked for, number of workers). A master that is being started again is waited for."""
        self._wait_for_master()
        answer = self._ask("POST", RUNS_PATH, order.pack(), MESSAGEPACK, _ORDER_TIMEOUT_S)
        number, workers = answer.get("id"), answer.get("workers")
        if not isinstance(number, str) or not isinstance(workers, int):
            raise MasterError(f"What answers at {self.url} is no master of obswarm {__version__}.")
        return number, workers

    def _wait_for_master(self) -> None:
        until_s = clock.monotonic() + _START_S
        while True:
            try:
                self._session.get(self.url + STATUS_PATH, timeout=_TIMEOUT_S)
                return
            except requests.RequestException as error:
                # What is wrong otherwise shows when it is asked for the run.
                if not isinstance(error, requests.ConnectionError) or clock.monotonic() > until_s:
                    return
            gevent.sleep(_AGAIN_S)

    def stop(self, number: str, reason: StopReason, abort: bool) -> None:
        command = {"kind": reason.kind, "detail": reason.detail, "abort": abort}
        self._ask("POST", f"{RUNS_PATH}/{number}/stop", command)

    def _ask(
        self, method: str, path: str, body: Any = None, content_type: str = "", timeout_s: float = _TIMEOUT_S
    ) -> dict[str, Any]:
        how: dict[str, Any] = (
            {"data": body, "headers": {"Content-Type": content_type}} if content_type else {"json": body}
        )
        try:
            answer = self._session.request(method, self.url + path, timeout=timeout_s, **how)
        except requests.RequestException as error:
            why = failure_of(error, self._asked, timeout_s).reason
            raise MasterError(f"No master answers at {self.url}: {why}") from None
        if answer.status_code == 401:
            raise MasterError(f"The master at {self.url} does not accept the token; see --api-token.")
        try:
            document = answer.json()
        except (ValueError, RecursionError):
            document = None
        if answer.ok and isinstance(document, dict):
            return document
        reason = document.get("error") if isinstance(document, dict) else None
        failure = None if reason else trouble_of(answer, self._asked, "has no API of a master at that path")
        if failure is not None:
            raise MasterError(f"What answers at {self.url} {failure.text}.")
        raise MasterError(f"The master at {self.url} refuses: {reason or f'HTTP {answer.status_code}'}")

    def news(self, number: str) -> Iterator[Snapshot | Log | End]:
        """Everything that happens, until the end. A master that is away for a while is waited for."""
        boot, last, heard_s = "", 0, clock.monotonic()
        unknown_since_s: float | None = None
        while True:
            if clock.monotonic() >= self.give_up_at_s:
                raise MasterError(f"The master at {self.url} has not ended the run after it was asked to.")
            try:
                boot_now, news = self._news(number, boot, last)
            except (requests.RequestException, NotReadable) as error:
                now = clock.monotonic()
                if not (isinstance(error, _UnknownRun) and self._is_waiting()):
                    unknown_since_s = None
                elif unknown_since_s is None:
                    unknown_since_s = now
                elif now - unknown_since_s > _UNKNOWN_S:
                    raise MasterError(
                        f"The master at {self.url} does not know the run any more: it was started again without it."
                    ) from None
                if self._given_up or now - heard_s > _SILENT_S:
                    reason = plain_reason(error) if isinstance(error, requests.RequestException) else str(error)
                    raise MasterError(
                        f"The master at {self.url} has not answered for {now - heard_s:.0f} s: {reason}"
                    ) from None
                gevent.sleep(_AGAIN_S)
                continue
            self.restarts += boot not in ("", boot_now)
            heard_s, boot, unknown_since_s = clock.monotonic(), boot_now, None
            for item in news:
                try:
                    last, told = _read(item)
                except NotReadable as error:
                    raise MasterError(f"What the master at {self.url} tells cannot be read: {error}.") from None
                yield told
                if isinstance(told, End):
                    return

    def _is_waiting(self) -> bool:
        try:
            return bool(self.status()["state"] == "waiting")
        except (MasterError, KeyError):
            return False

    def _news(self, number: str, boot: str, after: int) -> tuple[str, list[Any]]:
        timeout_s = max(_AGAIN_S, min(_TIMEOUT_S, self.give_up_at_s - clock.monotonic()))
        answer = self._session.get(
            f"{self.url}{RUNS_PATH}/{number}/news", params={"boot": boot, "after": str(after)}, timeout=timeout_s
        )
        # Until the process that makes the run is there, it is not known.
        if answer.status_code == 404:
            raise _UnknownRun("it does not know the run")
        if answer.status_code != 200:
            raise NotReadable(f"it does not know the run (HTTP {answer.status_code})")
        try:
            boot, news = unpack_limited(answer.content, _MOST_ITEMS)
        except (ValueError, TypeError) as error:
            raise NotReadable(f"it answers something else ({type(error).__name__})") from None
        return boot, news


def _read(item: Any) -> tuple[int, Snapshot | Log | End]:
    """One news and its number. Raises NotReadable."""
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
        raise NotReadable(f"no news of this version ({type(error).__name__})") from None
