"""`locust.debug`: one user in this process, for a debugger."""

from obswarm.api import Environment, User
from obswarm.api.debug import RequestPrinter, run_user
from obswarm.locust.argument_parser import get_parser

__all__ = ["PrintListener", "run_single_user"]


class PrintListener(RequestPrinter):
    """Prints each request of the environment."""

    def __init__(
        self,
        env: Environment,
        include_length: bool = False,
        include_time: bool = False,
        include_context: bool = False,
        include_payload: bool = False,
    ) -> None:
        super().__init__(include_length, include_time, include_context, include_payload)
        env.events.request.add_listener(self)


def run_single_user(
    user_class: type[User],
    include_length: bool = False,
    include_time: bool = False,
    include_context: bool = False,
    include_payload: bool = False,
    loglevel: str | None = "WARNING",
) -> None:
    """Run one user, as obswarm.run_single_user does, with all options of Locust's command line: also those of its
    configuration files and environment variables."""
    run_user(user_class, get_parser(), (include_length, include_time, include_context, include_payload), loglevel)
