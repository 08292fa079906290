/* What:      the one way to log: a level, a stable event id, a sentence for somebody who must act, fields.
 * Owns:      the process's log state (level, sink).
 * May use:   the C library. The sink (standard error, journal) is set by the loop room; base opens nothing.
 * Threading: any; one line is one write.
 * Spec:      docs/adr/0005-logging.md */
#ifndef PONS_BASE_LOG_H
#define PONS_BASE_LOG_H

#include "bus/base/types.h"

typedef enum LogLevel { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG } LogLevel;

/* Receives each line that passes the level: event is a stable id such as "PONS-PEER-DROPPED", text one sentence. */
typedef void LogSink(LogLevel level, const char *event, const char *text);

/* Sets level and sink for the process; NULL means standard error. Call before threads start. */
void log_setup(LogLevel level, LogSink *sink);
/* Reads "error", "warning", "info" or "debug". Returns 0, or -EINVAL and leaves *ret alone. */
int log_level_parse(const char *name, LogLevel *ret);
const char *log_level_name(LogLevel level);
/* Logs one event. Libraries use LOG_LEVEL_DEBUG only; who gives up logs once, above it. */
void log_event(LogLevel level, const char *event, const char *format, ...) _printf_(3, 4);

#define log_error(event, ...) log_event(LOG_LEVEL_ERROR, event, __VA_ARGS__)
#define log_warning(event, ...) log_event(LOG_LEVEL_WARNING, event, __VA_ARGS__)
#define log_info(event, ...) log_event(LOG_LEVEL_INFO, event, __VA_ARGS__)
#define log_debug(event, ...) log_event(LOG_LEVEL_DEBUG, event, __VA_ARGS__)

#endif
