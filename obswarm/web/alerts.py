"""POST /api/v1/alerts: takes the webhooks of Alertmanager and Grafana, for whoever has the token."""

import hmac
import json
import logging
from collections.abc import Iterable, Mapping
from typing import Any

from obswarm.guards import Alert, BadPayload, GuardBoard, parse_payload

logger = logging.getLogger(__name__)

PATH = "/api/v1/alerts"
LARGEST_BODY_BYTES = 1024 * 1024
_PIECE = 65_536


class AlertsApp:
    """A WSGI application. Answers 200 with what each alert leads to, 400 for a body that is none, 401 for a wrong
    token, 413 for one that is too large. With `?dry_run=1` nothing is done."""

    def __init__(self, board: GuardBoard, token: str) -> None:
        self._board = board
        self._token = token.encode()
        self._told = False

    def __call__(self, environ: Mapping[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] != "POST":
            return _answer(start_response, "405 Method Not Allowed", {"error": "POST it."}, [("Allow", "POST")])
        if not self._is_allowed(environ.get("HTTP_AUTHORIZATION", "")):
            challenge = [("WWW-Authenticate", 'Bearer realm="obswarm"')]
            return _answer(
                start_response, "401 Unauthorized", {"error": "the bearer token is missing or wrong"}, challenge
            )
        body = _body(environ)
        if body is None:
            text = f"a body has at most {LARGEST_BODY_BYTES} bytes"
            return _answer(start_response, "413 Content Too Large", {"error": text}, [("Connection", "close")])
        try:
            alerts = parse_payload(body)
        except BadPayload as error:
            if not self._told:
                self._told = True
                logger.warning("An alert that was delivered cannot be read: %s.", error)
            return _answer(start_response, "400 Bad Request", {"error": str(error)})
        return _answer(start_response, "200 OK", self._result(alerts, _is_dry(environ.get("QUERY_STRING", ""))))

    def _is_allowed(self, authorization: str) -> bool:
        scheme, _, given = authorization.partition(" ")
        # Compared in constant time, so that the token cannot be guessed letter by letter.
        fits = hmac.compare_digest(given.strip().encode("utf-8", "surrogateescape"), self._token)
        return scheme.lower() == "bearer" and fits

    def _result(self, alerts: list[Alert], dry: bool) -> dict[str, Any]:
        verdicts = self._board.alerts.judge(alerts) if dry else self._board.deliver(alerts)
        return {"dry_run": dry, "alerts": [verdict.document() for verdict in verdicts]}


def _is_dry(query: str) -> bool:
    return "dry_run=1" in query.split("&")


def _body(environ: Mapping[str, Any]) -> bytes | None:
    """None when it is too large; whatever the head says, no more than the limit is read."""
    announced = environ.get("CONTENT_LENGTH") or ""
    if announced.isdecimal() and int(announced) > LARGEST_BODY_BYTES:
        return None
    stream = environ["wsgi.input"]
    pieces, size = [], 0
    while piece := stream.read(_PIECE):
        size += len(piece)
        if size > LARGEST_BODY_BYTES:
            return None
        pieces.append(piece)
    return b"".join(pieces)


def _answer(
    start_response: Any, status: str, document: dict[str, Any], headers: Iterable[tuple[str, str]] = ()
) -> Iterable[bytes]:
    body = json.dumps(document).encode() + b"\n"
    start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(body))), *headers])
    return [body]
