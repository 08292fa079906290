/* What:      the findings of one load, each with its place.
 * Owns:      the findings until report_end writes them into the caller's buffer.
 * May use:   base.
 * Threading: one thread.
 * Spec:      docs/configuration.md, "Errors" */
#ifndef PONS_CONFIG_REPORT_INTERNAL_H
#define PONS_CONFIG_REPORT_INTERNAL_H

#include "bus/base/buffer.h"
#include "bus/base/types.h"

#define REPORT_MAX 50 /* findings that are printed; the rest is counted */

typedef struct Finding {
  uint32_t line; /* UINT32_MAX: not in the file */
  uint32_t column;
  char *text; /* with its place in front and a newline behind */
} Finding;

/* Made with file and errors; ended with report_end. */
typedef struct Report {
  const char *file;
  Buffer *errors;
  uint32_t count; /* of all findings, warnings not among them */
  Finding findings[REPORT_MAX];
} Report;

/* Adds "FILE:LINE:COLUMN: PATH: " and the text; without "PATH: " when path is empty. */
void report_line(Report *report, uint32_t line, uint32_t column, const char *path, const char *format, ...)
    _printf_(5, 6);
/* Adds "PLACE: " and the text, where place is the name of a variable or says that it is a default. */
void report_place(Report *report, const char *place, const char *format, ...) _printf_(3, 4);
/* Adds "PLACE: warning: " and the text to errors at once; it does not count as a finding. */
void report_warning(Report *report, const char *place, const char *format, ...) _printf_(3, 4);
/* Writes the findings into errors in the file's order, those of variables last, and forgets them. */
void report_end(Report *report);

#endif
