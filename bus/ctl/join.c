#include "bus/ctl/join.h"

#include <string.h>

#include "bus/ctl/view.h"

/* The instance of one process, or "". */
static const char *find_instance(const json_t *processes, const json_t *process, const json_t *connections) {
  const char *agent = view_text(process, "agent");
  uint64_t pid = view_number(process, "pid");
  const char *by_name = "";
  const json_t *connection;
  size_t i;

  if (!*agent || !pid)
    return "";
  json_array_foreach(connections, i, connection) {
    const char *instance = view_text(connection, "instance");

    if (view_number(connection, "pid") == pid)
      return instance;
    if (!*by_name && view_number(connection, "pid") == 0 && strcmp(view_text(connection, "agent"), agent) == 0 &&
        !view_find(processes, "instance", instance))
      by_name = instance;
  }
  return by_name;
}

static json_t *services_of(const char *instance, const json_t *rows) {
  json_t *services = json_array();
  const json_t *row;
  size_t i;

  json_array_foreach(rows, i, row) {
    if (*instance && strcmp(view_text(row, "instance"), instance) == 0)
      json_array_append(services, json_object_get(row, "service"));
  }
  return services;
}

void join_instances(json_t *supervisor, const json_t *registry, const json_t *connections) {
  json_t *processes = json_object_get(supervisor, "processes");
  const json_t *list = json_object_get(connections, "connections");
  json_t *process;
  size_t i;

  json_array_foreach(processes, i, process) {
    const char *instance = find_instance(processes, process, list);

    json_object_set_new(process, "services", services_of(instance, json_object_get(registry, "instances")));
    json_object_set_new(process, "instance", json_string(instance));
  }
}

bool join_is_missing(const json_t *process) {
  return strcmp(view_text(process, "state"), "ready") == 0 && *view_text(process, "agent") &&
         !*view_text(process, "instance");
}
