#include <poll.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "bus/ctl/command.h"
#include "bus/ctl/control.h"
#include "bus/ctl/folder.h"
#include "bus/ctl/view.h"

enum { DOWN_TIMEOUT_MS = 60000, EXIT_MS = 10000 };

/* It has hung up, and has still to leave: who starts the next fleet at once would find its lock held. */
static void await_exit(uint64_t pid) {
  int fd = pid > 0 && pid <= INT32_MAX ? pidfd_open((pid_t)pid, 0) : -1;
  struct pollfd wait = {.fd = fd, .events = POLLIN};

  if (fd < 0)
    return;
  poll(&wait, 1, EXIT_MS);
  close(fd);
}

CtlExit cmd_down(Ctl *ctl) {
  uint64_t timeout_ms = ctl->options.timeout_ms ? ctl->options.timeout_ms : DOWN_TIMEOUT_MS;
  CtlExit status = ctl_load_config(ctl);
  json_t *before = NULL;
  Folder folder;
  int r;

  if (status)
    return status;
  folder_name(ctl->config, &folder);
  r = control_ask(folder.control, "stop", true, timeout_ms, &before);
  if (r == CONTROL_E_NOBODY) {
    ctl_say("no fleet of `pons up` runs in %s", ctl->config->runtime_dir);
    return CTL_UNREACHABLE;
  }
  if (r == CONTROL_E_TIMEOUT) {
    ctl_say("the fleet has not ended yet; `pons status` shows what still runs");
    return CTL_FAILED;
  }
  if (r == CONTROL_E_CUT) {
    ctl_say("%s: the supervisor hangs up without an answer; ask again, or end it by its pid in %s", folder.control,
            folder.pid);
    return CTL_FAILED;
  }
  if (r) {
    ctl_say("%s: %s", folder.control, r < 0 ? strerror(-r) : "the answer is not to be understood");
    return CTL_FAILED;
  }
  await_exit(view_number(before, "pid"));
  if (ctl->options.json)
    ctl_write_json(ctl, json_pack("{s:s, s:i}", "state", "stopped", "pid", (int)view_number(before, "pid")));
  else
    printf("stopped %zu processes\n", json_array_size(json_object_get(before, "processes")));
  json_decref(before);
  return CTL_OK;
}
