"""Mutants that pons-sim has to find. Name: (the rule that it breaks, found by, edits of (file, old words, new words)); a file without a
folder is one of bus/core. Found from outside means that the messages give it away (`--blind`), else core_check does."""

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
    "credit-before-it-is-said": (
        "an instance counts from its first CREDIT", "outside",
        [("session.c", "  session->state = SESSION_OPEN;\n", "  session->state = SESSION_OPEN;\n  session->ready = true;\n  session->credit = 1;\n")]),
    "credit-not-given-back": (
        "an answer gives its credit back", "core_check",
        [("request.c", "  session->n_executing--;\n", "")]),
}
