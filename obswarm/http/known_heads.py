"""Heads of responses that the parser has read before: a response with the same head, byte for byte, is cut apart
without it. The parser is deterministic, so what it found the first time holds for each of them; most responses of a
busy endpoint differ in their bodies alone, and in a Date that changes once a second."""

import re
from itertools import cycle

from obswarm.http.response_parser import ParsedResponse, is_mendable

END_OF_HEAD = b"\r\n\r\n"
_MOST_KNOWN = 256
_MOST_HEAD_BYTES = 4096
_learns = cycle((False, False, False, True))
"""Of so many heads that are not known one is learnt: a server whose heads all differ costs little that way."""

_CONCERNS_THE_CLIENT = re.compile(rb"\n(?:set-cookie|content-encoding):", re.IGNORECASE).search


class KnownHead:
    """What the parser found in a head: the status, where the body begins, the size of head and body, and whether the
    connection can be used again. `concerns_client`: there are cookies, or a content coding; `is_plain`: there are not,
    and the response is a success."""

    __slots__ = ("body_at", "concerns_client", "head", "is_plain", "keep_alive", "size_bytes", "status")

    def __init__(self, head: bytes, answer: ParsedResponse, size_bytes: int) -> None:
        self.head = head
        self.body_at = len(head)
        self.concerns_client = concerns_client(head)
        self.is_plain = 200 <= answer.status < 300 and not self.concerns_client
        self.keep_alive = answer.keep_alive
        self.size_bytes = size_bytes
        self.status = answer.status


known_heads: dict[bytes, KnownHead] = {}
"""By the bytes up to the end of the head; a response to HEAD is never one of them."""


def concerns_client(raw: bytes) -> bool:
    """Return whether the client has to look at the headers in the bytes of a response, for cookies and codings."""
    return _CONCERNS_THE_CLIENT(raw) is not None


def learn(piece: bytes, answer: ParsedResponse) -> None:
    """Note the head of a response that is complete, and came in one piece."""
    if not next(_learns):
        return
    body_at = piece.find(END_OF_HEAD) + len(END_OF_HEAD)
    if body_at > _MOST_HEAD_BYTES or answer.interim or not answer.complete:
        return
    head = piece[:body_at]
    # A body in chunks is not what follows the head; and whether a head can be mended does not depend on it alone.
    if answer.raw != piece or b"".join(answer.body) != piece[body_at:] or is_mendable(head):
        return
    if len(known_heads) >= _MOST_KNOWN:
        known_heads.clear()
    known_heads[head] = KnownHead(head, answer, len(piece))
