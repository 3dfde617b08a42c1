"""Join the pieces of a body without a second copy of it."""

import io
from collections.abc import Iterable
from typing import Self

LARGE_BODY_BYTES = 4 * 1024 * 1024
"""Larger bodies are collected in a BodyBuffer: joining a list of pieces needs twice the memory, and fragments the heap.
For smaller bodies, joining is faster than allocating new pages."""

_RESERVED_BYTES = 33 * 1024 * 1024
"""Allocations of more than 32 MiB are always mapped by glibc (mallopt(3), M_MMAP_THRESHOLD). Untouched pages use no
memory, the buffer grows without being copied, and its memory is returned to the system at once."""

_MOST_RESERVED_BYTES = 256 * 1024 * 1024


class BodyBuffer:
    """Collects a large body. Use it in a `with` block, at whose end its memory is released; the result of `content`
    stays valid.

    BytesIO keeps its content as bytes, and hands that very object out.
    """

    def __init__(self, length: int = 0) -> None:
        """`length` is the announced size of the body in bytes, 0 if unknown. It is not trusted."""
        try:
            self._gathered = io.BytesIO(bytes(min(length or _RESERVED_BYTES, _MOST_RESERVED_BYTES)))
        except MemoryError:
            # The address space is limited (`ulimit -v`): the buffer grows with the body.
            self._gathered = io.BytesIO()

    def take(self, pieces: list[bytes]) -> None:
        """Add the pieces, and empty the list."""
        self._gathered.writelines(pieces)
        pieces.clear()

    def content(self) -> bytes:
        self._gathered.truncate()
        return self._gathered.getvalue()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._gathered.close()


def gather(pieces: Iterable[bytes]) -> bytes:
    """Return the pieces joined. A single piece is not copied."""
    source = iter(pieces)
    first: list[bytes] = []
    size = 0
    for piece in source:
        first.append(piece)
        size += len(piece)
        if size >= LARGE_BODY_BYTES and len(first) > 1:
            break
    else:
        return b"".join(first)
    del piece
    with BodyBuffer() as buffer:
        buffer.take(first)
        for piece in source:
            first.append(piece)
            buffer.take(first)
        return buffer.content()
