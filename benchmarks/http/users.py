"""The load test of the HTTP benchmark, for whichever of the two libraries is installed.

`Fast…` and `Plain…` ask for one small page again and again, those that reconnect over a new connection each time; the
idle ones ask once and then keep their connection. None verifies certificates, as wrk does not.
"""

try:
    import obswarm as library
except ImportError:
    import locust as library


class FastBusy(library.FastHttpUser):
    insecure = True

    @library.task
    def page(self):
        self.client.get("/")


class FastReconnecting(FastBusy):
    default_headers = {"Connection": "close"}  # noqa: RUF012 - as both libraries have it


class PlainBusy(library.HttpUser):
    def on_start(self):
        self.client.verify = False

    @library.task
    def page(self):
        self.client.get("/")


class PlainReconnecting(PlainBusy):
    def on_start(self):
        super().on_start()
        self.client.headers["Connection"] = "close"


class FastIdle(library.FastHttpUser):
    wait_time = library.constant(3600)

    @library.task
    def page(self):
        self.client.get("/")


class PlainIdle(library.HttpUser):
    wait_time = library.constant(3600)

    @library.task
    def page(self):
        self.client.get("/")
