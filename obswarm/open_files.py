"""File descriptors of this process: how many there may be, and which are kept for its own needs.

The kernel gives out the lowest number that is free, so a descriptor's own number says how near the limit is: a client's
connection whose number is in the last RESERVED ones is closed again. Statistics, files of results, the web server and
the connections of a cluster therefore find some left, whatever the load test's users and strangers open.
"""

import errno
import os
import resource

LARGEST_SOFT_LIMIT = 1_048_576
"""Docker's hard limit may be a billion, and some programs that a load test may start go through all numbers up to the
soft one."""

RESERVED = 64
"""Descriptors below the limit that connections of users may not take."""

RESERVED_FROM_WEB = 32
"""Those that connections at the web port may not take either."""

_NONE_LEFT = frozenset((errno.EMFILE, errno.ENFILE))
_MACOS_LARGEST = 10_240


def soft_limit() -> int:
    """How many descriptors this process may have."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return LARGEST_SOFT_LIMIT if soft == resource.RLIM_INFINITY else soft


def hard_limit() -> int:
    """How far the soft limit can be raised without the rights of root."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return LARGEST_SOFT_LIMIT if hard == resource.RLIM_INFINITY else hard


def raise_soft_limit() -> None:
    """Allow this process and its children as many descriptors as the hard limit does. Users are used to a soft limit of
    1,024, which is there for programs that use select(), and this one does not."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for wanted in (min(hard_limit(), LARGEST_SOFT_LIMIT), _MACOS_LARGEST):
        if soft == resource.RLIM_INFINITY or soft >= wanted:
            return
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (ValueError, OSError):
            # Where the kernel has a limit of its own below the hard one, as macOS has.
            continue
        return


def ceiling(reserved: int = RESERVED) -> int:
    """The lowest number that is not for connections of users (or of strangers, with RESERVED_FROM_WEB)."""
    limit = soft_limit()
    return limit - min(reserved, limit * reserved // (4 * RESERVED))


def room() -> int:
    """How many further connections of users this process can have."""
    return max(0, ceiling() - _next_number())


def is_full() -> bool:
    """Whether there is no room for a connection of a user."""
    return _next_number() >= ceiling()


def _next_number() -> int:
    """The number that the next descriptor gets: at least as many are open, but for gaps."""
    try:
        number = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in _NONE_LEFT:
            return soft_limit()
        raise
    os.close(number)
    return number


def is_exhaustion(error: BaseException) -> bool:
    """Whether it says that there is no descriptor left."""
    return isinstance(error, OSError) and error.errno in _NONE_LEFT


def none_left(number: int = errno.EMFILE) -> OSError:
    """The error that the kernel would have raised when the next descriptor would be a reserved one."""
    return OSError(number, os.strerror(number))


def reason(number: int | None = errno.EMFILE) -> str:
    """The same for people."""
    if number == errno.ENFILE:
        return "this machine has no file descriptor left (sysctl fs.file-max)"
    return f"this process has no file descriptor left: it may have {soft_limit():,} open files (ulimit -n)"
