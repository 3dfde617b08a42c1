"""Send annotations of a run to Grafana (https://grafana.com/docs/grafana/latest/developers/http_api/annotations/)."""

import html
import logging

import gevent
import requests
from gevent.queue import Queue

from obswarm.engine import Output, RunHandle
from obswarm.greenlets import Supervisor
from obswarm.http import ApiAccess, ApiSession, ApiTarget, failure_of, naming_of_token, trouble_of
from obswarm.record import Annotation
from obswarm.sanitize import escape_controls

logger = logging.getLogger(__name__)

_TIMEOUT_S = 5.0
_TOTAL_TIMEOUT_S = 10.0
_MAX_RESPONSE_BYTES = 1024 * 1024
_QUEUE_SIZE = 1_000


class GrafanaAnnotations(Output):
    """Output that sends annotations in a background greenlet. Logs a warning once for each reason of a failure."""

    name = "The annotations in Grafana"
    required = False

    def __init__(self, url: str, token: str, flush_timeout_s: float = _TIMEOUT_S) -> None:
        self._url = url.rstrip("/") + "/api/annotations"
        self._run_id = ""
        self._flush_timeout_s = flush_timeout_s
        access = ApiAccess(token=token)
        self._api_target = ApiTarget(url, access, naming_of_token("--grafana-token"))
        self._session = ApiSession(_MAX_RESPONSE_BYTES, _TOTAL_TIMEOUT_S, access=access)
        self._queue: Queue[Annotation] = Queue(_QUEUE_SIZE)
        self._warned: set[str] = set()
        self._sender: gevent.Greenlet | None = None
        self._failure: BaseException | None = None

    def start(self, run: RunHandle) -> None:
        self._run_id = run.run_id
        self._sender = Supervisor(self._on_sender_failed).keep("The sender of annotations", self._send_all)

    def annotation(self, annotation: Annotation) -> None:
        """Enqueue the annotation. Does not block."""
        if self._failure is not None:
            raise self._failure
        if self._queue.full():
            self._warn("the queue is full")
        else:
            self._queue.put_nowait(annotation)

    def close(self) -> None:
        """Wait until the queue is sent, for at most `flush_timeout_s`."""
        if self._sender is not None:
            # StopIteration ends the iteration over a gevent queue. Putting it into a full queue would block.
            if not self._queue.full():
                self._queue.put_nowait(StopIteration)
            self._sender.join(self._flush_timeout_s)
            self._sender.kill()
        self._session.close()

    def _on_sender_failed(self, what: str, error: BaseException) -> None:
        self._failure = error

    def _send_all(self) -> None:
        for annotation in self._queue:
            self._send(annotation)

    def _send(self, annotation: Annotation) -> None:
        document = {
            "time": int(annotation.time_s * 1000),
            "tags": ["obswarm", annotation.kind, self._run_id],
            # Grafana renders HTML in it
            # (https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/annotate-visualizations/).
            "text": html.escape(escape_controls(annotation.text), quote=False),
        }
        try:
            response = self._session.post(self._url, json=document, timeout=_TIMEOUT_S)
        except requests.RequestException as error:
            self._warn(f"it {failure_of(error, self._api_target, _TIMEOUT_S).text}")
            return
        failure = trouble_of(response, self._api_target, "has no annotations API at this path; check --grafana-url")
        if failure is not None:
            self._warn(f"it {failure.text}")

    def _warn(self, reason: str) -> None:
        if reason not in self._warned and len(self._warned) < _QUEUE_SIZE:
            self._warned.add(reason)
            logger.warning("An annotation could not be sent to %s: %s.", self._url, reason)
