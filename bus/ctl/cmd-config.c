#include "bus/config/keyring.h"
#include "bus/ctl/catalog.h"
#include "bus/ctl/command.h"
#include "bus/ctl/jsontext.h"

/* Errors and warnings, each "FILE:LINE:COLUMN: what", as a list. */
static json_t *lines_json(const Buffer *errors) {
  json_t *lines = json_array();
  const char *at = (const char *)errors->data;
  const char *end = errors->size ? at + errors->size : at;

  while (at < end) {
    const char *next = memchr(at, '\n', (size_t)(end - at));
    size_t size = (size_t)((next ? next : end) - at);

    json_array_append_new(lines, jsontext_new((Text){at, size}));
    at += size + 1;
  }
  return lines;
}

static void print_json(const Ctl *ctl, CtlExit status, const Buffer *errors) {
  const char *named = ctl->options.config ? ctl->options.config : "";
  json_t *found =
      json_pack("{s:s, s:b, s:i, s:o}", "source", ctl->config ? ctl->config->source : named, "ok", status == CTL_OK,
                "agents", ctl->config ? (int)ctl->config->agents_count : 0, "findings", lines_json(errors));
  _cleanup_(buffer_done) Buffer text = {0};

  if (ctl->options.show && ctl->config) {
    config_print(ctl->config, &text);
    json_object_set_new(found, "configuration", jsontext_new((Text){(const char *)text.data, text.size}));
  }
  ctl_write_json(ctl, found);
}

/* Errors go to standard error in every case, so that a person who pipes the JSON away sees them. */
static CtlExit check(Ctl *ctl) {
  _cleanup_(buffer_done) Buffer errors = {0};
  _cleanup_(buffer_done) Buffer text = {0};
  CtlExit status;

  if (ctl->options.argument_count > 1)
    ctl->options.config = ctl->options.arguments[1];
  status = ctl_try_config(ctl, &errors);
  if (status == CTL_OK && config_check_secrets(ctl->config, catalog_rows(), &errors))
    status = CTL_USAGE;
  if (status == CTL_OK && keyring_check(ctl->config, &errors) != 0)
    status = CTL_USAGE;
  if (errors.size)
    fwrite(errors.data, 1, errors.size, stderr);
  if (ctl->options.json) {
    print_json(ctl, status, &errors);
  } else if (ctl->options.show && ctl->config) {
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
