/* The operator's word to the broker of this machine, whichever is preferred: who says "lead" means this side. It is taken at once and takes effect when votes and copies allow, so the command looks until it has. */
#include <inttypes.h>

#include "bus/ctl/reach.h"
#include "bus/ctl/view.h"

enum { PATIENCE_MS = 10000, LOOK_US = 50000 };

static bool never(void *userdata _unused_) {
  return false;
}

static bool is_done(const json_t *status, bool yields) {
  bool leads = strcmp(view_text(status, "state"), "leader") == 0;

  return yields ? !leads && view_number(status, "leader_epoch") > 0 : leads;
}

/* Looks until it is so. */
static CtlExit wait_until_done(Reach *reach, bool yields, json_t **ret) {
  uint64_t patience_ms = reach->ctl->options.timeout_ms ? reach->ctl->options.timeout_ms : PATIENCE_MS;
  uint64_t deadline_us = clock_monotonic_us() + patience_ms * US_PER_MS;
  CtlExit status;

  for (;;) {
    json_decref(*ret);
    *ret = NULL;
    status = reach_ask(reach, "pons.authority", "status", NULL, ret);
    if (status != CTL_OK || is_done(*ret, yields))
      return status;
    if (clock_monotonic_us() >= deadline_us)
      return CTL_FAILED;
    reach_run(reach, never, NULL, clock_monotonic_us() + LOOK_US);
    if (reach->interrupted)
      return (CtlExit)CTL_INTERRUPTED;
  }
}

static void show(const Ctl *ctl, const json_t *status) {
  _cleanup_(buffer_done) Buffer behind = {0};

  view_print_behind(status, &behind);
  if (ctl->options.json)
    ctl_write_json(ctl, json_incref((json_t *)(uintptr_t)status));
  else
    printf("%s leads in epoch %" PRIu64 "%.*s\n", view_text(status, "leader"), view_number(status, "leader_epoch"),
           (int)behind.size, (const char *)behind.data);
}

CtlExit cmd_lead(Ctl *ctl) {
  const char *what = ctl->options.argument_count ? ctl->options.arguments[0] : "";
  bool yields = strcmp(what, "yield") == 0;
  _cleanup_(reach_close) Reach reach = {0};
  json_t *answer = NULL;
  CtlExit status;

  if (*what && !yields) {
    ctl_say("`pons lead` has no '%s'; usage: pons lead [yield]", what);
    return CTL_USAGE;
  }
  status = reach_open_own(ctl, reach_wait_ms(ctl), &reach);
  if (status == CTL_OK)
    status = reach_ask(&reach, "pons.authority", yields ? "yield" : "lead", NULL, &answer);
  if (status == CTL_OK)
    status = wait_until_done(&reach, yields, &answer);
  if (status == CTL_OK)
    show(ctl, answer);
  else if (status == CTL_FAILED && answer)
    ctl_say("the broker has taken the word and is %s yet; nobody else may have a vote to give: see its log and `pons "
            "status`",
            view_text(answer, "state"));
  json_decref(answer);
  return status;
}
