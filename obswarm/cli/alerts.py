"""`obswarm alerts test`: send a sample alert to a run, and show its reaction."""

from datetime import UTC, datetime
from typing import Any

import click
import requests

from obswarm.api import ObswarmError
from obswarm.app.sources import check_url
from obswarm.cli.options import option
from obswarm.guards.alerts import ACTION_LABEL
from obswarm.http import ApiAccess, ApiSession, ApiTarget, failure_of, naming_of_token, quoted, trouble_of
from obswarm.streams import echo
from obswarm.web import ALERTS_PATH, PORT

_TIMEOUT_S = 5.0
_LONGEST_S = 10.0
_LARGEST_ANSWER_BYTES = 1024 * 1024
_SHOWN = ("alertname", "status", "action", "reason")


@click.group()
def alerts() -> None:
    """Test how a run reacts to alerts."""


@alerts.command()
@option(
    "--url", default=f"http://127.0.0.1:{PORT}", show_default=True, metavar="URL", help="URL of the running master."
)
@option(
    "--token",
    metavar="TOKEN",
    envvar="OBSWARM_ALERTS_TOKEN",
    help="Bearer token for alerts, printed when the run started.",
)
@option(
    "--label",
    "labels",
    multiple=True,
    metavar="NAME=VALUE",
    help="Label of the alert, e.g. severity=warning; repeatable.",
    envvar=None,
)
@option("--action", metavar="ACTION", help=f"Short for --label {ACTION_LABEL}=ACTION.", envvar=None)
@option("--send", is_flag=True, help="Have the run perform the action, instead of only showing it.", envvar=None)
@click.pass_context
def test(ctx: click.Context, /, **options: Any) -> None:
    """Show how a run would react to a sample alert.

    The alert is sent to the running master, which responds with the action.

    The run performs no action unless --send is given.
    """
    check_url("--url", options["url"])
    labels = {"alertname": "ObswarmTest", "severity": "critical"}
    for text in options["labels"]:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise click.BadParameter(f"{text!r}; write it like severity=critical.", ctx, param_hint="--label")
        labels[name] = value
    if options["action"]:
        labels[ACTION_LABEL] = options["action"]
    for verdict in _send(options["url"].rstrip("/") + ALERTS_PATH, options["token"] or "", labels, options["send"]):
        heading = "Action" if options["send"] else "Action with --send"
        action = verdict["action"] or "none"
        echo(f"{verdict['alertname']} ({verdict['status']}). {heading}: {action} ({verdict['reason']}).")


def _send(url: str, token: str, labels: dict[str, str], really: bool) -> list[dict[str, Any]]:
    payload = {
        "version": "4",
        "status": "firing",
        "receiver": "obswarm",
        "alerts": [
            {
                "status": "firing",
                "labels": labels,
                "annotations": {"summary": "A test by obswarm alerts test"},
                "startsAt": datetime.now(UTC).isoformat(),
            }
        ],
    }
    target = ApiTarget(url, ApiAccess(token=token or None), naming_of_token("--token"))
    try:
        with ApiSession(_LARGEST_ANSWER_BYTES, _LONGEST_S) as session:
            answer = session.post(
                url if really else url + "?dry_run=1",
                json=payload,
                headers={"Authorization": f"Bearer {token}"},
                timeout=_TIMEOUT_S,
            )
    except requests.RequestException as error:
        raise ObswarmError(
            f"No run responds at {url}: {failure_of(error, target, _TIMEOUT_S).reason}. Start a run, or set --url."
        ) from None
    if answer.status_code == 401:
        raise ObswarmError(f"{url} does not accept the token; set --token to the one printed when the run started.")
    failure = trouble_of(answer, target, "has no alerts API at that path")
    if failure is not None:
        raise ObswarmError(f"The server at {url} {failure.text}. Set --url to the address of a run.")
    try:
        verdicts: list[dict[str, Any]] = answer.json()["alerts"]
        return [{name: str(each[name] or "") for name in _SHOWN} for each in verdicts]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ObswarmError(
            f"The server at {url} is not a run of obswarm: {quoted(answer)}. Set --url to the address of a run."
        ) from None
