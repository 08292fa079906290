/* What processes of the fleet have left behind that crashed: one text file each, made by bus/loop/crash.c. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>

#include "bus/ctl/command.h"
#include "bus/ctl/folder.h"
#include "bus/ctl/grid.h"
#include "bus/ctl/jsontext.h"
#include "bus/loop/crash.h"

static int is_record(const struct dirent *entry) {
  return strncmp(entry->d_name, FOLDER_CRASH, strlen(FOLDER_CRASH)) == 0;
}

/* --- list --- */

static json_t *row_json(const char *path, const CrashHead *head) {
  return json_pack("{s:I, s:o, s:o, s:o}", "time_us", (json_int_t)head->time_us, "program",
                   jsontext_new(text_of(head->program)), "signal", jsontext_new(text_of(head->signal)), "record",
                   jsontext_new(text_of(path)));
}

static void put_row(Grid *grid, const char *path, const CrashHead *head) {
  grid_cell_time(grid, head->time_us);
  grid_cell(grid, "%s", head->program);
  grid_cell(grid, "%s", head->signal);
  grid_cell(grid, "%s", path);
}

static void finish(Ctl *ctl, json_t *rows, const Grid *grid) {
  _cleanup_(buffer_done) Buffer text = {0};

  if (rows) {
    ctl_write_json(ctl, rows);
  } else if (grid->cell_count == 0) {
    ctl_say("no process has left a crash record in %s", ctl->config->state_dir);
  } else {
    grid_print(grid, &text);
    ctl_write(&text);
  }
}

static CtlExit list(Ctl *ctl) {
  static const GridColumn columns[] = {
      {"WHEN", GRID_LEFT}, {"PROGRAM", GRID_LEFT}, {"SIGNAL", GRID_LEFT}, {"RECORD", GRID_LEFT}};
  json_t *rows = ctl->options.json ? json_array() : NULL;
  _cleanup_(grid_done) Grid grid;
  struct dirent **entries = NULL;
  int count = scandir(ctl->config->state_dir, &entries, is_record, alphasort);

  grid_init(&grid, columns, ELEMENTS(columns));
  for (int i = 0; i < count; i++) {
    char path[FOLDER_PATH_BYTES];
    CrashHead head;

    snprintf(path, sizeof path, "%s/%s", ctl->config->state_dir, entries[i]->d_name);
    free(entries[i]);
    if (crash_read_head(path, &head) < 0)
      continue;
    if (rows)
      json_array_append_new(rows, row_json(path, &head));
    else
      put_row(&grid, path, &head);
  }
  free(entries);
  finish(ctl, rows, &grid);
  return CTL_OK;
}

/* --- one --- */

static CtlExit show(Ctl *ctl, const char *path) {
  char *text = NULL;
  size_t size = 0;
  FILE *out = open_memstream(&text, &size);
  int r = out ? crash_print(out, path) : -ENOMEM;
  Buffer shown;

  if (out)
    fclose(out);
  shown = (Buffer){.data = (uint8_t *)text, .size = size};
  if (r == -EBADMSG)
    ctl_say("%s is no crash record; `pons crash` lists those of this fleet", path);
  else if (r < 0)
    ctl_say("%s: %s; `pons crash` lists the crash records of this fleet", path, strerror(-r));
  else if (ctl->options.json)
    ctl_write_json(
        ctl, json_pack("{s:o, s:o}", "record", jsontext_new(text_of(path)), "text", jsontext_new((Text){text, size})));
  else
    ctl_write(&shown);
  free(text);
  return r < 0 ? CTL_FAILED : CTL_OK;
}

CtlExit cmd_crash(Ctl *ctl) {
  CtlExit status;

  if (ctl->options.argument_count > 0)
    return show(ctl, ctl->options.arguments[0]);
  status = ctl_load_config(ctl);
  return status ? status : list(ctl);
}
