"""Who may use the page and its API, and TLS of their server, from the configuration."""

from pathlib import Path

from obswarm.api import ObswarmError
from obswarm.config import RunConfig
from obswarm.errors import reason_of
from obswarm.redact import register_secret
from obswarm.web.access import Access

_SHORTEST_TOKEN = 16


def access_of(config: RunConfig, of_service: str | None = None) -> Access:
    """Return who may use the page. `of_service` is the token of a master service's API, which is that of its page, too,
    unless another one is given. Raises ObswarmError."""
    auth, token = config.web.web_auth, _token_of(config) or of_service
    if auth is None:
        return Access(token=token)
    user, colon, password = auth.partition(":")
    if not (user and colon and password):
        raise ObswarmError(f"{config.label('web_auth')}: write it as USER:PASSWORD.")
    return Access(user, password, token)


def _token_of(config: RunConfig) -> str | None:
    name = config.web.web_token_file
    if name is None:
        return None
    try:
        token = Path(name).read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        raise ObswarmError(f"{config.label('web_token_file')} {name}: it cannot be read: {reason_of(error)}.") from None
    if len(token) < _SHORTEST_TOKEN or len(token.split()) > 1:
        raise ObswarmError(
            f"{config.label('web_token_file')} {name}: the token has to be one word of at least {_SHORTEST_TOKEN}"
            " characters; generate one with: head -c 24 /dev/urandom | base64."
        )
    register_secret(token)
    return token


def tls_of(config: RunConfig) -> tuple[str, str] | None:
    """Return the files of certificate and key of the server, None without TLS. Raises ObswarmError if one of them is
    missing."""
    certificate, key = config.web.tls_cert, config.web.tls_key
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise ObswarmError("--tls-cert and --tls-key need each other: the files of certificate and key, in PEM.")
    return certificate, key
