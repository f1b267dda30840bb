"""Echoes messages as they came, and ends as the client ends."""

import asyncio

import websockets


async def echo(socket):
    async for message in socket:
        await socket.send(message)


async def main():
    async with websockets.serve(echo, None, 8080, max_size=None):
        await asyncio.Future()


asyncio.run(main())
