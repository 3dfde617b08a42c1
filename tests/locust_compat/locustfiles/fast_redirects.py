"""Redirects of a FastHttpUser."""

import observing
from locust import FastHttpUser, task


class Visitor(FastHttpUser):
    max_redirects = 3

    @task
    def all_of_them(self):
        observing.iteration(self, 1)
        response = self.client.get("/redirect?to=/target")
        observing.note("followed", response.status_code, response.url)
        response = self.client.get("/redirect?to=/target", name="not followed", allow_redirects=False)
        observing.note("not followed", response.status_code, response.headers["Location"])
        for code in (301, 302, 307, 308):
            self.client.post(f"/redirect?to=/target&code={code}", data="body", name=f"POST {code}")
        self.client.get("/redirect?to=/redirect%3Fto%3D/target", name="two")
        response = self.client.get("/loop")
        observing.note("loop", response.status_code)
