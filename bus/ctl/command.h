/* What:      what every command gets, gives back and shares: the command line, the configuration, the exit status.
 * Owns:      a Ctl owns the configuration that was loaded through it.
 * May use:   base, config, jansson.
 * Threading: the main thread.
 * Spec:      docs/pons.1.md, "Exit status" */
#ifndef PONS_CTL_COMMAND_H
#define PONS_CTL_COMMAND_H

#include <jansson.h>
#include <stdio.h>

#include "bus/config/config.h"
#include "bus/ctl/options.h"

typedef enum CtlExit {
  CTL_OK = 0,
  CTL_FAILED = 1,      /* an error was answered, or what was asked for did not come about */
  CTL_USAGE = 2,       /* the command line or the configuration is wrong; of `status`: no fleet runs */
  CTL_UNREACHABLE = 3, /* no broker, or no supervisor, answers */
} CtlExit;

typedef struct Ctl {
  Options options;
  const char *const *arguments; /* the command line, NULL at its end */
  Config *config;               /* NULL until ctl_load_config */
} Ctl;

/* The handlers of commands.def; each is in cmd-<name>.c. */
#define COMMAND(name, arguments, least, most, about) CtlExit cmd_##name(Ctl *ctl);
#include "bus/ctl/commands.def"
#undef COMMAND

/* Reads the command line and runs its command. Returns the exit status. */
CtlExit ctl_main(int argc, const char *const *argv);

/* Loads the configuration of --config, once. Returns CTL_OK; CTL_USAGE after it has said on standard error what is wrong. */
CtlExit ctl_load_config(Ctl *ctl);
/* The same, with what is wrong, and warnings, appended to errors instead. */
CtlExit ctl_try_config(Ctl *ctl, Buffer *errors);
/* Says on standard error, after "pons: ", what went wrong and what to do. */
void ctl_say(const char *format, ...) _printf_(1, 2);
/* The same for each line of a text. */
void ctl_say_lines(const Buffer *lines);
/* Writes to standard output. */
void ctl_write(const Buffer *buffer);
/* Prints value as one line of JSON, or with --verbose indented; takes the caller's reference. */
void ctl_write_json(const Ctl *ctl, json_t *value);

#endif
