/* A request that has moved has a part of its path at each broker, so all are asked. */
#include <inttypes.h>

#include "bus/base/clock.h"
#include "bus/ctl/grid.h"
#include "bus/ctl/reach.h"
#include "bus/ctl/shift.h"
#include "bus/ctl/view.h"

enum { BROKER_TIMEOUT_MS = 1000, CLOCK_QUESTIONS = 5 };

/* --- shown --- */

/* Clocks of two machines are known to each other within half of a round trip: a step may seem to lie before the first. */
static void print_time(Grid *grid, uint64_t at_us, uint64_t first_us) {
  if (at_us >= first_us)
    grid_cell(grid, "+%" PRIu64 "us", at_us - first_us);
  else
    grid_cell(grid, "-%" PRIu64 "us", first_us - at_us);
}

static void print_steps(const json_t *steps, Buffer *ret) {
  static const GridColumn columns[] = {{"AT", GRID_RIGHT},      {"STEP", GRID_LEFT}, {"BROKER", GRID_LEFT},
                                       {"INSTANCE", GRID_LEFT}, {"HOP", GRID_RIGHT}, {"ATTEMPT", GRID_RIGHT},
                                       {"STATUS", GRID_LEFT}};
  uint64_t first_us = view_number(json_array_get(steps, 0), "at_us");
  _cleanup_(grid_done) Grid grid;
  const json_t *step;
  size_t i;

  grid_init(&grid, columns, ELEMENTS(columns));
  json_array_foreach(steps, i, step) {
    print_time(&grid, view_number(step, "at_us"), first_us);
    grid_cell(&grid, "%s", view_text(step, "step"));
    grid_cell(&grid, "%s", view_text(step, "broker"));
    grid_cell(&grid, "%s", view_text(step, "instance"));
    grid_cell(&grid, "%" PRIu64, view_number(step, "hop"));
    grid_cell(&grid, "%" PRIu64, view_number(step, "attempt"));
    grid_cell(&grid, "%s", view_text(step, "status"));
  }
  grid_print(&grid, ret);
}

static CtlExit show(const Ctl *ctl, const char *id, const json_t *steps) {
  _cleanup_(buffer_done) Buffer text = {0};
  bool known = json_array_size(steps) > 0;

  if (ctl->options.json) {
    ctl_write_json(ctl, json_pack("{s:s, s:O}", "request", id, "steps", steps));
  } else if (known) {
    print_steps(steps, &text);
    ctl_write(&text);
  } else {
    ctl_say("no broker knows of request %s: it never came, or was long ago", id);
  }
  return known ? CTL_OK : CTL_FAILED;
}

/* --- gathered --- */

/* Whether a step comes before another broker's: an attempt more is later, whatever the clocks say. */
static bool is_earlier(const json_t *a, const json_t *b) {
  uint64_t first = view_number(a, "attempt");
  uint64_t second = view_number(b, "attempt");

  return first != second ? first < second : view_number(a, "at_us") <= view_number(b, "at_us");
}

/* By how much the broker's clock is ahead of this machine's. */
static Shift shift_of(Reach *reach) {
  Shift shift = {0};

  for (int i = 0; i < CLOCK_QUESTIONS; i++) {
    uint64_t sent_us = clock_realtime_us();
    json_t *pong = NULL;

    if (reach_ask(reach, "pons", "ping", NULL, &pong) == CTL_OK)
      shift_note(&shift, sent_us, view_number(pong, "now_us"), clock_realtime_us());
    json_decref(pong);
  }
  return shift;
}

/* The steps of one broker among those of the others, each in its order, by this machine's clock. */
static void merge(json_t *all, const json_t *steps, const char *broker, const Shift *shift) {
  size_t at = 0;
  json_t *step;
  size_t i;

  json_array_foreach(steps, i, step) {
    json_object_set_new(step, "broker", json_string(broker));
    json_object_set_new(step, "at_us", json_integer((json_int_t)shift_back(shift, view_number(step, "at_us"))));
    while (at < json_array_size(all) && is_earlier(json_array_get(all, at), step))
      at++;
    json_array_insert(all, at++, step);
  }
}

static CtlExit ask_one(Reach *reach, const char *question, json_t *all) {
  Text name = client_broker(reach->client);
  char broker[LIMIT_NAME_BYTES + 1];
  json_t *trace = NULL;
  CtlExit status = reach_ask(reach, "pons", "trace", question, &trace);
  Shift shift;

  snprintf(broker, sizeof broker, "%.*s", TEXT_ARG(name));
  if (status == CTL_OK) {
    shift = shift_of(reach);
    merge(all, json_object_get(trace, "steps"), broker, &shift);
  }
  json_decref(trace);
  return status;
}

/* Somebody answers, or it was said that nobody does. */
static CtlExit find_any(Ctl *ctl) {
  _cleanup_(reach_close) Reach reach = {0};

  return reach_open(ctl, reach_wait_ms(ctl), false, &reach);
}

static CtlExit ask_all(Ctl *ctl, const char *question, json_t *all) {
  CtlExit status = find_any(ctl);

  for (uint32_t i = 0; status == CTL_OK; i++) {
    _cleanup_(reach_close) Reach reach = {0};
    CtlExit own = reach_open_one(ctl, i, min_u64(reach_wait_ms(ctl), BROKER_TIMEOUT_MS), &reach);

    if (own == CTL_USAGE)
      break;
    if (own == CTL_OK)
      status = ask_one(&reach, question, all);
    else
      ctl_say("the %s broker does not answer: what it knows is missing here", i == 0 ? "preferred" : "second");
  }
  return status;
}

CtlExit cmd_trace(Ctl *ctl) {
  char id_text[REQUEST_ID_TEXT_SIZE];
  char question[80];
  json_t *steps;
  CtlExit status;
  RequestId id;

  if (request_id_parse(text_of(ctl->options.arguments[0]), &id) < 0) {
    ctl_say("'%s' is no request id; it looks like 0123456789abcdef-1 and is printed by `pons call --verbose`",
            ctl->options.arguments[0]);
    return CTL_USAGE;
  }
  snprintf(question, sizeof question, "{\"request\":\"%s\"}", request_id_format(id, id_text));
  steps = json_array();
  status = ask_all(ctl, question, steps);
  if (status == CTL_OK)
    status = show(ctl, id_text, steps);
  json_decref(steps);
  return status;
}
