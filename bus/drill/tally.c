#include "bus/drill/tally.h"

#include <errno.h>
#include <stdio.h>

#include "agents/contracts/contracts.h"
#include "bus/client/client.h"

enum { PATIENCE_US = 5000000, AGAIN_US = 300000, TIMES = 10 };

typedef struct Count {
  Tally *tally;
  uint32_t answers;
  bool ended;
  char *error;
  size_t error_bytes;
} Count;

/* --- asking --- */

static TallyRow *find_row(const Tally *tally, Text name) {
  for (uint32_t i = 0; i < tally->count; i++)
    if (text_is(name, tally->rows[i].name))
      return (TallyRow *)(uintptr_t)&tally->rows[i];
  return NULL;
}

static void note(Tally *tally, const EchoWorked *worked) {
  TallyRow *row = find_row(tally, worked->instance);

  if (!row && tally->count == LOAD_INSTANCES_MAX)
    return;
  if (!row) {
    row = &tally->rows[tally->count++];
    *row = (TallyRow){.done = 0};
    snprintf(row->name, sizeof row->name, "%.*s", TEXT_ARG(worked->instance));
  }
  row->done = worked->done;
  row->questions++;
}

static void on_chunk(void *userdata, const AskChunk *chunk) {
  _cleanup_(arena_done) Arena arena = {0};
  Count *count = userdata;
  const Answer answer = {.status = chunk->status, .body = chunk->body};
  EchoWorked worked;

  if (!chunk->is_collect || chunk->status != STATUS_OK ||
      answer_decode(contract_find(TEXT("echo"), TEXT("work")), &answer, &arena, &worked, NULL)) {
    count->tally->unsure++;
    return;
  }
  note(count->tally, &worked);
  count->answers++;
}

static void on_end(void *userdata, const Answer *answer) {
  Count *count = userdata;

  count->ended = true;
  if (answer->status == STATUS_OK)
    return;
  count->tally->unsure += LOAD_INSTANCES_MAX; /* who was asked is not told */
  snprintf(count->error, count->error_bytes, "the agents can't be asked what they have done: %s: %.*s",
           status_name(answer->status), TEXT_ARG(answer->message));
}

static bool has_ended(void *userdata) {
  const Count *count = userdata;

  return count->ended;
}

static int ask_all(Loop *loop, Client *client, Count *count) {
  _cleanup_(buffer_done) Buffer body = {0};
  Ask ask = {.service = TEXT_NONE};

  if (ask_encode(contract_find(TEXT("echo"), TEXT("work")), &(EchoWork){0}, &body, &ask, NULL))
    return -EIO;
  ask.service = TEXT("echo@*");
  ask.stream = true;
  ask.deadline_us = PATIENCE_US;
  count->answers = 0;
  count->ended = false;
  if (client_ask(client, &ask, &(AskHandler){on_chunk, on_end, count}, NULL) < 0)
    return -EIO;
  return loop_run_until(loop, has_ended, count, clock_monotonic_us() + 2 * (uint64_t)PATIENCE_US);
}

static bool never(void *userdata _unused_) {
  return false;
}

int tally_take(Loop *loop, const char *endpoints, KeyPair *key, uint32_t least, Tally *tally, char *error,
               size_t error_bytes) {
  _cleanup_(client_destroy) Client *client = NULL;
  const ClientOptions options = {.endpoint = endpoints, .agent = TEXT("pons"), .key = key, .attempts = 1};
  Count count = {.tally = tally, .error = error, .error_bytes = error_bytes};
  int r = client_new(loop, &options, &client);

  snprintf(error, error_bytes, "not all agents have said what they have done");
  for (uint32_t i = 0; r == 0 && i < TIMES; i++) {
    r = ask_all(loop, client, &count);
    if (r == 0 && count.answers >= least)
      return 0;
    if (r == 0 && loop_run_until(loop, never, NULL, clock_monotonic_us() + AGAIN_US) == -ECANCELED)
      r = -ECANCELED;
  }
  return r == -ECANCELED ? r : -EIO;
}

/* --- counting --- */

/* How often an instance had done it by a tally, with its questions or without; 0 where it was not there. */
static uint64_t find_done(const Tally *tally, const char *name, bool with_questions) {
  const TallyRow *row = find_row(tally, text_of(name));

  return row ? row->done - (with_questions ? 0 : row->questions) : 0;
}

uint64_t tally_between(const Tally *before, const Tally *after, const LoadInstance *meanwhile, uint32_t count) {
  uint64_t sum = 0;

  for (uint32_t i = 0; i < after->count; i++) {
    const char *name = after->rows[i].name;

    sum += find_done(after, name, false) - find_done(before, name, true);
  }
  for (uint32_t i = 0; i < count; i++)
    if (!find_row(after, text_of(meanwhile[i].name)))
      sum += meanwhile[i].done - find_done(before, meanwhile[i].name, true);
  return sum;
}
