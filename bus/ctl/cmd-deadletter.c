#include <inttypes.h>
#include <stdlib.h>

#include "agents/contracts/contracts.h"
#include "bus/ctl/bodyjson.h"
#include "bus/ctl/grid.h"
#include "bus/ctl/reach.h"
#include "bus/ctl/view.h"

#define USAGE "pons deadletter list | show ID | requeue ID | drop ID"

/* --- list --- */

static void add_cells(Grid *grid, const json_t *row) {
  bool damaged = strcmp(view_text(row, "state"), "damaged") == 0;

  grid_cell(grid, "%s", view_text(row, "id"));
  grid_cell(grid, "%s", view_text(row, "state"));
  grid_cell(grid, "%s%s%s", view_text(row, "service"), damaged ? "" : ".", view_text(row, "method"));
  grid_cell(grid, "%" PRIu64, view_number(row, "attempts"));
  grid_cell_time(grid, view_number(row, damaged ? "accepted_us" : "ended_us"));
  grid_cell(grid, "%s", view_text(row, "status"));
  grid_cell(grid, "%s", view_text(row, "message"));
}

static void print_rows(const json_t *rows, Buffer *ret) {
  static const GridColumn columns[] = {{"ID", GRID_LEFT},        {"STATE", GRID_LEFT}, {"METHOD", GRID_LEFT},
                                       {"ATTEMPTS", GRID_RIGHT}, {"SINCE", GRID_LEFT}, {"STATUS", GRID_LEFT},
                                       {"MESSAGE", GRID_LEFT}};

  view_print_rows(columns, ELEMENTS(columns), rows, add_cells, ret);
}

/* Damage and a disk that takes nothing are no answer that a script should take for an empty list. */
static CtlExit list(Ctl *ctl, Reach *reach) {
  _cleanup_(buffer_done) Buffer text = {0};
  json_t *reply = NULL;
  CtlExit status = reach_ask(reach, "pons.durable", "list", "{\"limit\":1000}", &reply);
  const json_t *rows = json_object_get(reply, "rows");
  const char *disk = view_text(reply, "disk");

  if (status != CTL_OK)
    return status;
  if (ctl->options.json) {
    ctl_write_json(ctl, json_incref(reply));
  } else if (json_array_size(rows) > 0) {
    print_rows(rows, &text);
    ctl_write(&text);
    if (view_number(reply, "total") > json_array_size(rows))
      ctl_say("%" PRIu64 " more are not shown", view_number(reply, "total") - json_array_size(rows));
  } else if (!*disk) {
    ctl_say("there is no dead letter");
  }
  if (*disk)
    ctl_say("this broker takes no durable requests: %s", disk);
  status = *disk ? CTL_FAILED : CTL_OK;
  json_decref(reply);
  return status;
}

/* --- one of them --- */

static json_t *shown_json(const DurableShown *shown) {
  const DurableRow *row = &shown->row;

  return json_pack(
      "{s:o, s:o, s:o, s:o, s:b, s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:o}", "id", jsontext_new(row->id),
      "state", jsontext_new(row->state), "service", jsontext_new(row->service), "method", jsontext_new(row->method),
      "idempotent", row->idempotent, "status", jsontext_new(row->status), "message", jsontext_new(row->message),
      "attempts", (json_int_t)row->attempts, "tries", (json_int_t)row->tries, "accepted_us",
      (json_int_t)row->accepted_us, "expires_us", (json_int_t)row->expires_us, "ended_us", (json_int_t)row->ended_us,
      "copies", (json_int_t)shown->copies, "content_type", jsontext_new(shown->content_type), "annotations",
      bodyjson_new(shown->annotations, TEXT_NONE), "body", bodyjson_new(shown->body, shown->content_type));
}

/* Its members, a line each; the body stands last, as JSON. */
static void print_shown(const json_t *shown, Buffer *ret) {
  const char *key;
  json_t *value;

  json_object_foreach((json_t *)(uintptr_t)shown, key, value) {
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    Text plain = json_is_string(value) ? text_of(json_string_value(value)) : text_of(text ? text : "");

    buffer_printf(ret, "%-13s", key);
    grid_print_safely(ret, plain);
    buffer_printf(ret, "\n");
    free(text);
  }
}

static CtlExit print_answer(const Ctl *ctl, const MethodContract *method, const Answer *answer) {
  _cleanup_(buffer_done) Buffer text = {0};
  DurableShown shown;
  json_t *json;

  if (answer->status != STATUS_OK || answer_decode(method, answer, NULL, &shown, NULL) != 0) {
    reach_print_failure(ctl, answer);
    return answer->status == STATUS_UNAVAILABLE ? CTL_UNREACHABLE : CTL_FAILED;
  }
  json = shown_json(&shown);
  if (ctl->options.json) {
    ctl_write_json(ctl, json);
    return CTL_OK;
  }
  print_shown(json, &text);
  json_decref(json);
  ctl_write(&text);
  return CTL_OK;
}

static CtlExit show(Ctl *ctl, Reach *reach) {
  const MethodContract *method = contract_find(TEXT("pons.durable"), TEXT("show"));
  DurableAsk question = {.id = text_of(ctl->options.arguments[1])};
  _cleanup_(answer_destroy) Answer *answer = NULL;
  _cleanup_(buffer_done) Buffer body = {0};
  Ask ask = {.deadline_us = (ctl->options.timeout_ms ? ctl->options.timeout_ms : 5000) * US_PER_MS};
  ContractFault fault;

  if (ask_encode(method, &question, &body, &ask, &fault) != 0) {
    ctl_say("'%s' is no id of a durable request; `pons deadletter list` has them", ctl->options.arguments[1]);
    return CTL_USAGE;
  }
  if (client_call(reach->client, &ask, &answer) < 0)
    return CTL_FAILED;
  return print_answer(ctl, method, answer);
}

/* requeue, drop: nothing is to be said when it worked. */
static CtlExit decide(Ctl *ctl, Reach *reach) {
  json_t *question = json_pack("{s:s}", "id", ctl->options.arguments[1]);
  char *text = question ? json_dumps(question, JSON_COMPACT) : NULL;
  json_t *reply = NULL;
  CtlExit status = CTL_USAGE;

  if (text)
    status = reach_ask(reach, "pons.durable", ctl->options.arguments[0], text, &reply);
  else
    ctl_say("an id is plain text");
  if (status == CTL_OK && ctl->options.json)
    ctl_write_json(ctl, json_pack("{s:s, s:s}", "id", ctl->options.arguments[1], "done", ctl->options.arguments[0]));
  json_decref(reply);
  json_decref(question);
  free(text);
  return status;
}

CtlExit cmd_deadletter(Ctl *ctl) {
  static const struct {
    const char *word;
    uint32_t arguments;
    CtlExit (*run)(Ctl *ctl, Reach *reach);
  } rows[] = {{"list", 1, list}, {"show", 2, show}, {"requeue", 2, decide}, {"drop", 2, decide}};
  _cleanup_(reach_close) Reach reach = {0};

  for (size_t i = 0; i < ELEMENTS(rows); i++)
    if (strcmp(ctl->options.arguments[0], rows[i].word) == 0 && ctl->options.argument_count == rows[i].arguments) {
      CtlExit status = reach_open(ctl, reach_wait_ms(ctl), false, &reach);

      return status ? status : rows[i].run(ctl, &reach);
    }
  ctl_say("usage: " USAGE);
  return CTL_USAGE;
}
