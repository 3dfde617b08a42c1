"""`obswarm dashboards`: dashboards and alert rules for an existing Grafana and Prometheus."""

import json
import shutil
from pathlib import Path
from typing import Any

import click
import requests

from obswarm.api import ObswarmError
from obswarm.cli.option_types import http_url
from obswarm.cli.options import config_option, option, shared_option
from obswarm.http import ApiAccess, ApiSession, ApiTarget, failure_of, naming_of_token, quoted, trouble_of
from obswarm.redact import redact_url
from obswarm.resources import shipped
from obswarm.sanitize import clean_text
from obswarm.streams import echo

_TIMEOUT_S = 10.0
_LONGEST_S = 60.0
_LARGEST_ANSWER_BYTES = 16 * 1024 * 1024
_FOLDER = "obswarm"


@click.group()
def dashboards() -> None:
    """Export the dashboards, or push them to a Grafana."""


@dashboards.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), default=".", metavar="[FOLDER]")
def export(folder: Path) -> None:
    """Write the dashboards and the alert rules to files.

    The dashboards are JSON files for Grafana, the alert rules a file for Prometheus. FOLDER is the current one by
    default.
    """
    source = shipped("dashboards")
    files = [*sorted((source / "json").glob("*.json")), *sorted((source / "rules").glob("*.yml"))]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in files:
            shutil.copyfile(path, folder / path.name)
            echo(folder / path.name)
    except OSError as error:
        raise ObswarmError(f"{folder} cannot be written: {error.strerror}.") from None


@dashboards.command()
@shared_option(
    "--grafana-url", type=http_url, metavar="URL", help="URL of Grafana.  [default: grafana_url of obswarm.toml]"
)
@shared_option("--grafana-token", metavar="TOKEN", help="Service account token with the role Editor.")
@option(
    "--folder",
    metavar="TITLE",
    default=_FOLDER,
    show_default=True,
    help="Title of the dashboards' folder in Grafana; created if it does not exist.",
    envvar=None,
)
@config_option
def push(**options: Any) -> None:
    """Push the dashboards to a Grafana.

    Earlier versions of them are replaced.
    """
    url, token = options["grafana_url"], options["grafana_token"]
    if not url or not token:
        raise ObswarmError("Give --grafana-url and --grafana-token, or write them into obswarm.toml.")
    if not (token.isascii() and token.isprintable()):
        raise ObswarmError("--grafana-token contains an invalid character, such as a line break; remove it.")
    grafana = _Grafana(url.rstrip("/"), token)
    folder_uid = grafana.folder(options["folder"])
    for path in sorted((shipped("dashboards") / "json").glob("*.json")):
        dashboard = json.loads(path.read_text(encoding="utf-8"))
        echo(f"{redact_url(url.rstrip('/'))}{grafana.put(dashboard, folder_uid)}")


class _Grafana:
    """Client of Grafana's HTTP API (https://grafana.com/docs/grafana/latest/developers/http_api/). Raises
    ObswarmError."""

    def __init__(self, url: str, token: str) -> None:
        self._url = url
        access = ApiAccess(token=token)
        self._api_target = ApiTarget(url, access, naming_of_token("--grafana-token"))
        self._session = ApiSession(_LARGEST_ANSWER_BYTES, _LONGEST_S, access=access)

    def folder(self, title: str) -> str:
        """Return the uid of the folder, which is created if it does not exist."""
        folders, answer = self._request("GET", "/api/folders")
        for each in folders:
            if self._text(each, "title", answer) == title:
                return self._text(each, "uid", answer)
        made, answer = self._request("POST", "/api/folders", {"title": title})
        return self._text(made, "uid", answer)

    def put(self, document: dict[str, Any], folder_uid: str) -> str:
        """Create or replace a dashboard; returns its path."""
        body = {"dashboard": {**document, "id": None}, "folderUid": folder_uid, "overwrite": True}
        put, answer = self._request("POST", "/api/dashboards/db", body)
        return self._text(put, "url", answer)

    def _text(self, found: Any, key: str, answer: requests.Response) -> str:
        value = found.get(key) if isinstance(found, dict) else None
        if not isinstance(value, str):
            raise self._no_grafana(answer)
        return clean_text(value)

    def _request(self, method: str, path: str, body: Any = None) -> tuple[Any, requests.Response]:
        """Send a request; returns the decoded JSON and the response."""
        try:
            answer = self._session.request(method, self._url + path, json=body, timeout=_TIMEOUT_S)
        except requests.RequestException as error:
            reason = failure_of(error, self._api_target, _TIMEOUT_S).reason
            raise ObswarmError(f"Grafana does not respond at {self._url}: {reason}.") from None
        if answer.status_code in (401, 403):
            raise ObswarmError(
                f"Grafana at {self._url} does not permit that with this token (HTTP {answer.status_code}); it needs the"
                " role Editor."
            )
        try:
            document = answer.json()
        except (ValueError, RecursionError):
            document = None
        if not answer.ok and isinstance(document, dict) and isinstance(document.get("message"), str):
            reason = clean_text(document["message"])
            raise ObswarmError(f"Grafana at {self._url} refuses the request: {reason} (HTTP {answer.status_code}).")
        failure = trouble_of(answer, self._api_target, "has no API of a Grafana at that path; see --grafana-url")
        if failure is not None:
            raise ObswarmError(f"Grafana at {self._url} {failure.text}.")
        if not isinstance(document, list if method == "GET" else dict):
            raise self._no_grafana(answer)
        return document, answer

    def _no_grafana(self, answer: requests.Response) -> ObswarmError:
        return ObswarmError(f"The server at {self._url} is not a Grafana: {quoted(answer)}.")
