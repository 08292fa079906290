#include <inttypes.h>

#include "bus/ctl/grid.h"
#include "bus/ctl/reach.h"
#include "bus/ctl/view.h"

static void print_steps(const json_t *steps, Buffer *ret) {
  static const GridColumn columns[] = {{"AT", GRID_RIGHT},  {"STEP", GRID_LEFT},     {"INSTANCE", GRID_LEFT},
                                       {"HOP", GRID_RIGHT}, {"ATTEMPT", GRID_RIGHT}, {"STATUS", GRID_LEFT}};
  uint64_t first_us = view_number(json_array_get(steps, 0), "at_us");
  _cleanup_(grid_done) Grid grid;
  const json_t *step;
  size_t i;

  grid_init(&grid, columns, ELEMENTS(columns));
  json_array_foreach(steps, i, step) {
    grid_cell(&grid, "+%" PRIu64 "us", view_number(step, "at_us") - first_us);
    grid_cell(&grid, "%s", view_text(step, "step"));
    grid_cell(&grid, "%s", view_text(step, "instance"));
    grid_cell(&grid, "%" PRIu64, view_number(step, "hop"));
    grid_cell(&grid, "%" PRIu64, view_number(step, "attempt"));
    grid_cell(&grid, "%s", view_text(step, "status"));
  }
  grid_print(&grid, ret);
}

static CtlExit show(Ctl *ctl, json_t *trace) {
  const json_t *steps = json_object_get(trace, "steps");
  _cleanup_(buffer_done) Buffer text = {0};
  bool known = json_array_size(steps) > 0;

  if (ctl->options.json) {
    ctl_write_json(ctl, json_incref(trace));
  } else if (known) {
    print_steps(steps, &text);
    ctl_write(&text);
  } else {
    ctl_say("the broker knows nothing of request %s: it came elsewhere, or was long ago", ctl->options.arguments[0]);
  }
  return known ? CTL_OK : CTL_FAILED;
}

CtlExit cmd_trace(Ctl *ctl) {
  _cleanup_(reach_close) Reach reach = {0};
  char id_text[REQUEST_ID_TEXT_SIZE];
  char question[80];
  json_t *trace = NULL;
  CtlExit status;
  RequestId id;

  if (request_id_parse(text_of(ctl->options.arguments[0]), &id) < 0) {
    ctl_say("'%s' is no request id; it looks like 0123456789abcdef-1 and is printed by `pons call --verbose`",
            ctl->options.arguments[0]);
    return CTL_USAGE;
  }
  snprintf(question, sizeof question, "{\"request\":\"%s\"}", request_id_format(id, id_text));
  status = reach_open(ctl, reach_wait_ms(ctl), false, &reach);
  if (status == CTL_OK)
    status = reach_ask(&reach, "pons", "trace", question, &trace);
  if (status == CTL_OK)
    status = show(ctl, trace);
  json_decref(trace);
  return status;
}
