"""The shared secret of a cluster, and the CURVE keys (RFC 26/CurveZMQ) that master and workers derive from it."""

import os
import stat
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import zmq
from zmq.utils import z85

from obswarm.api import ObswarmError

ENVIRONMENT_VARIABLE = "OBSWARM_SECRET"
_SHORTEST = 16


@dataclass(frozen=True, slots=True)
class CurveKeys:
    """Key pairs of master and workers, encoded in Z85. All of them follow from the secret."""

    server_public: bytes
    server_secret: bytes
    client_public: bytes
    client_secret: bytes


def derive_keys(secret: bytes) -> CurveKeys:
    """Derive the keys from the secret: each private key is BLAKE2b of the secret, personalised by its role."""

    def pair(role: bytes) -> tuple[bytes, bytes]:
        private = z85.encode(blake2b(secret, digest_size=32, person=b"obswarm " + role).digest())
        return zmq.curve_public(private), private

    server_public, server_secret = pair(b"master")
    client_public, client_secret = pair(b"worker")
    return CurveKeys(server_public, server_secret, client_public, client_secret)


def read_secret(file: str | None) -> tuple[bytes | None, str | None]:
    """Return (the secret from a file or from OBSWARM_SECRET, a warning); each is None if there is none.

    Raises ObswarmError if the file cannot be read, or the secret is too short.
    """
    warning = None
    if file is not None:
        path = Path(file)
        try:
            secret = path.read_bytes().strip()
            mode = path.stat().st_mode
        except OSError as error:
            raise ObswarmError(
                f"--secret-file {file} cannot be read: {error.strerror}."
                f" Make one with: (umask 077; head -c 32 /dev/urandom | base64 > {file})"
            ) from None
        if mode & (stat.S_IRGRP | stat.S_IROTH):
            warning = f"Others can read the secret file {file} (mode {stat.filemode(mode)}): chmod 600 {file}"
        where = f"--secret-file {file}"
    elif os.environ.get(ENVIRONMENT_VARIABLE):
        secret = os.environ[ENVIRONMENT_VARIABLE].strip().encode()
        where = ENVIRONMENT_VARIABLE
    else:
        return None, None
    if len(secret) < _SHORTEST:
        raise ObswarmError(
            f"The secret of {where} has {len(secret)} characters; at least {_SHORTEST} are required."
            " Make one with: head -c 32 /dev/urandom | base64"
        )
    return secret, warning
