#include <inttypes.h>

#include "agents/contracts/contracts.h"
#include "bus/ctl/command.h"
#include "bus/ctl/grid.h"

static json_t *schema(const Contract *contract) {
  _cleanup_(buffer_done) Buffer text = {0};

  if (!contract)
    return json_null();
  contract_schema(contract, &text);
  return json_loadb((const char *)text.data, text.size, 0, NULL);
}

static json_t *flag_names(uint32_t flags) {
  static const struct {
    MethodFlag flag;
    const char *name;
  } rows[] = {{METHOD_IDEMPOTENT, "idempotent"}, {METHOD_STREAMING, "streaming"}, {METHOD_ONCE, "once"}};
  json_t *names = json_array();

  for (size_t i = 0; i < ELEMENTS(rows); i++)
    if (flags & (uint32_t)rows[i].flag)
      json_array_append_new(names, json_string(rows[i].name));
  return names;
}

/* The hash as text: JSON numbers of other languages don't hold 64 bits. */
static json_t *method_json(const MethodContract *method, bool with_schemas) {
  char hash[17];
  json_t *json;

  snprintf(hash, sizeof hash, "%016" PRIx64, method_contract_hash(method));
  json = json_pack("{s:s, s:s, s:i, s:o, s:s, s:s}", "service", method->service, "method", method->method, "version",
                   (int)method->version, "flags", flag_names(method->flags), "hash", hash, "about", method->about);
  if (!with_schemas)
    return json;
  json_object_set_new(json, "request", schema(method->request));
  json_object_set_new(json, "reply", schema(method->reply));
  if (method->chunk)
    json_object_set_new(json, "chunk", schema(method->chunk));
  return json;
}

static void print_row(const MethodContract *method, Grid *grid) {
  _cleanup_(buffer_done) Buffer flags = {0};
  json_t *names = flag_names(method->flags);
  const json_t *name;
  size_t i;

  json_array_foreach(names, i, name) {
    buffer_printf(&flags, "%s%s", i ? " " : "", json_string_value(name));
  }
  json_decref(names);
  grid_cell(grid, "%s.%s", method->service, method->method);
  grid_cell(grid, "%u", method->version);
  grid_cell(grid, "%.*s", (int)flags.size, flags.data ? (const char *)flags.data : "");
  grid_cell(grid, "%016" PRIx64, method_contract_hash(method));
  grid_cell(grid, "%s", method->about);
}

static CtlExit list(const Ctl *ctl) {
  static const GridColumn columns[] = {
      {"METHOD", GRID_LEFT}, {"VERSION", GRID_RIGHT}, {"FLAGS", GRID_LEFT}, {"HASH", GRID_LEFT}, {"ABOUT", GRID_LEFT}};
  _cleanup_(buffer_done) Buffer text = {0};
  _cleanup_(grid_done) Grid grid;
  json_t *rows = json_array();
  const MethodContract *method;

  grid_init(&grid, columns, ELEMENTS(columns));
  for (size_t i = 0; (method = contract_method_at(i)); i++)
    if (ctl->options.json)
      json_array_append_new(rows, method_json(method, false));
    else
      print_row(method, &grid);
  if (ctl->options.json) {
    ctl_write_json(ctl, rows);
    return CTL_OK;
  }
  json_decref(rows);
  grid_print(&grid, &text);
  ctl_write(&text);
  return CTL_OK;
}

/* True when name is the method's service, or SERVICE.METHOD. */
static bool is_named(const MethodContract *method, const char *name) {
  size_t size = strlen(method->service);

  return strcmp(name, method->service) == 0 || (strncmp(name, method->service, size) == 0 && name[size] == '.' &&
                                                strcmp(name + size + 1, method->method) == 0);
}

static CtlExit show(const Ctl *ctl, const char *name) {
  json_t *found = json_array();
  const MethodContract *method;
  char *text;

  for (size_t i = 0; (method = contract_method_at(i)); i++)
    if (!name || is_named(method, name))
      json_array_append_new(found, method_json(method, true));
  if (json_array_size(found) == 0) {
    json_decref(found);
    ctl_say("there is no contract of %s; `pons contract list` has all", name);
    return CTL_FAILED;
  }
  text = json_dumps(found, ctl->options.json ? JSON_COMPACT : JSON_INDENT(2));
  json_decref(found);
  puts(text ? text : "[]");
  free(text);
  return CTL_OK;
}

CtlExit cmd_contract(Ctl *ctl) {
  const char *what = ctl->options.arguments[0];

  if (strcmp(what, "list") == 0)
    return list(ctl);
  if (strcmp(what, "show") == 0)
    return show(ctl, ctl->options.arguments[1]);
  ctl_say("`pons contract` has no '%s'; usage: pons contract list | show [SERVICE[.METHOD]]", what);
  return CTL_USAGE;
}
