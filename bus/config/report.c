#include "bus/config/report-internal.h"

#include <stdarg.h>
#include <stdio.h>

#define WORD_MAX 63
#define FAR 99

static bool begin(Report *report) {
  return report->count++ < REPORT_MAX;
}

static void add_text(Buffer *errors, const char *format, va_list arguments) {
  char text[1024];
  int size = vsnprintf(text, sizeof text, format, arguments);

  if (size > 0)
    buffer_append(errors, text, (size_t)min_u64((uint64_t)size, sizeof text - 1));
  buffer_append(errors, "\n", 1);
}

void report_line(Report *report, uint32_t line, uint32_t column, const char *path, const char *format, ...) {
  va_list arguments;

  if (!begin(report))
    return;
  buffer_printf(report->errors, "%s:%u:%u: %s%s", report->file, line, column, path, *path ? ": " : "");
  va_start(arguments, format);
  add_text(report->errors, format, arguments);
  va_end(arguments);
}

void report_place(Report *report, const char *place, const char *format, ...) {
  va_list arguments;

  if (!begin(report))
    return;
  buffer_printf(report->errors, "%s: ", place);
  va_start(arguments, format);
  add_text(report->errors, format, arguments);
  va_end(arguments);
}

void report_end(Report *report) {
  if (report->count > REPORT_MAX)
    buffer_printf(report->errors, "%s: %u more findings are not shown; mend these first\n", report->file,
                  report->count - REPORT_MAX);
}

/* Levenshtein's distance, one row at a time (V. Levenshtein 1966; the row form is R. Wagner and M. Fischer 1974). */
uint32_t word_distance(Text a, Text b) {
  uint32_t row[WORD_MAX + 1];

  if (a.size > WORD_MAX || b.size > WORD_MAX)
    return FAR;
  for (uint32_t j = 0; j <= b.size; j++)
    row[j] = j;
  for (uint32_t i = 1; i <= a.size; i++) {
    uint32_t corner = row[0];

    row[0] = i;
    for (uint32_t j = 1; j <= b.size; j++) {
      uint32_t change = corner + (a.data[i - 1] != b.data[j - 1]);

      corner = row[j];
      row[j] = (uint32_t)min_u64(change, min_u64(row[j], row[j - 1]) + 1);
    }
  }
  return row[b.size];
}

bool word_is_near(Text a, Text b) {
  uint32_t distance = word_distance(a, b);

  return distance <= 1 + min_u64(a.size, b.size) / 4 && distance < min_u64(a.size, b.size);
}
