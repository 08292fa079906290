#!/usr/bin/python3
"""The same with asyncio: talk_aio.py ENDPOINT."""
import asyncio
import sys

import pons


async def main():
    async with pons.aio.Client(sys.argv[1], "talk") as bus:
        answers = await asyncio.gather(*(bus.ask("greeter.hello", {"name": name}) for name in ("Ada", "Grace")))
        print([answer["text"] for answer in answers])
        stream = bus.stream("echo.stream", {"text": "la", "pieces": 3})
        print([piece["piece"] async for piece in stream], stream.reply["pieces"])


asyncio.run(main())
