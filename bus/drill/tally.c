#include "bus/drill/tally.h"

#include <errno.h>
#include <stdio.h>

#include "agents/contracts/contracts.h"
#include "bus/client/client.h"

enum { PATIENCE_US = 5000000 };

typedef struct Count {
  Tally *tally;
  bool ended;
  bool whole; /* everybody has answered */
  char *error;
  size_t error_bytes;
} Count;

/* --- asking --- */

static void on_chunk(void *userdata, const AskChunk *chunk) {
  _cleanup_(arena_done) Arena arena = {0};
  Count *count = userdata;
  Tally *tally = count->tally;
  const Answer answer = {.status = chunk->status, .body = chunk->body};
  EchoWorked worked;

  if (!chunk->is_collect || chunk->status != STATUS_OK || tally->count == LOAD_INSTANCES_MAX ||
      answer_decode(contract_find(TEXT("echo"), TEXT("work")), &answer, &arena, &worked, NULL)) {
    count->whole = false;
    return;
  }
  LoadInstance *row = &tally->instances[tally->count++];

  snprintf(row->name, sizeof row->name, "%.*s", TEXT_ARG(worked.instance));
  row->done = worked.done;
}

static void on_end(void *userdata, const Answer *answer) {
  Count *count = userdata;

  count->ended = true;
  if (answer->status == STATUS_OK)
    return;
  count->whole = false;
  snprintf(count->error, count->error_bytes, "the agents can't be asked what they have done: %s: %.*s",
           status_name(answer->status), TEXT_ARG(answer->message));
}

static bool has_ended(void *userdata) {
  const Count *count = userdata;

  return count->ended;
}

int tally_take(Loop *loop, const char *endpoints, Tally *ret, char *error, size_t error_bytes) {
  _cleanup_(client_destroy) Client *client = NULL;
  _cleanup_(buffer_done) Buffer body = {0};
  const ClientOptions options = {.endpoint = endpoints, .agent = TEXT("pons-drill"), .attempts = 1};
  Count count = {.tally = ret, .whole = true, .error = error, .error_bytes = error_bytes};
  Ask ask = {.service = TEXT_NONE};

  *ret = (Tally){.count = 0};
  snprintf(error, error_bytes, "not all agents have said what they have done");
  if (ask_encode(contract_find(TEXT("echo"), TEXT("work")), &(EchoWork){0}, &body, &ask, NULL) ||
      client_new(loop, &options, &client) < 0)
    return -EIO;
  ask.service = TEXT("echo@*");
  ask.stream = true;
  ask.deadline_us = PATIENCE_US;
  if (client_ask(client, &ask, &(AskHandler){on_chunk, on_end, &count}, NULL) < 0 ||
      loop_run_until(loop, has_ended, &count, clock_monotonic_us() + 2 * (uint64_t)PATIENCE_US) < 0 || !count.whole)
    return -EIO;
  return 0;
}

/* --- counting --- */

/* What an instance counted last, or 0. */
static uint64_t find_done(const LoadInstance *rows, uint32_t count, const char *name) {
  for (uint32_t i = 0; i < count; i++)
    if (strcmp(rows[i].name, name) == 0)
      return rows[i].done;
  return 0;
}

uint64_t tally_between(const Tally *before, const Tally *after, const LoadInstance *meanwhile, uint32_t count) {
  uint64_t sum = 0;

  for (uint32_t i = 0; i < after->count; i++)
    sum += after->instances[i].done - 1 - find_done(before->instances, before->count, after->instances[i].name);
  for (uint32_t i = 0; i < count; i++) {
    const LoadInstance *row = &meanwhile[i];

    if (!find_done(after->instances, after->count, row->name))
      sum += row->done - find_done(before->instances, before->count, row->name);
  }
  return sum;
}
