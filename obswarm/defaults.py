"""All defaults, with their units in their names."""

USERS = 1
SPAWN_RATE = 1.0
"""Users started per second."""

MAX_USERS = 1_000
"""Maximum number of users of the open model."""

STOP_TIMEOUT_S = 10.0
"""Time for running tasks to finish when the run stops. With Locust's default, 0, requests are cut off that the target
has already counted; this default keeps both counts equal."""

LONGEST_RUN_S = 30 * 86400.0
"""Maximum planned time of a run."""

UNFOLLOWED_LIMIT_S = 3600.0
"""Maximum time for which the load is held, or continues after it was scaled, without a run time or a planned end."""

SNAPSHOT_INTERVAL_S = 1.0
MAX_ENDPOINTS = 1_000
MAX_ERRORS = 500
MAX_ERROR_KINDS = 10
"""Distinct error messages of an endpoint; beyond that, similar messages are grouped."""
MAX_ERROR_LENGTH = 300
"""Maximum length of an error message, in characters."""
MAX_EXAMPLE_LENGTH = 500
"""Maximum length of an example of grouped error messages, in characters."""

MAX_CUSTOM_METRICS = 100
"""Maximum number of metrics that a load test may declare."""
MAX_CUSTOM_SERIES = 1_000
"""Maximum number of series (a metric with values of its labels) of a load test's own metrics."""
MAX_METRIC_NAME_LENGTH = 60

MAX_NAME_LENGTH = 500
"""Maximum length of names (endpoints, methods, user classes, workers) and label values, in characters."""

MAX_TRACEBACK_LENGTH = 16_000
"""Maximum length of a traceback, in characters; its end is kept."""

MAX_DURATION_S = 2.0**32
"""136 years; a longer duration of a request is invalid. (A Unix timestamp given by mistake is still accepted.)"""

MAX_RESPONSE_BYTES = 2**62 - 1
"""Maximum size of one response, in bytes."""

SATURATED_CPU_RATIO = 0.9
"""CPU use, as a share of one core, above which the load generator counts as the bottleneck: a process uses one core."""

SATURATED_LOOP_LAG_S = 0.1
"""Event loop lag above which the load generator counts as the bottleneck: the lag is added to measured latencies."""

SATURATED_AFTER_S = 3
"""Consecutive seconds above a limit before a run is marked as saturated, so that a single pause does not count."""

WEB_PORT = 8089
"""Port of /metrics, the page and the REST API; the next free one if it is taken."""

LOADTEST_FILES = ("loadtest.py", "locustfile.py")
"""Default load-test files, in the current directory."""

CONNECT_TIMEOUT_S = 60.0
NETWORK_TIMEOUT_S = 60.0
"""Timeouts of FastHttpUser, as in Locust."""

MAX_REDIRECTS = 30

MAX_RESPONSE_IN_MEMORY_BYTES = 256 * 1024 * 1024
"""Maximum size of a response that is read into memory, in bytes; larger ones are rarely intended, and take memory from
all other users."""

POOL_CONNECTIONS = 10
"""Maximum number of concurrent connections of a user to one origin, as Locust's `concurrency`."""

REMOTE_WRITE_INTERVAL_S = 5.0
REMOTE_WRITE_QUEUE = 300
"""Maximum number of queued pushes while the receiver is unavailable."""

LINGER_S = 20.0
"""How long to wait after the run for a final scrape or push."""

ORPHAN_TIMEOUT_S = 10.0
"""Workers stop their users after this long without contact with the master."""

MISSING_AFTER_S = 3.0
"""A worker without heartbeat for this long is missing; its users are moved to other workers."""

GIVE_UP_AFTER_S = 120.0
"""A worker exits after this long without finding a master."""

BUNDLE_LIMIT_BYTES = 20 * 1024 * 1024

ALERTS_GRACE_S = 10.0
"""An alert without a run id that fires this soon after the start of the run may concern the time before it: obswarm's
rules use five seconds of samples, scrape and evaluation take up to one second each, and clocks differ slightly."""

EARLIER_ALERTS_MAX_WAIT_S = 300.0
"""Maximum time for which a start waits for alerts from before the run to resolve."""
