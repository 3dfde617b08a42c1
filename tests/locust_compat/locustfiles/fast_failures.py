"""Failures as a FastHttpUser sees them."""

import observing
from locust import FastHttpUser, task


class Visitor(FastHttpUser):
    network_timeout = 0.3
    connection_timeout = 0.3

    @task
    def all_of_them(self):
        observing.iteration(self, 1)
        for path in ("/status/400", "/status/404", "/status/404", "/status/500", "/status/503"):
            response = self.client.get(path)
            observing.note(path, response.status_code, bool(response), response.text)
            observing.attempt("raise_for_status", response.raise_for_status)
        for path in ("/garbage",):
            response = self.client.get(path)
            observing.note(
                path, response.status_code, response.text, response.content, isinstance(response.error, Exception)
            )
        response = self.client.get("http://127.0.0.1:9/", name="refused")
        observing.note("refused", response.status_code, isinstance(response.error, ConnectionRefusedError))
        response = self.client.get("/slow?seconds=2", name="timeout")
        observing.note("timeout", response.status_code, isinstance(response.error, TimeoutError))
        response = self.client.get("http://nowhere.invalid/", name="no such host")
        observing.note("no such host", response.status_code, isinstance(response.error, OSError))
