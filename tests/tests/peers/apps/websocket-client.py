"""Sends texts and binary messages of every length coding, a ping, and a close code; each must come back as it was sent."""

import asyncio
import sys

import websockets

MESSAGES = ["", "h\u00e9llo", "x" * 125, "x" * 126, "x" * 70_000, bytes([7]) * 1_000_000]


async def main():
    async with websockets.connect(sys.argv[1], max_size=None) as socket:
        for message in MESSAGES:
            await socket.send(message)
            assert await socket.recv() == message, f"{len(message)} bytes came back wrong"
        await (await socket.ping(b"are you there"))
        await socket.close(4321, "enough")
        assert socket.close_code == 4321, f"closed with {socket.close_code}"
    print("all messages came back")


asyncio.run(main())
