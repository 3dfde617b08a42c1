"""`locust.rpc.zmqrpc`: sockets between masters and workers, which obswarm does not hand out."""

from typing import Any

from obswarm.api import ObswarmError

__all__ = ["BaseSocket", "Client", "Server"]


class BaseSocket:
    """Raises ObswarmError when it is made."""

    def __init__(self, *_: Any, **__: Any) -> None:
        raise ObswarmError(
            "Masters and workers of obswarm have sockets of their own. A load test sends messages between them by"
            " environment.runner.send_message and register_message."
        )


class Server(BaseSocket):
    """Raises ObswarmError when it is made."""


class Client(BaseSocket):
    """Raises ObswarmError when it is made."""
