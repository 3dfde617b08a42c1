"""FastHttpUser's settings: timeouts, concurrency, redirects, default headers, client_pool."""
# run: -u 1

import observing
from locust import FastHttpUser, task
from locust.contrib.fasthttp import FastHttpSession


class Visitor(FastHttpUser):
    network_timeout = 5.0
    connection_timeout = 2.0
    max_redirects = 1
    max_retries = 0
    concurrency = 3
    insecure = True
    default_headers = {"X-Mine": "yes"}

    @task
    def page(self):
        observing.iteration(self, 1)
        observing.note("session", isinstance(self.client, FastHttpSession), self.client.base_url == self.host)
        self.client.get("/page")
        self.client.get("/closing")
        self.client.get("/closing")
        self.client.get("/page")
