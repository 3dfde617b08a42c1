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
        help="User and password for the page and its API. In the environment, other users of the machine do not see"
        " them.",
    ),
    run_option("--web-token-file", metavar="FILE", help="File with a bearer token for the page and its API."),
    run_option("--tls-cert", metavar="FILE", help="Certificate (PEM) of the HTTP server, which then speaks TLS."),
    run_option("--tls-key", metavar="FILE", help="Key (PEM) of --tls-cert."),
)

start_options: tuple[Callable[[Any], Any], ...] = (
    run_option("--web", shared=False, help="Wait for the start of a run on the page, and go on after it for another."),
    run_option("--autostart", shared=False, help="Start a run at once, and go on after it as with --web."),
    run_option(
        "--autoquit",
        type=duration_or_never,
        metavar="DURATION",
        shared=False,
        help="With --web: end so long after a run, unless another is started.",
    ),
)
