#include "bus/drill/event.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>

/* The broker that everybody prefers. */
static int find_broker(Scene *scene) {
  scene->pid = scene->find(scene->find_userdata, 0, NULL);
  if (scene->pid > 0)
    return 0;
  snprintf(scene->error, sizeof scene->error,
           "the preferred broker is no process of a fleet of `pons up` on this machine");
  return -ESRCH;
}

static int signal_process(Scene *scene, int signo) {
  scene->at_us = clock_monotonic_us();
  if (kill(scene->pid, signo) == 0)
    return 0;
  snprintf(scene->error, sizeof scene->error, "process %d can't be signalled: %s", (int)scene->pid, strerror(errno));
  return -errno;
}

int event_kill_broker(Scene *scene) {
  int r = find_broker(scene);

  snprintf(scene->event, sizeof scene->event, "kill -9 of the preferred broker");
  return r < 0 ? r : signal_process(scene, SIGKILL);
}

int event_freeze_broker(Scene *scene) {
  int r = find_broker(scene);

  snprintf(scene->event, sizeof scene->event, "the preferred broker stands still");
  return r < 0 ? r : signal_process(scene, SIGSTOP);
}

int event_thaw(Scene *scene) {
  return scene->pid > 0 ? signal_process(scene, SIGCONT) : 0;
}

int event_freeze_worker(Scene *scene) {
  snprintf(scene->event, sizeof scene->event, "the first machine's local model stands still");
  scene->pid = scene->find(scene->find_userdata, 0, EVENT_WORKER);
  if (scene->pid > 0)
    return signal_process(scene, SIGSTOP);
  snprintf(scene->error, sizeof scene->error, EVENT_WORKER " is no process of a fleet of `pons up` on this machine");
  return -ESRCH;
}

int event_kill_provider(Scene *scene) {
  int r = lab_kill_provider(scene->lab);

  scene->at_us = clock_monotonic_us();
  snprintf(scene->event, sizeof scene->event, "kill -9 of the first provider");
  if (r < 0)
    snprintf(scene->error, sizeof scene->error, "the provider can't be killed: %s", strerror(-r));
  return r;
}

int event_start_provider(Scene *scene) {
  int r = lab_start_provider(scene->lab);

  scene->at_us = clock_monotonic_us();
  if (r < 0)
    snprintf(scene->error, sizeof scene->error, "the provider can't be started again: %s", strerror(-r));
  return r;
}

int event_hand_over(Scene *scene) {
  snprintf(scene->event, sizeof scene->event, "the other broker is told to lead");
  scene->at_us = clock_monotonic_us();
  watch_tell_to_lead(scene->watch, 1);
  return 0;
}

static int cut(Scene *scene, LabWays ways, const char *words) {
  int r = scene->lab ? lab_cut(scene->lab, ways) : cutter_cut(scene->cutter, ways);

  scene->at_us = clock_monotonic_us();
  snprintf(scene->event, sizeof scene->event, "%s", words);
  if (r < 0)
    snprintf(scene->error, sizeof scene->error, "the cable can't be cut: %s", strerror(-r));
  return r;
}

int event_cut(Scene *scene) {
  return cut(scene, LAB_BOTH_WAYS, "the cable is cut");
}

int event_cut_oneway(Scene *scene) {
  if (scene->run % 2)
    return cut(scene, LAB_FORTH,
               scene->lab ? "nothing gets from the first machine to the second"
                          : "nothing gets from here to the other machine");
  return cut(scene, LAB_BACK,
             scene->lab ? "nothing gets from the second machine to the first"
                        : "nothing gets from the other machine to here");
}

int event_heal(Scene *scene) {
  int r = scene->lab ? lab_heal(scene->lab) : cutter_heal(scene->cutter);

  scene->at_us = clock_monotonic_us();
  if (r < 0)
    snprintf(scene->error, sizeof scene->error, "the cable can't be mended: %s", strerror(-r));
  return r;
}
