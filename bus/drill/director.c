/* A third of the time is calm, 3.3 s at the most where the load lasts as long as the event; what is left after it shows whether all
   is as before. The loads are processes of their own, so nothing that is done here delays a request. */
#include "bus/drill/director.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>

#include "bus/drill/load.h"
#include "bus/drill/stall.h"
#include "bus/drill/tally.h"

enum {
  CALM_SHARE = 3,
  START_US = 100000,
  OPEN_US = 20000000,
  LINGER_US = 5000000,
  CHAT_SHARE = 50,
  TAIL_US = 2000000,
  CALM_MOST_US = 3300000
};

typedef struct Director {
  const DirectorOptions *options;
  Loop *loop;
  Watch *watch;
  Load *loads[REPORT_LOADS_MAX];
  uint32_t load_count;
  StallWatch *stalls; /* NULL without the right to watch */
  Scene scene;
  ReportTimes times;
  Tally before;
  Tally after;
  bool interrupted;
  Buffer *errors;
} Director;

static void on_interrupt(void *userdata, int signo _unused_) {
  Director *director = userdata;

  director->interrupted = true;
}

static void on_change(void *userdata _unused_) {
  /* The loop has turned, so what waits looks again. */
}

/* --- waiting --- */

typedef bool Done(Director *director);

typedef struct Until {
  Director *director;
  Done *done;
} Until;

static bool is_done(void *userdata) {
  const Until *until = userdata;

  return until->director->interrupted || until->done(until->director);
}

/* Returns 0; DIRECTOR_E_INTERRUPTED; -ETIMEDOUT. */
static int turn_until(Director *director, Done *done, uint64_t deadline_us) {
  int r = loop_run_until(director->loop, is_done, &(Until){director, done}, deadline_us);

  return director->interrupted ? DIRECTOR_E_INTERRUPTED : r;
}

static bool never(Director *director _unused_) {
  return false;
}

static int turn_for(Director *director, uint64_t until_us) {
  int r = turn_until(director, never, until_us);

  return r == -ETIMEDOUT ? 0 : r;
}

static bool is_whole(Director *director) {
  return watch_is_whole(director->watch, director->options->least);
}

static bool are_ready(Director *director) {
  for (uint32_t i = 0; i < director->load_count; i++)
    if (!load_is_ready(director->loads[i]) && !load_has_ended(director->loads[i]))
      return false;
  return true;
}

static bool have_ended(Director *director) {
  for (uint32_t i = 0; i < director->load_count; i++)
    if (!load_has_ended(director->loads[i]))
      return false;
  return true;
}

static int wait_whole(Director *director) {
  int r = turn_until(director, is_whole, clock_monotonic_us() + director->options->patience_us);

  if (r == -ETIMEDOUT)
    buffer_printf(director->errors, "not all is there after %u s: %s",
                  (unsigned)(director->options->patience_us / US_PER_S), watch_missing(director->watch));
  return r;
}

/* --- the loads --- */

static int start_load(Director *director, uint32_t machine, LoadKind kind, uint32_t rate) {
  const DirectorOptions *options = director->options;
  const LoadOptions load = {.name = options->places[machine].name,
                            .endpoints = options->places[machine].endpoints,
                            .net = options->places[machine].net,
                            .kind = kind,
                            .key = options->key,
                            .rate = rate ? rate : 1,
                            .length_us = options->length_us,
                            .deadline_us = options->deadline_us};
  int r;

  if (!load.endpoints)
    return 0;
  r = load_start(director->loop, &load, on_change, director, &director->loads[director->load_count]);
  if (r < 0)
    buffer_printf(director->errors, "the load can't be started: %s%s", strerror(-r),
                  r == -EMSGSIZE ? "; ask for a lower --rate or fewer --seconds" : "");
  else
    director->load_count++;
  return r;
}

static int start_loads(Director *director) {
  unsigned loads = director->options->drill->loads;
  uint32_t rate = director->options->rate;
  int r = 0;

  if (loads & DRILL_LOAD_ONCE)
    r = start_load(director, 0, LOAD_ONCE, rate);
  if (r == 0 && loads & DRILL_LOAD_AWAY)
    r = start_load(director, 1, LOAD_IDEMPOTENT, rate);
  if (r == 0 && loads & DRILL_LOAD_CHAT)
    r = start_load(director, 0, LOAD_CHAT, rate / CHAT_SHARE);
  return r;
}

static int begin_loads(Director *director) {
  int r = turn_until(director, are_ready, clock_monotonic_us() + OPEN_US);

  for (uint32_t i = 0; r == 0 && i < director->load_count; i++)
    if (load_has_ended(director->loads[i])) {
      const char *error = load_error(director->loads[i]);

      buffer_printf(director->errors, "%s", *error ? error : "the load has ended before it began");
      r = -EIO;
    }
  if (r == -ETIMEDOUT)
    buffer_printf(director->errors, "the load finds no broker");
  director->times.start_us = clock_monotonic_us() + START_US;
  for (uint32_t i = 0; r == 0 && i < director->load_count; i++)
    load_begin(director->loads[i], director->times.start_us);
  return r;
}

/* --- the event --- */

/* What happens says itself when it did: before that it may have had to look for whom to hit. */
static int happen(Director *director, DrillEvent *event) {
  int r;

  director->scene.at_us = clock_monotonic_us();
  r = event ? event(&director->scene) : 0;
  if (r < 0)
    buffer_printf(director->errors, "%s", director->scene.error);
  return r;
}

/* How long the event lasts: of a short load half. */
static uint64_t hold_us(const DirectorOptions *options) {
  return min_u64(options->drill->hold_ms * US_PER_MS, options->length_us / 2);
}

/* From the event to its end, which comes also when somebody interrupts. */
static int play(Director *director) {
  const Drill *drill = director->options->drill;
  int r = happen(director, drill->begin);
  int undone;

  director->times.event_us = director->scene.at_us;
  if (director->options->on_event)
    director->options->on_event(director->options->on_event_userdata, director->scene.event);
  if (r == 0 && drill->hold_ms)
    r = turn_for(director, director->times.event_us + hold_us(director->options));
  undone = happen(director, drill->end);
  director->times.event_end_us = director->scene.at_us;
  return r ? r : undone;
}

/* --- one run --- */

static int take(Director *director, Tally *ret) {
  char error[160];
  int r;

  if (!(director->options->drill->loads & DRILL_LOAD_ONCE))
    return 0;
  r = tally_take(director->loop, director->options->endpoints, director->options->key,
                 (uint32_t)min_u64(watch_workers(director->watch), LIMIT_COLLECT), ret, error, sizeof error);
  if (r < 0)
    buffer_printf(director->errors, "%s", error);
  return r;
}

static int prepare(Director *director) {
  int r = wait_whole(director);

  if (r == 0)
    r = take(director, &director->before);
  if (r == 0)
    r = start_loads(director);
  if (r == 0) {
    stall_watch_new(&director->stalls); /* who may not watch goes without */
    r = begin_loads(director);
  }
  if (r == 0)
    watch_clear_leads(director->watch);
  return r;
}

/* For how long the loads run before the event. */
static uint64_t calm_us(const DirectorOptions *options) {
  uint64_t share_us = options->length_us / CALM_SHARE;

  return options->drill->loads & DRILL_LOAD_WHILE ? min_u64(share_us, CALM_MOST_US) : share_us;
}

/* Ends loads that are there for the event's sake, if they have not ended by themselves. */
static void finish_loads(Director *director) {
  uint64_t last_us = clock_monotonic_us() + TAIL_US;

  if (!(director->options->drill->loads & DRILL_LOAD_WHILE))
    return;
  for (uint32_t i = 0; i < director->load_count; i++)
    load_finish(director->loads[i], last_us);
  director->times.length_us = min_u64(director->times.length_us, last_us - director->times.start_us);
}

static int perform(Director *director) {
  const DirectorOptions *options = director->options;
  uint64_t last_us = director->times.start_us + options->length_us + options->deadline_us + LINGER_US;
  int r = turn_for(director, director->times.start_us + calm_us(options));

  if (r == 0)
    r = play(director);
  finish_loads(director);
  if (r == 0)
    r = turn_until(director, have_ended, last_us);
  if (r == -ETIMEDOUT)
    r = 0; /* what has not ended is lost, and said so */
  return r;
}

/* How often a load's work was done. A question of ours that was done and not answered is none of it. */
static uint64_t times_done(const Director *director, const Load *load, uint32_t sent) {
  uint64_t unsure = director->before.unsure + director->after.unsure;
  uint32_t count;
  const LoadInstance *rows = load_instances(load, &count);
  uint64_t done = tally_between(&director->before, &director->after, rows, count);

  return done > sent ? done - min_u64(unsure, done - sent) : done;
}

static void count_stalls(Director *director, Report *report) {
  Stall stalls[STALLS_MAX];

  if (director->stalls)
    report_add_stalls(report, stalls, stall_watch_seen(director->stalls, stalls), director->times.start_us);
}

static Report *count_up(Director *director, uint32_t run) {
  Report *report = report_new(director->options->drill, run, &director->times, director->scene.event);
  uint32_t count;
  const ReportLead *leads = watch_leads_seen(director->watch, &count);

  count_stalls(director, report);
  for (uint32_t i = 0; i < count; i++)
    report_add_lead(report, leads[i], director->times.start_us);
  for (uint32_t i = 0; i < director->scene.move_count; i++)
    report_add_move(report, director->scene.moves[i], director->times.start_us);
  for (uint32_t i = 0; i < director->load_count; i++) {
    const Load *load = director->loads[i];
    uint32_t samples;
    const LoadSample *asked = load_samples(load, &samples);

    report_add_load(report, load_options(load), asked, samples, times_done(director, load, samples),
                    director->times.start_us);
  }
  return report;
}

static int direct(Director *director, uint32_t run, Report **ret) {
  int r = loop_on_signal(director->loop, SIGINT, on_interrupt, director);

  if (r == 0)
    r = loop_on_signal(director->loop, SIGTERM, on_interrupt, director);
  if (r == 0)
    r = watch_new(director->loop, director->options->endpoints, director->options->key, &director->watch);
  director->scene.loop = director->loop;
  director->scene.watch = director->watch;
  director->scene.endpoints = director->options->endpoints;
  director->scene.key = director->options->key;
  director->scene.least = director->options->least;
  director->scene.vote_us = director->options->vote_us;
  director->scene.config = director->options->config;
  director->scene.interrupted = &director->interrupted;
  if (r == 0)
    r = prepare(director);
  if (r == 0)
    r = perform(director);
  if (r == 0)
    r = wait_whole(director);
  if (r == 0)
    r = take(director, &director->after);
  if (r == 0)
    *ret = count_up(director, run);
  return r;
}

int director_run(const DirectorOptions *options, uint32_t run, Buffer *errors, Report **ret) {
  Director director = {.options = options,
                       .scene = {.lab = options->lab,
                                 .cutter = options->cutter,
                                 .find = options->find,
                                 .find_userdata = options->find_userdata,
                                 .run = run},
                       .times = {.length_us = options->length_us},
                       .errors = errors};
  int r;

  loop_block_signals();
  r = loop_new(&director.loop);
  if (r == 0)
    r = direct(&director, run, ret);
  if (r < 0 && errors->size == 0)
    buffer_printf(errors, "the drill can't be done: %s", strerror(-r));
  for (uint32_t i = 0; i < director.load_count; i++)
    load_destroy(&director.loads[i]);
  stall_watch_destroy(&director.stalls);
  watch_destroy(&director.watch);
  loop_destroy(&director.loop);
  return r;
}
