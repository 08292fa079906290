#!/usr/bin/python3
"""An agent of the Python package: agent.py [--endpoint LIST]."""
import pons

agent = pons.Agent("greeter")


@agent.method("greeter.hello", idempotent=True)
def hello(call, request):
    if not request.get("name"):
        raise pons.Refused("say whom to greet", path="name")
    return {"text": f"Hello, {request['name']}."}


agent.run()
