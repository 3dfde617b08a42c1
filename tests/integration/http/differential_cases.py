"""What targets do and what load tests ask for, each a case of the differential test. Add yours here."""

from typing import Any

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

STATUSES: dict[str, Case] = {
    "status 099": Case(([b"HTTP/1.1 099 Odd\r\nContent-Length: 2\r\n\r\nok"],)),
    "status 000": Case(([b"HTTP/1.1 000 Odd\r\nContent-Length: 0\r\n\r\n"],)),
    "status 099 to HEAD": Case(([b"HTTP/1.1 099 Odd\r\n\r\n"],), method="HEAD"),
    "status 99": Case(([b"HTTP/1.1 99 Odd\r\nContent-Length: 0\r\n\r\n"],)),
    "status 2000": Case(([b"HTTP/1.1 2000 Odd\r\nContent-Length: 0\r\n\r\n"],)),
    "status abc": Case(([b"HTTP/1.1 abc Odd\r\nContent-Length: 0\r\n\r\n"],)),
    "status 600": Case((answer(b"odd", status="600 Odd"),)),
    "status 999": Case((answer(b"odd", status="999 Odd"),)),
    "status 101 that nobody has asked for": Case(([b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"],)),
    "status 101 with what it announces": Case(([b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"],)),
}  # fmt: skip
"""Statuses that are none, or rare."""

NO_ADDRESS: dict[str, Any] = {"fast": {"error": "connection"}}
"""FastHttpUser counts it as what the target got wrong (ProtocolError)."""

NO_NAME: dict[str, Any] = {"differs": {"error": "connection"}}
"""A name that cannot be resolved, as any other."""

LONG = "a" * 21_000
REDIRECTED: dict[str, Case] = {
    **{
        f"redirects to {location}": Case(moved("302 Found", location), **NO_ADDRESS)
        for location in ("file:", "file:///etc/passwd", "ftp://x/", "mailto:x@y", "javascript:alert(1)", "data:text/html,x",
                         "ws://x/", "http://[::bad", "//[::bad", "http://a[b]/", "http://127.0.0.1:abc/",
                         "http://127.0.0.1:99999/", "http://x:-1/")
    },
    "redirects to nowhere": Case(moved("302 Found", "")),
    "redirects by 21 kB": Case(moved("302 Found", f"/{LONG}")),
    "redirects by a query of 21 kB": Case(moved("302 Found", f"?{LONG}")),
    "redirects to a host of 21 kB": Case(moved("302 Found", f"http://{LONG}/"), **NO_NAME),
    "redirects to a label that is too long": Case(moved("302 Found", f"http://{LONG[:70]}.test/"), **NO_NAME),
    "redirects to where nothing listens": Case(moved("302 Found", "http://127.0.0.1:1/")),
    "redirects to itself": Case((answer(status="302 Found", Location="/asked"),)),
    "redirects, then resets in the body": Case((answer(status="307 Temporary Redirect", Location="/there"), [b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello", PAUSE, RESET]), method="POST"),
    "redirects, then fails": Case((answer(status="302 Found", Location="/there"), answer(b"no", status="503 No"))),
    "does not redirect where redirects are not followed": Case(moved("302 Found", "/there"), arguments={"allow_redirects": False}),
}  # fmt: skip
"""Redirects that lead nowhere, or to where the request then fails."""

CASES = {**TARGETS, **STATUSES, **REDIRECTED}
