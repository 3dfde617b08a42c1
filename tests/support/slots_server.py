"""A target with a hard limit: it has a number of slots (its argument, 24), serves each request for 50 ms, and refuses
those for which no slot is free."""

import sys

import gevent
from gevent.server import StreamServer

SERVICE_S = 0.05


def main() -> None:
    free = int(sys.argv[1]) if len(sys.argv) > 1 else 24

    def handle(connection: gevent.socket.socket, _: object) -> None:
        nonlocal free
        with connection:
            while True:
                request = b""
                while b"\r\n\r\n" not in request:
                    piece = connection.recv(65536)
                    if not piece:
                        return
                    request += piece
                status = "200 OK"
                if free > 0:
                    free -= 1
                    gevent.sleep(SERVICE_S)
                    free += 1
                else:
                    status = "503 Full"
                    gevent.sleep(SERVICE_S)
                connection.sendall(f"HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\nok".encode())

    server = StreamServer(("127.0.0.1", 0), handle)
    server.start()
    print(server.server_port, flush=True)
    gevent.get_hub().threadpool.apply(sys.stdin.read)


if __name__ == "__main__":
    main()
