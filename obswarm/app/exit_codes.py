"""Exit codes of `obswarm run`, which CI jobs rely on."""

OK = 0
FAILURES = 1
USAGE = 2
STOPPED_BY_GUARD = 3
INCOMPLETE = 4
REQUIREMENTS = 5
INTERRUPTED = 130
