#!/usr/bin/python3
"""Mutants of the broker's brain: each breaks one rule, and the simulator has to find it. A mutant is a core with a few words
replaced in the build folder; the source itself knows nothing of it.

mutants.py --list                    the names, with the simulator that is to find them, and the files that each changes (for CMake)
mutants.py --write NAME FILE OUT     FILE of mutant NAME, as OUT
mutants.py --run FOLDER SEEDS        runs FOLDER/pons-sim-NAME, or pons-sim-two-NAME, of each; prints the table of README.md; 1 if one is not found
mutants.py --check FOLDER SEEDS      the same, and that README.md has that list of mutants

A mutant is found from outside when the messages alone give it away (`--blind`), else by core_check."""

import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CORE = "bus/core/"

# Name: (the rule that it breaks, found by, edits of (file, old words, new words)).
ONE = {
    "credit-ignored": (
        "no credit is ever exceeded", "outside",
        [("dispatch.c", "session->ready && !session->draining && session->n_executing < session->credit",
          "session->ready && !session->draining && session->n_executing < session->credit + 1"),
         ("request.c", "assert(session->n_executing < session->credit && !request->worker);", "")]),
    "busy-ignored": (
        "NACK BUSY is credit 0 until the next CREDIT", "outside",
        [("answer.c", "    session->credit = 0;\n", "    session->credit += 0;\n")]),
    "drain-ignored": (
        "nothing is given to an instance that drains", "outside",
        [("session.c", "  session->draining = true;\n", "  session->draining = false;\n")]),
    "weight-0-ignored": (
        "weight 0 takes nothing but `@instance`", "outside",
        [("dispatch.c", "return can_take(offer->session) && offer->weight > 0 && version_fits",
          "return can_take(offer->session) && version_fits")]),
    "silent-once": (
        "`once` work waits until a silent instance has answered", "outside",
        [("dispatch.c", "  session_ping(core, offer->session);\n  return false;", "  return true;")]),
    "order-lost": (
        "of one client and band the order is kept", "outside",
        [("dispatch.c", "waits = passed[i] == asker(request);", "waits = false;")]),
    "expired-handed-on": (
        "expired work is never handed on", "outside",
        [("request.c", "  uint64_t at = request->due_us;", "  uint64_t at = request->due_us + US_PER_S;"),
         ("request.c", "  if (core->now_us >= request->due_us) {", "  if (false) {")]),
    "deadline-renewed": (
        "an instance is told the time that is left", "outside",
        [("request.c", "? request->due_us - core->now_us : 1", "? request->due_us - request->received_us : 1")]),
    "two-ends": (
        "a request ends once", "outside",
        [("request.c", "    tell(core, request, &out, body, block);\n", "    tell(core, request, &out, body, block);\n    tell(core, request, &out, body, block);\n")]),
    "no-end": (
        "a request that fails is told", "outside",
        [("request.c", "    tell(core, request, &error, buffer_bytes(&body), NULL);\n  detach", "    (void)tell;\n  detach")]),
    "cancel-not-passed-on": (
        "who executes what has ended is told", "outside",
        [("request.c", "    core_send(core, request->worker, &cancel, BYTES_NONE, NULL);\n    return;", "    (void)cancel;\n    return;")]),
    "executed-again": (
        "a `once` request that comes again is attached", "outside",
        [("receive.c", "  if (request) {\n    attach(", "  if (request && header->attempt == 0) {\n    attach(")]),
    "redispatch-after-chunk": (
        "after a chunk there is no second execution", "outside",
        [("route.c", "  if (request->chunks > 0)\n", "  if (request->chunks > 1000)\n"),
         ("route.c", "return request->idempotent && request->chunks == 0;", "return request->idempotent;")]),
    "redispatch-once": (
        "`once` work is not given to a second instance", "outside",
        [("route.c", "return request->idempotent && request->chunks == 0;", "return request->chunks == 0;")]),
    "part-of-body-lost": (
        "a body arrives whole", "outside",
        [("request.c", "i + 1 < from->n_parts ? FLAG_MORE : 0};\n\n", "i + 1 < from->n_parts ? FLAG_MORE : 0};\n\n    if (i == 1 && from->n_parts > 2)\n      continue;\n")]),
    "body-leaked": (
        "no body leaks", "core_check",
        [("request.c", "  core->kept_bytes -= request->kept_bytes;\n", "  (void)core;\n")]),
    "window-falls": (
        "a window never falls", "outside",
        [("answer.c", " ||\n      header->window_bytes <= request->window_bytes)", ")")]),
    "parts-unmarked": (
        "a part of a reply is no piece of a stream", "outside",
        [("answer.c", "      .flags = header->flags & FLAG_PART,\n", "")]),
    "chunks-miscounted": (
        "REPLY says how many chunks went before it", "outside",
        [("request.c", "header->number : request->chunks;", "header->number : request->chunks + 1;")]),
    "gap-left": (
        "nobody waits whom somebody can take", "core_check",
        [("dispatch.c", "    service->references++; /* the last request must not take the service away under us */\n    dispatch_pump_service(core, service);\n    list_remove",
          "    service->references++;\n    list_remove")]),
    "lost-work-forgotten": (
        "the loss of an instance ends or moves its work", "core_check",
        [("session.c", "    list_remove(&request->in_holder);\n    request_lost(core, request);", "    list_remove(&request->in_holder);")]),
    "event-twice": (
        "an event goes once to a session", "outside",
        [("events.c", "    if (session->last_event == core->last_event)\n      continue;\n", "")]),
    "old-value-kept": (
        "the kept value is the last one", "outside",
        [("kept.c", "  topic->body = block_copy(body);", "  static uint8_t first[64];\n  static size_t size;\n\n  if (size == 0 && body.size <= sizeof first)\n    memcpy(first, body.data, size = body.size);\n  topic->body = block_copy((Bytes){first, size});")]),
    "frozen-believed-in": (
        "who is silent for 16 s is given up", "outside",
        [("session.c", "idle_interval_us * 3 + US_PER_S", "idle_interval_us * 300 + US_PER_S")]),
}

# The same for two brokers: pons-sim-two has to find them.
TWO = {
    "never-probed": (
        "what is sent again is asked for before it is handed on", "outside",
        [("probe.c", "  if (!request->moved || text_is(target", "  if (request->moved || !request->moved || text_is(target")]),
    "silent-passes": (
        "who does not answer can't vouch", "outside",
        [("probe.c", "!is_open && !probing->unsure &&", "!probing->unsure &&")]),
    "leavers-forgotten": (
        "who has left since it was sent first can't vouch", "outside",
        [("roster.c", "  if (has_left(core, service, first_us))\n    return true;\n", "  (void)has_left, (void)first_us;\n")]),
    "young-broker-sure": (
        "a broker is sure only of the time that it knows", "outside",
        [("roster.c", "  if (first_us < core->known_since_us || ", "  if ("),
         ("probe.c", "  if (core->now_us < core->started_us + TIME_WARMING_US && (core->warming || !core->options.has_peer))\n    return true;\n", "")]),
    "next-hop-not-probed": (
        "what was forwarded is asked for at the next hop", "outside",
        [("answer.c", "  request->forwarded = false;\n  request->n_nacks = 0;", "  request->moved = request->forwarded = false;\n  request->n_nacks = 0;")]),
    "first-target-alone": (
        "all targets of a FORWARD are asked", "outside",
        [("probe.c", "static void ask_all(Core *core, Request *request) {\n  for (uint32_t i = 0; i < request->n_targets; i++) {", "static void ask_all(Core *core, Request *request) {\n  for (uint32_t i = 0; i < 1; i++) {")]),
    "elsewhere-meanwhile": (
        "after a gap in attempts all are asked", "outside",
        [("receive.c", "return core->options.has_peer && header->attempt > request->attempt + 1", "return false && core->options.has_peer && header->attempt > request->attempt + 1")]),
    "stream-from-its-beginning": (
        "a stream goes on with the chunk that is wanted", "outside",
        [("probe.c", '    put_pair(b, "chunk", request->chunks);', '    put_pair(b, "chunk", 0);')]),
    "have-ignored": (
        "who has it goes on with it", "outside",
        [("probe.c", "    attach(core, request, session, header, is_forwarded);\n    return;", "    decide(core, request, false);\n    return;")]),
    "cant-vouch-passes": (
        "who can't be asked can't vouch", "outside",
        [("probe.c", "    probing->unsure = true;\n    return;\n  }\n  probe = calloc", "    return;\n  }\n  probe = calloc")]),
    "elsewhere-forgotten": (
        "an instance of the other broker alone is missing", "outside",
        [("roster.c", "      if (text_is(service, each->services[i]) && !is_here(", "      if (false && !is_here(")]),
    "newcomers-unnoted": (
        "no `once` work for whom the other broker has not noted", "outside",
        [("once.c", "(session->noted && is_confirmed(", "(is_confirmed(")]),
    "unconfirmed": (
        "no `once` work for newcomers before the client has confirmed it", "outside",
        [("once.c", "  return request->confirmed > newest(core, session) || !may_have_moved(request);", "  return request->confirmed > 0 || newest(core, session) > 0 || !may_have_moved(request);")]),
}

# Authority and durable requests: pons-sim-two has to find them too.
PAIR = {
    "votes-twice": (
        "a vote is given to nobody else before it has run out", "outside",
        [("vote.c", "  return is_free(voter, promise, ask, now_us) ? ", "  return is_free(voter, promise, ask, now_us) || true ? ")]),
    "restarted-votes": (
        "a restarted node votes only after one vote", "outside",
        [("pair-vote.c", "  pair->promise.until_us = now_us + pair->options.vote_us;\n  pair->blocked_us", "  pair->promise.until_us = now_us;\n  pair->blocked_us")]),
    "votes-counted-long": (
        "a vote is counted for 0.98 of what it was promised for", "outside",
        [("vote.c", "  return vote_us / 100 * 98;", "  return vote_us / 100 * 200;")]),
    "blind-consent": (
        "a refused port counts only for who can't be ignorant of an epoch", "outside",
        [("pair-lead.c", "  return pair->options.has_witness ? pair->noted_us >= pair->consent_from_us : pair->ever_linked;", "  return true;")]),
    "epoch-again": (
        "each leadership has an epoch of its own", "outside",
        [("pair-lead.c", "  if (!pair->used && pair->epoch > 0 && ", "  if (pair->epoch > 0 && ")]),
    "lease-too-long": (
        "a lease does not outlive the leadership", "outside",
        [("pair-lease.c", "pair->state == PAIR_LEADER ? pair_second_us(pair) : TIME_NEVER;", "TIME_NEVER;"),
         ("pair-lease.c", "  return min_u64(until_us - now_us, pair->options.vote_us);", "  return min_u64(until_us - now_us, 4 * pair->options.vote_us);")]),
    "early-leader-grants": (
        "who came early waits for leases that it does not know", "outside",
        [("pair-lease.c", "  return pair->state == PAIR_LEADER && now_us < pair->blocked_us", "  return false && now_us < pair->blocked_us")]),
    "granted-anew": (
        "a copied row is no claim of who asks anew", "outside",
        [("pair-lease.c", "!(row && row->token.epoch == pair->epoch);", "!row;")]),
    "half-a-copy": (
        "a handover waits until the copy is whole", "outside",
        [("pair-copy.c", "  if (pair->peer_position == pair->position)\n    hand_over(pair, now_us);\n  else\n", "  if (true)\n    hand_over(pair, now_us);\n  else\n"),
         ("pair-copy.c", "  if (!whole || barred", "  if ((!whole && false) || barred")]),
    "holder-goes-on": (
        "a holder stops at 0.8 of its time", "outside",
        [("lease.c", "  return sent_us + duration_us / 5 * 4;", "  return sent_us + duration_us / 5 * 6;")]),
    "other-holder": (
        "a lease is granted to one holder", "outside",
        [("pair-lease.c", "  else if (row && row->holder.value != ask->holder.value)\n    refuse(pair, LEASE_HELD);\n", "")]),
}
MUTANTS = {**ONE, **TWO, **PAIR}


def simulator(name):
    return "pons-sim" if name in ONE else "pons-sim-two"


def mutated(name, file):
    with open(os.path.join(ROOT, CORE, file), encoding="utf-8") as source:
        text = source.read()
    for where, old, new in MUTANTS[name][2]:
        if where != file:
            continue
        if old not in text:
            sys.exit(f"mutant {name}: {CORE}{file} does not have these words any more; write the mutant anew:\n{old}")
        text = text.replace(old, new)
    return text


def files(name):
    return sorted({file for file, _, _ in MUTANTS[name][2]})


def search(program, seeds, *options):
    """Which seed finds it, and the sentence that says what was seen; (None, text) when none does."""
    run = subprocess.run([program, *options, "--seeds", str(seeds)], capture_output=True, text=True, timeout=300, check=False)
    replay = re.search(r"--first (\d+)", run.stderr)
    lines = [line for line in run.stderr.splitlines() if line and not line.startswith(("replay", "="))]
    return (int(replay.group(1)), lines[0]) if run.returncode and replay else (None, (lines or [""])[-1])


def sentence(text):
    """What was seen, without the numbers of one seed."""
    text = re.sub(r"^sim: seed \d+, step \d+: |^core_check: |^.*Assertion `|' failed\.$", "", text)
    return re.sub(r"\d+", "N", text)


def run(folder, seeds):
    """The rows of the table, and the names of the mutants that nothing has found."""
    rows, missed = [], []
    for name, (rule, by, _) in MUTANTS.items():
        program = os.path.join(folder, f"{simulator(name)}-{name}")
        seed, seen = search(program, seeds, *(["--blind"] if by == "outside" else []))
        if seed is None:
            missed.append(name)
        rows.append((name, rule, by, seed, sentence(seen)))
        print(f"{name:24} {'seed ' + str(seed) if seed else 'NOT FOUND':10} {by:10} {sentence(seen)}", flush=True)
    return rows, missed


def written(rows):
    return "".join(f"| `{name}` | {rule} | {by} | {seed} | {seen} |\n" for name, rule, by, seed, seen in rows)


def check_document(rows):
    """README.md has the mutants, in this order, with what each breaks and who finds it."""
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "README.md"), encoding="utf-8") as file:
        text = file.read()
    wanted = [f"| `{name}` | {rule} | {by} |" for name, rule, by, _, _ in rows]
    found = re.findall(r"^(\| `[\w-]+` \|.*?\|.*?\|)", text, re.M)
    for row in sorted(set(wanted) ^ set(found)):
        print(f"README.md and mutants.py differ: {row}")
    return wanted == found


def main(arguments):
    what = arguments.pop(0) if arguments else ""
    if what == "--list":
        print(";".join(f"{name}:{simulator(name)}:{','.join(files(name))}" for name in MUTANTS))
    elif what == "--write":
        name, file, out = arguments
        with open(out, "w", encoding="utf-8") as to:
            to.write(mutated(name, file))
    elif what in ("--run", "--check"):
        rows, missed = run(arguments[0], int(arguments[1]))
        if what == "--run":
            print(written(rows))
        print(f"{len(rows)} mutants, {len(missed)} not found: {' '.join(missed)}")
        return 1 if missed or (what == "--check" and not check_document(rows)) else 0
    else:
        print(__doc__)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
