"""Mutants that pons-sim-two has to find: done once, authority, durable requests, flags. Written as those of mutants_one.py; a rule of clients
and instances is one that the simulated ones keep, or the real memory of instances."""

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
    "executions-mixed": (
        "a stream goes on with the execution that its client has chunks of", "outside",
        [("probe.c", "  return is_it && have->number == request->chunks;", "  return (is_it || true) && have->number == request->chunks;")]),
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
    "attempts-ignored": (
        "lower attempts are refused", "outside",
        [("bus/agent/memory.c", "  if (attempt < highest)\n    return MEMORY_E_STALE;\n", "")]),
    "forgetful-vouches": (
        "who is younger than the request, or has forgotten that time, can't vouch", "outside",
        [("bus/agent/memory.c", "  return now_us >= age_us && now_us - age_us >= memory->covers_us;", "  return now_us >= age_us || memory->covers_us > 0;")]),
    "link-trusted": (
        "a link that is cut is trusted for a moment only", "outside",
        [("roster.c", "  return peer->sure_us && core->now_us < peer->sure_us + TIME_NEWCOMER_US / 2;", "  return peer->sure_us > 0;")]),
    "forwarded-anew": (
        "what is forwarded anew has moved all the same", "outside",
        [("route.c", "  else if (may_run_again(request) && ++request->n_losses < LIMIT_LOSSES)\n    request_returned(core, request, STATUS_WORKER_LOST);",
          "  else if (may_run_again(request) && ++request->n_losses < LIMIT_LOSSES) {\n    request->moved = false;\n    request_returned(core, request, STATUS_WORKER_LOST);\n  }")]),
    "old-pieces-taken": (
        "pieces of an attempt that was left are dropped", "outside",
        [("tests/sim/two-client.c", "  if (header->attempt < ask->attempt || header->number < ask->chunks)", "  if (header->number < ask->chunks)")]),
    "suspects-trusted": (
        "an instance of a site that is out of reach gets nothing until it has answered", "outside",
        [("roster.c", "    session->suspect = ++core->serial;\n", "")]),
    "vote-before-disk": (
        "a vote is on disk before it is said", "outside",
        [("pair-vote.c", "  pair->replies[to].waiting = pair->persisted < pair->serial;", "  pair->replies[to].waiting = false;")]),
    "epoch-before-disk": (
        "an epoch is on disk before anybody leads in it", "outside",
        [("pair-lead.c", "  if (pair->own_serial > 0 && pair->persisted >= pair->own_serial) {\n    lead", "  if (pair->own_serial > 0) {\n    lead")]),
    "caretaker-grants-all": (
        "without a leader only what may double is granted", "outside",
        [("pair-lease.c", "(may_double && pair->persisted >= pair->own_serial)", "(pair->persisted >= pair->own_serial || may_double)")]),
    "acknowledged-unwritten": (
        "a durable request is acknowledged when it is on disk", "outside",
        [("durable.c", "  if (list_has(&row->in_unwritten)) { /* the store's queue is full */", "  durable_tell_kept(d, row, 1);\n  if (list_has(&row->in_unwritten)) { /* the store's queue is full */")]),
    "copy-unwritten": (
        "a copy of a durable request is acknowledged when it is on disk", "outside",
        [("durable-copy.c", "  return row ? min_u64(position, row->taken - 1) : position;", "  return position;")]),
    "followers-deliver": (
        "only the leader delivers durable requests", "outside",
        [("durable-deliver.c", "d->epoch == 0 || row->acceptance", "row->acceptance"),
         ("durable-deliver.c", "  while (d->epoch > 0 && d->n_in_flight", "  while (d->n_in_flight"),
         ("durable-deliver.c", "    row->certain = d->epoch > 0;", "    row->certain = true;"),
         ("durable.c", "  row->certain = d->epoch > 0;", "  row->certain = true;")]),
    "begun-unwritten": (
        "a durable once request is on disk as begun before anybody hears of it", "outside",
        [("durable-deliver.c", "  if (row->written == durable_version(&row->entry))\n    deliver(d, row);", "  deliver(d, row);")]),
    "certain-of-all": (
        "a leader asks who has begun what it did not deliver itself", "outside",
        [("durable-deliver.c", "  if (!row->certain) {\n    action.attempt", "  if (false) {\n    action.attempt")]),
    "doubtful-again": (
        "a durable once request that may have been begun is a dead letter", "outside",
        [("durable-entry.c", "    return idempotent ? outcomes[status].idempotent : outcomes[status].once;", "    return outcomes[status].idempotent;"),
         ("durable-entry.c", "  uint32_t number = entry->idempotent ? entry->tries : entry->round;", "  uint32_t number = entry->tries;")]),
    "flag-version-again": (
        "each write of a flag has a version of its own, and they rise", "outside",
        [("flags.c", "flags->last.counter + 1 : 1};", "flags->last.counter : 1};")]),
    "removal-forgotten": (
        "a removed flag is remembered until both have it on disk", "outside",
        [("flags.c", "    if (row->removed && row->copied && ", "    if (row->removed && ")]),
    "refused-for-good": (
        "what a broker could not take of the other's log is told anew", "outside",
        [("tests/sim/writers.c", "  return writers->writers[broker].refused > 0;", "  return writers->writers[broker].refused > 0 && broker > 1;")]),
    "gaps-taken": (
        "what comes before a change of the log was heard", "outside",
        [("changes.c", "  if (kind != CHANGE_SNAPSHOT && (is_new || position != c->other.heard + 1))\n    return CHANGES_E_GAP;\n", "")]),
}
