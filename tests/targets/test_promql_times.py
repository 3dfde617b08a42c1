"""The time that a Prometheus is asked about: that of the question, by its own clock."""

import json
import time
from urllib.parse import parse_qs

import gevent
import pytest
from gevent.pywsgi import WSGIServer

from obswarm import clock
from obswarm.targets import PrometheusSource
from tests.support.patience import HANG_S


class Stub:
    """Answers instant queries with 1, or with no series, by a clock of its own."""

    def __init__(self, ahead_s: float) -> None:
        self.ahead_s = ahead_s
        self.times: list[float | None] = []
        self.takes_s = 0.0
        self._server = WSGIServer(("127.0.0.1", 0), self._answer, log=None)

    def __enter__(self) -> "Stub":
        self._server.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(timeout=0)

    def _answer(self, environ, start):
        gevent.sleep(self.takes_s)
        requested = parse_qs(environ["QUERY_STRING"])
        at_s = float(requested["time"][0]) if "time" in requested else None
        self.times.append(at_s)
        value = [time.time() + self.ahead_s if at_s is None else at_s, "1"]
        result = [] if "nothing" in requested["query"][0] else [{"metric": {}, "value": value}]
        start("200 OK", [("Content-Type", "application/json")])
        return [json.dumps({"status": "success", "data": {"resultType": "vector", "result": result}}).encode()]


@pytest.mark.parametrize("ahead_s", [0.0, 3600.0, -3600.0])
def test_queries_are_evaluated_at_the_requested_time_of_prometheus_clock(ahead_s: float) -> None:
    with Stub(ahead_s) as stub:
        source = PrometheusSource(stub.url)
        try:
            source.query("nothing")
            source.query("x")
            assert stub.times == [None, None], "it has not said yet what time it is"
            began_s = time.time()
            for ago_s in (0.0, 2.5):
                source.query("x", clock.monotonic() - ago_s)
            took_s = time.time() - began_s
            for ago_s, at_s in zip((0.0, 2.5), stub.times[2:], strict=True):
                assert at_s is not None
                # As exact as the time between the first question and its answer.
                assert at_s - ahead_s == pytest.approx(began_s - ago_s, abs=took_s + 1.0)
        finally:
            source.close()


def test_concurrent_queries_each_have_their_own_time() -> None:
    with Stub(0.0) as stub:
        source = PrometheusSource(stub.url)
        try:
            source.query("x")
            stub.takes_s = 0.05
            now = clock.monotonic()
            asking = [gevent.spawn(source.query, "x", now - ago_s) for ago_s in (3.0, 2.0, 1.0)]
            gevent.joinall(asking, raise_error=True, timeout=HANG_S)
            third, second, first = sorted(stub.times[1:])
            assert (second - third, first - second) == (pytest.approx(1.0, abs=0.01), pytest.approx(1.0, abs=0.01))
        finally:
            source.close()
