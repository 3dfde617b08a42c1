"""A TCP proxy that holds back every byte for a while, in both directions, as a longer line would.

slow_network.py LISTEN_ADDRESS:PORT TARGET_ADDRESS:PORT SECONDS
"""

import asyncio
import sys


async def _forward(reader, writer, delay_s):
    """Bytes leave in order, each piece `delay_s` after it came; what comes later does not wait for what came before."""
    loop = asyncio.get_running_loop()
    queue = asyncio.Queue()

    async def read():
        try:
            while piece := await reader.read(65536):
                queue.put_nowait((loop.time() + delay_s, piece))
        except OSError:
            pass
        queue.put_nowait((loop.time() + delay_s, b""))

    reading = asyncio.create_task(read())
    try:
        while True:
            due_s, piece = await queue.get()
            await asyncio.sleep(due_s - loop.time())
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
    delay_s = float(sys.argv[3])

    async def connected(reader, writer):
        try:
            far_reader, far_writer = await asyncio.open_connection(target_address, int(target_port))
        except OSError:
            writer.close()
            return
        await asyncio.gather(_forward(reader, far_writer, delay_s), _forward(far_reader, writer, delay_s))

    server = await asyncio.start_server(connected, address, int(port))
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
