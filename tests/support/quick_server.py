"""A target that answers every request after one millisecond and can take many: `python -m tests.support.quick_server`.

Prints its port, serves on loopback until standard input ends. Understands requests without a body only. /arrivals tells when
what came, by path, and is not counted itself. After
/start-failing every answer is a 500; /first-failure tells when the first one was. After /start-hanging nothing is answered;
/last-answer tells when the last answer was. /metrics is Prometheus'.
"""

import asyncio
import json
import sys
import time
from collections import defaultdict

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
_DONE = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone"

_FAILURE = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 2\r\n\r\nno"

arrivals = defaultdict(list)
answers = [_ANSWER]
failures = []
answered = [0.0]


class _Quick(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport
        self.buffer = b""

    def data_received(self, data):
        self.buffer += data
        while b"\r\n\r\n" in self.buffer:
            head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
            asyncio.get_running_loop().call_later(0.001, self.answer, answer_to(head))

    def answer(self, answer):
        if answer is not None and not self.transport.is_closing():
            self.transport.write(answer)
            if answer is _ANSWER:
                answered[0] = time.time()


def answer_to(head):
    path = head.split(b" ", 2)[1].decode()
    if path == "/arrivals":
        body = json.dumps(arrivals).encode()
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    if path == "/first-failure":
        body = json.dumps(failures[0] if failures else None).encode()
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    if path == "/last-answer":
        body = json.dumps(answered[0]).encode()
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    if path == "/metrics":
        body = b"# TYPE quick_requests_total counter\n"
        good = sum(map(len, arrivals.values())) - len(failures)
        for code, count in (("200", good), ("500", len(failures))):
            body += b'quick_requests_total{code="%b"} %d\n' % (code.encode(), count)
        body += b"# TYPE process_open_fds gauge\nprocess_open_fds 7\n"
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: %d\r\n\r\n"
        return head % len(body) + body
    if path == "/start-failing":
        answers[0] = _FAILURE
        return _DONE
    if path == "/start-hanging":
        answers[0] = None
        return _DONE
    arrivals[path].append(time.time())
    if answers[0] is _FAILURE:
        failures.append(time.time())
    return answers[0]


async def main():
    loop = asyncio.get_running_loop()
    server = await loop.create_server(_Quick, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.buffer.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(main())
