#include <errno.h>
#include <inttypes.h>

#include "bus/ctl/bodyjson.h"
#include "bus/ctl/grid.h"
#include "bus/ctl/reach.h"
#include "bus/ctl/view.h"

#define USAGE "pons flags list | set NAME VALUE | unset NAME | watch [NAME]"
#define TOPIC "pons.flags."

/* --- list --- */

static void add_cells(Grid *grid, const json_t *flag) {
  grid_cell(grid, "%s", view_text(flag, "name"));
  grid_cell(grid, "%s", view_text(flag, "value"));
  grid_cell(grid, "%" PRIu64 ".%" PRIu64, view_number(flag, "epoch"), view_number(flag, "counter"));
}

static void print_flags(const json_t *flags, Buffer *ret) {
  static const GridColumn columns[] = {{"FLAG", GRID_LEFT}, {"VALUE", GRID_LEFT}, {"VERSION", GRID_RIGHT}};

  view_print_rows(columns, ELEMENTS(columns), flags, add_cells, ret);
}

static CtlExit list(Ctl *ctl, Reach *reach) {
  _cleanup_(buffer_done) Buffer text = {0};
  json_t *reply = NULL;
  CtlExit status = reach_ask(reach, "pons.flags", "list", NULL, &reply);

  if (status != CTL_OK)
    return status;
  if (ctl->options.json) {
    ctl_write_json(ctl, json_incref(reply));
  } else if (json_array_size(json_object_get(reply, "flags")) == 0) {
    ctl_say("no flag is set");
  } else {
    print_flags(json_object_get(reply, "flags"), &text);
    ctl_write(&text);
  }
  json_decref(reply);
  return CTL_OK;
}

/* --- set and unset --- */

/* Takes the reference. */
static CtlExit change(Ctl *ctl, Reach *reach, const char *method, json_t *question) {
  char *text = question ? json_dumps(question, JSON_COMPACT) : NULL;
  json_t *reply = NULL;
  CtlExit status = CTL_USAGE;

  if (text)
    status = reach_ask(reach, "pons.flags", method, text, &reply);
  else
    ctl_say("a flag's name and value are UTF-8");
  if (status == CTL_OK && ctl->options.json)
    ctl_write_json(ctl, json_incref(reply));
  else if (status == CTL_OK && view_number(reply, "copies") < 2)
    ctl_say("%s on one broker's disk; the other has not taken it, or there is none", method);
  json_decref(reply);
  json_decref(question);
  free(text);
  return status;
}

static CtlExit set(Ctl *ctl, Reach *reach) {
  const char *const *words = ctl->options.arguments;

  return change(ctl, reach, "set", json_pack("{s:s, s:s}", "name", words[1], "value", words[2]));
}

static CtlExit unset(Ctl *ctl, Reach *reach) {
  return change(ctl, reach, "unset", json_pack("{s:s}", "name", ctl->options.arguments[1]));
}

/* --- watch --- */

typedef struct Watch {
  Ctl *ctl;
  json_t *seen; /* the last version of each flag, by name */
} Watch;

/* Both brokers tell of a flag, and one may be behind: each version is news once. */
static bool is_news(const Watch *watch, const json_t *flag) {
  const char *name = view_text(flag, "name");
  const json_t *seen = json_object_get(watch->seen, name);
  uint64_t epoch = view_number(flag, "epoch");
  uint64_t counter = view_number(flag, "counter");

  if (seen && (epoch != view_number(seen, "epoch") ? epoch < view_number(seen, "epoch")
                                                   : counter <= view_number(seen, "counter")))
    return false;
  if (seen || json_object_size(watch->seen) < LIMIT_FLAGS)
    json_object_set_new(watch->seen, name,
                        json_pack("{s:I, s:I}", "epoch", (json_int_t)epoch, "counter", (json_int_t)counter));
  return true;
}

static void print_flag(const Ctl *ctl, const json_t *flag) {
  if (ctl->options.json) {
    ctl_write_json(ctl, json_deep_copy(flag));
  } else {
    _cleanup_(buffer_done) Buffer line = {0};

    grid_print_safely(&line, text_of(view_text(flag, "name")));
    buffer_printf(&line, " ");
    if (json_is_true(json_object_get(flag, "removed")))
      buffer_printf(&line, "(unset)");
    else
      grid_print_safely(&line, text_of(view_text(flag, "value")));
    buffer_printf(&line, "\n");
    ctl_write(&line);
  }
  fflush(stdout);
}

static void on_flag(void *userdata, const BusEvent *event) {
  const Watch *watch = userdata;
  json_t *flag = bodyjson_new(event->body, event->content_type);

  if (is_news(watch, flag))
    print_flag(watch->ctl, flag);
  json_decref(flag);
}

static bool never(void *userdata _unused_) {
  return false;
}

static CtlExit run_watch(Ctl *ctl, Reach *reach) {
  const Options *options = &ctl->options;
  uint64_t deadline_us = options->timeout_ms ? clock_monotonic_us() + options->timeout_ms * US_PER_MS : TIME_NEVER;
  char topic[LIMIT_TARGET_BYTES + 1];
  Watch watch = {ctl, json_object()};
  int r;

  snprintf(topic, sizeof topic, TOPIC "%s", options->argument_count > 1 ? options->arguments[1] : ">");
  if (client_subscribe(reach->client, text_of(topic), on_flag, &watch, NULL) < 0) {
    json_decref(watch.seen);
    ctl_say("'%s' is no name of a flag", options->argument_count > 1 ? options->arguments[1] : "");
    return CTL_USAGE;
  }
  r = reach_run(reach, never, NULL, deadline_us);
  json_decref(watch.seen);
  if (reach->interrupted)
    return (CtlExit)CTL_INTERRUPTED;
  if (reach->refused)
    return CTL_FAILED;
  return r < 0 && r != -ETIMEDOUT ? CTL_FAILED : CTL_OK;
}

CtlExit cmd_flags(Ctl *ctl) {
  static const struct {
    const char *word;
    uint32_t least;
    uint32_t most;
    CtlExit (*run)(Ctl *ctl, Reach *reach);
  } rows[] = {{"list", 1, 1, list}, {"set", 3, 3, set}, {"unset", 2, 2, unset}, {"watch", 1, 2, run_watch}};
  _cleanup_(reach_close) Reach reach = {0};

  for (size_t i = 0; i < ELEMENTS(rows); i++)
    if (strcmp(ctl->options.arguments[0], rows[i].word) == 0 && ctl->options.argument_count >= rows[i].least &&
        ctl->options.argument_count <= rows[i].most) {
      CtlExit status = reach_open(ctl, reach_wait_ms(ctl), false, &reach);

      return status ? status : rows[i].run(ctl, &reach);
    }
  ctl_say("usage: " USAGE);
  return CTL_USAGE;
}
