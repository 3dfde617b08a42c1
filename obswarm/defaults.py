"""Every default of the product in one place, with its unit in its name."""

USERS = 1
SPAWN_RATE = 1.0
"""Users started per second."""

STOP_TIMEOUT_S = 10.0
"""How long running tasks may take to finish once the run stops. Locust's default is 0, which cuts requests off
that the target has already counted; here the default keeps both counts equal."""

UNFOLLOWED_LIMIT_S = 3600.0
"""How long a load may be held, or go on after it was scaled, where nobody knows when its plan ends and there is no
run time."""

SNAPSHOT_INTERVAL_S = 1.0
MAX_ENDPOINTS = 1_000
MAX_ERRORS = 500
MAX_ERROR_KINDS = 10
"""Of one endpoint; beyond it they are grouped by their common form."""
MAX_ERROR_LENGTH = 300
"""Characters that are kept of an error's message."""
MAX_EXAMPLE_LENGTH = 500
"""Characters that are kept of an example of many errors' texts."""

MAX_NAME_LENGTH = 500
"""Characters that are kept of a name: of an endpoint, a method, a user class, a worker, a label's value."""

MAX_TRACEBACK_LENGTH = 16_000
"""Characters that are kept of a traceback, its end foremost."""

MAX_DURATION_S = 2.0**32
"""136 years: a longer time is no duration of a request. The time since 1970, given by mistake, still is one."""

MAX_RESPONSE_BYTES = 2**62 - 1
"""Bytes that one response can count for."""

SATURATED_CPU_RATIO = 0.9
"""Share of one core above which the generator counts as the bottleneck: one process cannot use more than one."""

SATURATED_LOOP_LAG_S = 0.1
"""A loop that wakes this late adds as much to the latencies that it measures."""

SATURATED_AFTER_S = 3
"""Consecutive seconds over a limit before the run is marked, so that one pause of the machine marks nothing."""

LOADTEST_FILES = ("loadtest.py", "locustfile.py")
"""Looked for in the current directory when no file is named."""

CONNECT_TIMEOUT_S = 60.0
NETWORK_TIMEOUT_S = 60.0
"""FastHttpUser's time limits, as in Locust."""

MAX_REDIRECTS = 30

MAX_RESPONSE_IN_MEMORY_BYTES = 256 * 1024 * 1024
"""Of a response that is read as a whole: more in memory is hardly ever meant, and takes the machine from all other
users."""

POOL_CONNECTIONS = 10
"""Connections that a user may have open to one origin at the same time, as Locust's `concurrency`."""

REMOTE_WRITE_INTERVAL_S = 5.0
REMOTE_WRITE_QUEUE = 300
"""Pushes that wait while the receiver is away."""

LINGER_S = 20.0
"""How long to wait at the end of a run for a last scrape, or for the last push to arrive."""

ORPHAN_TIMEOUT_S = 10.0
"""A worker that has not heard from a master for so long ends its users."""

MISSING_AFTER_S = 3.0
"""A worker that the master has not heard from for so long counts as missing; its users go to others."""

GIVE_UP_AFTER_S = 120.0
"""A worker that has found no master for so long ends."""

BUNDLE_LIMIT_BYTES = 20 * 1024 * 1024

ALERTS_GRACE_S = 10.0
"""An alert without a run id that fires so soon after the run's start may be about the time before it. Our own rules
look at five seconds of samples; scrape and evaluation take up to one each, and clocks differ a little."""

EARLIER_ALERTS_MAX_WAIT_S = 300.0
"""How long a start waits for alerts from before the run, if it waits."""
