#include "bus/ctl/command.h"
#include "bus/ctl/grid.h"
#include "bus/ctl/jsontext.h"

static json_t *agent_json(const Config *config, const ConfigAgent *agent) {
  json_t *profiles = json_array();

  for (uint32_t i = 0; i < config->profiles_count; i++)
    if (config_profile_has(&config->profiles[i], agent))
      json_array_append_new(profiles, json_string(config->profiles[i].name));
  return json_pack("{s:s, s:b, s:i, s:s, s:o, s:o}", "name", agent->name, "enabled", agent->enabled, "instances",
                   (int)agent->instances, "group", agent->group, "program", jsontext_new(text_of(agent->program)),
                   "profiles", profiles);
}

static void print_row(const Config *config, const ConfigAgent *agent, Grid *grid) {
  _cleanup_(buffer_done) Buffer profiles = {0};

  for (uint32_t i = 0; i < config->profiles_count; i++)
    if (config_profile_has(&config->profiles[i], agent))
      buffer_printf(&profiles, "%s%s", profiles.size ? " " : "", config->profiles[i].name);
  grid_cell(grid, "%s", agent->name);
  grid_cell(grid, "%s", agent->enabled ? "yes" : "no");
  grid_cell(grid, "%u", agent->instances);
  grid_cell(grid, "%s", agent->group);
  grid_cell(grid, "%s", agent->program);
  grid_cell(grid, "%.*s", (int)profiles.size, profiles.data ? (const char *)profiles.data : "");
}

CtlExit cmd_agents(Ctl *ctl) {
  static const GridColumn columns[] = {{"AGENT", GRID_LEFT}, {"ENABLED", GRID_LEFT}, {"INSTANCES", GRID_RIGHT},
                                       {"GROUP", GRID_LEFT}, {"PROGRAM", GRID_LEFT}, {"PROFILES", GRID_LEFT}};
  CtlExit status = ctl_load_config(ctl);
  _cleanup_(buffer_done) Buffer text = {0};
  _cleanup_(grid_done) Grid grid;
  json_t *rows = ctl->options.json ? json_array() : NULL;

  grid_init(&grid, columns, ELEMENTS(columns));
  for (uint32_t i = 0; status == CTL_OK && i < ctl->config->agents_count; i++)
    if (rows)
      json_array_append_new(rows, agent_json(ctl->config, &ctl->config->agents[i]));
    else
      print_row(ctl->config, &ctl->config->agents[i], &grid);
  if (status || !rows)
    json_decref(rows);
  if (status)
    return status;
  if (rows) {
    ctl_write_json(ctl, rows);
    return CTL_OK;
  }
  grid_print(&grid, &text);
  ctl_write(&text);
  return CTL_OK;
}
