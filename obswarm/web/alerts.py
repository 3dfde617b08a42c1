"""POST /api/v1/alerts: receiver of the webhooks of Alertmanager and Grafana, with a bearer token."""

from collections.abc import Iterable, Mapping
from typing import Any

from obswarm import clock
from obswarm.guards import (
    TOO_MANY,
    Alert,
    AlertCounts,
    AlertTracker,
    BadPayload,
    Delivery,
    GuardEvaluator,
    Refusal,
    RefusalReason,
    Verdict,
    parse_action,
    parse_payload,
    too_many,
)
from obswarm.record import RefusedAlerts
from obswarm.units import format_bytes
from obswarm.web.answers import has_token, json_answer, read_body, refuse_size, refuse_token

PATH = "/api/v1/alerts"
LARGEST_BODY_BYTES = 4 * 1024 * 1024
_MOST_REFUSED_SHOWN = 20


class AlertsApp:
    """A WSGI application that receives alerts.

    Each alert of a delivery is evaluated separately. Responses: 200 with the action for each alert, and the reasons for
    which others were refused; 400 if no alert is valid, 401 for a wrong token, 413 for a body that is too large. There
    is no 5xx on purpose: Alertmanager would retry at once, with the same result. After a 4xx it repeats the delivery
    once in its group_interval, which is counted each time.

    With `?dry_run=1` no action is performed, and refused alerts are not counted. Without an evaluator there is no run:
    firing and refused alerts are kept for the next run, which takes them by `restore`.
    """

    def __init__(self, evaluator: GuardEvaluator | None, token: str) -> None:
        self._evaluator = evaluator
        self._counts = evaluator.alert_counts if evaluator is not None else AlertCounts()
        # Between runs, the default action of the next run is unknown; stop is the strongest one.
        self._alerts = evaluator.alerts if evaluator is not None else AlertTracker(parse_action("stop"))
        self._token = token.encode()

    def __call__(self, environ: Mapping[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] != "POST":
            return json_answer(start_response, "405 Method Not Allowed", {"error": "Use POST."}, [("Allow", "POST")])
        dry = _is_dry(environ.get("QUERY_STRING", ""))
        if not has_token(environ, self._token):
            self._refuse(RefusalReason.TOKEN, "a delivery without the right bearer token", dry)
            return refuse_token(start_response)
        body = read_body(environ, LARGEST_BODY_BYTES)
        if body is None:
            text = f"a delivery of more than {format_bytes(LARGEST_BODY_BYTES)}; limit it by max_alerts of its webhook"
            self._refuse(RefusalReason.TOO_LARGE, text, dry)
            return refuse_size(start_response, LARGEST_BODY_BYTES)
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

    def _refuse(self, reason: RefusalReason, text: str, dry: bool) -> None:
        if not dry:
            self._counts.refuse([Refusal(reason, text)])

    def _result(self, delivery: Delivery, dry: bool) -> dict[str, Any]:
        verdicts = self._verdicts(delivery, dry)
        refused = [*delivery.refused, *too_many(verdicts)]
        return {
            "dry_run": dry,
            "alerts": [verdict.document() for verdict in verdicts],
            "refused": sum(refusal.count for refusal in refused),
            "refused_because": [refusal.text for refusal in refused[:_MOST_REFUSED_SHOWN]],
        }

    def _verdicts(self, delivery: Delivery, dry: bool) -> list[Verdict]:
        if self._evaluator is not None:
            return self._evaluator.dry_run(delivery.alerts) if dry else self._evaluator.deliver(delivery)
        if dry:
            verdicts = self._alerts.dry_run(delivery.alerts, clock.wall())
        else:
            verdicts = self._alerts.take(delivery.alerts, clock.wall())
            self._counts.refuse([*delivery.refused, *too_many(verdicts), *self._alerts.take_displaced()])
        return [
            verdict if verdict.reason == TOO_MANY else Verdict(verdict.alert, None, "there is no run")
            for verdict in verdicts
        ]

    @property
    def has_run(self) -> bool:
        return self._evaluator is not None

    def restore(self, before: Delivery) -> None:
        """Add the alerts that fired, and those that were refused, while there was no run."""
        self._alerts.take(before.alerts, clock.wall())
        self._counts.restore(before.refused)

    @property
    def known(self) -> Delivery:
        """Firing and refused alerts, for the next run."""
        return Delivery(tuple(self.firing), self._counts.refusals)

    @property
    def firing(self) -> list[Alert]:
        """Received alerts that are firing."""
        return self._alerts.firing

    @property
    def refused(self) -> tuple[RefusedAlerts, ...]:
        """Refused alerts, by reason."""
        return self._counts.refused


def _is_dry(query: str) -> bool:
    return "dry_run=1" in query.split("&")
