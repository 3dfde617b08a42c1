"""What a response of a FastHttpUser has."""

import observing
from locust import FastHttpUser, task


class Visitor(FastHttpUser):
    @task
    def all_of_them(self):
        observing.iteration(self, 1)
        response = self.client.get("/json")
        observing.note("json", response.json(), response.text, type(response.content).__name__, response.encoding)
        observing.note("plain", response.status_code, response.url, bool(response))
        observing.note("headers", response.headers["content-type"], response.headers.get("nothing"))
        observing.attempt("meta", lambda response=response: sorted(response.request_meta))
        response = self.client.get("/gzip")
        observing.note("gzip", len(response.text), response.headers.get("content-encoding"))
        response = self.client.get("/latin1")
        observing.note("latin1", response.text, response.encoding)
        response = self.client.get("/bytes/1000")
        observing.note("bytes", len(response.content))
        response = self.client.get("/chunks")
        observing.note("chunks", response.text)
