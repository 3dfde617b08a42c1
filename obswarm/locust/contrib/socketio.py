"""`locust.contrib.socketio`: users of Socket.IO over python-socketio."""

from typing import Any, ClassVar

from obswarm.api import Environment, RequestHook, User
from obswarm.greenlets import Supervisor
from obswarm.locust.contrib.optional import close_apart, needed

with needed("python-socketio[client]", "socketio", "socketio"):
    import socketio

__all__ = ["SocketIOClient", "SocketIOUser"]


class SocketIOClient(socketio.Client):
    """A socketio.Client whose calls and messages are counted: `WS connect`, `WSC` and the event for `call`, `WSE` for
    `emit`, `WSS` for `send`, `WSR` for what is received. Only `connect` and `call` wait for the server, and so have a
    duration. `send` and `call` emit, which is counted as well."""

    closed_with_user = True

    def __init__(self, request_event: RequestHook, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.request_event = request_event

    def connect(self, *args: Any, **kwargs: Any) -> None:
        """As socketio.Client.connect, but that a failure is counted, and not raised."""
        with self.request_event.measure("WS", "connect"):
            super().connect(*args, **kwargs)

    def send(self, data: Any, namespace: Any = None, callback: Any = None, name: str = "Unnamed") -> None:
        """As socketio.Client.send; counted by `name`. A failure is counted, and not raised."""
        error = None
        try:
            super().send(data, namespace, callback)
        except Exception as raised:
            error = raised
        self._count("WSS", name, data, error)

    def emit(self, event: str, data: Any = None, namespace: Any = None, callback: Any = None) -> None:
        """As socketio.Client.emit; counted by the event. A failure is counted, and not raised."""
        error = None
        try:
            super().emit(event, data, namespace, callback)
        except Exception as raised:
            error = raised
        self._count("WSE", str(event), data, error)

    def call(self, event: str, data: Any = None, *args: Any, **kwargs: Any) -> Any:
        """As socketio.Client.call, measured until the server's acknowledgement. Returns that; None after a failure,
        which is counted, and not raised."""
        answer = None
        with self.request_event.measure("WSC", event):
            answer = super().call(event, data, *args, **kwargs)
        return answer  # noqa: RET504 - the block swallows what is raised

    def on_message(self, event: str, data: Any = None, *_: Any) -> None:
        """Called for every event that has no handler of its own: counts it. Override it to measure a response time."""
        self._count("WSR", event, data, None)

    def close(self) -> None:
        """Disconnect; may be called again."""
        if self.connected:
            close_apart("Socket.IO", self.disconnect)

    def _count(self, kind: str, name: str, data: Any, error: Exception | None) -> None:
        self.request_event.fire(
            request_type=kind,
            name=name,
            response_time=0,
            response_length=len(data) if isinstance(data, str | bytes | list | tuple | dict) else 0,
            exception=error,
            context={},
        )


class SocketIOUser(User):
    """A user with a SocketIOClient, `sio`. `options` are arguments of socketio.Client, such as `reconnection`."""

    abstract = True
    options: ClassVar[dict[str, Any]] = {}
    sio: SocketIOClient

    def __init__(self, environment: Environment, *args: Any, **kwargs: Any) -> None:
        super().__init__(environment, *args, **kwargs)
        self.sio = SocketIOClient(environment.events.request, **self.options)
        self.sio.on("*", self.sio.on_message)
        self.sio_greenlet = Supervisor().spawn("Socket.IO", self.sio.wait)
        if self.client is None:
            # What a user has as `client` is closed when the user ends.
            self.client = self.sio

    def on_stop(self) -> None:
        self.sio.close()
