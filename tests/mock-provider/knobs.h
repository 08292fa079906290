/* What:      what a request wants the mock to do, out of the command line, a path prefix, the query and headers.
 * Owns:      nothing: a Knobs is a value.
 * May use:   bus/base, http.
 * Threading: one thread; pure.
 * Spec:      knobs.def, README.md */
#ifndef PONS_TESTS_MOCK_KNOBS_H
#define PONS_TESTS_MOCK_KNOBS_H

#include "tests/mock-provider/http.h"

#define UNSET UINT32_MAX

typedef struct Knobs {
#define NUMBER(name, least, most, standard, what) uint32_t name;
#define WORDS(name, what) char name[64];
#include "tests/mock-provider/knobs.def"
#undef NUMBER
#undef WORDS
} Knobs;

/* The defaults of knobs.def. */
Knobs knobs_default(void);

/* Whether there is a knob of this name. */
bool knobs_has(Text name);

/* Sets one knob; '-' in its name counts as '_', an empty value of a number is 1. Returns NULL, or says what is wrong: the
   text is static. */
const char *knobs_set(Knobs *knobs, Text name, Text value);

/* Sets all of KEY=VALUE<separator>KEY=VALUE..., values percent-encoded. In a query unknown names are no fault (they belong
   to the dialect), elsewhere they are. Returns as knobs_set. */
const char *knobs_set_list(Knobs *knobs, Text list, char separator, bool query);

/* Adds what the request's path prefix /mock/KEY=VALUE,.../, query and x-mock-... headers say, in this order, and takes the
   prefix off *path. Returns as knobs_set. */
const char *knobs_of_request(Knobs *knobs, const HttpRequest *request, Text *path);

/* Whether a fault that fail_first limits is named. */
bool knobs_has_fault(const Knobs *knobs);

/* Takes all faults off. */
void knobs_heal(Knobs *knobs);

/* Prints the table for --help. */
void knobs_print(void);

#endif
