"""multipart/form-data (RFC 7578), to the byte as requests has it, which takes it from urllib3."""

import os
from collections.abc import Iterable, Mapping
from typing import Any

from obswarm.http.errors import InvalidRequest

_ESCAPED = {ord("\n"): "%0A", ord("\r"): "%0D", ord('"'): "%22"}
"""In names: https://html.spec.whatwg.org/multipage/form-control-infrastructure.html#multipart-form-data."""

_OF_A_PART = ("Content-Disposition", "Content-Type", "Content-Location")


def encode_multipart(fields: Iterable[tuple[Any, Any]], files: Any) -> tuple[bytes, str]:
    """Return (body, content type) of form fields and files.

    A file is given as in requests: a file, its content, or a tuple (name, content, type, headers), the latter two if
    wanted. Raises InvalidRequest, naming the value, for what cannot be sent.
    """
    boundary = os.urandom(16).hex()
    begin = f"--{boundary}\r\n".encode()
    parts: list[bytes] = []
    for key, value in fields:
        parts += begin, _head(str(key)), _as_bytes(value if isinstance(value, bytes) else str(value)), b"\r\n"
    try:
        for key, value in list(files.items() if isinstance(files, Mapping) else files):
            parts += begin, *_file_part(str(key), value), b"\r\n"
    except (TypeError, ValueError, AttributeError) as error:
        if isinstance(error, InvalidRequest):
            raise
        raise InvalidRequest(f"files={shortened(files)}: give a dict or pairs of names and files: {error}") from None
    parts.append(f"--{boundary}--\r\n".encode())
    return b"".join(parts), f"multipart/form-data; boundary={boundary}"


def _file_part(key: str, value: Any) -> tuple[bytes, bytes]:
    """Return (head, content) of a file."""
    content_type = headers = None
    if isinstance(value, tuple | list):
        name, source, content_type, headers = (*value, None, None)[:4]
    else:
        source = value
        path = getattr(value, "name", None)
        name = os.path.basename(path) if isinstance(path, str) and not path.startswith("<") else key
    content = source.read() if hasattr(source, "read") else source
    if not isinstance(content, str | bytes):
        raise InvalidRequest(f"the file {key!r} is {shortened(content)}; give a file, bytes or text")
    return _head(key, name, content_type, dict(headers or {})), _as_bytes(content)


def _head(
    name: str, filename: str | bytes | None = None, content_type: Any = None, headers: Mapping[Any, Any] | None = None
) -> bytes:
    disposition = f'form-data; name="{name.translate(_ESCAPED)}"'
    if filename is not None:
        text = filename.decode() if isinstance(filename, bytes) else filename
        disposition += f'; filename="{text.translate(_ESCAPED)}"'
    lines = [f"Content-Disposition: {disposition}"]
    if content_type:
        lines.append(f"Content-Type: {content_type}")
    lines += [f"{field}: {value}" for field, value in (headers or {}).items() if value and field not in _OF_A_PART]
    return "\r\n".join([*lines, "", ""]).encode()


def _as_bytes(content: str | bytes) -> bytes:
    return content.encode() if isinstance(content, str) else content


def shortened(value: Any) -> str:
    """Return the value's repr for a message, at most 100 characters."""
    text = repr(value)
    return text if len(text) <= 100 else text[:99] + "…"
