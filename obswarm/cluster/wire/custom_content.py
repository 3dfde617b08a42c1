"""Content of the messages that a load test sends with `send_message`, packed and checked."""

from typing import Any

import msgpack

from obswarm.api import LoadTestError
from obswarm.bounded_msgpack import Unreadable, unpack_content
from obswarm.cluster.wire.messages import Custom
from obswarm.engine import CustomMessage, MessageListeners

MAX_CONTENT_BYTES = 32 * 1024 * 1024
MAX_CONTENT_ITEMS = 1_000_000
"""Of one message of a load test's own."""


class NotSendable(ValueError):
    """Content of a load test's own that has no form in a message, or is more than the other side takes."""


def pack_content(content: Any) -> bytes:
    """Raises NotSendable."""
    try:
        packed: bytes = msgpack.packb(content, unicode_errors="backslashreplace")
        if len(packed) > MAX_CONTENT_BYTES:
            raise NotSendable(f"{len(packed):,} bytes, more than {MAX_CONTENT_BYTES:,}")
        unpack_content(packed, MAX_CONTENT_ITEMS)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise NotSendable(str(error)) from None
    return packed


def message_content(kind: str, content: Any) -> bytes:
    """For `send_message`. Raises LoadTestError when it cannot be sent."""
    if not isinstance(kind, str):
        raise LoadTestError(f"send_message({kind!r}, …): the type of a message has to be a text.")
    try:
        return pack_content(content)
    except NotSendable as error:
        raise LoadTestError(
            f"send_message({kind!r}, …): the content cannot be sent ({error}). Use texts, numbers, lists and dicts."
        ) from None


def deliver(messages: MessageListeners, custom: Custom) -> None:
    """Give a message that has arrived to its listener."""
    try:
        content = unpack_content(custom.content, MAX_CONTENT_ITEMS)
    except Unreadable as error:
        messages.warn_once(custom.kind, "A message of type '%s' cannot be read: %s.", str(error))
        return
    messages.deliver(CustomMessage(custom.kind, content, custom.node))
