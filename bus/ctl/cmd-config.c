#include "bus/ctl/catalog.h"
#include "bus/ctl/command.h"

static CtlExit check(Ctl *ctl) {
  _cleanup_(buffer_done) Buffer errors = {0};
  _cleanup_(buffer_done) Buffer text = {0};
  CtlExit status;

  if (ctl->options.argument_count > 1)
    ctl->options.config = ctl->options.arguments[1];
  status = ctl_load_config(ctl);
  if (status)
    return status;
  if (config_check_secrets(ctl->config, catalog_rows(), &errors)) {
    fwrite(errors.data, 1, errors.size, stderr);
    status = CTL_USAGE;
  }
  if (ctl->options.json) {
    ctl_write_json(ctl, json_pack("{s:s, s:b, s:i}", "source", ctl->config->source, "ok", status == CTL_OK, "agents",
                                  (int)ctl->config->agents_count));
  } else if (ctl->options.show) {
    config_print(ctl->config, &text);
    ctl_write(&text);
  } else if (status == CTL_OK) {
    printf("%s is good: %u agents, %u profiles\n", ctl->config->source, ctl->config->agents_count,
           ctl->config->profiles_count);
  }
  return status;
}

CtlExit cmd_config(Ctl *ctl) {
  if (strcmp(ctl->options.arguments[0], "check") == 0)
    return check(ctl);
  ctl_say("`pons config` can only check, not '%s'; usage: pons config check [FILE]", ctl->options.arguments[0]);
  return CTL_USAGE;
}
