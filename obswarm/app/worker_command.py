"""How worker processes of this machine are started."""

import sys

WORKER_COMMAND = (sys.executable, "-P", "-m", "obswarm", "worker-process")
"""-P: modules of the current folder, like a `json.py`, do not replace those of the standard library."""
