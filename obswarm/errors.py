"""ObswarmError, whose text is a message for the user, and short texts for other exceptions."""

from obswarm.redact import redact_text
from obswarm.sanitize import clean_text

_MAX_REASON_LENGTH = 500


class ObswarmError(Exception):
    """An error that the user can correct. Its text is a complete sentence: what is wrong, where, and what to do.
    Passwords of URLs are redacted. The command line prints it and exits with code 2."""

    def __str__(self) -> str:
        return redact_text(super().__str__())


def reason_of(error: BaseException) -> str:
    """Return a short reason for the user, without a full stop."""
    if isinstance(error, OSError) and error.strerror:
        text = error.strerror
    elif isinstance(error, ObswarmError):
        text = str(error)
    else:
        text = f"{type(error).__name__}: {error}"
    return clean_text(text, _MAX_REASON_LENGTH).rstrip(".")
