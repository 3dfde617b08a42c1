"""HAProxy's runtime interface: https://docs.haproxy.org/2.6/management.html#9.3"""

import socket

from system import ContestError


def tell(address: tuple[str, int], command: str) -> None:
    """Send a command to HAProxy. Raises ContestError if it fails, or HAProxy is not running."""
    try:
        with socket.create_connection(address, 5) as connection:
            connection.sendall(command.encode() + b"\n")
            answer = b"".join(iter(lambda: connection.recv(4096), b"")).decode().strip()
    except OSError as error:
        raise ContestError(f"HAProxy's runtime interface at {address[0]}:{address[1]}: {error}") from None
    if answer:
        raise ContestError(f"HAProxy refuses {command!r}: {answer}")
