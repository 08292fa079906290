#include "tests/unit/bus/config/files.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/pons-test-config-XXXXXX";
static char config_path[64];
static const ConfigCatalog catalog[] = {
    {"echo", "pons-agent-echo", ""}, {"second", "pons-second", ""}, {NULL, NULL, NULL}};

int files_clean(void **state _unused_) {
  for (char **variable = environ; *variable;) {
    char name[128];

    snprintf(name, sizeof name, "%.*s", (int)strcspn(*variable, "="), *variable);
    if (strncmp(name, "PONS_", 5) != 0 || strncmp(name, "PONS_TEST_", 10) == 0 || unsetenv(name) != 0)
      variable++;
  }
  return 0;
}

int files_set_up(void **state) {
  if (!mkdtemp(folder) || chdir(folder) != 0)
    return -1;
  snprintf(config_path, sizeof config_path, "%s/pons.yaml", folder);
  return files_clean(state);
}

int files_tear_down(void **state _unused_) {
  DIR *directory = opendir(folder);

  if (!directory)
    return -1;
  for (struct dirent *entry; (entry = readdir(directory));)
    unlinkat(dirfd(directory), entry->d_name, 0);
  closedir(directory);
  return chdir("/") || rmdir(folder);
}

const char *files_folder(void) {
  return folder;
}

const char *files_config(void) {
  return config_path;
}

void files_write(const char *name, const char *text, unsigned mode) {
  char path[128];
  int file;

  snprintf(path, sizeof path, "%s/%s", folder, name);
  unlink(path);
  file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  assert_true(file >= 0);
  assert_int_equal(write(file, text, strlen(text)), strlen(text));
  assert_int_equal(fchmod(file, (mode_t)mode), 0);
  assert_int_equal(close(file), 0);
}

Config *files_load(const char *text) {
  _cleanup_(buffer_done) Buffer errors = {0};
  Config *config = NULL;
  int r;

  files_write("pons.yaml", text, 0644);
  r = config_load_agents(config_path, catalog, &config, &errors);
  if (r || errors.size)
    fail_msg("%d: %.*s", r, (int)errors.size, (const char *)errors.data);
  return config;
}

void files_refuse(const char *text, const char *lines) {
  _cleanup_(buffer_done) Buffer errors = {0};
  _cleanup_(buffer_done) Buffer expected = {0};
  char untouched;
  Config *config = (Config *)(void *)&untouched;
  int r;

  for (const char *line = lines; *line; line += strcspn(line, "\n") + 1) {
    if (*line >= '0' && *line <= '9')
      buffer_printf(&expected, "%s:", config_path);
    buffer_printf(&expected, "%.*s\n", (int)strcspn(line, "\n"), line);
    if (!line[strcspn(line, "\n")])
      break;
  }
  buffer_append(&expected, "", 1);
  files_write("pons.yaml", text, 0644);
  r = config_load_agents(config_path, catalog, &config, &errors);
  buffer_append(&errors, "", 1);
  assert_string_equal((const char *)errors.data, (const char *)expected.data);
  assert_int_equal(r, CONFIG_E_INVALID);
  assert_ptr_equal(config, &untouched);
}

char *files_read(const char *path) {
  FILE *stream = fopen(path, "r");
  char *text = calloc(1, 1 << 20);

  if (!stream)
    fail_msg("%s is not there", path);
  assert_non_null(text);
  fread(text, 1, (1 << 20) - 1, stream);
  fclose(stream);
  return text;
}
