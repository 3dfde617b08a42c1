"""Documents of the REST API as JSON."""

from typing import Any

import msgspec

from obswarm.json_text import to_json


def encode(document: Any) -> bytes:
    """Encode a document as JSON on one line. Texts that are no valid Unicode are escaped; NaN and infinities are
    null."""
    try:
        return msgspec.json.encode(document)
    except (UnicodeEncodeError, OverflowError):
        return to_json(msgspec.to_builtins(document), compact=True).encode()
