#include "bus/ctl/upgrade.h"

#include <string.h>

#include "bus/ctl/view.h"

typedef enum Turn { TURN_SUPERVISOR, TURN_BROKER, TURN_LEADER, TURN_AGENT, TURN_END } Turn;

json_t *upgrade_supervisor(const json_t *fleet) {
  if (!*view_text(fleet, "program"))
    return NULL;
  return json_pack("{s:s, s:s, s:O, s:O, s:O, s:b}", "name", "supervisor", "agent", "", "pid",
                   json_object_get(fleet, "pid"), "program", json_object_get(fleet, "program"), "life",
                   json_object_get(fleet, "life"), "is_supervisor", true);
}

bool upgrade_is_supervisor(const json_t *process) {
  return json_is_true(json_object_get(process, "is_supervisor"));
}

static bool is_named(const json_t *process, const char *name) {
  return strcmp(view_text(process, "name"), name) == 0 || strcmp(view_text(process, "agent"), name) == 0;
}

static bool is_chosen(const json_t *process, const char *const *names, uint32_t count) {
  for (uint32_t i = 0; i < count; i++)
    if (is_named(process, names[i]))
      return true;
  return count == 0;
}

static bool is_there(const json_t *processes, const char *name) {
  const json_t *process;
  size_t i;

  json_array_foreach(processes, i, process) {
    if (*name && is_named(process, name))
      return true;
  }
  return false;
}

static int check_names(const json_t *processes, const char *const *names, uint32_t count, Buffer *errors) {
  int r = 0;

  for (uint32_t i = 0; i < count; i++) {
    if (is_there(processes, names[i]))
      continue;
    buffer_printf(errors, "the fleet has no process '%s'; `pons status` lists them\n", names[i]);
    r = UPGRADE_E_NAME;
  }
  return r;
}

static Turn turn_of(const json_t *process, const char *leader) {
  if (upgrade_is_supervisor(process))
    return TURN_SUPERVISOR;
  if (*view_text(process, "agent"))
    return TURN_AGENT;
  return strcmp(view_text(process, "name"), leader) == 0 ? TURN_LEADER : TURN_BROKER;
}

int upgrade_choose(const json_t *processes, const char *const *names, uint32_t count, const char *leader, json_t **ret,
                   Buffer *errors) {
  int r = check_names(processes, names, count, errors);
  json_t *process;
  size_t i;

  if (r)
    return r;
  *ret = json_array();
  for (Turn turn = TURN_SUPERVISOR; turn < TURN_END; turn++) {
    json_array_foreach(processes, i, process) {
      if (turn_of(process, leader) == turn && is_chosen(process, names, count))
        json_array_append(*ret, process);
    }
  }
  return 0;
}

/* Rows of the broker's own process differ by design. */
static bool is_own(const json_t *row) {
  return strncmp(view_text(row, "service"), "pons.", 5) == 0;
}

/* One that takes no work for now, as a singleton that does not hold its lease, takes none at either. */
static bool has_like(const json_t *registry, const json_t *wanted) {
  const json_t *row;
  size_t i;

  json_array_foreach(json_object_get(registry, "instances"), i, row) {
    if (strcmp(view_text(row, "instance"), view_text(wanted, "instance")) == 0 &&
        strcmp(view_text(row, "service"), view_text(wanted, "service")) == 0)
      return strcmp(view_text(row, "state"), view_text(wanted, "state")) == 0;
  }
  return false;
}

static void look_for(const json_t *rows, const json_t *registry, const char *broker, Buffer *ret) {
  const json_t *row;
  size_t i;

  json_array_foreach(json_object_get(rows, "instances"), i, row) {
    if (!is_own(row) && !has_like(registry, row))
      buffer_printf(ret, "%s of %s is %s at one broker, and not at broker %s\n", view_text(row, "service"),
                    view_text(row, "instance"), view_text(row, "state"), broker);
  }
}

void upgrade_compare(const json_t *registry_here, const char *here, const json_t *registry_there, const char *there,
                     Buffer *ret) {
  look_for(registry_here, registry_there, there, ret);
  look_for(registry_there, registry_here, here, ret);
}

const char *upgrade_base(const char *path) {
  const char *slash = strrchr(path, '/');

  return slash ? slash + 1 : path;
}
