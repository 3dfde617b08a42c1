"""`python -m benchmarks`: all of them, one after the other."""

from benchmarks.arrivals.__main__ import main as arrivals
from benchmarks.cluster.__main__ import main as cluster
from benchmarks.explain.__main__ import main as explain
from benchmarks.feed.__main__ import main as feed
from benchmarks.http.__main__ import main as http
from benchmarks.metrics.__main__ import main as metrics
from benchmarks.store.__main__ import main as store
from benchmarks.web.__main__ import main as web

if __name__ == "__main__":
    http()
    metrics()
    arrivals()
    cluster()
    feed()
    web([])
    print(store())
    print(explain())
