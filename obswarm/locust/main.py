"""`locust.main`: the command line of Locust, for programs that start it by its function."""

import os
import sys
from argparse import Namespace
from collections.abc import Sequence
from typing import Any, NoReturn

from obswarm.api import Events, LoadTestShape, User
from obswarm.locust import __version__ as version
from obswarm.locust.env import Environment
from obswarm.locust.util.load_locustfile import is_shape_class, is_user_class, load_locustfile

__all__ = ["create_environment", "is_shape_class", "is_user_class", "load_locustfile", "main", "version"]


def main() -> NoReturn:
    """Become `obswarm run` with the arguments of this process. What the program has changed in its own process is not
    there in that command."""
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, "-m", "obswarm", "run", *sys.argv[1:]])


def create_environment(
    user_classes: Sequence[type[User]],
    options: Namespace,
    events: Events | None = None,
    shape_class: LoadTestShape | None = None,
    locustfile: str | None = None,
    **_: Any,
) -> Environment:
    """Return an environment with the options of a command line, as `locust.argument_parser.parse_options` returns
    them."""
    return Environment(
        user_classes=user_classes,
        shape_class=shape_class,
        tags=options.tags,
        exclude_tags=options.exclude_tags,
        locustfile=locustfile,
        events=events,
        host=options.host,
        reset_stats=options.reset_stats,
        stop_timeout=options.stop_timeout,
        parsed_options=options,
    )
