"""What targets do and what load tests ask for, each a case of the differential test. Add yours here."""

from tests.support.differential import Case
from tests.support.scripted_server import HANG, PAUSE, RESET, answer

FINE = (answer(b"fine", X_Own="1"),)


def moved(status: str, location: str = "/there") -> tuple[list[bytes], list[bytes]]:
    return answer(b"moved", status=status, Location=location), answer(b"there")


TARGETS: dict[str, Case] = {
    "answers": Case(FINE),
    "refuses": Case(FINE, refuses=True),
    "resets": Case(([RESET],)),
    "resets in the body": Case(([b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello", PAUSE, RESET],)),
    "closes": Case(([],), close=True),
    "hangs": Case(([HANG],), arguments={"timeout": 0.1}),
    "hangs in the body": Case(([b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", HANG],), arguments={"timeout": 0.1}, differs={"error": "timeout"}),  # requests: ConnectionError
}  # fmt: skip
"""Targets that misbehave."""

CASES = {**TARGETS}
