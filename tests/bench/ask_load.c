/* Load on RemoteApiAdapter over the bus: ask-load ENDPOINT REQUEST OUTSTANDING WARM_MS MEASURE_MS; REQUEST is the JSON of a chat
   request, a stream's or a plain one's. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "agents/contracts/contracts.h"
#include "bus/client/client.h"
#include "tests/bench/closed.h"

enum { DRAIN_MS = 5000 };

typedef struct Bench Bench;

typedef struct Slot {
  Bench *bench;
  uint32_t number;
} Slot;

struct Bench {
  Closed load;
  Loop *loop;
  Client *client;
  Ask ask;
  Buffer body;
  Slot *slots;
};

static void send_slot(Slot *slot);

static void on_chunk(void *userdata, const AskChunk *chunk) {
  Slot *slot = userdata;

  (void)chunk;
  closed_heard(&slot->bench->load, slot->number);
}

static void on_end(void *userdata, const Answer *answer) {
  Slot *slot = userdata;
  Bench *bench = slot->bench;

  if (answer->status != STATUS_OK && bench->load.failed == 0)
    fprintf(stderr, "a request ended %s: %.*s\n", status_name(answer->status), TEXT_ARG(answer->message));
  closed_heard(&bench->load, slot->number);
  if (closed_ended(&bench->load, slot->number, answer->status == STATUS_OK))
    send_slot(slot);
}

static void send_slot(Slot *slot) {
  Bench *bench = slot->bench;

  closed_sent(&bench->load, slot->number);
  client_ask(bench->client, &bench->ask, &(AskHandler){.on_chunk = on_chunk, .on_end = on_end, .userdata = slot}, NULL);
}

static bool is_over(void *userdata) {
  const Bench *bench = userdata;

  return closed_is_over(&bench->load);
}

static int sign_on(Bench *bench, const char *endpoint, const char *request) {
  ClientOptions options = {.endpoint = endpoint, .agent = TEXT("bench-client"), .attempts = 1};
  int r = loop_new(&bench->loop);

  if (r == 0)
    r = client_new(bench->loop, &options, &bench->client);
  if (r == 0)
    r = client_wait_open(bench->client, 10 * US_PER_S);
  if (r == 0 && ask_encode(contract_find(TEXT("RemoteApiAdapter"), TEXT("generate")),
                           &(ChatAsk){.request = text_of(request)}, &bench->body, &bench->ask, NULL) != 0)
    r = -EINVAL;
  bench->ask.deadline_us = 600 * US_PER_S;
  bench->ask.window_bytes = 64 << 10;
  return r;
}

static void drive(Bench *bench) {
  uint64_t until_us = clock_monotonic_us() + (bench->load.warm_ns + bench->load.measure_ns) / 1000;

  for (uint32_t i = 0; i < bench->load.outstanding; i++) {
    bench->slots[i] = (Slot){.bench = bench, .number = i};
    send_slot(&bench->slots[i]);
  }
  loop_run_until(bench->loop, is_over, bench, until_us + DRAIN_MS * US_PER_MS);
}

int main(int argc, char **argv) {
  static Bench bench;
  int r;

  if (argc != 6 || closed_init(&bench.load, argv + 3)) {
    fputs("usage: ask-load ENDPOINT REQUEST OUTSTANDING WARM_MS MEASURE_MS\n", stderr);
    return 2;
  }
  bench.slots = calloc(bench.load.outstanding, sizeof *bench.slots);
  if (!bench.slots)
    abort();
  r = sign_on(&bench, argv[1], argv[2]);
  if (r == 0)
    r = closed_begin(&bench.load);
  if (r == 0) {
    drive(&bench);
    closed_print(&bench.load);
  } else {
    fprintf(stderr, "%s: %s\n", argv[1], strerror(-r));
  }
  client_destroy(&bench.client);
  loop_destroy(&bench.loop);
  buffer_done(&bench.body);
  free(bench.slots);
  closed_done(&bench.load);
  return r ? 1 : 0;
}
