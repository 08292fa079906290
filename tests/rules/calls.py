"""agents/contracts/calls.def is who calls what: who stands there exists, and what an agent calls stands there."""

import re

from tree import Finding

WHAT = "calls.def has every agent's calls, and agents that exist"
TABLE = "agents/contracts/calls.def"
CATALOG = "agents/catalog.def"


def rows(tree, path, macro):
    """The first words of each macro(...) line, with its line number."""
    for number, line in enumerate(tree.text(path).split("\n"), 1):
        match = re.match(rf'{macro}\(([^)]*)\)', line)
        if match:
            yield number, [word.strip().strip('"') for word in match.group(1).split(",")]


def agents_of(tree, path):
    """The agents that a source file of agents/ is part of: its own, or all whose rooms use the room it lies in, by others too."""
    own = re.match(r"agents/([a-z_]+)", path).group(1)
    above = {room.name: [other for other in tree.rooms() if room.name in other.uses and other.folder.startswith("agents/")]
             for room in tree.rooms()}

    def agents_over(room):
        return {agent for user in above[room.name] for agent in agents_over(user)} or {room.folder.split("/")[-1]}

    room = tree.room_of(path)
    return sorted(agents_over(room)) if room and above[room.name] else [own]


def check(tree):
    calls = list(rows(tree, TABLE, "CALL"))
    known = {words[0] for _, words in rows(tree, CATALOG, "AGENT")} | {"pons"}
    for number, (agent, service, method) in calls:
        if agent not in known:
            yield Finding(TABLE, number, f"{agent} is not in {CATALOG}")
    services = {service for _, (_, service, _) in calls}
    for path in tree.files(".c", under=("agents",)):
        if path.startswith("agents/contracts/"):
            continue
        code = tree.code(path, strings=False)
        asked = re.findall(r'contract_find\(TEXT\("([\w]+)"\), TEXT\("(\w+)"\)\)', code)
        asked += [(service, method) for service, method in re.findall(r'\{\s*TEXT\("(\w+)"\), (?:TEXT\("(\w+)"\)|[^{}]*?)\}', code)
                  if service in services]
        for service, method in asked:
            for agent in agents_of(tree, path):
                if not any(agent == row[0] and service == row[1] and method in ("", row[2]) for _, row in calls):
                    yield Finding(path, 1, f"{agent} calls {service}{'.' if method else ''}{method}, which {TABLE} does not say")


GOOD = {
    CATALOG: '/* */\nAGENT(front, "pons-front", "core", "", "")\nAGENT(back, "pons-back", "core", "", "")\n',
    TABLE: 'CALL("front", "Back", "do")\nCALL("back", "Books", "add")\nCALL("pons", "Back", "do")\n',
    "bus/rooms.def": 'ROOM(shared, agents/shared, "", "", "")\nROOM(half, agents/half, "shared", "", "")\nROOM(back, agents/back, "half", "", "")\n',
    "agents/front.c": 'const CallTarget to = {TEXT("Back"), text_of(method)};\n',
    "agents/shared/books.c": 'contract_find(TEXT("Books"), TEXT("add"));\n',
}
BAD = {
    "an agent that is not there": ({TABLE: GOOD[TABLE] + 'CALL("nobody", "Back", "do")\n'}, "calls.def:4: nobody is not in"),
    "a call that is not said": ({"agents/front.c": 'contract_find(TEXT("Books"), TEXT("add"));\n'}, "front calls Books.add"),
    "another method": ({"agents/front.c": 'const CallTarget to = {TEXT("Back"), TEXT("undo")};\n'}, "front calls Back.undo"),
    "in a shared room": ({"agents/shared/books.c": 'contract_find(TEXT("Books"), TEXT("take"));\n'}, "back calls Books.take"),
    "a target": ({"agents/back/main.c": 'CallTarget to = {TEXT("Back"), text_of(method)};\n'}, "back calls Back,"),
}
