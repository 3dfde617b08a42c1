"""What a response of an HttpUser has."""

import observing
from locust import HttpUser, task


class Visitor(HttpUser):
    @task
    def all_of_them(self):
        observing.iteration(self, 1)
        response = self.client.get("/json")
        observing.note("json", response.json(), response.text, response.content, response.encoding)
        observing.note("plain", response.status_code, response.ok, response.reason, response.url, response.is_redirect)
        observing.note("headers", response.headers["content-type"], response.headers.get("nothing"))
        observing.note("request", response.request.method, response.request.url, response.request.headers.get("Accept"))
        observing.note("elapsed", response.elapsed.total_seconds() > 0)
        observing.note(
            "meta", sorted(response.request_meta), response.request_meta["name"], response.request_meta["request_type"]
        )
        response = self.client.get("/gzip")
        observing.note("gzip", len(response.text), response.headers.get("content-encoding"))
        response = self.client.get("/latin1")
        observing.note("latin1", response.text, response.encoding)
        response = self.client.get("/bytes/1000")
        observing.note("bytes", len(response.content))
        response = self.client.get("/lines/3", stream=True)
        observing.note("lines", [line.decode() for line in response.iter_lines()])
        response = self.client.get("/chunks")
        observing.note("chunks", response.text)
        observing.attempt("not JSON", lambda: self.client.get("/notjson").json() and None)
