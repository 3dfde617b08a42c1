"""File descriptor limits of this process, and descriptors reserved for its own needs.

The kernel assigns the lowest free number, so the number of a new descriptor shows how close the limit is: a connection
of a user whose number is among the last RESERVED ones is closed again. Statistics, result files, the web server and
the cluster's connections therefore always find free descriptors, whatever users and web clients open.
"""

import errno
import os
import resource

LARGEST_SOFT_LIMIT = 1_048_576
"""Docker's hard limit may be a billion, and some programs that a load test may start iterate over all descriptors up to
the soft limit."""

RESERVED = 64
"""Descriptors below the limit that connections of users must not use."""

RESERVED_FROM_WEB = 32
"""Descriptors below the limit that connections to the web port must not use either."""

_NONE_LEFT = frozenset((errno.EMFILE, errno.ENFILE))
_MACOS_LARGEST = 10_240


def soft_limit() -> int:
    """Return the maximum number of descriptors of this process."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return LARGEST_SOFT_LIMIT if soft == resource.RLIM_INFINITY else soft


def hard_limit() -> int:
    """Return how far the soft limit can be raised without root privileges."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return LARGEST_SOFT_LIMIT if hard == resource.RLIM_INFINITY else hard


def raise_soft_limit() -> None:
    """Raise the soft limit of this process and its children to the hard limit. The usual soft limit of 1,024 exists for
    programs that use select(), which obswarm does not."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for wanted in (min(hard_limit(), LARGEST_SOFT_LIMIT), _MACOS_LARGEST):
        if soft == resource.RLIM_INFINITY or soft >= wanted:
            return
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (ValueError, OSError):
            # On macOS the kernel has a limit of its own below the hard one.
            continue
        return


def ceiling(reserved: int = RESERVED) -> int:
    """Return the lowest descriptor number not available to users (with RESERVED_FROM_WEB: to web clients)."""
    limit = soft_limit()
    return limit - min(reserved, limit * reserved // (4 * RESERVED))


def room() -> int:
    """Return how many more user connections this process can open."""
    return max(0, ceiling() - _next_number())


def is_full() -> bool:
    """Return whether no more user connections can be opened."""
    return _next_number() >= ceiling()


def _next_number() -> int:
    """Return the number that the next descriptor will get."""
    try:
        number = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in _NONE_LEFT:
            return soft_limit()
        raise
    os.close(number)
    return number


def is_exhaustion(error: BaseException) -> bool:
    """Return whether the error means that no descriptors are left."""
    return isinstance(error, OSError) and error.errno in _NONE_LEFT


def none_left(number: int = errno.EMFILE) -> OSError:
    """Return the error that the kernel would raise without free descriptors."""
    return OSError(number, os.strerror(number))


def reason(number: int | None = errno.EMFILE) -> str:
    """Return a message for EMFILE or ENFILE."""
    if number == errno.ENFILE:
        return "this machine has no file descriptors left (sysctl fs.file-max)"
    return f"this process has no file descriptors left: it may have {soft_limit():,} open files (ulimit -n)"
