"""Failures of the connection and of the protocol, and error statuses."""

import observing
import requests
from locust import HttpUser, task


class Visitor(HttpUser):
    @task
    def all_of_them(self):
        observing.iteration(self, 1)
        for path in ("/status/400", "/status/404", "/status/404", "/status/500", "/status/503"):
            response = self.client.get(path)
            observing.note(path, response.status_code)
            observing.attempt("ok", lambda response=response: (response.ok, bool(response)))
            observing.attempt("raise_for_status", response.raise_for_status)
        for path in ("/cut", "/garbage"):
            response = self.client.get(path)
            observing.note(
                path, response.status_code, response.text, isinstance(response.error, requests.RequestException)
            )
            observing.attempt("ok", lambda response=response: response.ok is None)
        response = self.client.get("http://127.0.0.1:9/", name="refused")
        observing.note("refused", response.status_code, isinstance(response.error, requests.ConnectionError))
        response = self.client.get("/slow?seconds=2", name="timeout", timeout=0.1)
        observing.note("timeout", response.status_code, isinstance(response.error, requests.Timeout))
        response = self.client.get("http://nowhere.invalid/", name="no such host")
        observing.note("no such host", response.status_code, isinstance(response.error, requests.ConnectionError))
