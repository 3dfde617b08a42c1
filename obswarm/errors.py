"""The exception whose text is meant for the person at the keyboard, and what others mean in a few words."""

from obswarm.redact import redact_text
from obswarm.sanitize import clean_text

_MAX_REASON_LENGTH = 500


class ObswarmError(Exception):
    """Something that the person at the keyboard can put right. Its text is a sentence and stands alone:
    it says what is wrong, where, and what to do; without the passwords of URLs that it names. The command line prints
    it and exits with 2."""

    def __str__(self) -> str:
        return redact_text(super().__str__())


def reason_of(error: BaseException) -> str:
    """A few words for people, without a full stop, about why something could not be written."""
    if isinstance(error, OSError) and error.strerror:
        text = error.strerror
    elif isinstance(error, ObswarmError):
        text = str(error)
    else:
        text = f"{type(error).__name__}: {error}"
    return clean_text(text, _MAX_REASON_LENGTH).rstrip(".")
