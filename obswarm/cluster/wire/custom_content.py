"""Encode and decode the content of messages that a load test sends with `send_message`."""

from typing import Any

import msgpack

from obswarm.api import LoadTestError
from obswarm.bounded_msgpack import Unreadable, unpack_content
from obswarm.cluster.wire.messages import Custom
from obswarm.engine import CustomMessage, MessageListeners

MAX_CONTENT_BYTES = 32 * 1024 * 1024
MAX_CONTENT_ITEMS = 1_000_000
"""Limit for one message."""


class NotSendable(ValueError):
    """The content cannot be encoded, or exceeds the limits of the receiver."""


def pack_content(content: Any) -> bytes:
    """Encode the content of a message as MessagePack. Raises NotSendable."""
    try:
        packed: bytes = msgpack.packb(content, unicode_errors="backslashreplace")
        if len(packed) > MAX_CONTENT_BYTES:
            raise NotSendable(f"{len(packed):,} bytes, more than {MAX_CONTENT_BYTES:,}")
        unpack_content(packed, MAX_CONTENT_ITEMS)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise NotSendable(str(error)) from None
    return packed


def message_content(kind: str, content: Any) -> bytes:
    """Encode the content of a `send_message` call. Raises LoadTestError if it cannot be sent."""
    if not isinstance(kind, str):
        raise LoadTestError(f"send_message({kind!r}, …): the type of a message has to be a string.")
    try:
        return pack_content(content)
    except NotSendable as error:
        raise LoadTestError(
            f"send_message({kind!r}, …): the content cannot be sent ({error}). Use strings, numbers, lists and dicts."
        ) from None


def deliver(messages: MessageListeners, custom: Custom) -> None:
    """Decode a received message and pass it to its listener."""
    try:
        content = unpack_content(custom.content, MAX_CONTENT_ITEMS)
    except Unreadable as error:
        messages.warn_once(custom.kind, "A message of type '%s' cannot be decoded: %s.", str(error))
        return
    messages.deliver(CustomMessage(custom.kind, content, custom.node))
