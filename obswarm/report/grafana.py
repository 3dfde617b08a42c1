"""Annotations of a run in Grafana (https://grafana.com/docs/grafana/latest/developers/http_api/annotations/)."""

import html
import logging

import gevent
import requests
from gevent.queue import Queue

from obswarm.engine import Output, RunHandle
from obswarm.greenlets import Supervisor
from obswarm.http import ApiAccess, ApiSession, Asked, failure_of, naming_of_token, trouble_of
from obswarm.sanitize import escape_controls
from obswarm.stats import Annotation

logger = logging.getLogger(__name__)

_TIMEOUT_S = 5.0
_LONGEST_S = 10.0
_LARGEST_ANSWER_BYTES = 1024 * 1024
_WAITING = 1_000


class GrafanaAnnotations(Output):
    """Sends them in the background. One that cannot be sent is a warning, of each reason once, and keeps nobody
    waiting."""

    name = "The annotations in Grafana"
    required = False

    def __init__(self, url: str, token: str, longest_s: float = _TIMEOUT_S) -> None:
        self._url = url.rstrip("/") + "/api/annotations"
        self._run_id = ""
        self._longest_s = longest_s
        access = ApiAccess(token=token)
        self._asked = Asked(url, access, naming_of_token("--grafana-token"))
        self._session = ApiSession(_LARGEST_ANSWER_BYTES, _LONGEST_S, access=access)
        self._queue: Queue[Annotation] = Queue(_WAITING)
        self._warned: set[str] = set()
        self._sender: gevent.Greenlet | None = None
        self._failure: BaseException | None = None

    def start(self, run: RunHandle) -> None:
        self._run_id = run.run_id
        self._sender = Supervisor(self._sending_failed).keep("The sender of annotations", self._send_all)

    def annotation(self, annotation: Annotation) -> None:
        """Does not wait."""
        if self._failure is not None:
            raise self._failure
        if self._queue.full():
            self._warn("too many of them wait")
        else:
            self._queue.put_nowait(annotation)

    def close(self) -> None:
        """Let those that wait be sent, for so long at most."""
        if self._sender is not None:
            # What ends the iteration over a gevent queue; in one that is full it would wait for room.
            if not self._queue.full():
                self._queue.put_nowait(StopIteration)
            self._sender.join(self._longest_s)
            self._sender.kill()
        self._session.close()

    def _sending_failed(self, what: str, error: BaseException) -> None:
        self._failure = error

    def _send_all(self) -> None:
        for annotation in self._queue:
            self._send(annotation)

    def _send(self, annotation: Annotation) -> None:
        document = {
            "time": int(annotation.time_s * 1000),
            "tags": ["obswarm", annotation.kind, self._run_id],
            # Grafana shows the HTML in it (https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/annotate-visualizations/).
            "text": html.escape(escape_controls(annotation.text), quote=False),
        }
        try:
            answer = self._session.post(self._url, json=document, timeout=_TIMEOUT_S)
        except requests.RequestException as error:
            self._warn(f"it {failure_of(error, self._asked, _TIMEOUT_S).text}")
            return
        failure = trouble_of(answer, self._asked, "has no annotations at that path; see --grafana-url")
        if failure is not None:
            self._warn(f"it {failure.text}")

    def _warn(self, reason: str) -> None:
        if reason not in self._warned and len(self._warned) < _WAITING:
            self._warned.add(reason)
            logger.warning("An annotation could not be sent to %s: %s.", self._url, reason)
