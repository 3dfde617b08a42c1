"""`locust.contrib.mqtt` with a real broker."""

from collections.abc import Iterator
from typing import Any

import gevent
import pytest

from obswarm.locust import task
from obswarm.locust.contrib.mqtt import MqttUser, mqtt
from obswarm.locust.env import Environment
from tests.support.mosquitto import Mosquitto
from tests.support.nginx import free_port
from tests.support.patience import wait_until

RECEIVED: list[bytes] = []


@pytest.fixture(scope="module")
def broker() -> Iterator[Mosquitto]:
    with Mosquitto() as broker:
        yield broker


class Sender(MqttUser):
    """Publishes a message of each quality of service, and waits for them; then nothing more."""

    abstract = True
    host = "127.0.0.1"

    def on_start(self) -> None:
        self.client.on_message = lambda client, userdata, message: RECEIVED.append(message.payload)
        wait_until(self.client.is_connected)
        self.client.subscribe("shop/orders", 1)
        sent = [self.client.publish("shop/orders", b"order", qos=qos) for qos in (0, 1, 2)]
        for each in sent:
            each.wait_for_publish(60)

    @task
    def nothing(self) -> None:
        gevent.sleep(0.05)


def run(kind: type[MqttUser], until: Any, users: int = 1) -> dict[tuple[str, str], tuple[int, int]]:
    """Requests and failures by endpoint of a run of such users, which ends when `until` is true of what is counted."""
    environment = Environment(user_classes=[kind])
    runner = environment.create_local_runner()
    runner.start(users, 1000, wait=True)
    wait_until(lambda: until(runner.stats))
    runner.quit()
    runner.greenlet.join()
    final = runner.result.final
    assert all(key.method == "MQTT" for key in final.endpoints)
    return {key.name: (stats.requests, stats.failures) for key, stats in final.endpoints.items()}


@pytest.mark.parametrize("protocol", [mqtt.MQTTv311, mqtt.MQTTv5])
@pytest.mark.parametrize("by_selector", [False, True])
def test_messages_are_counted_when_the_broker_has_them(broker: Mosquitto, protocol: int, by_selector: bool) -> None:
    RECEIVED.clear()
    kind = type("Visitor", (Sender,), {"port": broker.port, "protocol": protocol, "use_loop_selectors": by_selector})
    counted = run(kind, lambda stats: stats.total.num_requests == 10, users=2)
    assert counted == {
        "connect": (2, 0),
        "subscribe:1:shop/orders": (2, 0),
        "publish:0:shop/orders": (2, 0),
        "publish:1:shop/orders": (2, 0),
        "publish:2:shop/orders": (2, 0),
    }
    assert set(RECEIVED) == {b"order"}


def test_what_the_broker_refuses_is_a_failure() -> None:
    class Stranger(MqttUser):
        host = "127.0.0.1"
        username = "me"
        password = "wrong"

        @task
        def nothing(self) -> None:
            gevent.sleep(0.05)

    with Mosquitto(password="right") as guarded:
        Stranger.port = guarded.port
        counted = run(Stranger, lambda stats: stats.total.num_failures >= 1)
        assert list(counted) == ["connect"]
        Stranger.password = "right"
        counted = run(Stranger, lambda stats: stats.total.num_requests == 1)
        assert counted == {"connect": (1, 0)}


def test_a_broker_that_is_not_there() -> None:
    class Alone(MqttUser):
        host = "127.0.0.1"
        port = free_port()

        @task
        def nothing(self) -> None:
            gevent.sleep(0.05)

    counted = run(Alone, lambda stats: stats.total.num_failures >= 1)
    requests, failures = counted.pop("connect")
    assert requests == failures >= 1
    assert not counted
