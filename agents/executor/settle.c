/* A ring in the order of pushing. One batch is on its way at a time, so its length is all there is to remember of it. */
#include "agents/executor/settle.h"

#include <errno.h>
#include <stdlib.h>

#include "agents/executor/backoff.h"
#include "bus/base/log.h"

enum {
  GATHER_US = 5000,          /* after the first of a batch, for more of them */
  ANSWER_US = 5000000,       /* for one try */
  BACKOFF_BATCH_US = 100000, /* doubled by each failure in a row */
  BACKOFF_BATCH_LAST_US = 10000000,
};

/* One that waits; the texts of the struct are the arrays here. */
typedef struct Waiting {
  Settlement settlement;
  char request[34];
  char model[129];
  char outcome[16];
  char cause[33];
} Waiting;

struct SettleQueue {
  Runtime *runtime;
  Client *client;
  LoopTimer *again;
  Waiting *ring;
  uint32_t room;
  uint32_t first;
  uint32_t count;
  uint32_t in_flight; /* the first so many are in the batch that is on its way */
  RequestId asked;
  uint32_t failures; /* in a row */
  bool armed;        /* the timer runs: gathering, or backing off */
  uint64_t lost;
  uint64_t random;
  bool holds;   /* the process */
  bool is_gone; /* destroyed while a batch was on its way: its end frees the rest */
};

static Waiting *at(const SettleQueue *queue, uint32_t i) {
  return &queue->ring[(queue->first + i) % queue->room];
}

static void drop_first(SettleQueue *queue, uint32_t n) {
  queue->first = (queue->first + n) % queue->room;
  queue->count -= n;
}

/* The process does not leave before the last one is acknowledged. */
static void hold(SettleQueue *queue) {
  if (queue->count > 0 && !queue->holds)
    runtime_hold(queue->runtime);
  if (queue->count == 0 && queue->holds)
    runtime_release(queue->runtime);
  queue->holds = queue->count > 0;
}

/* --- sending --- */

static void back_off(SettleQueue *queue) {
  queue->random = queue->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
  queue->armed = true;
  loop_timer_set(queue->again, clock_monotonic_us() + backoff_jitter_us(BACKOFF_BATCH_US, BACKOFF_BATCH_LAST_US,
                                                                        queue->failures++, queue->random >> 33));
}

static void send_batch(SettleQueue *queue);

static void on_end(void *userdata, const Answer *answer) {
  SettleQueue *queue = userdata;

  if (queue->is_gone) {
    free(queue);
    return;
  }
  if (answer->status == STATUS_OK || answer->status == STATUS_INVALID) {
    if (answer->status != STATUS_OK)
      log_error("PONS-SETTLE-REFUSED", "the model table does not take a settlement: %.*s", TEXT_ARG(answer->message));
    drop_first(queue, queue->in_flight);
    queue->failures = 0;
  } else if (answer->status != STATUS_CANCELLED) {
    back_off(queue);
  }
  queue->in_flight = 0;
  if (queue->count > 0 && !queue->armed && answer->status != STATUS_CANCELLED)
    send_batch(queue);
  hold(queue);
}

static void send_batch(SettleQueue *queue) {
  const MethodContract *method = contract_find(TEXT("ModelManagerSuite"), TEXT("settle"));
  _cleanup_(buffer_done) Buffer body = {0};
  Settlement list[SETTLE_BATCH];
  uint32_t n = (uint32_t)min_u64(queue->count, SETTLE_BATCH);
  Ask ask = {.deadline_us = ANSWER_US, .priority = ASK_BATCH, .attempts = 1};

  for (uint32_t i = 0; i < n; i++)
    list[i] = at(queue, i)->settlement;
  if (ask_encode(method, &(Settle){.settlements = {list, n}}, &body, &ask, NULL) != 0) {
    drop_first(queue, n); /* each was held against its bounds when it was pushed */
    return;
  }
  queue->in_flight = n;
  if (client_ask(queue->client, &ask, &(AskHandler){.on_end = on_end, .userdata = queue}, &queue->asked) < 0)
    queue->in_flight = 0;
}

static void on_again(void *userdata, uint64_t now_us) {
  SettleQueue *queue = userdata;

  (void)now_us;
  queue->armed = false;
  if (queue->count > 0 && queue->in_flight == 0)
    send_batch(queue);
}

/* --- taking --- */

static void grow(SettleQueue *queue) {
  uint32_t room = queue->room ? 2 * queue->room : SETTLE_BATCH;
  Waiting *ring = calloc(room, sizeof *ring);

  if (!ring)
    abort();
  for (uint32_t i = 0; i < queue->count; i++) {
    Waiting *to = &ring[i];

    *to = *at(queue, i);
    to->settlement.request.data = to->request;
    to->settlement.model.data = to->model;
    to->settlement.outcome.data = to->outcome;
    to->settlement.cause.data = to->cause;
  }
  free(queue->ring);
  queue->ring = ring;
  queue->room = room;
  queue->first = 0;
}

static Text keep(char *ret, size_t room, Text text) {
  size_t size = min_u64(text.size, room - 1);

  if (size)
    memcpy(ret, text.data, size);
  return (Text){ret, size};
}

static void make_room(SettleQueue *queue) {
  if (queue->count < queue->room)
    return;
  if (queue->room < SETTLE_WAITING_MAX) {
    grow(queue);
    return;
  }
  if (queue->lost++ == 0)
    log_error("PONS-SETTLE-LOST", "more than %d settlements wait for ModelManagerSuite; the oldest are lost; start it",
              SETTLE_WAITING_MAX);
  drop_first(queue, 1);
  queue->in_flight -= queue->in_flight > 0;
}

void settle_push(SettleQueue *queue, const Settlement *settlement) {
  Waiting *waiting;

  make_room(queue);
  waiting = at(queue, queue->count++);
  waiting->settlement = *settlement;
  waiting->settlement.request = keep(waiting->request, sizeof waiting->request, settlement->request);
  waiting->settlement.model = keep(waiting->model, sizeof waiting->model, settlement->model);
  waiting->settlement.outcome = keep(waiting->outcome, sizeof waiting->outcome, settlement->outcome);
  waiting->settlement.cause = keep(waiting->cause, sizeof waiting->cause, settlement->cause);
  hold(queue);
  if (queue->armed || queue->in_flight > 0)
    return;
  queue->armed = true;
  loop_timer_set(queue->again, clock_monotonic_us() + GATHER_US);
}

uint32_t settle_waiting(const SettleQueue *queue) {
  return queue->count;
}

/* --- making --- */

int settle_new(Runtime *runtime, SettleQueue **ret) {
  SettleQueue *queue = calloc(1, sizeof *queue);
  int r;

  if (!queue)
    return -ENOMEM;
  queue->runtime = runtime;
  queue->client = runtime_client(runtime);
  queue->random = client_id(queue->client).value;
  r = loop_timer_new(runtime_loop(runtime), on_again, queue, &queue->again);
  if (r < 0) {
    settle_destroy(&queue);
    return r;
  }
  *ret = queue;
  return 0;
}

void settle_destroy(SettleQueue **p) {
  SettleQueue *queue = TAKE(*p);

  if (!queue)
    return;
  loop_timer_destroy(&queue->again);
  free(TAKE(queue->ring));
  queue->is_gone = true;
  /* The end of what was asked still comes, at the latest with the client's. */
  if (queue->in_flight > 0)
    client_cancel(queue->client, queue->asked);
  else
    free(queue);
}
