#include "bus/base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

static const char *const level_names[] = {"error", "warning", "info", "debug"};

static LogLevel log_level = LOG_LEVEL_INFO;
static LogSink *log_sink;

void log_setup(LogLevel level, LogSink *sink) {
  log_level = level;
  log_sink = sink;
}

int log_level_parse(const char *name, LogLevel *ret) {
  for (size_t i = 0; i < ELEMENTS(level_names); i++)
    if (strcmp(name, level_names[i]) == 0) {
      *ret = (LogLevel)i;
      return 0;
    }
  return -EINVAL;
}

const char *log_level_name(LogLevel level) {
  return level_names[level];
}

void log_event(LogLevel level, const char *event, const char *format, ...) {
  char text[1024];
  va_list arguments;

  if (level > log_level)
    return;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  if (log_sink)
    log_sink(level, event, text);
  else
    fprintf(stderr, "%s: %s [%s]\n", level_names[level], text, event);
}
