"""The one place where gevent patches the standard library.

Users are greenlets, and load-test files call blocking code (requests, time.sleep, database drivers), so sockets,
locks and sleeps have to be cooperative. A module that was imported earlier keeps the blocking originals, ssl even
breaks; therefore `obswarm.cli.main` and `obswarm.api` import this module before anything else, and nothing else
patches. A process that wants real threads (the demo's target)
imports neither.
"""

from gevent import config, monkey

# Who spawned a greenlet from where is kept by default; for users nobody asks, and it is a part of their memory.
config.track_greenlet_tree = False

monkey.patch_all()
