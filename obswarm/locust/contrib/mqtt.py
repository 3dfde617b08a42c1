"""`locust.contrib.mqtt`: users of MQTT over paho-mqtt."""

import random
import selectors
import ssl
import string
import warnings
from contextlib import suppress
from typing import Any

from gevent import GreenletExit

from obswarm import clock
from obswarm.api import Environment, RequestRecord, User
from obswarm.locust.contrib.optional import close_apart, needed
from obswarm.locust.exception import LocustError

with needed("paho-mqtt", "mqtt", "paho"):
    import paho.mqtt.client as mqtt

__all__ = ["REQUEST_TYPE", "MqttClient", "MqttUser"]

REQUEST_TYPE = "MQTT"

_FIRST_FAILURE = 0x80
"""Reason codes from here on are failures (MQTT 5.0, 2.4); in version 3.1.1 it is the only one of a SUBACK."""

_WAKING_BYTES = 10_000


class MqttClient(mqtt.Client):
    """A paho.mqtt.client.Client whose messages are counted, as `MQTT`: `connect` (until the broker's acknowledgement),
    `publish:<qos>:<topic>` (until the message is sent; with QoS 1 and 2, acknowledged), `subscribe:<qos>:<topic>` and
    `disconnect`. What is received is up to `on_message`."""

    closed_with_user = True

    def __init__(
        self,
        *args: Any,
        environment: Environment,
        client_id: str | None = None,
        protocol: Any = mqtt.MQTTv311,
        use_loop_selectors: bool = False,
        **kwargs: Any,
    ) -> None:
        """Further arguments are those of paho's client. Without a `client_id` there is one of 23 characters.
        `use_loop_selectors` is for processes with more than about 1,000 open files, where select() fails."""
        client_id = client_id or "locust-" + "".join(random.choices(string.ascii_letters + string.digits, k=16))
        with warnings.catch_warnings():
            # Locustfiles have callbacks of version 1 of paho's API, which it has as default.
            warnings.simplefilter("ignore", DeprecationWarning)
            super().__init__(*args, client_id=client_id, protocol=protocol, **kwargs)
        self.environment = environment
        self.client_id = client_id
        self._use_loop_selectors = use_loop_selectors
        self._is_ending = False
        self._is_accepted = False
        self._connecting: RequestRecord | None = None
        self._under_way: dict[tuple[str, int], RequestRecord] = {}
        self._early: dict[tuple[str, int], BaseException | None] = {}
        self.on_connect = self._connected
        self.on_disconnect = self._disconnected
        self.on_publish = self._published
        self.on_subscribe = self._subscribed

    def reconnect(self) -> Any:
        """As paho's, which calls it for the first connection, too: it begins the request `connect`."""
        record = self._connecting = self._begin("connect", {})
        try:
            return super().reconnect()
        except Exception as error:
            self._connecting = None
            self._finish(record, error)
            raise

    def publish(
        self, topic: str, payload: Any = None, qos: int = 0, retain: bool = False, properties: Any = None
    ) -> Any:
        """As paho's."""
        size = len(payload) if isinstance(payload, str | bytes | bytearray) else 0
        name = self._generate_event_name("publish", qos, topic)
        record = self._begin(name, {"qos": qos, "topic": topic, "payload_size": size})
        record.response_bytes = size
        try:
            info = super().publish(topic, payload, qos, retain, properties)
        except BaseException as error:
            self._finish(record, error)
            raise
        self._wait_for("publish", info.mid, record, info.rc)
        return info

    def subscribe(self, topic: Any, qos: int = 0, options: Any = None, properties: Any = None) -> Any:
        """As paho's; of several topics the first one is in the name."""
        first = topic if isinstance(topic, str) else topic[0] if isinstance(topic, tuple) else topic[0][0]
        record = self._begin(self._generate_event_name("subscribe", qos, first), {"qos": qos, "topic": first})
        try:
            code, mid = super().subscribe(topic, qos, options, properties)
        except BaseException as error:
            self._finish(record, error)
            raise
        self._wait_for("subscribe", mid, record, code)
        return code, mid

    def close(self) -> None:
        """Disconnect, and end the loop. What is not acknowledged is counted as cut off. May be called again."""
        self._is_ending = True
        close_apart("MQTT", self._end)

    def _generate_event_name(self, event_type: str, qos: int, topic: str) -> str:
        """Return the name of a request; a subclass may have others, without the parts of topics that vary."""
        return f"{event_type}:{qos}:{topic}"

    def _begin(self, name: str, context: dict[str, Any]) -> RequestRecord:
        record = self.environment.request(
            REQUEST_TYPE, name, context={"client_id": self.client_id, "start_time": clock.wall(), **context}
        )
        record.begin()
        return record

    def _finish(self, record: RequestRecord, error: BaseException | None) -> None:
        record.end(clock.monotonic() - record.started_s)
        record.error = error
        record.report()

    def _wait_for(self, kind: str, mid: int | None, record: RequestRecord, code: Any) -> None:
        """Leave a message to its callback, which may have been called already."""
        if code != mqtt.MQTT_ERR_SUCCESS or mid is None:
            self._finish(record, None if code == mqtt.MQTT_ERR_SUCCESS else _failure(mqtt.error_string(code)))
        elif (kind, mid) in self._early:
            self._finish(record, self._early.pop((kind, mid)))
        else:
            self._under_way[kind, mid] = record

    def _acknowledged(self, kind: str, mid: int, error: BaseException | None) -> None:
        record = self._under_way.pop((kind, mid), None)
        if record is None:
            self._early[kind, mid] = error
        else:
            self._finish(record, error)

    def _published(self, client: Any, userdata: Any, mid: int, reason_code: Any = 0, properties: Any = None) -> None:
        self._acknowledged("publish", mid, _refusal([reason_code]))

    def _subscribed(self, client: Any, userdata: Any, mid: int, codes: Any, properties: Any = None) -> None:
        self._acknowledged("subscribe", mid, _refusal(codes))

    def _connected(self, client: Any, userdata: Any, flags: Any, code: Any, properties: Any = None) -> None:
        record, self._connecting = self._connecting, None
        self._is_accepted = code == 0
        if record is not None:
            self._finish(record, None if code == 0 else _failure(str(code)))

    def _disconnected(self, client: Any, userdata: Any, *details: Any) -> None:
        # (code), (code, properties), or from version 2 of paho's API on (flags, code, properties).
        code = details[1] if len(details) == 3 else details[0]
        if self._connecting is not None:
            self._connected(client, userdata, None, code if code != 0 else "disconnected")
        elif self._is_accepted and not self._is_ending:
            self._is_accepted = False
            record = self._begin("disconnect", {})
            self._finish(record, None if code == 0 else _failure(str(code)))

    def _end(self) -> None:
        self.disconnect()
        records = [*self._under_way.values(), *filter(None, [self._connecting])]
        self._under_way.clear()
        self._connecting = None
        for record in records:
            record.end(clock.monotonic() - record.started_s)
            record.cut_off(GreenletExit())

    def _loop(self, timeout: float = 1.0) -> Any:
        """As paho's, with a selector in place of select() where that was asked for."""
        if not self._use_loop_selectors:
            return super()._loop(timeout)
        if timeout < 0:
            raise ValueError("Invalid timeout.")
        sock, waking = self._sock, self._sockpairR
        if sock is None:
            return mqtt.MQTT_ERR_NO_CONN
        is_buffered = isinstance(sock, ssl.SSLSocket) and sock.pending() > 0
        try:
            with selectors.DefaultSelector() as selector:
                wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._out_packet else 0)
                selector.register(sock, wanted)
                if waking is not None:
                    selector.register(waking, selectors.EVENT_READ)
                ready = {key.fileobj: events for key, events in selector.select(0 if is_buffered else timeout)}
        except (ValueError, TypeError, OSError):
            return mqtt.MQTT_ERR_CONN_LOST
        events = ready.get(sock, 0)
        if is_buffered or events & selectors.EVENT_READ:
            code = self.loop_read()
            if code or self._sock is None:
                return code
        if waking in ready:
            # Another greenlet has put a message into the queue.
            with suppress(BlockingIOError):
                waking.recv(_WAKING_BYTES)
        if waking in ready or events & selectors.EVENT_WRITE:
            code = self.loop_write()
            if code or self._sock is None:
                return code
        return self.loop_misc()


def _failure(text: str) -> Exception:
    return LocustError(text)


def _refusal(codes: Any) -> Exception | None:
    """Return the failure that a broker's reason codes are; None: it has accepted all."""
    refused = [code for code in codes if int(getattr(code, "value", code)) >= _FIRST_FAILURE]
    return _failure(f"The broker refused: {', '.join(map(str, refused))}") if refused else None


class MqttUser(User):
    """A user with a MqttClient, which connects to `host` and `port` at once; its loop runs beside the tasks."""

    abstract = True
    client: MqttClient

    host = "localhost"
    port = 1883
    transport = "tcp"
    """Or "websockets", with the path `ws_path`."""

    ws_path = "/mqtt"
    tls_context: ssl.SSLContext | None = None
    client_cls: type[MqttClient] = MqttClient
    client_id: str | None = None
    username: str | None = None
    password: str | None = None
    protocol: Any = mqtt.MQTTv311
    use_loop_selectors = False

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self.client = self.client_cls(
            environment=environment,
            transport=self.transport,
            client_id=self.client_id,
            protocol=self.protocol,
            use_loop_selectors=self.use_loop_selectors,
        )
        if self.tls_context is not None:
            self.client.tls_set_context(self.tls_context)
        if self.transport == "websockets" and self.ws_path:
            self.client.ws_set_options(path=self.ws_path)
        if self.username and self.password:
            self.client.username_pw_set(self.username, self.password)
        self.client.connect_async(self._checked_host(), self.port)
        self.client.loop_start()
