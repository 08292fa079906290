#!/usr/bin/python3
"""What a client of the Python package can do: talk.py ENDPOINT. It asks the agent of agent.py and the agent echo."""
import sys

import pons

with pons.Client(sys.argv[1], "talk") as bus:
    print(bus.ask("greeter.hello", {"name": "Ada"})["text"])
    try:
        bus.ask("greeter.hello", {})
    except pons.Refused as error:
        print(f"{error.status.name}, {error.path}: {error.message}")
    stream = bus.stream("echo.stream", {"text": "la", "pieces": 3})
    print([piece["piece"] for piece in stream], stream.reply["pieces"])
    print([answer.value["text"] for answer in bus.collect("echo@*.say", {"text": "all of you"})])
    bus.publish("weather.now", {"degrees": 21}, retain=True)
    event = bus.subscribe("weather.*").next(timeout_s=5)
    print(event.topic, event.value, event.retained)
