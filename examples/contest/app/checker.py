"""A service outside, which the application asks about each submission: it answers after `checker_delay_s`.

checker.py LISTEN_ADDRESS:PORT SETTINGS_FILE
"""

import asyncio
import sys

from settings import Settings, SettingsFile

_LONGEST_BODY = 100_000


async def main():
    address, _, port = sys.argv[1].rpartition(":")
    settings = SettingsFile(sys.argv[2], Settings())

    async def connected(reader, writer):
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                fields = (line.partition(b":") for line in head.lower().split(b"\r\n"))
                length = next((int(value) for name, _, value in fields if name == b"content-length"), 0)
                if length > _LONGEST_BODY:
                    break
                await reader.readexactly(length)
                if head.startswith(b"POST"):
                    await asyncio.sleep(settings.current.checker_delay_s)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\nok\n")
                await writer.drain()
        except (OSError, ValueError, EOFError, asyncio.LimitOverrunError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(connected, address, int(port))
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
