"""The options of the page: whether it starts runs, who may use it, TLS."""

from collections.abc import Callable
from typing import Any

from obswarm.cli.option_types import duration_or_zero
from obswarm.cli.options import run_option


def duration_or_never(text: str) -> float | None:
    """Parse a duration, or -1 for None, as in Locust."""
    return None if text.strip() == "-1" else duration_or_zero(text)


access_to_page_options: tuple[Callable[[Any], Any], ...] = (
    run_option(
        "--web-auth",
        metavar="USER:PASSWORD",
        help="User and password for the page and its API; other users of the machine cannot read an environment"
        " variable.",
    ),
    run_option("--web-token-file", metavar="FILE", help="File with a bearer token for the page and its API."),
    run_option("--tls-cert", metavar="FILE", help="Certificate (PEM) of the HTTP server, which then uses TLS."),
    run_option("--tls-key", metavar="FILE", help="Key (PEM) of --tls-cert."),
)

start_options: tuple[Callable[[Any], Any], ...] = (
    run_option("--web", shared=False, help="Serve a page that starts runs, and wait for the next one after each."),
    run_option(
        "--autostart", shared=False, help="Start the first run at once, and wait for further ones as with --web."
    ),
    run_option(
        "--autoquit",
        type=duration_or_never,
        metavar="DURATION",
        shared=False,
        help="With --web: exit this long after a run unless another one is started.",
    ),
)
