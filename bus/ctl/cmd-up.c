/* In the foreground this process is the supervisor. Detached it forks one: the child becomes the supervisor and reports
   through a pipe once the fleet has settled; the parent prints the report and ends. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "bus/base/clock.h"
#include "bus/ctl/catalog.h"
#include "bus/ctl/command.h"
#include "bus/ctl/pidfile.h"
#include "bus/ctl/run.h"
#include "bus/ctl/successor.h"
#include "bus/ctl/view.h"

enum { LOG_LIMIT_BYTES = 16 << 20 };

static CtlExit make_folders(const Config *config) {
  const char *const paths[] = {config->runtime_dir, config->state_dir};

  for (size_t i = 0; i < ELEMENTS(paths); i++) {
    int r = folder_make(paths[i]);

    if (r == FOLDER_E_FOREIGN)
      ctl_say("%s belongs to another user; set runtime_dir and state_dir to folders of your own", paths[i]);
    else if (r < 0)
      ctl_say("the folder %s can't be made: %s", paths[i], strerror(-r));
    if (r)
      return CTL_FAILED;
  }
  return CTL_OK;
}

static CtlExit take_lock(const Config *config, const Folder *folder, int *ret) {
  pid_t holder = 0;
  int r = pidfile_take(folder->pid, ret, &holder);

  if (r == PIDFILE_E_HELD)
    ctl_say("a fleet runs already in %s (supervisor %d); `pons status` shows it, `pons down` stops it",
            config->runtime_dir, (int)holder);
  else if (r < 0)
    ctl_say("%s can't be written: %s", folder->pid, strerror(-r));
  return r ? CTL_FAILED : CTL_OK;
}

static bool all_ready(const json_t *description) {
  return strcmp(view_text(description, "state"), "ready") == 0;
}

static void print_report(const json_t *description, Buffer *ret) {
  const json_t *processes = json_object_get(description, "processes");
  uint64_t took_us = clock_realtime_us() - view_number(description, "since_us");

  view_print_processes(description, clock_realtime_us(), ret);
  if (all_ready(description))
    buffer_printf(ret, "all %zu ready in %u ms, profile %s\n", json_array_size(processes),
                  (unsigned)(took_us / US_PER_MS), view_text(description, "profile"));
}

typedef struct Foreground {
  const Ctl *ctl;
  Output *output;
  bool ready;
} Foreground;

static void on_settled_here(void *userdata, const json_t *description) {
  Foreground *foreground = userdata;
  _cleanup_(buffer_done) Buffer text = {0};
  char *json = foreground->ctl->options.json ? json_dumps(description, JSON_COMPACT) : NULL;

  if (json)
    buffer_printf(&text, "%s\n", json);
  else
    print_report(description, &text);
  free(json);
  output_write(foreground->output, buffer_bytes(&text));
}

/* Says why the supervisor itself could not be set up. */
static CtlExit end_status(const Config *config, int r) {
  if (r == -ENAMETOOLONG)
    ctl_say("runtime_dir %s is too long for a socket; a path of up to 90 bytes will do", config->runtime_dir);
  else if (r < 0)
    ctl_say("the supervisor could not start: %s", strerror(-r));
  return r ? CTL_FAILED : CTL_OK;
}

static CtlExit write_lock(const Folder *folder, int lock) {
  int r = pidfile_write(lock);

  if (r < 0)
    ctl_say("%s can't be written: %s", folder->pid, strerror(-r));
  return r < 0 ? CTL_FAILED : CTL_OK;
}

static CtlExit run_here(const Ctl *ctl, const Plan *plan, const Folder *folder, int lock) {
  const RunStart start = {.arguments = ctl->arguments, .lock = lock};
  Output output;
  Foreground foreground = {.ctl = ctl, .output = &output};
  RunReport report = {on_settled_here, &foreground};

  if (write_lock(folder, lock) != CTL_OK)
    return CTL_FAILED;
  output_to_fd(&output, STDOUT_FILENO);
  return end_status(ctl->config, run_fleet(plan, folder, &output, &report, &start));
}

/* What a detached supervisor still has of its caller, until the fleet has settled. */
typedef struct Caller {
  int report_fd;
  int terminal; /* its standard error, or -1 */
} Caller;

static void drop(int *fd) {
  if (*fd >= 0)
    close(*fd);
  *fd = -1;
}

static void on_settled_there(void *userdata, const json_t *description) {
  Caller *caller = userdata;
  char *text = json_dumps(description, JSON_COMPACT);
  size_t size = text ? strlen(text) : 0;

  for (size_t at = 0; at < size;) {
    ssize_t written = write(caller->report_fd, text + at, size - at);

    if (written < 0)
      break; /* the parent has given up waiting */
    at += (size_t)written;
  }
  free(text);
  drop(&caller->report_fd);
  drop(&caller->terminal); /* or who reads it to its end would wait for the fleet's */
}

/* The supervisor of a detached fleet. What goes wrong before its loop runs is still said on the caller's terminal. */
static CtlExit run_detached(const Ctl *ctl, const Plan *plan, const Folder *folder, int lock, int report_fd) {
  Caller caller = {report_fd, -1};
  RunReport report = {on_settled_there, &caller};
  const RunStart start = {.arguments = ctl->arguments, .lock = lock};
  int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
  Output output;
  int r;

  if (null_fd < 0) {
    ctl_say("/dev/null can't be opened: %s", strerror(errno));
    return CTL_FAILED;
  }
  setsid();
  if (write_lock(folder, lock) != CTL_OK)
    return CTL_FAILED;
  r = output_to_file(&output, folder->log, LOG_LIMIT_BYTES);
  if (r < 0) {
    ctl_say("the log %s can't be written: %s", folder->log, strerror(-r));
    return CTL_FAILED;
  }
  caller.terminal = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
  dup2(null_fd, STDIN_FILENO);
  dup2(null_fd, STDOUT_FILENO);
  dup2(null_fd, STDERR_FILENO);
  r = run_fleet(plan, folder, &output, &report, &start);
  output_done(&output);
  if (r < 0 && caller.terminal >= 0)
    dup2(caller.terminal, STDERR_FILENO);
  return end_status(ctl->config, r);
}

/* Reads the report up to its end. Returns 0, or -ETIMEDOUT. */
static int read_report(int fd, uint64_t timeout_ms, Buffer *ret) {
  uint64_t deadline_us = clock_monotonic_us() + timeout_ms * US_PER_MS;

  for (;;) {
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    uint64_t now_us = clock_monotonic_us();
    int wait_ms = timeout_ms ? (int)((deadline_us - min_u64(now_us, deadline_us)) / US_PER_MS) : -1;
    int r = poll(&ready, 1, wait_ms);
    ssize_t size;

    if (r == 0)
      return -ETIMEDOUT;
    if (r < 0 && errno == EINTR)
      continue;
    size = read(fd, buffer_reserve(ret, 65536), 65536);
    if (size <= 0)
      return 0;
    ret->size += (size_t)size;
  }
}

/* On standard error, a line for each process that is not ready. */
static void say_troubles(const json_t *description, const Folder *folder) {
  _cleanup_(buffer_done) Buffer lines = {0};

  view_print_troubles(description, &lines);
  ctl_say_lines(&lines);
  ctl_say("more is in %s", folder->log);
}

static CtlExit print_outcome(const Ctl *ctl, const Folder *folder, json_t *description) {
  _cleanup_(buffer_done) Buffer table = {0};

  if (ctl->options.json) {
    ctl_write_json(ctl, json_incref(description));
  } else {
    print_report(description, &table);
    ctl_write(&table);
  }
  if (all_ready(description))
    return CTL_OK;
  say_troubles(description, folder);
  return CTL_FAILED;
}

static CtlExit await_report(const Ctl *ctl, const Folder *folder, int fd) {
  _cleanup_(buffer_done) Buffer text = {0};
  json_t *description;
  CtlExit status;

  if (read_report(fd, ctl->options.timeout_ms, &text) < 0) {
    ctl_say("not all is ready yet; it goes on in the background: see `pons status` and %s", folder->log);
    return CTL_FAILED;
  }
  description = text.size ? json_loadb((const char *)text.data, text.size, 0, NULL) : NULL;
  if (!description) {
    ctl_say("the fleet is not up; what is not said above is in %s", folder->log);
    return CTL_FAILED;
  }
  status = print_outcome(ctl, folder, description);
  json_decref(description);
  return status;
}

static CtlExit detach(const Ctl *ctl, const Plan *plan, const Folder *folder, int *lock) {
  CtlExit status;
  int fds[2];
  pid_t pid;

  if (pipe2(fds, O_CLOEXEC) < 0)
    return end_status(ctl->config, -errno);
  fflush(NULL);
  pid = fork();
  if (pid == 0) {
    close(fds[0]);
    status = run_detached(ctl, plan, folder, *lock, fds[1]);
    pidfile_drop(folder->pid, lock);
    _exit((int)status);
  }
  close(fds[1]);
  /* The lock goes on with the child, which has the same open file. */
  close(*lock);
  *lock = -1;
  status = pid < 0 ? end_status(ctl->config, -errno) : await_report(ctl, folder, fds[0]);
  close(fds[0]);
  return status;
}

static void on_settled_before(void *userdata _unused_, const json_t *description _unused_) {
  /* It was told by the supervisor before. */
}

/* In the place of another supervisor, which was this process until now. */
static CtlExit go_on(const Ctl *ctl, const Plan *plan, const Folder *folder, const json_t *state) {
  const RunStart start = {.arguments = ctl->arguments, .lock = run_lock(state), .state = state};
  RunReport report = {on_settled_before, NULL};
  int lock = start.lock;
  Output output;
  int r = 0;

  if (ctl->options.detach)
    r = output_to_file(&output, folder->log, LOG_LIMIT_BYTES);
  if (!ctl->options.detach || r < 0)
    output_to_fd(&output, STDOUT_FILENO);
  r = run_fleet(plan, folder, &output, &report, &start);
  output_done(&output);
  pidfile_drop(folder->pid, &lock);
  return end_status(ctl->config, r);
}

/* Takes what the supervisor before has left, or at a trial says whether it could be taken. */
static CtlExit succeed(const Ctl *ctl, const Plan *plan, const Folder *folder, const json_t *state, bool trial) {
  _cleanup_(buffer_done) Buffer errors = {0};

  if (run_check(plan, state, &errors)) {
    ctl_say_lines(&errors);
    return CTL_USAGE;
  }
  if (!trial)
    return go_on(ctl, plan, folder, state);
  puts(SUCCESSOR_YES);
  return CTL_OK;
}

static CtlExit start(const Ctl *ctl, const Plan *plan, const Folder *folder) {
  CtlExit status = make_folders(ctl->config);
  int lock = -1;

  if (status == CTL_OK)
    status = take_lock(ctl->config, folder, &lock);
  if (status == CTL_OK)
    status = ctl->options.detach ? detach(ctl, plan, folder, &lock) : run_here(ctl, plan, folder, lock);
  pidfile_drop(folder->pid, &lock);
  return status;
}

static CtlExit take_state(json_t **ret, bool *ret_trial) {
  if (successor_take(ret, ret_trial) == 0)
    return CTL_OK;
  ctl_say("PONS_SUPERVISOR_STATE is for a supervisor that another one executes; unset it");
  return CTL_USAGE;
}

CtlExit cmd_up(Ctl *ctl) {
  _cleanup_(buffer_done) Buffer errors = {0};
  _cleanup_(plan_destroy) Plan *plan = NULL;
  json_t *state = NULL;
  bool trial = false;
  CtlExit status = take_state(&state, &trial);
  Folder folder;

  if (status == CTL_OK)
    status = ctl_load_config(ctl);
  if (status == CTL_OK && plan_new(&plan, ctl->config, catalog_rows(), ctl->options.profile, &errors)) {
    ctl_say_lines(&errors);
    status = CTL_USAGE;
  }
  if (status == CTL_OK) {
    folder_name(ctl->config, &folder);
    status = state ? succeed(ctl, plan, &folder, state, trial) : start(ctl, plan, &folder);
  }
  json_decref(state);
  return status;
}
