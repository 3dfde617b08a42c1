"""A client of another protocol: XML-RPC in the documentation, here a made-up one."""

import time

import observing
from locust import User, task


class Client:
    def __init__(self, host, request_event):
        self._host = host
        self._request_event = request_event

    def __getattr__(self, name):
        def call(*arguments):
            meta = {
                "request_type": "rpc",
                "name": name,
                "start_time": time.time(),
                "response_length": 0,
                "response": None,
                "context": {},
                "exception": None,
            }
            start = time.perf_counter()
            try:
                if name == "broken":
                    raise OSError("not served")
                meta["response"] = sum(arguments)
                meta["response_length"] = 4
            except OSError as error:
                meta["exception"] = error
            meta["response_time"] = (time.perf_counter() - start) * 1000
            self._request_event.fire(**meta)
            return meta["response"]

        return call


class RpcUser(User):
    abstract = True

    def __init__(self, environment):
        super().__init__(environment)
        self.client = Client(self.host, environment.events.request)


class Visitor(RpcUser):
    host = "somewhere"

    @task
    def call(self):
        observing.iteration(self, 2)
        observing.note("sum", self.client.sum(1, 2, 3))
        self.client.broken()
