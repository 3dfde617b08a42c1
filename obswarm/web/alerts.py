"""POST /api/v1/alerts: takes the webhooks of Alertmanager and Grafana, for whoever has the token."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from obswarm.guards import Alert, BadPayload, GuardBoard, Verdict, parse_payload, still_firing
from obswarm.web.answers import has_token, json_answer, read_body, refuse_size, refuse_token

logger = logging.getLogger(__name__)

PATH = "/api/v1/alerts"
LARGEST_BODY_BYTES = 1024 * 1024


class AlertsApp:
    """A WSGI application. Answers 200 with what each alert leads to, 400 for a body that is none, 401 for a wrong
    token, 413 for one that is too large. With `?dry_run=1` nothing is done, and so without a board: there is no
    run then, and what fires is remembered for the next one. `firing` did so before."""

    def __init__(self, board: GuardBoard | None, token: str, firing: Sequence[Alert] = ()) -> None:
        self._board = board
        self._waiting = list(firing)
        self._token = token.encode()
        self._told = False

    def __call__(self, environ: Mapping[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] != "POST":
            return json_answer(start_response, "405 Method Not Allowed", {"error": "POST it."}, [("Allow", "POST")])
        if not has_token(environ, self._token):
            return refuse_token(start_response)
        body = read_body(environ, LARGEST_BODY_BYTES)
        if body is None:
            return refuse_size(start_response, LARGEST_BODY_BYTES)
        try:
            alerts = parse_payload(body)
        except BadPayload as error:
            if not self._told:
                self._told = True
                logger.warning("An alert that was delivered cannot be read: %s.", error)
            return json_answer(start_response, "400 Bad Request", {"error": str(error)})
        return json_answer(start_response, "200 OK", self._result(alerts, _is_dry(environ.get("QUERY_STRING", ""))))

    def _result(self, alerts: list[Alert], dry: bool) -> dict[str, Any]:
        if self._board is None:
            if not dry:
                self._waiting = still_firing(self._waiting, alerts)
            nothing = [Verdict(alert, None, "there is no run") for alert in alerts]
            return {"dry_run": dry, "alerts": [verdict.document() for verdict in nothing]}
        verdicts = self._board.try_alerts(alerts) if dry else self._board.deliver(alerts)
        return {"dry_run": dry, "alerts": [verdict.document() for verdict in verdicts]}

    @property
    def firing(self) -> list[Alert]:
        """What has been delivered and fires."""
        return self._waiting if self._board is None else self._board.alerts.firing


def _is_dry(query: str) -> bool:
    return "dry_run=1" in query.split("&")
