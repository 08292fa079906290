#include <inttypes.h>

#include "bus/ctl/grid.h"
#include "bus/ctl/reach.h"
#include "bus/ctl/view.h"

static void add_cells(Grid *grid, const json_t *lease) {
  _cleanup_(buffer_done) Buffer span = {0};

  grid_print_span(&span, view_number(lease, "remaining_us"));
  grid_cell(grid, "%s", view_text(lease, "name"));
  grid_cell(grid, "%s", view_text(lease, "holder"));
  grid_cell(grid, "%" PRIu64 ".%" PRIu64, view_number(lease, "epoch"), view_number(lease, "counter"));
  grid_cell(grid, "%.*s", (int)span.size, (const char *)span.data);
  grid_cell(grid, "%s", json_is_true(json_object_get(lease, "may_double")) ? "may" : "");
}

static void print_leases(const json_t *leases, Buffer *ret) {
  static const GridColumn columns[] = {{"LEASE", GRID_LEFT},
                                       {"HOLDER", GRID_LEFT},
                                       {"TOKEN", GRID_RIGHT},
                                       {"REMAINING", GRID_RIGHT},
                                       {"DOUBLE", GRID_LEFT}};

  view_print_rows(columns, ELEMENTS(columns), leases, add_cells, ret);
}

static void show(const Ctl *ctl, json_t *reply) {
  const json_t *leases = json_object_get(reply, "leases");
  _cleanup_(buffer_done) Buffer text = {0};

  if (ctl->options.json) {
    ctl_write_json(ctl, json_incref(reply));
  } else if (json_array_size(leases) == 0) {
    ctl_say("no lease is held");
  } else {
    print_leases(leases, &text);
    ctl_write(&text);
  }
}

CtlExit cmd_lease(Ctl *ctl) {
  _cleanup_(reach_close) Reach reach = {0};
  json_t *reply = NULL;
  CtlExit status;

  if (strcmp(ctl->options.arguments[0], "list") != 0) {
    ctl_say("`pons lease` has no '%s'; usage: pons lease list", ctl->options.arguments[0]);
    return CTL_USAGE;
  }
  status = reach_open(ctl, reach_wait_ms(ctl), false, &reach);
  if (status == CTL_OK)
    status = reach_ask(&reach, "pons.lease", "list", NULL, &reply);
  if (status == CTL_OK)
    show(ctl, reply);
  json_decref(reply);
  return status;
}
