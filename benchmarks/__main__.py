"""`python -m benchmarks`: all of them, one after the other."""

from benchmarks.cluster.__main__ import main as cluster
from benchmarks.http.__main__ import main as http
from benchmarks.metrics.__main__ import main as metrics
from benchmarks.store.__main__ import main as store

if __name__ == "__main__":
    http()
    metrics()
    cluster()
    print(store())
