"""run_single_user: one user in this process, every request printed, for a debugger."""

import logging
import os
import sys
from argparse import Namespace
from typing import Any, NoReturn

from obswarm.api.environment import Environment
from obswarm.api.errors import ObswarmError
from obswarm.api.events import events
from obswarm.api.option_defaults import new_option_values
from obswarm.api.options import LoadTestParser
from obswarm.api.user import User, close_client
from obswarm.log_format import stream_handler
from obswarm.sanitize import escape_controls
from obswarm.stats import Recorder

_HOST = "OBSWARM_HOST"
_USAGE = 2
"""The exit code."""


def run_single_user(
    user_class: type[User],
    include_length: bool = False,
    include_time: bool = False,
    include_context: bool = False,
    include_payload: bool = False,
    loglevel: str | None = "WARNING",
) -> None:
    """Run one user of that class until it stops or is interrupted; put it under `if __name__ == "__main__":`.

    `-H/--host`, or OBSWARM_HOST, and the load-test file's own options are read from the command line; wrong ones, and
    requests without a host, end the process with a sentence and the exit code 2. init and test_start are fired,
    test_stop and quit are not. Exceptions in tasks are not caught, so that a debugger stops at them.
    """
    parser = LoadTestParser(prog=os.path.basename(sys.argv[0]))
    parser.add_argument("-H", "--host", default=None, help="base URL of the target")
    events.init_command_line_parser.fire(parser=parser)
    run_user(user_class, parser, (include_length, include_time, include_context, include_payload), loglevel)


def run_user(
    user_class: type[User], parser: LoadTestParser, printed: tuple[bool, bool, bool, bool], loglevel: str | None
) -> None:
    """Do what `run_single_user` does, with the options of that parser, which has --host. `printed` are the columns
    besides those that are always there: length, time, context, payload."""
    if loglevel:
        logging.basicConfig(level=loglevel.upper(), handlers=[stream_handler()])
    options = _parse(parser, user_class)
    environment = Environment(
        events=events,
        recorder=Recorder(),
        user_classes=[user_class],
        host=options.host,
        parsed_options=options,
        catch_exceptions=False,
        locustfile=os.path.basename(sys.argv[0]),
    )
    printer = RequestPrinter(*printed)
    events.request.add_listener(printer)
    try:
        events.init.fire(environment=environment, runner=None, web_ui=None)
        events.test_start.fire(environment=environment)
        if options.host:
            user_class.host = options.host
        user = user_class(environment)
        try:
            user.run()
        finally:
            close_client(user)
    except ObswarmError as error:
        # It is not in the load test's code that a debugger would find something.
        _refuse(error)
    finally:
        events.request.remove_listener(printer)


def _parse(parser: LoadTestParser, user_class: type[User]) -> Namespace:
    """The command line's options, with the host as the class takes it. Exits with a sentence for wrong ones."""
    own = f"{user_class.__name__}.host"
    try:
        options = parser.parse_args()
        for name, default in new_option_values().items():
            if not hasattr(options, name):
                setattr(options, name, default)
        # As with `obswarm run`: the command line over the environment over the class.
        hosts = (("-H/--host", options.host), (_HOST, os.environ.get(_HOST)), (own, user_class.host))
        where, options.host = next(((name, host) for name, host in hosts if host), ("", None))
        if options.host:
            options.host = user_class.check_host(options.host)
    except ObswarmError as error:
        _refuse(error)
    except ValueError as error:
        _refuse(f"{where}: {error}.")
    return options


def _refuse(wrong: object) -> NoReturn:
    print(escape_controls(f"Error: {wrong}"), file=sys.stderr)
    sys.exit(_USAGE)


class RequestPrinter:
    """A listener of the `request` event that prints each request, with the columns that are asked for."""

    def __init__(self, length: bool, time: bool, context: bool, payload: bool) -> None:
        self._length, self._time, self._context, self._payload = length, time, context, payload
        columns = [
            f"{'start_time':<24}" if time else "",
            f"{'type':<8}{'name':<50}{'resp_ms':>9}",
            f"{'length':>10}" if length else "",
            "  exception",
            "  context" if context else "",
        ]
        _print("".join(columns))

    def __call__(
        self,
        request_type: str,
        name: str,
        response_time: float,
        response_length: int,
        exception: Exception | None = None,
        context: dict[str, Any] | None = None,
        response: Any = None,
        start_time: float | None = None,
        **kwargs: Any,
    ) -> None:
        from obswarm import clock

        stamp = f"{clock.iso(start_time or clock.wall()):<24}" + " " if self._time else ""
        size = f"{response_length:>10}" if self._length else ""
        error = f"  {exception!r}" if exception else "  –"
        extra = f"  {context}" if self._context else ""
        _print(f"{stamp}{request_type:<8}{name:<50}{response_time:>9.1f}{size}{error}{extra}")
        if self._payload and response is not None:
            body = getattr(getattr(response, "request", None), "body", None)
            _print(f"    sent: {body!r}")
            _print(f"    received: {getattr(response, 'text', None)!r}")


def _print(line: str) -> None:
    print(escape_controls(line))
