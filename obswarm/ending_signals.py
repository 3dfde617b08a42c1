"""The signals that end a process of ours gracefully."""

import signal


def ending_signals() -> tuple[signal.Signals, ...]:
    """SIGINT, SIGTERM, and SIGHUP, which a terminal that is closed sends. SIGHUP is left out where it means something
    else: a process that nohup has started ignores it, and a load test may have a handler of its own."""
    always = (signal.SIGINT, signal.SIGTERM)
    return (*always, signal.SIGHUP) if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL else always
