/* `pons upgrade` does it all: this waits for it, one machine after the other. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

#include "bus/drill/event.h"

typedef struct Upgrade {
  const Scene *scene;
  int status;
  bool ended;
} Upgrade;

static void on_exit_of(void *userdata, pid_t pid _unused_, int status) {
  Upgrade *upgrade = userdata;

  upgrade->status = status;
  upgrade->ended = true;
}

static bool has_ended(void *userdata) {
  const Upgrade *upgrade = userdata;

  return upgrade->ended;
}

static bool is_over(void *userdata) {
  const Upgrade *upgrade = userdata;

  return upgrade->ended || *upgrade->scene->interrupted;
}

/* Also when somebody interrupts: what an upgrade has begun it finishes. */
static int wait_end(Scene *scene, pid_t pid) {
  Upgrade upgrade = {.scene = scene};
  int r = loop_watch_child(scene->loop, pid, on_exit_of, &upgrade);

  if (r == 0)
    r = loop_run_until(scene->loop, is_over, &upgrade, TIME_NEVER);
  if (r == 0 && !upgrade.ended) {
    kill(pid, SIGTERM);
    r = loop_run_until(scene->loop, has_ended, &upgrade, TIME_NEVER);
  }
  if (r == 0 && upgrade.status != 0 && !*scene->interrupted)
    r = -EIO;
  return r;
}

int event_upgrade(Scene *scene) {
  int r = 0;

  scene->at_us = clock_monotonic_us();
  snprintf(scene->event, sizeof scene->event, "brokers and agents are replaced one by one");
  for (uint32_t i = 0; r == 0 && !*scene->interrupted && i < (scene->lab ? LAB_MACHINES : 1); i++) {
    pid_t pid;

    r = lab_start_upgrade(scene->lab, i, scene->config, &pid);
    if (r == 0)
      r = wait_end(scene, pid);
    if (r < 0)
      snprintf(scene->error, sizeof scene->error, "pons upgrade failed%s%s%s", scene->lab ? " on " : "",
               scene->lab ? lab_name(i) : "", r == -EIO ? "; run it by itself to see why" : "");
  }
  return r;
}
