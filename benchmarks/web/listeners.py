"""What listens to a run: `python -m benchmarks.web.listeners PORT STREAMS`. Opens event streams, and scrapes /metrics
once a second; prints the bytes that came by the streams when standard input ends."""

import asyncio
import sys


async def _stream(port: int, sizes: list[int]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /api/v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n")
    while piece := await reader.read(65536):
        sizes.append(len(piece))
    writer.close()


async def _scrape(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while True:
        writer.write(b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/plain\r\n\r\n")
        while piece := await reader.readline():
            if piece == b"0\r\n":
                break
        await asyncio.sleep(1)


async def _main(port: int, streams: int) -> None:
    loop = asyncio.get_running_loop()
    sizes: list[int] = []
    listeners = [loop.create_task(_stream(port, sizes)) for _ in range(streams)]
    if streams:
        listeners.append(loop.create_task(_scrape(port)))
    await loop.run_in_executor(None, sys.stdin.read)
    for each in listeners:
        each.cancel()
    print(sum(sizes))


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1]), int(sys.argv[2])))
