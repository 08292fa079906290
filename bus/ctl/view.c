#include "bus/ctl/view.h"

#include <inttypes.h>
#include <stdlib.h>

const char *view_text(const json_t *object, const char *key) {
  const char *text = json_string_value(json_object_get(object, key));

  return text ? text : "";
}

uint64_t view_number(const json_t *object, const char *key) {
  const json_t *value = json_object_get(object, key);
  json_int_t number = json_integer_value(value);

  return number > 0 ? (uint64_t)number : 0;
}

const json_t *view_find(const json_t *rows, const char *key, const char *text) {
  const json_t *row;
  size_t i;

  json_array_foreach(rows, i, row) {
    if (strcmp(view_text(row, key), text) == 0)
      return row;
  }
  return NULL;
}

void view_print_rows(const GridColumn *columns, uint32_t column_count, const json_t *rows,
                     void (*add_cells)(Grid *grid, const json_t *row), Buffer *ret) {
  _cleanup_(grid_done) Grid grid;
  const json_t *row;
  size_t i;

  grid_init(&grid, columns, column_count);
  json_array_foreach(rows, i, row) {
    add_cells(&grid, row);
  }
  grid_print(&grid, ret);
}

enum { SHOWN_MS = 100 /* a change is on its way for less */ };

static void cell_list(Grid *grid, const json_t *texts) {
  _cleanup_(buffer_done) Buffer all = {0};
  const json_t *text;
  size_t i;

  json_array_foreach(texts, i, text) {
    buffer_printf(&all, "%s%s", i ? " " : "", json_string_value(text));
  }
  grid_cell(grid, "%.*s", (int)all.size, all.data ? (const char *)all.data : "");
}

static void cell_span(Grid *grid, uint64_t since_us, uint64_t now_us) {
  _cleanup_(buffer_done) Buffer span = {0};

  grid_print_span(&span, now_us > since_us ? now_us - since_us : 0);
  grid_cell(grid, "%.*s", (int)span.size, (const char *)span.data);
}

/* The cells that both tables of processes begin with. */
static void cells_of_process(Grid *grid, const json_t *process, uint64_t now_us) {
  uint64_t pid = view_number(process, "pid");

  grid_cell(grid, "%s", view_text(process, "name"));
  if (pid)
    grid_cell(grid, "%" PRIu64, pid);
  else
    grid_cell(grid, "%s", "");
  grid_cell(grid, "%s", view_text(process, "state"));
  grid_cell(grid, "%" PRIu64, view_number(process, "restarts"));
  cell_span(grid, view_number(process, "since_us"), now_us);
}

/* Two tables of processes with other cells behind. */
static void print_processes(const GridColumn *columns, uint32_t column_count, const json_t *supervisor, uint64_t now_us,
                            void (*add_cells)(Grid *grid, const json_t *process), Buffer *ret) {
  _cleanup_(grid_done) Grid grid;
  const json_t *process;
  size_t i;

  grid_init(&grid, columns, column_count);
  json_array_foreach(json_object_get(supervisor, "processes"), i, process) {
    cells_of_process(&grid, process, now_us);
    add_cells(&grid, process);
  }
  grid_print(&grid, ret);
}

static void cells_of_endpoints(Grid *grid, const json_t *process) {
  cell_list(grid, json_object_get(process, "endpoints"));
}

void view_print_processes(const json_t *supervisor, uint64_t now_us, Buffer *ret) {
  static const GridColumn columns[] = {{"NAME", GRID_LEFT},      {"PID", GRID_RIGHT},   {"STATE", GRID_LEFT},
                                       {"RESTARTS", GRID_RIGHT}, {"SINCE", GRID_RIGHT}, {"ENDPOINT", GRID_LEFT}};

  print_processes(columns, ELEMENTS(columns), supervisor, now_us, cells_of_endpoints, ret);
}

static void cells_of_services(Grid *grid, const json_t *process) {
  grid_cell(grid, "%s", view_text(process, "instance"));
  cell_list(grid, json_object_get(process, "services"));
}

void view_print_fleet(const json_t *supervisor, uint64_t now_us, Buffer *ret) {
  static const GridColumn columns[] = {{"NAME", GRID_LEFT},      {"PID", GRID_RIGHT},   {"STATE", GRID_LEFT},
                                       {"RESTARTS", GRID_RIGHT}, {"SINCE", GRID_RIGHT}, {"INSTANCE", GRID_LEFT},
                                       {"SERVICES", GRID_LEFT}};

  print_processes(columns, ELEMENTS(columns), supervisor, now_us, cells_of_services, ret);
}

/* Why a process is not ready, as far as it is known: how the last one ended, and the last that it wrote. */
static void print_trouble(const json_t *process, Buffer *ret) {
  const char *end = view_text(process, "last_end");
  const char *output = view_text(process, "last_output");
  const char *state = view_text(process, "state");

  if (strcmp(state, "stopped") == 0 && !*end) {
    buffer_printf(ret, "%s was not started\n", view_text(process, "name"));
    return;
  }
  buffer_printf(ret, "%s is %s", view_text(process, "name"), state);
  if (*end)
    buffer_printf(ret, ": %s", end);
  if (*end && *output) {
    buffer_printf(ret, "; it said: ");
    grid_print_safely(ret, text_of(output));
  }
  buffer_printf(ret, "\n");
}

void view_print_troubles(const json_t *supervisor, Buffer *ret) {
  const json_t *process;
  size_t i;

  json_array_foreach(json_object_get(supervisor, "processes"), i, process) {
    if (strcmp(view_text(process, "state"), "ready") != 0)
      print_trouble(process, ret);
  }
}

static void cells_of_instance(Grid *grid, const json_t *row) {
  grid_cell(grid, "%s", view_text(row, "service"));
  grid_cell(grid, "%s", view_text(row, "version"));
  grid_cell(grid, "%s", view_text(row, "instance"));
  grid_cell(grid, "%s", view_text(row, "state"));
  grid_cell(grid, "%" PRIu64, view_number(row, "credit"));
  grid_cell(grid, "%" PRIu64, view_number(row, "outstanding"));
  grid_cell(grid, "%" PRIu64, view_number(row, "queued"));
  cell_span(grid, 0, view_number(row, "latency_us"));
}

void view_print_instances(const json_t *registry, Buffer *ret) {
  static const GridColumn columns[] = {{"SERVICE", GRID_LEFT}, {"VERSION", GRID_LEFT}, {"INSTANCE", GRID_LEFT},
                                       {"STATE", GRID_LEFT},   {"CREDIT", GRID_RIGHT}, {"OUTSTANDING", GRID_RIGHT},
                                       {"QUEUED", GRID_RIGHT}, {"LATENCY", GRID_RIGHT}};
  const json_t *instances = json_object_get(registry, "instances");
  size_t rows = json_array_size(instances);

  view_print_rows(columns, ELEMENTS(columns), instances, cells_of_instance, ret);
  if (view_number(registry, "total") > rows)
    buffer_printf(ret, "%zu of %" PRIu64 " rows\n", rows, view_number(registry, "total"));
}

/* A hash: a number, or text when it is above what JSON numbers hold. */
static uint64_t hash_of(const json_t *row, const char *key) {
  const char *text = view_text(row, key);

  return *text ? strtoull(text, NULL, 10) : view_number(row, key);
}

/* Several instances of one agent differ in the same way: that is one finding. */
static bool was_told(const json_t *rows, size_t count, const json_t *row) {
  for (size_t i = 0; i < count; i++)
    if (json_equal(json_array_get(rows, i), row))
      return true;
  return false;
}

uint32_t view_print_mismatches(const json_t *registry, Buffer *ret) {
  const json_t *rows = json_object_get(registry, "mismatches");
  const json_t *row;
  uint32_t count = 0;
  size_t i;

  json_array_foreach(rows, i, row) {
    if (was_told(rows, i, row))
      continue;
    buffer_printf(ret,
                  "CONTRACT MISMATCH: %s calls %s.%s as %016" PRIx64 ", the service offers %016" PRIx64
                  "; rebuild the older one\n",
                  view_text(row, "caller"), view_text(row, "service"), view_text(row, "method"),
                  hash_of(row, "caller_hash"), hash_of(row, "callee_hash"));
    count++;
  }
  return count;
}

void view_print_behind(const json_t *authority, Buffer *ret) {
  uint64_t for_ms = view_number(authority, "peer_behind_us") / 1000;

  if (for_ms >= SHOWN_MS)
    buffer_printf(ret, ", the other has lacked %llu changes for %llu.%llu s",
                  (unsigned long long)view_number(authority, "peer_behind"), (unsigned long long)for_ms / 1000,
                  (unsigned long long)for_ms / 100 % 10);
  if (view_number(authority, "own_behind"))
    buffer_printf(ret, ", lacks %llu changes of the other's", (unsigned long long)view_number(authority, "own_behind"));
}
