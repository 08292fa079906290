#include "bus/ctl/command.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/log.h"
#include "bus/ctl/catalog.h"
#include "bus/wire/header.h"

static CtlExit (*const handlers[])(Ctl *ctl) = {
#define COMMAND(name, arguments, least, most, about) [COMMAND_##name] = cmd_##name,
#include "bus/ctl/commands.def"
#undef COMMAND
};

void ctl_say(const char *format, ...) {
  va_list arguments;

  fflush(stdout);
  fputs("pons: ", stderr);
  va_start(arguments, format);
  vfprintf(stderr, format, arguments);
  va_end(arguments);
  fputc('\n', stderr);
}

void ctl_say_lines(const Buffer *lines) {
  for (size_t at = 0; at < lines->size;) {
    const uint8_t *line = lines->data + at;
    const uint8_t *end = memchr(line, '\n', lines->size - at);
    size_t size = end ? (size_t)(end - line) : lines->size - at;

    ctl_say("%.*s", (int)size, (const char *)line);
    at += size + 1;
  }
}

void ctl_write(const Buffer *buffer) {
  if (buffer->size)
    fwrite(buffer->data, 1, buffer->size, stdout);
  fflush(stdout);
}

void ctl_write_json(const Ctl *ctl, json_t *value) {
  char *text = json_dumps(value, JSON_ENCODE_ANY | (ctl->options.verbose ? JSON_INDENT(2) : JSON_COMPACT));

  json_decref(value);
  if (!text)
    abort(); /* memory is out */
  puts(text);
  fflush(stdout);
  free(text);
}

CtlExit ctl_try_config(Ctl *ctl, Buffer *errors) {
  LogLevel level;
  int r;

  if (ctl->config)
    return CTL_OK;
  r = config_load_agents(ctl->options.config, catalog_rows(), &ctl->config, errors);
  if (r < 0)
    buffer_printf(errors, "pons: the configuration %s can't be read: %s\n",
                  ctl->options.config ? ctl->options.config : "($PONS_CONFIG)", strerror(-r));
  if (r)
    return CTL_USAGE;
  if (log_level_parse(ctl->config->log.level, &level) == 0)
    log_setup(level, NULL);
  return CTL_OK;
}

CtlExit ctl_load_config(Ctl *ctl) {
  _cleanup_(buffer_done) Buffer errors = {0};
  CtlExit status = ctl_try_config(ctl, &errors);

  fflush(stdout);
  if (errors.size)
    fwrite(errors.data, 1, errors.size, stderr);
  return status;
}

CtlExit cmd_version(Ctl *ctl) {
  if (ctl->options.json)
    ctl_write_json(ctl, json_pack("{s:s, s:i}", "version", PONS_VERSION, "protocol", PROTOCOL_VERSION));
  else
    printf("pons %s, protocol %d\n", PONS_VERSION, PROTOCOL_VERSION);
  return CTL_OK;
}

static CtlExit help_for(const Ctl *ctl, CommandId command) {
  _cleanup_(buffer_done) Buffer help = {0};

  options_print_help(command, &help);
  if (ctl->options.json)
    ctl_write_json(ctl, json_pack("{s:s, s:s%}", "command", command == COMMAND_END ? "" : command_name(command), "text",
                                  (const char *)help.data, help.size));
  else
    ctl_write(&help);
  return CTL_OK;
}

CtlExit cmd_help(Ctl *ctl) {
  const char *name = ctl->options.arguments[0];
  CommandId command = name ? command_find(name) : COMMAND_END;

  if (name && command == COMMAND_END) {
    CommandId near = command_suggest(name);

    ctl_say("there is no command '%s'; %s%s%s", name,
            near == COMMAND_END ? "`pons help` lists them" : "did you mean `pons ",
            near == COMMAND_END ? "" : command_name(near), near == COMMAND_END ? "" : "`?");
    return CTL_USAGE;
  }
  return help_for(ctl, command);
}

/* What did not reach standard output, on a full disk for instance, was not done. Who has stopped reading wants no more. */
static CtlExit end_output(CtlExit status) {
  bool failed = fflush(stdout) != 0 || ferror(stdout);

  if (failed && errno != EPIPE)
    ctl_say("standard output could not be written: %s", strerror(errno));
  return failed && status == CTL_OK ? CTL_FAILED : status;
}

CtlExit ctl_main(int argc, const char *const *argv) {
  _cleanup_(buffer_done) Buffer errors = {0};
  Ctl ctl = {.arguments = argv};
  CtlExit status;

  if (options_parse(argc, argv, &ctl.options, &errors)) {
    ctl_say_lines(&errors);
    return CTL_USAGE;
  }
  if (ctl.options.help)
    status = help_for(&ctl, ctl.options.command);
  else if (ctl.options.version)
    status = cmd_version(&ctl);
  else
    status = handlers[ctl.options.command](&ctl);
  config_destroy(&ctl.config);
  return end_output(status);
}
