"""Bodies of requests: JSON, forms, files, raw bytes, and streams."""

import io
import json as jsonlib
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

from obswarm.http.errors import InvalidRequest, InvalidStream
from obswarm.http.multipart import encode_multipart, shortened

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
_ACCEPTS_JSON = {"Accept": JSON}
_PIECE = 65536
_NOT_STREAMED = (list, tuple, set, frozenset)


class StreamedBody:
    """A body that is read while it is sent: a file, or an iterable of bytes or text.

    `length` is in bytes, None when it is unknown; such a body is sent in chunks.
    """

    __slots__ = ("_began_at", "_source", "_spent", "length")

    def __init__(self, source: Any) -> None:
        self._source = source
        self._spent = False
        self._began_at: int | None = None
        self.length: int | None = None
        if hasattr(source, "read"):
            try:
                self._began_at = source.tell()
            except (AttributeError, OSError, io.UnsupportedOperation):
                pass
            else:
                self.length = _rest_of_file(source, self._began_at)
        elif hasattr(source, "__len__"):
            # A list of pieces: it can be gone through twice.
            self._began_at = 0

    @property
    def replayable(self) -> bool:
        """Return whether the body can be sent a second time, after `rewind`."""
        return not self._spent or self._began_at is not None

    def rewind(self) -> None:
        """Begin again, for a retry or a redirect."""
        if self._spent and self._began_at is not None and hasattr(self._source, "seek"):
            self._source.seek(self._began_at)

    def pieces(self) -> Iterator[bytes]:
        """Iterate over the bytes to send, in chunked coding where the length is not known."""
        self._spent = True
        if self.length is not None:
            yield from self._of_that_length(self.length)
            return
        for piece in self._raw():
            if piece:
                yield b"%x\r\n%b\r\n" % (len(piece), piece)
        yield b"0\r\n\r\n"

    def _of_that_length(self, length: int) -> Iterator[bytes]:
        """No byte more or less, since the next request begins behind it: a file may have grown since, or shrunk."""
        left = length
        for piece in self._raw(length):
            left -= len(piece)
            if left < 0:
                break
            yield piece
        if left:
            raise InvalidStream(
                f"a streamed body has {'more' if left < 0 else 'fewer'} bytes than the {length} that are announced"
            )

    def _raw(self, most: int | None = None) -> Iterator[bytes]:
        """`most` bytes at most, where the source can be asked for so many."""
        source = self._source
        if hasattr(source, "read"):
            while piece := source.read(_PIECE if most is None else min(_PIECE, most)):
                piece = _as_bytes(piece)
                if most is not None:
                    most -= len(piece)
                yield piece
            return
        for piece in source:
            yield _as_bytes(piece)


def _as_bytes(piece: Any) -> bytes:
    if isinstance(piece, bytes):
        return piece
    if isinstance(piece, str):
        return piece.encode()
    if is_buffer(piece):
        return memoryview(piece).tobytes()
    raise InvalidStream(f"a streamed body gave {piece!r}; its pieces have to be bytes or text")


def _rest_of_file(file: Any, position: int) -> int | None:
    """Bytes from the position to the end; None for text files, whose length in bytes is not known, and, as in requests,
    when there seem to be none: files of /proc have a size of 0."""
    if isinstance(file, io.TextIOBase):
        return None
    try:
        return max(0, os.fstat(file.fileno()).st_size - position) or None
    except (AttributeError, OSError, io.UnsupportedOperation):
        pass
    try:
        end: int = file.seek(0, os.SEEK_END)
        file.seek(position)
    except (AttributeError, OSError, io.UnsupportedOperation):
        return None
    return max(0, end - position) or None


def encode_body(data: Any, json: Any, files: Any = None) -> tuple[bytes | StreamedBody, str | None]:
    """(body, content type or None) for what requests takes as data, json and files.

    Raises InvalidRequest, naming the value, for what cannot be sent.
    """
    if files:
        if isinstance(data, str | bytes):
            raise InvalidRequest("data has to be a dict or a list of pairs where files are given")
        return encode_multipart(_pairs(data or ()), files)
    if json is not None and not data:
        try:
            return jsonlib.dumps(json, allow_nan=False).encode(), JSON
        except (TypeError, ValueError) as error:
            raise InvalidRequest(f"json={shortened(json)} cannot be serialised: {error}") from None
    if json is not None:
        raise InvalidRequest("give either data or json, not both")
    if data is None:
        return b"", None
    if isinstance(data, bytes):
        return data, None
    if isinstance(data, str):
        return data.encode(), None
    if isinstance(data, Mapping):
        return _encode_form(data), FORM
    if isinstance(data, list | tuple) and all(isinstance(pair, list | tuple) and len(pair) == 2 for pair in data):
        return _encode_form(data), FORM
    if is_buffer(data):
        return memoryview(data).tobytes(), None
    if hasattr(data, "read") or (isinstance(data, Iterable) and not isinstance(data, _NOT_STREAMED)):
        return StreamedBody(data), None
    raise InvalidRequest(
        f"data={shortened(data)}: give bytes, text, a dict, a list of pairs, a file, or an iterator of bytes"
    )


def accepting_json(headers: Any) -> Any:
    """Return a call's headers with Accept: application/json, unless they say what is accepted. What is no dict is
    returned as it is."""
    if headers is None:
        return _ACCEPTS_JSON
    if not isinstance(headers, Mapping) or any(str(name).lower() == "accept" for name in headers):
        return headers
    return {**_ACCEPTS_JSON, **headers}


def is_buffer(data: Any) -> bool:
    """Return whether the value is bytes in memory (bytearray, memoryview, array); a mapped file is read as a file."""
    if hasattr(data, "read"):
        return False
    try:
        memoryview(data)
    except TypeError:
        return False
    return True


def _encode_form(fields: Any) -> bytes:
    return urlencode(_pairs(fields)).encode()


def _pairs(fields: Any) -> list[tuple[Any, Any]]:
    """As requests has it: values may be lists, and None leaves a field out."""
    pairs = fields.items() if isinstance(fields, Mapping) else fields
    return [
        (key, value)
        for key, values in pairs
        for value in (values if isinstance(values, list | tuple | set) else [values])
        if value is not None
    ]
