/* Reads a record line by line and copies it out, with function, file and line behind each frame whose module is still there. The
   record is not trusted: a path from it is an argument of addr2line, never part of a shell's line. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bus/loop/crash-internal.h"
#include "bus/loop/crash.h"

extern char **environ;

/* Runs addr2line with its output in a pipe. Returns the reading end, or -1; the child in *ret_pid. */
static int start_addr2line(const char *path, const char *offset, pid_t *ret_pid) {
  const char *const arguments[] = {"addr2line", "-C", "-f", "-p", "-i", "-e", path, offset, NULL};
  union {
    const char *const *from;
    char *const *to;
  } unconst = {.from = arguments}; /* posix_spawn does not change them */
  posix_spawn_file_actions_t actions;
  int ends[2];
  int r;

  if (pipe2(ends, O_CLOEXEC) < 0)
    return -1;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  r = posix_spawnp(ret_pid, "addr2line", &actions, NULL, unconst.to, environ);
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  if (r == 0)
    return ends[0];
  close(ends[0]);
  return -1;
}

static void print_symbols(FILE *out, const char *path, const char *offset) {
  char line[1024];
  pid_t pid;
  int fd;
  FILE *in;

  if (path[0] != '/' || access(path, R_OK) < 0)
    return;
  fd = start_addr2line(path, offset, &pid);
  if (fd < 0)
    return;
  in = fdopen(fd, "r");
  while (in && fgets(line, sizeof line, in))
    if (line[0] != '?')
      fprintf(out, "        %s", line);
  if (in)
    fclose(in);
  else
    close(fd);
  waitpid(pid, NULL, 0);
}

static void print_line(FILE *out, const char *line) {
  char offset[32], path[256];

  fputs(line, out);
  if (sscanf(line, "frame %*u %*s %31s %255[^\n]", offset, path) == 2)
    print_symbols(out, path, offset);
}

/* Opens a record behind its first line. Returns 0, or as crash_print. */
static int open_record(const char *path, FILE **ret) {
  FILE *in = fopen(path, "re");
  char line[64];

  if (!in)
    return -errno;
  if (!fgets(line, sizeof line, in) || strcmp(line, CRASH_MAGIC "\n") != 0) {
    fclose(in);
    return -EBADMSG;
  }
  *ret = in;
  return 0;
}

int crash_read_head(const char *record_path, CrashHead *ret) {
  CrashHead head = {.time_us = 0};
  char line[1024];
  FILE *in;
  int r = open_record(record_path, &in);

  if (r < 0)
    return r;
  while (*head.signal == '\0' && fgets(line, sizeof line, in)) { /* the signal is the last of the three */
    sscanf(line, "program %63[^\n]", head.program);
    sscanf(line, "time_us %" SCNu64, &head.time_us);
    sscanf(line, "signal %*d %31s", head.signal);
  }
  fclose(in);
  *ret = head;
  return 0;
}

int crash_print(FILE *out, const char *record_path) {
  char line[1024];
  bool whole = false;
  FILE *in;
  int r = open_record(record_path, &in);

  if (r < 0)
    return r;
  while (fgets(line, sizeof line, in)) {
    whole = strcmp(line, "end\n") == 0;
    if (!whole)
      print_line(out, line);
  }
  if (!whole)
    fputs("(the record ends here: the handler was stopped)\n", out);
  fclose(in);
  return 0;
}
