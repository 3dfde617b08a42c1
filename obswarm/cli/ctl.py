"""`obswarm ctl`: state and commands of a run, through the API of its server."""

import time
from collections.abc import Callable
from typing import Any

import click

from obswarm.api import ObswarmError
from obswarm.app import exit_codes
from obswarm.app.sources import check_url
from obswarm.cli.ctl_line import status_line
from obswarm.cli.options import Command, option, with_options
from obswarm.http import ApiAccess
from obswarm.http.api_client.access import access_of, naming_of_fields
from obswarm.json_text import to_json
from obswarm.streams import echo, echo_lines
from obswarm.web import PORT
from obswarm.web.page_client import PageClient, Unreachable

_EVERY_S = 1.0
_GONE_S = 30.0
"""A server that is not reachable for this long has ended."""
_OVER = ("ready", "stopped")
_ENDING = ("stopping", "stopped")

_CLIENT_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    option(
        "--url",
        default=f"http://127.0.0.1:{PORT}",
        show_default=True,
        metavar="URL",
        envvar="OBSWARM_URL",
        help="URL of the server of the run.",
    ),
    option("--auth", metavar="USER:PASSWORD", envvar="OBSWARM_WEB_AUTH", help="User and password of --web-auth."),
    option(
        "--token-file",
        metavar="FILE",
        envvar="OBSWARM_WEB_TOKEN_FILE",
        help="File with the bearer token, as of --web-token-file.",
    ),
    option("--ca-file", metavar="FILE", envvar=None, help="CA certificates for a server with --tls-cert."),
    click.option("--json", "as_json", is_flag=True, help="Print JSON."),
)


def _client_options(command: Command) -> Command:
    return with_options(command, _CLIENT_OPTIONS)


def _client(options: dict[str, Any]) -> PageClient:
    check_url("--url", options["url"])
    names = {"auth": "--auth", "token_file": "--token-file", "ca_file": "--ca-file"}
    if options["auth"] and options["token_file"]:
        raise ObswarmError("--auth and --token-file exclude each other; give one of them.")
    access: ApiAccess = access_of({name: options[name] or None for name in names})
    naming = naming_of_fields(names)
    access.check_files(naming)
    return PageClient(options["url"], access, naming)


@click.group()
def ctl() -> None:
    """Show and control a run through its server."""


@ctl.command()
@_client_options
def status(**options: Any) -> None:
    """Show the state of the run."""
    _show(_client(options).get("/status"), options["as_json"])


@ctl.command()
@click.option("-u", "--users", type=int, help="Number of users.")
@click.option("-r", "--spawn-rate", type=float, help="Users to start per second.")
@click.option("-t", "--run-time", metavar="DURATION", help="Stop the run after this time.")
@click.option("--stages", metavar="STAGES", help="Number of users over time.")
@click.option("--arrival-rate", metavar="RATE", help="Iterations per unit of time.")
@click.option("-H", "--host", metavar="URL", help="Base URL of the target.")
@click.option("--user-classes", multiple=True, metavar="USER", help="User classes to use; repeatable.")
@click.option("--tags", multiple=True, metavar="TAG", help="Run only tasks with one of these tags; repeatable.")
@click.option("--profile", metavar="TAG", help="Tag of the stored run.")
@click.option(
    "-o", "--option", "pairs", multiple=True, metavar="NAME=VALUE", help="Option of the load test; repeatable."
)
@click.option("--watch", "watches", is_flag=True, help="Watch the run until its end, and exit with its exit code.")
@_client_options
@click.pass_context
def start(ctx: click.Context, /, **options: Any) -> None:
    """Start a run on a server of `obswarm run --web`. Options that are left out have the values of that command."""
    names = ("users", "spawn_rate", "run_time", "stages", "arrival_rate", "host", "profile")
    body: dict[str, Any] = {name: options[name] for name in names if options[name] is not None}
    body |= {name: list(options[name]) for name in ("user_classes", "tags") if options[name]}
    body["options"] = dict(_pair(ctx, text) for text in options["pairs"])
    client = _client(options)
    started = client.post("/start", body)
    if options["as_json"]:
        echo_lines(to_json(started, indent=2))
    else:
        echo(started["run_id"])
    if options["watches"]:
        ctx.exit(_watch(client, options["as_json"]))


@ctl.command()
@click.option("-u", "--users", type=int, help="Number of users.")
@click.option("-r", "--spawn-rate", type=float, help="Users to start per second.")
@click.option("--arrival-rate", metavar="RATE", help="Iterations per unit of time, e.g. 200/s.")
@_client_options
def load(**options: Any) -> None:
    """Change the load of the run."""
    names = ("users", "spawn_rate", "arrival_rate")
    body = {name: options[name] for name in names if options[name] is not None}
    _show(_client(options).post("/load", body), options["as_json"])


@ctl.command()
@_client_options
def hold(**options: Any) -> None:
    """Keep the load as it is."""
    _show(_client(options).post("/hold", {}), options["as_json"])


@ctl.command()
@click.option("--by", metavar="NAME", help="The guard or alert that holds the load.  [default: `obswarm ctl hold`]")
@_client_options
def release(**options: Any) -> None:
    """Release a hold of the load."""
    _show(_client(options).post("/release", {"by": options["by"]}), options["as_json"])


@ctl.command()
@click.option("--reason", default="", metavar="TEXT", help="Reason to record in the result.")
@click.option("--abort", is_flag=True, help="Stop at once, instead of letting running tasks finish.")
@_client_options
def stop(**options: Any) -> None:
    """Stop the run."""
    body = {"reason": options["reason"], "abort": options["abort"]}
    _show(_client(options).post("/stop", body), options["as_json"])


@ctl.command()
@_client_options
@click.pass_context
def watch(ctx: click.Context, /, **options: Any) -> None:
    """Print a line each second until the run has ended, and exit with its exit code.

    The server of a run without --web ends with it: the exit code is then 4, as the run's is unknown.
    """
    ctx.exit(_watch(_client(options), options["as_json"]))


def _pair(ctx: click.Context, text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise click.BadParameter(f"{text!r}; write it like account=demo.", ctx, param_hint="--option")
    return name, value


def _watch(client: PageClient, as_json: bool) -> int:
    seen_s, state = time.monotonic(), ""
    while True:
        try:
            found = client.get("/status")
            seen_s, state = time.monotonic(), found["state"]
        except Unreachable:
            # It may be starting again.
            if time.monotonic() > seen_s + _GONE_S or not state:
                raise
            if state in _ENDING:
                echo(f"The server has ended with its run; how, its own exit code says ({client.url}).", err=True)
                return exit_codes.INCOMPLETE
        else:
            echo(to_json(found, compact=True) if as_json else status_line(found))
            if found["state"] in _OVER and (found["exit_code"] is not None or not found["run_id"] or found["error"]):
                return _code_of(found)
        time.sleep(_EVERY_S)


def _code_of(found: dict[str, Any]) -> int:
    code = found["exit_code"]
    if isinstance(code, int):
        return code
    return exit_codes.USAGE if found["error"] else exit_codes.OK


def _show(found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        echo_lines(to_json(found, indent=2))
        return
    echo(status_line(found))
    for held in found["in_force"]:
        echo(f"{held['by']}: {held['action']}")
    if found["error"]:
        echo(found["error"])
