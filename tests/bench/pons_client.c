/* The client of the pons peer, on bus/client as anybody uses it: client_ask, and the next one from on_end. */
#include "bus/client/client.h"
#include "tests/bench/load.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>

typedef struct Bench {
  Load load;
  Loop *loop;
  Client *client;
  uint32_t failed;
} Bench;

static const Text content_type = {"application/octet-stream", sizeof "application/octet-stream" - 1};

static Ask ask_of(Load *load, uint32_t slot) {
  return (Ask){.service = TEXT("bench"),
               .method = TEXT("echo"),
               .body = {(const uint8_t *)load_body(load, slot, 0), load->size_bytes},
               .content_type = content_type,
               .idempotent = true};
}

static void on_end(void *userdata, const Answer *answer);

static void send_slot(Bench *bench, uint32_t slot) {
  Ask ask = ask_of(&bench->load, slot);

  client_ask(bench->client, &ask, &(AskHandler){.on_end = on_end, .userdata = bench}, NULL);
}

static void on_end(void *userdata, const Answer *answer) {
  Bench *bench = userdata;
  uint32_t slot;

  if (answer->status != STATUS_OK) {
    if (bench->failed++ == 0)
      fprintf(stderr, "a request ended %s: %.*s\n", status_name(answer->status), TEXT_ARG(answer->message));
  } else if (load_reply(&bench->load, answer->body.data, answer->body.size, &slot)) {
    send_slot(bench, slot);
  }
}

static int sign_on(Bench *bench) {
  ClientOptions options = {.endpoint = bench->load.endpoint, .agent = TEXT("bench-client")};
  int r = loop_new(&bench->loop);

  if (r == 0)
    r = client_new(bench->loop, &options, &bench->client);
  if (r == 0)
    r = client_wait_open(bench->client, 10 * US_PER_S);
  return r;
}

/* One request, to see that somebody answers. */
static int probe(Bench *bench) {
  _cleanup_(answer_destroy) Answer *answer = NULL;
  Ask ask = ask_of(&bench->load, 0);
  int r = client_call(bench->client, &ask, &answer);

  if (r == 0 && answer->status != STATUS_OK) {
    fprintf(stderr, "the first request ended %s: %.*s\n", status_name(answer->status), TEXT_ARG(answer->message));
    r = -EPROTO;
  }
  return r ? r : load_ready(&bench->load);
}

static bool is_over(void *userdata) {
  const Bench *bench = userdata;

  return bench->load.received + bench->failed >= bench->load.sent;
}

static void drive(Bench *bench) {
  uint64_t seen;

  for (uint32_t slot = 0; slot < bench->load.outstanding; slot++) {
    load_sent(&bench->load, slot);
    send_slot(bench, slot);
  }
  do {
    seen = bench->load.received;
    if (loop_run_until(bench->loop, is_over, bench, clock_monotonic_us() + LOAD_SILENCE_MS * US_PER_MS) != -ETIMEDOUT)
      return;
  } while (bench->load.received != seen);
}

int main(int argc, char **argv) {
  static Bench bench;
  int r;

  signal(SIGPIPE, SIG_IGN);
  if (load_init(&bench.load, argc, argv))
    return 2;
  r = sign_on(&bench);
  if (r == 0)
    r = probe(&bench);
  if (r == 0) {
    drive(&bench);
    load_print(&bench.load);
  } else {
    fprintf(stderr, "%s: %s\n", bench.load.endpoint, strerror(-r));
  }
  client_destroy(&bench.client);
  loop_destroy(&bench.loop);
  load_done(&bench.load);
  return r ? 1 : 0;
}
