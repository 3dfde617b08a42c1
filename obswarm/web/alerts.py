"""POST /api/v1/alerts: takes the webhooks of Alertmanager and Grafana, for whoever has the token."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from obswarm.guards import (
    Alert,
    AlertCounts,
    BadPayload,
    Delivery,
    GuardBoard,
    Refusal,
    RefusalReason,
    Verdict,
    parse_payload,
    still_firing,
)
from obswarm.web.answers import has_token, json_answer, read_body, refuse_size, refuse_token

PATH = "/api/v1/alerts"
LARGEST_BODY_BYTES = 4 * 1024 * 1024
_MOST_REFUSED_SHOWN = 20


class AlertsApp:
    """A WSGI application. Each alert of a delivery is judged by itself: 200 with what each one leads to, and why others
    were refused; 400 when none can be read, 401 for a wrong token, 413 for a body that is too large. It never answers
    5xx on purpose: Alertmanager would try again at once, and nothing would go better then. After a 4xx it delivers the
    same once in its group_interval, which is counted each time.

    With `?dry_run=1` nothing is done, and so without a board: there is no run then, and what fires is remembered for
    the next one. `firing` did so before.
    """

    def __init__(self, board: GuardBoard | None, token: str, firing: Sequence[Alert] = ()) -> None:
        self._board = board
        self._counts = board.alert_counts if board is not None else AlertCounts()
        self._waiting = list(firing)
        self._token = token.encode()

    def __call__(self, environ: Mapping[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] != "POST":
            return json_answer(start_response, "405 Method Not Allowed", {"error": "POST it."}, [("Allow", "POST")])
        if not has_token(environ, self._token):
            self._refuse(RefusalReason.TOKEN, "a delivery without the right bearer token")
            return refuse_token(start_response)
        body = read_body(environ, LARGEST_BODY_BYTES)
        if body is None:
            text = f"a delivery of more than {LARGEST_BODY_BYTES // 1024**2} MiB; max_alerts of its webhook bounds it"
            self._refuse(RefusalReason.TOO_LARGE, text)
            return refuse_size(start_response, LARGEST_BODY_BYTES)
        dry = _is_dry(environ.get("QUERY_STRING", ""))
        try:
            delivery = parse_payload(body)
        except BadPayload as error:
            if not dry:
                self._counts.refuse([error.refusal])
            return json_answer(start_response, "400 Bad Request", {"error": str(error)})
        document = self._result(delivery, dry)
        unread = [refusal for refusal in delivery.refused if refusal.reason is not RefusalReason.TRUNCATED]
        if unread and not delivery.alerts:
            return json_answer(start_response, "400 Bad Request", {"error": unread[0].text, **document})
        return json_answer(start_response, "200 OK", document)

    def _refuse(self, reason: RefusalReason, text: str) -> None:
        self._counts.refuse([Refusal(reason, text)])

    def _result(self, delivery: Delivery, dry: bool) -> dict[str, Any]:
        verdicts = self._verdicts(delivery, dry)
        return {
            "dry_run": dry,
            "alerts": [verdict.document() for verdict in verdicts],
            "refused": sum(refusal.count for refusal in delivery.refused),
            "refused_because": [refusal.text for refusal in delivery.refused[:_MOST_REFUSED_SHOWN]],
        }

    def _verdicts(self, delivery: Delivery, dry: bool) -> list[Verdict]:
        if self._board is None:
            if not dry:
                self._counts.refuse(delivery.refused)
                self._waiting = still_firing(self._waiting, delivery.alerts)
            return [Verdict(alert, None, "there is no run") for alert in delivery.alerts]
        return self._board.try_alerts(delivery.alerts) if dry else self._board.deliver(delivery)

    @property
    def firing(self) -> list[Alert]:
        """What has been delivered and fires."""
        return self._waiting if self._board is None else self._board.alerts.firing


def _is_dry(query: str) -> bool:
    return "dry_run=1" in query.split("&")
