/* What:      the findings of one load, each with its place, and how alike two words are.
 * Owns:      nothing; the text goes into the caller's buffer.
 * May use:   base.
 * Threading: one thread.
 * Spec:      docs/configuration.md, "Errors" */
#ifndef PONS_CONFIG_REPORT_INTERNAL_H
#define PONS_CONFIG_REPORT_INTERNAL_H

#include "bus/base/buffer.h"
#include "bus/base/types.h"

#define REPORT_MAX 50 /* findings that are printed; the rest is counted */

typedef struct Report {
  const char *file;
  Buffer *errors;
  uint32_t count; /* of findings, warnings not among them */
} Report;

/* Adds "FILE:LINE:COLUMN: PATH: " and the text; without "PATH: " when path is empty. */
void report_line(Report *report, uint32_t line, uint32_t column, const char *path, const char *format, ...)
    _printf_(5, 6);
/* Adds "PLACE: " and the text, where place is the name of a variable or says that it is a default. */
void report_place(Report *report, const char *place, const char *format, ...) _printf_(3, 4);
/* Adds how many findings were not printed, when there are any. */
void report_end(Report *report);

/* Letters to insert, drop or change until a is b; 99 when one is longer than 63 bytes. */
uint32_t word_distance(Text a, Text b);
/* Whether somebody who wrote a probably meant b. */
bool word_is_near(Text a, Text b);

#endif
