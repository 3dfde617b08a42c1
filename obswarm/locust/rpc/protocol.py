"""`locust.rpc.protocol`: a message and its form on the wire, for programs that send it between their own processes."""

from datetime import datetime
from typing import Any, Self

import msgpack

_MOMENT, _TEXT, _FORMAT = "__datetime__", "as_str", "%Y%m%dT%H:%M:%S.%f"

__all__ = ["Message", "decode", "encode"]


def encode(obj: Any) -> Any:
    """Return a datetime in a form that MessagePack has; other values unchanged."""
    return {_MOMENT: True, _TEXT: obj.strftime(_FORMAT)} if isinstance(obj, datetime) else obj


def decode(obj: Any) -> Any:
    """Undo `encode`. Raises ValueError for an invalid moment."""
    return datetime.strptime(obj[_TEXT], _FORMAT) if _MOMENT in obj else obj


class Message:
    """A message with its type, data and the id of its sender or receiver."""

    def __init__(self, message_type: str, data: Any, node_id: str | None) -> None:
        self.type = message_type
        self.data = data
        self.node_id = node_id

    def __repr__(self) -> str:
        return f"<Message {self.type}:{self.node_id}>"

    def serialize(self) -> bytes:
        """Return it as MessagePack. Raises TypeError for data that cannot be sent."""
        packed: bytes = msgpack.packb((self.type, self.data, self.node_id), default=encode)
        return packed

    @classmethod
    def unserialize(cls, data: bytes) -> Self:
        """Return the message from the result of `serialize`. Raises ValueError or TypeError for anything else."""
        return cls(*msgpack.unpackb(data, strict_map_key=False, object_hook=decode))
