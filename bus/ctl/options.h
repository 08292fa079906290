/* What:      the command line of `pons` as one struct, checked against options.def and commands.def.
 * Owns:      nothing: everything borrows from argv.
 * May use:   base.
 * Threading: one thread; pure.
 * Spec:      docs/pons.1.md */
#ifndef PONS_CTL_OPTIONS_H
#define PONS_CTL_OPTIONS_H

#include "bus/base/buffer.h"

enum { OPTIONS_E_USAGE = 1, OPTIONS_ARGUMENTS_MAX = 64 };

typedef enum CommandId {
#define COMMAND(name, arguments, least, most, about) COMMAND_##name,
#include "bus/ctl/commands.def"
#undef COMMAND
  COMMAND_END /* none was given */
} CommandId;

/* Each member is an option of options.def; text NULL, a number 0, a flag false = not given. */
typedef struct Options {
#define OPTION_FLAG(member, name, letter, commands, about) bool member;
#define OPTION_TEXT(member, name, letter, value, commands, about) const char *member;
#define OPTION_NUMBER(member, name, letter, value, least, most, commands, about) uint64_t member;
#include "bus/ctl/options.def"
#undef OPTION_FLAG
#undef OPTION_TEXT
#undef OPTION_NUMBER
  CommandId command; /* COMMAND_END: none was given, which only --help and --version allow */
  const char *arguments[OPTIONS_ARGUMENTS_MAX];
  uint32_t argument_count;
} Options;

/* Reads a command line. Options may stand anywhere, as "--name value", "--name=value", "-nvalue", "-n value"; "--" ends
   them; "-" and negative numbers are arguments. Returns 0; OPTIONS_E_USAGE: errors says what is wrong and what to do,
   *ret is left alone. */
int options_parse(int argc, const char *const *argv, Options *ret, Buffer *errors);

/* The command of that name, or COMMAND_END. */
CommandId command_find(const char *name);
const char *command_name(CommandId command);
/* The command whose name is the likeliest meant by a name that there is not; COMMAND_END = none is near. */
CommandId command_suggest(const char *name);

/* Appends the help of one command, or for COMMAND_END of all. */
void options_print_help(CommandId command, Buffer *ret);

#endif
