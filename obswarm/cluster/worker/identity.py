"""The identity of a worker process, by which its master knows it again."""

import secrets
import socket
from dataclasses import dataclass

from obswarm.sanitize import clean_text

_HOST_NAME_LENGTH = 200


@dataclass(frozen=True, slots=True)
class Identity:
    """The identity of a worker. `incarnation` is different for each process."""

    incarnation: str
    name: str
    processes: int = 1
    file_hash: str = ""


def new_identity(processes: int = 1, file_hash: str = "") -> Identity:
    """Return the identity of a new worker; its name is that of the machine with a few random characters."""
    incarnation = secrets.token_hex(16)
    machine = clean_text(socket.gethostname(), _HOST_NAME_LENGTH)
    return Identity(incarnation, f"{machine}_{incarnation[:8]}", processes, file_hash)
