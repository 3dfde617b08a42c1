"""The load test of the HTTP benchmark, for whichever of the two libraries is installed.

`Fast…` and `Plain…` ask for one small page again and again; the idle ones ask once and then keep their connection.
"""

try:
    import obswarm as library
except ImportError:
    import locust as library


class FastBusy(library.FastHttpUser):
    @library.task
    def page(self):
        self.client.get("/")


class PlainBusy(library.HttpUser):
    @library.task
    def page(self):
        self.client.get("/")


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
