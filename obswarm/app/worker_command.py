"""How worker processes of this machine are started."""

import sys

WORKER_COMMAND = (sys.executable, "-P", "-m", "obswarm", "worker-process")
"""-P: a `json.py` in the current folder is not the one that the standard library imports."""
