/* Two kinds of load. Closed loop: so many unanswered at a time, the next is asked when one ends; it finds the rate. Open
   loop (--rate): requests are due at fixed times whatever the answers do, and each is timed from when it was due, so that
   a stall counts against every request that it delays and not against one alone. */
#include <inttypes.h>
#include <stdlib.h>

#include "bus/ctl/grid.h"
#include "bus/ctl/histogram.h"
#include "bus/ctl/question.h"
#include "bus/ctl/reach.h"

enum { SECONDS = 5, OUTSTANDING = 100, OUTSTANDING_MAX = LIMIT_CLIENT_REQUESTS, TEXT_BYTES = 64, DRAIN_S = 10 };

typedef struct Bench Bench;

/* One request on its way. */
typedef struct Slot {
  Bench *bench;
  struct Slot *next_free;
  uint64_t due_us;
} Slot;

struct Bench {
  Ctl *ctl;
  Reach *reach;
  Question question;
  LoopTimer *timer;
  Slot *slots;
  Slot *free;
  uint64_t start_us;
  uint64_t end_us;
  uint64_t asked;
  uint64_t ended;
  uint64_t held_back; /* open loop: due, but all slots were taken; they count as QUOTA */
  uint64_t by_status[STATUS_END];
  Histogram times;
};

static void ask_next(Bench *bench, uint64_t due_us);

static void on_end(void *userdata, const Answer *answer) {
  Slot *slot = userdata;
  Bench *bench = slot->bench;
  uint64_t now_us = clock_monotonic_us();

  bench->ended++;
  bench->by_status[answer->status < STATUS_END ? answer->status : STATUS_INTERNAL]++;
  if (answer->status == STATUS_OK)
    histogram_push(&bench->times, now_us - slot->due_us);
  slot->next_free = bench->free;
  bench->free = slot;
  if (!bench->ctl->options.rate && now_us < bench->end_us)
    ask_next(bench, now_us);
}

static void ask_next(Bench *bench, uint64_t due_us) {
  Slot *slot = bench->free;

  if (!slot) {
    bench->held_back++;
    return;
  }
  bench->free = slot->next_free;
  slot->due_us = due_us;
  bench->asked++;
  if (client_ask(bench->reach->client, &bench->question.ask, &(AskHandler){.on_end = on_end, .userdata = slot}, NULL) <
      0)
    abort(); /* on the loop thread it takes every request */
}

/* Asks what has become due since the last time. */
static void on_rate(void *userdata, uint64_t now_us) {
  Bench *bench = userdata;
  uint64_t rate = bench->ctl->options.rate;
  uint64_t until_us = min_u64(now_us, bench->end_us);
  uint64_t due = (until_us - bench->start_us) * rate / US_PER_S;

  while (bench->asked + bench->held_back < due)
    ask_next(bench, bench->start_us + (bench->asked + bench->held_back) * US_PER_S / rate);
  if (now_us < bench->end_us)
    loop_timer_set(bench->timer, max_u64(now_us + 200, bench->start_us + (due + 1) * US_PER_S / rate));
}

static bool is_over(void *userdata) {
  const Bench *bench = userdata;

  return bench->ended == bench->asked && clock_monotonic_us() >= bench->end_us;
}

static void make_slots(Bench *bench, uint32_t count) {
  bench->slots = calloc(count, sizeof *bench->slots);
  if (!bench->slots)
    abort();
  for (uint32_t i = 0; i < count; i++) {
    bench->slots[i] = (Slot){.bench = bench, .next_free = bench->free};
    bench->free = &bench->slots[i];
  }
}

static CtlExit run(Bench *bench) {
  const Options *options = &bench->ctl->options;
  uint64_t outstanding = options->outstanding ? options->outstanding : options->rate ? OUTSTANDING_MAX : OUTSTANDING;

  if (loop_timer_new(bench->reach->loop, on_rate, bench, &bench->timer) < 0)
    abort();
  make_slots(bench, (uint32_t)outstanding);
  bench->start_us = clock_monotonic_us();
  bench->end_us = bench->start_us + (options->seconds ? options->seconds : SECONDS) * US_PER_S;
  if (options->rate)
    on_rate(bench, bench->start_us);
  for (uint64_t i = 0; !options->rate && i < outstanding; i++)
    ask_next(bench, bench->start_us);
  reach_run(bench->reach, is_over, bench, bench->end_us);
  reach_run(bench->reach, is_over, bench, bench->end_us + DRAIN_S * US_PER_S);
  bench->end_us = min_u64(bench->end_us, clock_monotonic_us());
  return bench->reach->interrupted ? (CtlExit)CTL_INTERRUPTED : CTL_OK;
}

static uint64_t count_errors(const Bench *bench) {
  return bench->ended - bench->by_status[STATUS_OK] + bench->held_back + (bench->asked - bench->ended);
}

static double rate_of(const Bench *bench) {
  return (double)bench->by_status[STATUS_OK] * (double)US_PER_S / (double)max_u64(bench->end_us - bench->start_us, 1);
}

static json_t *result_json(const Bench *bench) {
  const Histogram *times = &bench->times;
  json_t *errors = json_object();

  for (Status i = STATUS_OK + 1; i < STATUS_END; i++)
    if (bench->by_status[i])
      json_object_set_new(errors, status_name(i), json_integer((json_int_t)bench->by_status[i]));
  if (bench->held_back)
    json_object_set_new(errors, "HELD_BACK", json_integer((json_int_t)bench->held_back));
  if (bench->asked != bench->ended)
    json_object_set_new(errors, "UNANSWERED", json_integer((json_int_t)(bench->asked - bench->ended)));
  return json_pack("{s:s, s:s, s:I, s:I, s:I, s:f, s:I, s:I, s:I, s:I, s:I, s:o}", "method", bench->question.target,
                   "mode", bench->ctl->options.rate ? "open" : "closed", "elapsed_us",
                   (json_int_t)(bench->end_us - bench->start_us), "asked", (json_int_t)bench->asked, "ok",
                   (json_int_t)bench->by_status[STATUS_OK], "rate_per_s", rate_of(bench), "p50_us",
                   (json_int_t)histogram_find(times, 500), "p90_us", (json_int_t)histogram_find(times, 900), "p99_us",
                   (json_int_t)histogram_find(times, 990), "p999_us", (json_int_t)histogram_find(times, 999), "max_us",
                   (json_int_t)times->largest, "errors", errors);
}

static void print_result(const Bench *bench) {
  static const GridColumn columns[] = {{"RATE/S", GRID_RIGHT}, {"P50", GRID_RIGHT},   {"P90", GRID_RIGHT},
                                       {"P99", GRID_RIGHT},    {"P99.9", GRID_RIGHT}, {"MAX", GRID_RIGHT},
                                       {"OK", GRID_RIGHT},     {"ERRORS", GRID_RIGHT}};
  static const uint32_t thousandths[] = {500, 900, 990, 999};
  _cleanup_(buffer_done) Buffer text = {0};
  _cleanup_(grid_done) Grid grid;

  grid_init(&grid, columns, ELEMENTS(columns));
  grid_cell(&grid, "%.0f", rate_of(bench));
  for (size_t i = 0; i < ELEMENTS(thousandths); i++)
    grid_cell(&grid, "%" PRIu64 "us", histogram_find(&bench->times, thousandths[i]));
  grid_cell(&grid, "%" PRIu64 "us", bench->times.largest);
  grid_cell(&grid, "%" PRIu64, bench->by_status[STATUS_OK]);
  grid_cell(&grid, "%" PRIu64, count_errors(bench));
  grid_print(&grid, &text);
  for (Status i = STATUS_OK + 1; i < STATUS_END; i++)
    if (bench->by_status[i])
      buffer_printf(&text, "%" PRIu64 " x %s: %s\n", bench->by_status[i], status_name(i), status_about(i));
  if (bench->held_back)
    buffer_printf(&text, "%" PRIu64 " x not asked: too many were unanswered already\n", bench->held_back);
  if (bench->asked != bench->ended)
    buffer_printf(&text, "%" PRIu64 " x no answer in time\n", bench->asked - bench->ended);
  ctl_write(&text);
}

/* A message for the load: what the command line says, else text of --size bytes for a method that takes some. */
static int make_question(Bench *bench, Buffer *errors) {
  const Options *options = &bench->ctl->options;
  const char *target = options->argument_count ? options->arguments[0] : "pons.ping";
  uint64_t size = options->size ? options->size : TEXT_BYTES;
  _cleanup_(buffer_done) Buffer json = {0};
  _cleanup_(buffer_done) Buffer ignored = {0};

  if (options->arguments[1])
    return question_init(&bench->question, target, options->arguments[1], errors, NULL);
  if (!options->size && question_init(&bench->question, target, NULL, &ignored, NULL) == 0)
    return 0;
  buffer_printf(&json, "{\"text\":\"");
  memset(buffer_reserve(&json, size), 'x', size);
  json.size += size;
  buffer_printf(&json, "\"}");
  buffer_append(&json, "", 1);
  return question_init(&bench->question, target, (const char *)json.data, errors, NULL);
}

CtlExit cmd_bench(Ctl *ctl) {
  _cleanup_(buffer_done) Buffer errors = {0};
  _cleanup_(reach_close) Reach reach = {0};
  Bench bench = {.ctl = ctl, .reach = &reach};
  CtlExit status = CTL_USAGE;

  if (make_question(&bench, &errors))
    ctl_say_lines(&errors);
  else
    status = reach_open(ctl, reach_wait_ms(ctl), false, &reach);
  if (status == CTL_OK) {
    bench.question.ask.deadline_us = ctl->options.timeout_ms * US_PER_MS;
    bench.question.ask.attempts = 1;
    status = run(&bench);
    if (ctl->options.json)
      ctl_write_json(ctl, result_json(&bench));
    else
      print_result(&bench);
    if (status == CTL_OK && count_errors(&bench))
      status = CTL_FAILED;
  }
  loop_timer_destroy(&bench.timer);
  reach_close(&reach); /* before the slots: it ends what is unanswered */
  question_done(&bench.question);
  free(bench.slots);
  return status;
}
