"""The signals that stop an obswarm process gracefully."""

import signal


def ending_signals() -> tuple[signal.Signals, ...]:
    """Return SIGINT, SIGTERM, and SIGHUP (sent when the terminal is closed) unless SIGHUP is ignored, as under nohup,
    or the load test has installed a handler for it."""
    always = (signal.SIGINT, signal.SIGTERM)
    return (*always, signal.SIGHUP) if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL else always
