"""Content codings: gzip, deflate, br, zstd, undone when somebody wants to read the body."""

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol
from zlib import MAX_WBITS, decompressobj
from zlib import error as ZlibError  # noqa: N812 - zlib's own name says nothing here

import brotli
import zstandard

from obswarm.http.errors import DecodingError

ACCEPTED = "gzip, deflate, br, zstd"


class _Decoder(Protocol):
    def decode(self, piece: bytes) -> bytes: ...

    def finish(self) -> bytes:
        """What is left; raises when the stream is not at its end."""


class _Gzip:
    """Several members may follow each other (RFC 1952, 2.2); what is none is ignored, as by gzip itself."""

    def __init__(self) -> None:
        self._inflater = decompressobj(MAX_WBITS | 16)
        self._members = 0

    def decode(self, piece: bytes) -> bytes:
        out = []
        while piece:
            try:
                out.append(self._inflater.decompress(piece))
            except ZlibError:
                if self._members:
                    break
                raise
            piece = self._inflater.unused_data
            if self._inflater.eof:
                self._members += 1
                self._inflater = decompressobj(MAX_WBITS | 16)
        return b"".join(out)

    def finish(self) -> bytes:
        if not self._members:
            raise ZlibError("it ends in the middle")
        return b""


class _Deflate:
    """Means zlib's wrapper (RFC 9110, 8.4.1.2), but servers that send the bare stream are common."""

    def __init__(self) -> None:
        self._inflater = decompressobj()
        self._tried: bytes | None = b""

    def decode(self, piece: bytes) -> bytes:
        if self._tried is None:
            return self._inflater.decompress(piece)
        self._tried += piece
        try:
            out = self._inflater.decompress(piece)
        except ZlibError:
            self._inflater = decompressobj(-MAX_WBITS)
            out = self._inflater.decompress(self._tried)
            self._tried = None
        else:
            if out:
                self._tried = None
        return out

    def finish(self) -> bytes:
        rest = self._inflater.flush()
        if not self._inflater.eof:
            raise ZlibError("it ends in the middle")
        return rest


class _Brotli:
    def __init__(self) -> None:
        self._decompressor = brotli.Decompressor()

    def decode(self, piece: bytes) -> bytes:
        return bytes(self._decompressor.process(piece))

    def finish(self) -> bytes:
        if not self._decompressor.is_finished():
            raise brotli.error("it ends in the middle")
        return b""


class _Zstandard:
    def __init__(self) -> None:
        self._frame = zstandard.ZstdDecompressor().decompressobj()
        self._frames = 0

    def decode(self, piece: bytes) -> bytes:
        out = []
        while piece:
            out.append(self._frame.decompress(piece))
            piece = self._frame.unused_data if self._frame.eof else b""
            if self._frame.eof:
                self._frames += 1
                self._frame = zstandard.ZstdDecompressor().decompressobj()
        return b"".join(out)

    def finish(self) -> bytes:
        if not self._frames:
            raise zstandard.ZstdError("it ends in the middle")
        return b""


_DECODERS: dict[str, Callable[[], _Decoder]] = {
    "gzip": _Gzip,
    "x-gzip": _Gzip,
    "deflate": _Deflate,
    "br": _Brotli,
    "zstd": _Zstandard,
}
_ERRORS = (ZlibError, brotli.error, zstandard.ZstdError)


def decoded(pieces: Iterable[bytes], coding: str | None) -> Iterator[bytes]:
    """The pieces of a body without the codings that its Content-Encoding header names.

    Raises DecodingError when the body is damaged or cut off. A coding that nobody here knows is left as it is.
    """
    names = [part.strip().lower() for part in (coding or "").split(",")]
    names = [name for name in names if name and name != "identity"]
    if not names or any(name not in _DECODERS for name in names):
        yield from pieces
        return
    out: Iterable[bytes] = pieces
    for name in reversed(names):
        out = _undone(out, name)
    yield from out


def _undone(pieces: Iterable[bytes], name: str) -> Iterator[bytes]:
    decoder = _DECODERS[name]()
    any_byte = False
    try:
        for piece in pieces:
            if piece:
                any_byte = True
                out = decoder.decode(piece)
                if out:
                    yield out
        # An empty body is no damaged one: answers to HEAD, and 304, name the coding as well.
        rest = decoder.finish() if any_byte else b""
    except _ERRORS as error:
        raise DecodingError(f"the body is not {name}, as its Content-Encoding says: {error}") from None
    if rest:
        yield rest


def decode(body: bytes, coding: str | None) -> bytes:
    """A whole body; see `decoded`."""
    if not coding or not body:
        return body
    return b"".join(decoded((body,), coding))
