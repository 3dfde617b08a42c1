"""Decoding of content codings: gzip, deflate, br, zstd. Bodies are decoded when they are read."""

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol
from zlib import MAX_WBITS, decompressobj
from zlib import error as ZlibError  # noqa: N812 - zlib's own name says nothing here

import brotli
import zstandard

from obswarm.http.body_buffer import gather
from obswarm.http.errors import DecodingError, ResponseTooLarge

ACCEPTED = "gzip, deflate, br, zstd"
_STEP_BYTES = 1024 * 1024
_PART_BYTES = 64 * 1024
_ZSTANDARD_PIECE = 512
"""A block of four bytes may become 128 KiB (RFC 8878, 3.1.1.2), and there is no way to take less of it."""

_LARGEST_WINDOW_BYTES = 8 * 1024 * 1024
"""The window that a decoder has to support and that a server must not exceed (RFC 9659)."""

_MOST_CODINGS = 5


class _Decoder(Protocol):
    def decode(self, piece: bytes) -> Iterator[bytes]:
        """Decode a piece, in steps of about _STEP_BYTES, however small the piece is."""

    def finish(self) -> bytes:
        """Return the rest of the decoded body. Raises one of _ERRORS when the stream is not at its end."""


class _Gzip:
    """Several members may follow each other (RFC 1952, 2.2); what is none is ignored, as by gzip itself."""

    def __init__(self) -> None:
        self._inflater = decompressobj(MAX_WBITS | 16)
        self._members = 0

    def decode(self, piece: bytes) -> Iterator[bytes]:
        while piece:
            try:
                out = self._inflater.decompress(piece, _STEP_BYTES)
            except ZlibError:
                if self._members:
                    return
                raise
            if out:
                yield out
            if self._inflater.eof:
                piece = self._inflater.unused_data
                self._members += 1
                self._inflater = decompressobj(MAX_WBITS | 16)
            else:
                piece = self._inflater.unconsumed_tail

    def finish(self) -> bytes:
        if not self._members:
            raise ZlibError("it ends in the middle")
        return b""


class _Deflate:
    """Means zlib's wrapper (RFC 9110, 8.4.1.2), but servers that send the bare stream are common."""

    def __init__(self) -> None:
        self._inflater = decompressobj()
        self._tried: bytes | None = b""

    def decode(self, piece: bytes) -> Iterator[bytes]:
        if self._tried is not None:
            self._tried += piece
            try:
                out = self._inflater.decompress(piece, _STEP_BYTES)
            except ZlibError:
                self._inflater = decompressobj(-MAX_WBITS)
                piece, self._tried = self._tried, None
            else:
                piece = self._inflater.unconsumed_tail
                if out:
                    self._tried = None
                    yield out
        while piece:
            out = self._inflater.decompress(piece, _STEP_BYTES)
            if out:
                yield out
            piece = self._inflater.unconsumed_tail

    def finish(self) -> bytes:
        rest = self._inflater.flush()
        if not self._inflater.eof:
            raise ZlibError("it ends in the middle")
        return rest


class _Brotli:
    def __init__(self) -> None:
        self._decompressor = brotli.Decompressor()

    def decode(self, piece: bytes) -> Iterator[bytes]:
        decompressor = self._decompressor
        while True:
            out = bytes(decompressor.process(piece, output_buffer_limit=_STEP_BYTES))
            if out:
                yield out
            if len(out) < _STEP_BYTES and decompressor.can_accept_more_data():
                return
            piece = b""

    def finish(self) -> bytes:
        if not self._decompressor.is_finished():
            raise brotli.error("it ends in the middle")
        return b""


class _Zstandard:
    def __init__(self) -> None:
        self._frame = zstandard.ZstdDecompressor(max_window_size=_LARGEST_WINDOW_BYTES).decompressobj()
        self._frames = 0

    def decode(self, piece: bytes) -> Iterator[bytes]:
        for begin in range(0, len(piece), _ZSTANDARD_PIECE):
            part = piece[begin : begin + _ZSTANDARD_PIECE]
            while part:
                out = self._frame.decompress(part)
                if out:
                    yield out
                part = self._frame.unused_data if self._frame.eof else b""
                if self._frame.eof:
                    self._frames += 1
                    self._frame = zstandard.ZstdDecompressor(max_window_size=_LARGEST_WINDOW_BYTES).decompressobj()

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
    """Decode the pieces of a body from the codings that its Content-Encoding header names.

    Raises DecodingError when the body is damaged or cut off. A body in an unknown coding is left as it is. No piece
    is much larger than a mebibyte (16 MiB of zstd), whatever those that came were made to become.
    """
    names = [part.strip().lower() for part in (coding or "").split(",")]
    names = [name for name in names if name and name != "identity"]
    if not names or any(name not in _DECODERS for name in names):
        yield from pieces
        return
    if len(names) > _MOST_CODINGS:
        raise DecodingError(f"the body has {len(names)} content codings; {_MOST_CODINGS} are the most")
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
                for part in _parts(piece):
                    yield from decoder.decode(part)
        # An empty body is no damaged one: answers to HEAD, and 304, name the coding as well.
        rest = decoder.finish() if any_byte else b""
    except _ERRORS as error:
        raise DecodingError(f"the body is not {name}, as its Content-Encoding says: {error}") from None
    if rest:
        yield rest


def _parts(piece: bytes) -> Iterable[bytes]:
    """zlib hands what it has not read yet out as a copy, for each step."""
    if len(piece) <= _PART_BYTES:
        return (piece,)
    return (piece[begin : begin + _PART_BYTES] for begin in range(0, len(piece), _PART_BYTES))


def decode(body: bytes, coding: str | None, largest_bytes: float = math.inf) -> bytes:
    """A whole body; see `decoded`. Raises ResponseTooLarge as soon as it becomes larger than that."""
    if not coding or not body:
        return body
    if coding == "gzip" and len(body) <= _PART_BYTES:
        # What hardly any body is not, done in one step: a load test has them by the thousand a second.
        inflater = decompressobj(MAX_WBITS | 16)
        try:
            whole = inflater.decompress(body, _STEP_BYTES)
        except ZlibError:
            pass
        else:
            if inflater.eof and not inflater.unused_data and len(whole) <= largest_bytes:
                return whole
    return gather(_bounded(decoded((body,), coding), largest_bytes))


def _bounded(pieces: Iterable[bytes], largest_bytes: float) -> Iterator[bytes]:
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > largest_bytes:
            raise ResponseTooLarge(largest_bytes, "decoded")
        yield piece
