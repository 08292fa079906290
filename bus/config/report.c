#include "bus/config/report-internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* Ends text with format and a newline and keeps it as a finding. */
static void keep(Report *report, uint32_t line, uint32_t column, Buffer *text, const char *format, va_list arguments) {
  char what[1024];

  vsnprintf(what, sizeof what, format, arguments);
  buffer_printf(text, "%s\n", what);
  buffer_append(text, "", 1);
  if (report->count < REPORT_MAX)
    report->findings[report->count] = (Finding){line, column, (char *)TAKE(text->data)};
  report->count++;
  buffer_done(text);
}

void report_line(Report *report, uint32_t line, uint32_t column, const char *path, const char *format, ...) {
  Buffer text = {0};
  va_list arguments;

  buffer_printf(&text, "%s:%u:%u: %s%s", report->file, line, column, path, *path ? ": " : "");
  va_start(arguments, format);
  keep(report, line, column, &text, format, arguments);
  va_end(arguments);
}

void report_place(Report *report, const char *place, const char *format, ...) {
  Buffer text = {0};
  va_list arguments;

  buffer_printf(&text, "%s: ", place);
  va_start(arguments, format);
  keep(report, UINT32_MAX, 0, &text, format, arguments);
  va_end(arguments);
}

void report_warning(Report *report, const char *place, const char *format, ...) {
  char what[512];
  va_list arguments;

  va_start(arguments, format);
  vsnprintf(what, sizeof what, format, arguments);
  va_end(arguments);
  buffer_printf(report->errors, "%s: warning: %s\n", place, what);
}

static bool stands_before(const Finding *a, const Finding *b) {
  return a->line < b->line || (a->line == b->line && a->column < b->column);
}

void report_end(Report *report) {
  uint32_t kept = (uint32_t)min_u64(report->count, REPORT_MAX);

  for (uint32_t i = 1; i < kept; i++)
    for (uint32_t k = i; k > 0 && stands_before(&report->findings[k], &report->findings[k - 1]); k--) {
      Finding moved = report->findings[k];
      report->findings[k] = report->findings[k - 1];
      report->findings[k - 1] = moved;
    }
  for (uint32_t i = 0; i < kept; i++) {
    buffer_printf(report->errors, "%s", report->findings[i].text);
    free(report->findings[i].text);
  }
  if (report->count > kept)
    buffer_printf(report->errors, "%s: %u more findings are not shown; mend these first\n", report->file,
                  report->count - kept);
  report->count = 0;
}
