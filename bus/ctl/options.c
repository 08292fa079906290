#include "bus/ctl/options.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "bus/base/spelling.h"

typedef struct CommandRow {
  const char *name;
  const char *arguments;
  uint32_t least;
  uint32_t most;
  const char *about;
} CommandRow;

static const CommandRow command_rows[COMMAND_END] = {
#define COMMAND(name, arguments, least, most, about) [COMMAND_##name] = {#name, arguments, least, most, about},
#include "bus/ctl/commands.def"
#undef COMMAND
};

typedef enum OptionKind { OPTION_IS_FLAG, OPTION_IS_TEXT, OPTION_IS_NUMBER } OptionKind;

typedef struct OptionRow {
  const char *name;
  const char *value;    /* what stands for the value in the help */
  const char *commands; /* names with blanks between, or "*" */
  const char *about;
  OptionKind kind;
  size_t offset; /* in Options */
  uint64_t least;
  uint64_t most;
  char letter;
} OptionRow;

static const OptionRow option_rows[] = {
#define OPTION_FLAG(member, name, letter, commands, about)                                                             \
  {name, NULL, commands, about, OPTION_IS_FLAG, offsetof(Options, member), 0, 0, letter},
#define OPTION_TEXT(member, name, letter, value, commands, about)                                                      \
  {name, value, commands, about, OPTION_IS_TEXT, offsetof(Options, member), 0, 0, letter},
#define OPTION_NUMBER(member, name, letter, value, least, most, commands, about)                                       \
  {name, value, commands, about, OPTION_IS_NUMBER, offsetof(Options, member), least, most, letter},
#include "bus/ctl/options.def"
#undef OPTION_FLAG
#undef OPTION_TEXT
#undef OPTION_NUMBER
};

CommandId command_find(const char *name) {
  for (size_t i = 0; i < ELEMENTS(command_rows); i++)
    if (strcmp(command_rows[i].name, name) == 0)
      return (CommandId)i;
  return COMMAND_END;
}

const char *command_name(CommandId command) {
  return command < COMMAND_END ? command_rows[command].name : "?";
}

enum { SUGGEST_DISTANCE_MAX = 2 };

CommandId command_suggest(const char *name) {
  Text given = text_of(name);
  uint32_t least = SUGGEST_DISTANCE_MAX + 1;
  CommandId nearest = COMMAND_END;

  for (size_t i = 0; i < ELEMENTS(command_rows); i++) {
    Text known = text_of(command_rows[i].name);
    uint32_t far = spelling_distance(given, known);

    if (given.size >= 2 && strncmp(name, known.data, given.size) == 0)
      far = 0;
    if (far < least && far < known.size) {
      least = far;
      nearest = (CommandId)i;
    }
  }
  return nearest;
}

static bool takes(const OptionRow *row, CommandId command) {
  const char *at = row->commands;
  Text name;

  if (strcmp(at, "*") == 0)
    return true;
  if (command == COMMAND_END)
    return false;
  name = text_of(command_rows[command].name);
  for (; *at; at += strcspn(at, " "), at += *at == ' ')
    if (text_equal((Text){at, strcspn(at, " ")}, name))
      return true;
  return false;
}

/* What options_parse works on. */
typedef struct Parse {
  Options options;
  uint64_t given; /* bit i = option_rows[i] */
  const char *const *argv;
  int argc;
  int at;
  bool only_arguments; /* after "--" */
  Buffer *errors;
} Parse;

static int set_number(Parse *parse, const OptionRow *row, const char *value) {
  char *end;
  unsigned long long number;

  errno = 0;
  number = strtoull(value, &end, 10);
  if (*value < '0' || *value > '9' || *end || errno || number < row->least || number > row->most) {
    buffer_printf(parse->errors, "--%s takes a number from %" PRIu64 " to %" PRIu64 ", not '%s'\n", row->name,
                  row->least, row->most, value);
    return OPTIONS_E_USAGE;
  }
  memcpy((char *)&parse->options + row->offset, &(uint64_t){number}, sizeof(uint64_t));
  return 0;
}

static int set(Parse *parse, const OptionRow *row, const char *value) {
  char *place = (char *)&parse->options + row->offset;

  parse->given |= UINT64_C(1) << (row - option_rows);
  if (row->kind == OPTION_IS_FLAG) {
    if (value) {
      buffer_printf(parse->errors, "--%s takes no value\n", row->name);
      return OPTIONS_E_USAGE;
    }
    memcpy(place, &(bool){true}, sizeof(bool));
    return 0;
  }
  if (!value && parse->at + 1 < parse->argc)
    value = parse->argv[++parse->at];
  if (!value) {
    buffer_printf(parse->errors, "--%s needs %s\n", row->name, row->value);
    return OPTIONS_E_USAGE;
  }
  if (row->kind == OPTION_IS_NUMBER)
    return set_number(parse, row, value);
  memcpy(place, &value, sizeof value);
  return 0;
}

static int unknown_option(Parse *parse, const char *argument) {
  buffer_printf(parse->errors, "there is no option '%s'; `pons help` lists them\n", argument);
  return OPTIONS_E_USAGE;
}

static int take_long(Parse *parse, const char *argument) {
  Text name = {argument + 2, strcspn(argument + 2, "=")};
  const char *value = name.data[name.size] == '=' ? name.data + name.size + 1 : NULL;

  for (size_t i = 0; i < ELEMENTS(option_rows); i++)
    if (text_is(name, option_rows[i].name))
      return set(parse, &option_rows[i], value);
  return unknown_option(parse, argument);
}

/* "-jv" is two flags; "-n5" and "-n 5" are a value. */
static int take_letters(Parse *parse, const char *argument) {
  for (const char *letter = argument + 1; *letter; letter++) {
    const OptionRow *row = NULL;
    bool has_value;
    int r;

    for (size_t i = 0; i < ELEMENTS(option_rows) && !row; i++)
      if (option_rows[i].letter == *letter)
        row = &option_rows[i];
    if (!row)
      return unknown_option(parse, argument);
    has_value = row->kind != OPTION_IS_FLAG;
    r = set(parse, row, has_value && letter[1] ? letter + 1 : NULL);
    if (r || has_value)
      return r;
  }
  return 0;
}

static int unknown_command(Parse *parse, const char *name) {
  CommandId near = command_suggest(name);

  buffer_printf(parse->errors, "there is no command '%s'; ", name);
  if (near != COMMAND_END)
    buffer_printf(parse->errors, "did you mean `pons %s`?\n", command_name(near));
  else
    buffer_printf(parse->errors, "`pons help` lists them\n");
  return OPTIONS_E_USAGE;
}

static int take_argument(Parse *parse, const char *argument) {
  Options *options = &parse->options;

  if (options->command == COMMAND_END) {
    options->command = command_find(argument);
    return options->command == COMMAND_END ? unknown_command(parse, argument) : 0;
  }
  if (options->argument_count == command_rows[options->command].most) {
    buffer_printf(parse->errors, "'%s' is one argument too many; usage: pons %s%s%s\n", argument,
                  command_name(options->command), *command_rows[options->command].arguments ? " " : "",
                  command_rows[options->command].arguments);
    return OPTIONS_E_USAGE;
  }
  options->arguments[options->argument_count++] = argument;
  return 0;
}

static bool is_argument(const char *text) {
  return text[0] != '-' || text[1] == '\0' || (text[1] >= '0' && text[1] <= '9');
}

static int check(Parse *parse) {
  const Options *options = &parse->options;

  if (options->help || options->version)
    return 0;
  if (options->command == COMMAND_END) {
    buffer_printf(parse->errors, "a command is missing; `pons help` lists them\n");
    return OPTIONS_E_USAGE;
  }
  if (options->argument_count < command_rows[options->command].least) {
    buffer_printf(parse->errors, "an argument is missing; usage: pons %s %s\n", command_name(options->command),
                  command_rows[options->command].arguments);
    return OPTIONS_E_USAGE;
  }
  for (size_t i = 0; i < ELEMENTS(option_rows); i++)
    if (parse->given & (UINT64_C(1) << i) && !takes(&option_rows[i], options->command)) {
      buffer_printf(parse->errors, "`pons %s` takes no --%s; `pons help %s` lists its options\n",
                    command_name(options->command), option_rows[i].name, command_name(options->command));
      return OPTIONS_E_USAGE;
    }
  return 0;
}

int options_parse(int argc, const char *const *argv, Options *ret, Buffer *errors) {
  Parse parse = {.options.command = COMMAND_END, .argc = argc, .argv = argv, .at = 1, .errors = errors};
  int r = 0;

  for (; parse.at < argc && r == 0; parse.at++) {
    const char *argument = argv[parse.at];

    if (parse.only_arguments || is_argument(argument))
      r = take_argument(&parse, argument);
    else if (strcmp(argument, "--") == 0)
      parse.only_arguments = true;
    else
      r = argument[1] == '-' ? take_long(&parse, argument) : take_letters(&parse, argument);
  }
  if (r == 0)
    r = check(&parse);
  if (r == 0)
    *ret = parse.options;
  return r;
}

static void print_option(const OptionRow *row, Buffer *ret) {
  size_t start = ret->size;

  if (row->letter)
    buffer_printf(ret, "  -%c, --%s", row->letter, row->name);
  else
    buffer_printf(ret, "      --%s", row->name);
  if (row->value)
    buffer_printf(ret, " %s", row->value);
  buffer_printf(ret, "%*s%s\n", (int)(ret->size - start < 26 ? 26 - (ret->size - start) : 1), "", row->about);
}

/* The options that only some commands take, or those that all take. */
static void print_options(CommandId command, bool common, Buffer *ret) {
  for (size_t i = 0; i < ELEMENTS(option_rows); i++)
    if (common == (strcmp(option_rows[i].commands, "*") == 0) && takes(&option_rows[i], command))
      print_option(&option_rows[i], ret);
}

void options_print_help(CommandId command, Buffer *ret) {
  if (command == COMMAND_END) {
    buffer_printf(ret, "pons: a bus for fleets of small agents\n\nusage: pons [OPTIONS] COMMAND [ARGUMENTS]\n\n");
    for (size_t i = 0; i < ELEMENTS(command_rows); i++)
      buffer_printf(ret, "  %-10s %s\n", command_rows[i].name, command_rows[i].about);
    buffer_printf(ret, "\n");
  } else {
    const CommandRow *row = &command_rows[command];

    buffer_printf(ret, "usage: pons %s%s%s\n\n%s\n\n", row->name, *row->arguments ? " " : "", row->arguments,
                  row->about);
    print_options(command, false, ret);
  }
  print_options(command, true, ret);
  if (command == COMMAND_END)
    buffer_printf(ret, "\n`pons help COMMAND` explains one. Exit status: 0 done, 1 an error was answered, 2 usage or "
                       "configuration,\n3 no broker or fleet could be reached.\n");
}
