/* What clients ask, method by method. What needs authority is answered by whoever has it. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "bus/broker/authority-internal.h"
#include "bus/wire/arena.h"

enum { ROWS_BYTES = LIMIT_BODY_BYTES - 4096, ROW_BYTES = 64 /* of a flag, beside its name and value */ };

/* --- leases --- */

static const struct {
  Status status;
  const char *code;
  const char *text;
} refusals[] = {
    [LEASE_HELD] = {STATUS_REFUSED, "lease_held", "another holds this lease: wait until it has run out"},
    [LEASE_WAITING] = {STATUS_UNAVAILABLE, "lease_waiting",
                       "leases of the former leader may be out: ask again in a moment"},
    [LEASE_MOVING] = {STATUS_UNAVAILABLE, "lease_moving", "leadership is being handed over: ask again in a moment"},
    [LEASE_LOST] = {STATUS_REFUSED, "lease_lost", "the token is not the one in force: stop, and ask anew"},
    [LEASE_FULL] = {STATUS_LIMIT, "lease_full", "as many leases are held as there may be: release some"},
};

/* In how long to ask again; 0 = there is no use in it. The holder of a lease that is held renews it until it is gone, so what is left of it
   is how long it may take. */
static uint64_t retry_us(const Authority *a, Text name, LeaseRefusal refusal) {
  const Leases *leases = pair_leases(a->pair);
  const Lease *row = NULL;

  for (uint32_t i = 0; i < leases->n; i++)
    if (text_is(name, leases->rows[i].name))
      row = &leases->rows[i];
  if (refusal == LEASE_LOST || refusal == LEASE_FULL)
    return 0;
  return pair_ask_again_us(a->pair, refusal, row, loop_now_us(a->loop));
}

static void answer_lease(Authority *a, const AuthorityAsk *ask, Text name, const AuthorityAnswer *answer) {
  AuthorityAsker asker = authority_asker(ask);
  LeaseGiven given = {.name = text_of(answer->lease.name),
                      .epoch = answer->lease.token.epoch,
                      .counter = answer->lease.token.counter,
                      .duration_us = answer->lease.duration_us};

  if (answer->kind == PAIR_DO_GRANT)
    authority_reply(a, &asker, CONTRACT(LeaseGiven), &given);
  else if (answer->kind == PAIR_DO_RELEASED)
    authority_reply(a, &asker, CONTRACT(PonsNothing), &(PonsNothing){0});
  else if (answer->refusal == LEASE_NOT_LEADER)
    authority_fail_leaderless(a, &asker);
  else
    authority_fail(a, &asker, refusals[answer->refusal].status, refusals[answer->refusal].code,
                   retry_us(a, name, answer->refusal), refusals[answer->refusal].text);
}

static void on_acquire(Authority *a, const AuthorityAsk *ask, const void *request) {
  const LeaseWish *wish = request;
  LeaseAsk lease = {
      .name = wish->name, .holder = ask->client, .duration_us = wish->duration_us, .may_double = wish->may_double};

  answer_lease(a, ask, wish->name, authority_step(a, &(PairEvent){.kind = PAIR_ON_LEASE_REQUESTED, .lease = &lease}));
}

static void on_renew(Authority *a, const AuthorityAsk *ask, const void *request) {
  const LeaseKeep *keep = request;
  LeaseAsk lease = {.name = keep->name,
                    .holder = ask->client,
                    .token = {keep->epoch, keep->counter},
                    .duration_us = keep->duration_us};

  answer_lease(a, ask, keep->name, authority_step(a, &(PairEvent){.kind = PAIR_ON_LEASE_RENEWED, .lease = &lease}));
}

static void on_release(Authority *a, const AuthorityAsk *ask, const void *request) {
  const LeaseBack *back = request;
  LeaseAsk lease = {.name = back->name, .holder = ask->client, .token = {back->epoch, back->counter}};

  answer_lease(a, ask, back->name, authority_step(a, &(PairEvent){.kind = PAIR_ON_LEASE_RELEASED, .lease = &lease}));
}

static void on_leases(Authority *a, const AuthorityAsk *ask, const void *request _unused_) {
  AuthorityAsker asker = authority_asker(ask);
  const Leases *leases = pair_leases(a->pair);
  _cleanup_(arena_done) Arena arena = {0};
  LeaseRow *rows = arena_take(&arena, (leases->n + 1) * sizeof *rows);
  char(*holders)[17] = arena_take(&arena, (leases->n + 1) * sizeof *holders);
  uint64_t now_us = loop_now_us(a->loop);
  LeaseRows answer = {.leases = {rows, leases->n}};

  for (uint32_t i = 0; i < leases->n; i++) {
    const Lease *lease = &leases->rows[i];

    snprintf(holders[i], sizeof holders[i], "%016" PRIx64, lease->holder.value);
    rows[i] = (LeaseRow){.name = text_of(lease->name),
                         .holder = text_of(holders[i]),
                         .epoch = lease->token.epoch,
                         .counter = lease->token.counter,
                         .remaining_us = lease->until_us - min_u64(now_us, lease->until_us),
                         .may_double = lease->may_double};
  }
  authority_reply(a, &asker, CONTRACT(LeaseRows), &answer);
}

/* --- flags --- */

static FlagRow row_of(const Flag *flag) {
  return (FlagRow){
      .name = text_of(flag->name),
      .value = text_of(flag->value),
      .epoch = flag->version.epoch,
      .counter = flag->version.counter,
  };
}

static void on_set(Authority *a, const AuthorityAsk *ask, const void *request) {
  flagstore_write(a, ask, request);
}

static void on_unset(Authority *a, const AuthorityAsk *ask, const void *request) {
  const FlagAsk *flag = request;

  flagstore_unset(a, ask, flag->name);
}

static void on_get(Authority *a, const AuthorityAsk *ask, const void *request) {
  const FlagAsk *flag = request;
  AuthorityAsker asker = authority_asker(ask);
  const Flag *found = flags_find(&a->flags, flag->name);
  FlagRow row;

  if (!found || found->removed) {
    authority_fail(a, &asker, STATUS_REFUSED, "flag_unknown", 0, "this flag was never set, or is removed");
    return;
  }
  row = row_of(found);
  authority_reply(a, &asker, CONTRACT(FlagRow), &row);
}

static void on_flags(Authority *a, const AuthorityAsk *ask, const void *request _unused_) {
  AuthorityAsker asker = authority_asker(ask);
  _cleanup_(arena_done) Arena arena = {0};
  FlagRow *rows = arena_take(&arena, (a->flags.n + 1) * sizeof *rows);
  FlagRows answer = {.total = flags_count(&a->flags), .flags = {rows, 0}};
  size_t bytes = 0;

  for (uint32_t i = 0; i < a->flags.n; i++) {
    FlagRow row = row_of(&a->flags.rows[i]);

    if (a->flags.rows[i].removed)
      continue;
    bytes += row.name.size + row.value.size + ROW_BYTES;
    if (bytes > ROWS_BYTES)
      break;
    rows[answer.flags.count++] = row;
  }
  authority_reply(a, &asker, CONTRACT(FlagRows), &answer);
}

/* --- who leads --- */

static const char *lower(const char *upper, char room[32]) {
  size_t i = 0;

  for (; upper[i] && i < 31; i++)
    room[i] = (char)(upper[i] | 0x20);
  room[i] = '\0';
  return room;
}

static void put_others(const Authority *a, uint64_t now_us, AuthorityStatus *status) {
  ChangesBehind behind;

  if (!a->link || !a->log.changes)
    return;
  behind = changes_behind(a->log.changes, now_us);
  status->log = changes_last(a->log.changes);
  status->peer_behind = behind.positions;
  status->peer_behind_us = behind.for_us;
  status->own_behind = loglink_lag(a, &status->heard);
  status->linked = peerlink_is_up(a->link);
  status->peer = text_of(peerlink_peer(a->link));
  if (peerlink_witness_heard_us(a->link))
    status->witness_heard_us = max_u64(1, now_us - peerlink_witness_heard_us(a->link));
  if (authority_leads(a) || peerlink_peer_leads(a->link) == 0)
    return;
  status->leader = status->peer;
  status->leader_epoch = peerlink_peer_leads(a->link);
}

static void on_status(Authority *a, const AuthorityAsk *ask, const void *request _unused_) {
  AuthorityAsker asker = authority_asker(ask);
  const PairOptions *options = &a->options.pair;
  char state[32];
  AuthorityStatus status = {
      .node = options->alone            ? TEXT("alone")
              : options->node == PAIR_A ? TEXT("a")
                                        : TEXT("b"),
      .state = text_of(lower(pair_state_name(pair_state(a->pair)), state)),
      .epoch = pair_epoch(a->pair),
      .seen = pair_seen(a->pair),
      .barred_us = pair_barred_us(a->pair, loop_now_us(a->loop)),
      .has_witness = options->has_witness,
      .behind = a->behind,
      .late = a->late,
      .leases = pair_leases(a->pair)->n,
      .flags = flags_count(&a->flags),
      .disk = text_of(a->disk),
  };

  if (authority_leads(a)) {
    status.leader = text_of(a->options.broker);
    status.leader_epoch = status.epoch;
  }
  put_others(a, loop_now_us(a->loop), &status);
  authority_reply(a, &asker, CONTRACT(AuthorityStatus), &status);
}

static void answer_operator(Authority *a, const AuthorityAsk *ask, PairEventKind kind) {
  AuthorityAsker asker = authority_asker(ask);
  PairError error = authority_step(a, &(PairEvent){.kind = kind})->error;

  if (error == PAIR_E_NONE)
    authority_reply(a, &asker, CONTRACT(PonsNothing), &(PonsNothing){0});
  else
    authority_fail(a, &asker, STATUS_REFUSED, "not_moved", 0, pair_error_text(error));
}

static void on_lead(Authority *a, const AuthorityAsk *ask, const void *request _unused_) {
  answer_operator(a, ask, PAIR_ON_OPERATOR_LEAD);
}

static void on_yield(Authority *a, const AuthorityAsk *ask, const void *request _unused_) {
  answer_operator(a, ask, PAIR_ON_OPERATOR_YIELD);
}

/* --- the table --- */

static const struct {
  const char *service;
  const char *method;
  void (*answer)(Authority *authority, const AuthorityAsk *ask, const void *request);
  bool by_leader;
} rows_of_services[] = {
    {"pons.lease", "acquire", on_acquire, true},
    {"pons.lease", "renew", on_renew, true},
    {"pons.lease", "release", on_release, true},
    {"pons.lease", "list", on_leases, false},
    {"pons.flags", "set", on_set, true},
    {"pons.flags", "get", on_get, false},
    {"pons.flags", "unset", on_unset, true},
    {"pons.flags", "list", on_flags, false},
    {"pons.authority", "status", on_status, false},
    {"pons.authority", "lead", on_lead, false},
    {"pons.authority", "yield", on_yield, false},
};

typedef union Question {
  LeaseWish wish;
  LeaseKeep keep;
  LeaseBack back;
  FlagWrite write;
  FlagAsk flag;
  PonsNothing nothing;
} Question;

static void decode_and_answer(Authority *a, const AuthorityAsk *ask, size_t row) {
  const MethodContract *contract = contract_find(ask->service, ask->method);
  AuthorityAsker asker = authority_asker(ask);
  ContractFault fault;
  Question question;
  char text[CONTRACT_PATH_BYTES + sizeof fault.message + 4];

  if (contract->request->size_bytes > sizeof question)
    abort();
  if (contract_decode(contract->request, ask->body, NULL, &question, &fault) == 0) {
    rows_of_services[row].answer(a, ask, &question);
    return;
  }
  snprintf(text, sizeof text, "%s: %s", fault.path, fault.message);
  authority_fail(a, &asker, STATUS_INVALID, NULL, 0, text);
}

void authority_ask(Authority *a, const AuthorityAsk *ask) {
  AuthorityAsker asker = authority_asker(ask);

  authority_look(a);
  for (size_t i = 0; i < ELEMENTS(rows_of_services); i++) {
    if (!text_is(ask->service, rows_of_services[i].service) || !text_is(ask->method, rows_of_services[i].method))
      continue;
    if (!rows_of_services[i].by_leader || authority_leads(a) || !relay_ask(a, ask))
      decode_and_answer(a, ask, i);
    return;
  }
  authority_fail(a, &asker, STATUS_NO_METHOD, NULL, 0, status_about(STATUS_NO_METHOD));
}
