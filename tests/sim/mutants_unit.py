"""Mutants that a unit test has to find: rules that hold for each message by itself, or that a world with few processes and some seconds does
not meet. Name: (the rule that it breaks, the test's program, edits as in mutants_one.py)."""

UNIT = {
    "foreign-id-taken": (
        "ids of other clients are refused", "unit-bus-core-test_receive",
        [("receive.c", "  if (header->id.client.value != session->client->id.value) {", "  if (false) {")]),
    "cancel-of-any-attempt": (
        "a cancel counts for its attempt and later ones", "unit-bus-core-test_probe",
        [("core.c", "  if (request && request->client == session->client && in->header->attempt >= request->attempt)", "  if (request && request->client == session->client)")]),
    "older-incarnation-wins": (
        "of one client id the higher incarnation stays", "unit-bus-core-test_session",
        [("session.c", "  if (hello->incarnation < old->incarnation)", "  if (false)")]),
    "heard-before-hello": (
        "before HELLO everything is dropped", "unit-bus-core-test_session",
        [("core.c", "  if (!session->no_hello_told)\n    core_send_error(core, session, in->header->id, STATUS_NO_HELLO, NULL, NULL, 0);",
          "  core_send_error(core, session, in->header->id, STATUS_OK, NULL, NULL, 0);")]),
    "credit-of-another-session": (
        "CREDIT counts when it echoes the session of WELCOME", "unit-bus-core-test_session",
        [("session.c", "  if (header->session.value != session->id.value) {", "  if (false) {")]),
    "readmitted-at-once": (
        "who was lost is admitted again after a back-off", "unit-bus-core-test_session",
        [("session.c", "  if (client->losses == 0 || ", "  if (client->losses < 100 || ")]),
    "workers-not-pinged": (
        "who waits asks every 50 ms", "unit-bus-core-test_session",
        [("session.c", "  if (session->timer.entry.at_us > at)\n", "  if (session->timer.entry.at_us > at + US_PER_S)\n")]),
    "ping-waits-long": (
        "a session is gone 150 ms after the first unanswered PING", "unit-bus-core-test_session",
        [("session.c", "core->now_us >= session->pinged_us + options->ping_timeout_us) {", "core->now_us >= session->pinged_us + 2 * options->ping_timeout_us) {"),
         ("session.c", "    core_set_timer(core, &session->timer, session->pinged_us + options->ping_timeout_us);", "    core_set_timer(core, &session->timer, session->pinged_us + 2 * options->ping_timeout_us);")]),
    "late-turn-judges": (
        "a late turn of the own loop proves nothing about a peer", "unit-bus-core-test_session",
        [("session.c", "  bool late = now_us > timer->entry.at_us + LATE_US;", "  bool late = false && now_us > timer->entry.at_us + LATE_US;")]),
    "body-of-any-size": (
        "no message exceeds 256 KiB", "unit-bus-core-test_core",
        [("core.c", "  else if (body.size > LIMIT_BODY_BYTES)", "  else if (body.size > 4 * LIMIT_BODY_BYTES)")]),
    "forgotten-too-early": (
        "the row of a removed flag is forgotten when nothing older of it can come", "unit-bus-core-test_changes",
        [("changes.c", "    if (word->life != 0 && (", "    if (false && (")]),
    "told-before-it-asks": (
        "a new process is told nothing of the log before it has said where it is", "unit-bus-core-test_changes",
        [("changes.c", "  if (c->listener != c->speaker || c->next == &c->entries)", "  if (c->next == &c->entries)")]),
    "another-execution-held": (
        "who comes back with chunks of another execution is asked for anew", "unit-bus-core-test_execution",
        [("receive.c", " || has_of_another(request, header));", " || (false && has_of_another(request, header)));")]),
    "returns-at-once": (
        "each further loss doubles the time until a client returns", "unit-bus-client-test_prefer",
        [("bus/client/prefer.c", "    wait_us *= 2;", "    wait_us *= 1;")]),
    "returns-while-waiting": (
        "a client returns when nothing is outstanding", "unit-bus-client-test_move",
        [("bus/client/move.c", "  } else if (client->outstanding == 0) {", "  } else {")]),
    "credit-added": (
        "credit is set and not added", "unit-bus-core-test_dispatch",
        [("session.c", "  session->credit = header->credit;", "  session->credit += header->credit;")]),
    "site-ignored": (
        "the own site goes first", "unit-bus-core-test_dispatch",
        [("dispatch.c", "  if (a->same_site != b->same_site)\n    return a->same_site;\n", ""),
         ("dispatch.c", "    if (i == near && best)\n      break; /* nobody from here on is better */\n", "")]),
    "standby-first": (
        "a standby works when no primary has credit", "unit-bus-core-test_dispatch",
        [("dispatch.c", "  if (a->standby != b->standby)\n    return b->standby;\n", "")]),
    "load-ignored": (
        "the least loaded is asked, by its weight", "unit-bus-core-test_dispatch",
        [("dispatch.c", "  if (load_a != load_b)\n    return load_a < load_b;\n", "")]),
    "not-sticky": (
        "a sticky key stays with one version", "unit-bus-core-test_dispatch",
        [("dispatch.c", "  drawn = sticky.size ? ", "  drawn = sticky.size > 1000 ? ")]),
    "bands-alike": (
        "bands are served in their order, with ageing", "unit-bus-core-test_queue",
        [("queue.c", "  return request->waiting_us + (uint64_t)request->priority * TIME_AGEING_STEP_US;", "  return request->waiting_us;")]),
    "queue-of-any-length": (
        "a service's queue is bounded", "unit-bus-core-test_queue",
        [("route.c", "  if (service->queue.size >= core->options.limits.service_queue)", "  if (service->queue.size >= UINT32_MAX)")]),
    "quota-of-requests": (
        "a client has so many requests at a time", "unit-bus-core-test_receive",
        [("receive.c", "  if (session->client->n_requests >= core->options.limits.client_requests)", "  if (session->client->n_requests >= UINT32_MAX)")]),
    "quota-of-bytes": (
        "kept bodies count in their client's quota", "unit-bus-core-test_receive",
        [("receive.c", "  if (client->kept_bytes + bytes > limits->client_bytes)", "  if (bytes > limits->client_bytes)")]),
    "no-deadline": (
        "a request without a deadline is refused", "unit-bus-core-test_receive",
        [("receive.c", "  if (header->deadline_us == 0)\n    return STATUS_NO_DEADLINE;\n", "")]),
    "warming-says-no-service": (
        "a broker that warms up sends who finds nobody to the other", "unit-bus-core-test_roster",
        [("route.c", "    status = STATUS_OTHER_BROKER; /* it may be on its way */", "    status = STATUS_NO_SERVICE;")]),
    "warm-at-once": (
        "a broker is warm when all that its peer knows are here", "unit-bus-core-test_roster",
        [("roster.c", "    if (!is_here(core, each->client, each->incarnation) || !client->session->ready)\n      return;\n", "    (void)client;\n")]),
    "no-grace": (
        "the requests of a client that is lost go on for a second", "unit-bus-core-test_client",
        [("client.c", "core->now_us + TIME_CLIENT_GRACE_US", "core->now_us")]),
    "first-target-only": (
        "the next target of a FORWARD is tried", "unit-bus-core-test_answer",
        [("route.c", "  while (status != STATUS_OK && request->n_targets > 0) {", "  while (false && request->n_targets > 0) {")]),
    "hops-without-end": (
        "a request is forwarded 8 times at the most", "unit-bus-core-test_answer",
        [("answer.c", "  return request->hop > LIMIT_HOPS ? STATUS_TOO_MANY_HOPS : STATUS_OK;", "  return STATUS_OK;")]),
    "body-kept": (
        "a kept body is dropped at the first chunk", "unit-bus-core-test_answer",
        [("answer.c", "    request_drop_body(core, request);\n    trace_step", "    trace_step")]),
    "window-of-any-size": (
        "a window is at most a mebibyte ahead", "unit-bus-core-test_answer",
        [("answer.c", "  request->window_bytes = min_u64(header->window_bytes, request->chunk_bytes + LIMIT_STREAM_WINDOW_BYTES);", "  request->window_bytes = header->window_bytes;")]),
    "window-ignored": (
        "a stream keeps within its window", "unit-bus-core-test_answer",
        [("answer.c", "         request->chunk_bytes + bytes <= request->window_bytes + LIMIT_BODY_BYTES &&\n", "")]),
    "once-waits-for-ever": (
        "`once` work waits no longer than instances remember", "unit-bus-core-test_request",
        [("request.c", "    at = min_u64(at, request->waiting_us + TIME_HORIZON_US);", "    at = request->due_us;")]),
    "echo-before-the-last": (
        "the echo of DRAIN is the last thing that is dispatched", "unit-bus-core-test_session",
        [("session.c", "  session_take_no_more(core, session);\n  core_send(core, session, &echo, BYTES_NONE, NULL);", "  core_send(core, session, &echo, BYTES_NONE, NULL);")]),
    "answers-not-passed-on": (
        "a worker whose broker is gone gives its answer to the other, which passes it on", "unit-bus-core-test_probe",
        [("answer.c", "  if (!client || !client->session || request_find(core, header->id))", "  if (true || !client || !client->session || request_find(core, header->id))")]),
    "gone-is-done-again": (
        "a reply that is no longer kept is UNKNOWN", "unit-bus-core-test_probe",
        [("probe.c", "  request->probing->unsure = true;\n  if (request->chunks > 0 || ", "  if (request->chunks > 0 || true || ")]),
    "reply-ring-without-shares": (
        "a greedy client pushes out its own answers", "unit-bus-agent-test_memory",
        [("bus/agent/memory.c", "    if (!memory->fattest || client->bytes > memory->fattest->bytes)", "    if (!memory->fattest || client->bytes < memory->fattest->bytes)")]),
    "ids-for-ever": (
        "an instance remembers ids for the horizon", "unit-bus-agent-test_memory",
        [("bus/agent/memory.c", "> TIME_HORIZON_US / 1000;", "> 10 * TIME_HORIZON_US / 1000;")]),
    "packs-of-any-size": (
        "a PACK has 256 messages at the most", "unit-bus-wire-test_pack",
        [("bus/wire/pack.c", "  return pack->count < LIMIT_PACK_MESSAGES && ", "  return ")]),
    "pack-in-a-pack": (
        "a PACK is never in a PACK", "unit-bus-core-test_core",
        [("core.c", "  if (r == 0 && header.kind == KIND_PACK && !is_packed) {", "  if (r == 0 && header.kind == KIND_PACK) {")]),
    "late-loop-leads": (
        "a loop that was late gives authority up", "unit-bus-core-test_pair",
        [("pair-lead.c", "  if (event->late_us > pair->options.late_us)", "  if (false)")]),
    "leader-before-the-copy": (
        "a new leader delivers what it had when it knows what the other has", "unit-bus-core-test_durable",
        [("durable-deliver.c", "  return d->now_us >= since_us + d->options.level_us;", "  return d->now_us >= since_us;")]),
    "tried-for-ever": (
        "what has failed as often as it may is a dead letter", "unit-bus-core-test_durable",
        [("durable-deliver.c", "++entry->attempts >= d->options.attempts)", "++entry->attempts >= UINT32_MAX)")]),
    "no-backoff": (
        "after a failure a durable request waits, longer each time", "unit-bus-core-test_durable",
        [("durable-deliver.c", "  while (failures-- > 1 && us < d->options.backoff_longest_us)\n    us *= 2;\n", "  (void)failures;\n")]),
    "dead-letters-forgotten": (
        "a dead letter stays until a person has looked", "unit-bus-core-test_durable",
        [("durable-entry.c", "  return entry->state == DURABLE_DONE || entry->state == DURABLE_DROPPED;", "  return entry->state != DURABLE_WAITING && entry->state != DURABLE_BEGUN;")]),
    "full-disk-accepts": (
        "what can't be written is not accepted", "unit-bus-core-test_durable",
        [("durable.c", "  else if (d->disk_fails)\n    r = DURABLE_E_NO_DISK;\n", "")]),
    "events-not-relayed": (
        "an event is told the other broker, once", "unit-bus-core-test_events",
        [("events.c", "  if (core->sink.event && core->options.has_peer)", "  if (false && core->sink.event)")]),
    "late-turn-believed": (
        "after a late turn no client is believed in", "unit-bus-core-test_roster",
        [("once.c", "  return max_u64(session->noted, core->late);", "  return session->noted;")]),
    "older-copy-counts": (
        "of two copies of a durable request the further one counts", "unit-bus-core-test_durable",
        [("durable-entry.c", "  return (uint64_t)durable_is_over(entry) << 63 | ", "  return ")]),
    "older-flag-wins": (
        "of two versions of a flag the higher one counts", "unit-bus-core-test_flags",
        [("flags.c", "  if (row && flag_version_compare(flag->version, row->version) <= 0)", "  if (row && flag_version_compare(flag->version, row->version) == 0)")]),
    "due-comes-last": (
        "what is due comes first", "unit-bus-core-test_pair",
        [("pair.c", "  pair_tick(pair, now_us);\n  dispatch(pair, event, now_us);", "  dispatch(pair, event, now_us);\n  pair_tick(pair, now_us);")]),
    "granted-anew": (
        "a copied row is no claim of who asks anew", "unit-bus-core-test_pair",
        [("pair-lease.c", "!(row && row->token.epoch == pair->epoch);", "!row;")]),
    "end-of-any-execution": (
        "the end of another execution is no end", "unit-bus-client-test_move",
        [("bus/client/answer.c", "  return !reply->execution || !pending->execution || ", "  return true || !reply->execution || !pending->execution || ")]),
}
