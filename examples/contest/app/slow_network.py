"""A TCP proxy that delays every byte in both directions, as a longer line would, or loses pieces.

slow_network.py LISTEN_ADDRESS:PORT TARGET_ADDRESS:PORT SECONDS LOSS

TCP repeats what is lost after a timeout, 200 ms at first and twice as long each further time (RFC 6298; the minimum is
Linux'), and everything behind it waits: so does a piece here that is lost, a share LOSS of all.
"""

import asyncio
import random
import sys

_TIMEOUT_S = 0.2


def _repeated_s(loss):
    """Return the time until a piece arrives that may be lost, also when it is repeated."""
    waited_s, timeout_s = 0.0, _TIMEOUT_S
    while random.random() < loss and timeout_s < 10:
        waited_s += timeout_s
        timeout_s *= 2
    return waited_s


async def _forward(reader, writer, delay_s, loss):
    """Forward pieces in order, each `delay_s` seconds after its arrival; delays of successive pieces overlap."""
    loop = asyncio.get_running_loop()
    queue = asyncio.Queue()

    async def read():
        try:
            while piece := await reader.read(65536):
                queue.put_nowait((loop.time() + delay_s + _repeated_s(loss), piece))
        except OSError:
            pass
        queue.put_nowait((loop.time() + delay_s, b""))

    reading = asyncio.create_task(read())
    try:
        while True:
            due_s, piece = await queue.get()
            await asyncio.sleep(max(0.0, due_s - loop.time()))
            if not piece:
                return
            writer.write(piece)
            await writer.drain()
    except OSError:
        pass
    finally:
        reading.cancel()
        writer.close()


async def main():
    address, _, port = sys.argv[1].rpartition(":")
    target_address, _, target_port = sys.argv[2].rpartition(":")
    delay_s, loss = float(sys.argv[3]), float(sys.argv[4])

    async def connected(reader, writer):
        try:
            far_reader, far_writer = await asyncio.open_connection(target_address, int(target_port))
        except OSError:
            writer.close()
            return
        await asyncio.gather(_forward(reader, far_writer, delay_s, loss), _forward(far_reader, writer, delay_s, loss))

    server = await asyncio.start_server(connected, address, int(port))
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
