/* What:      a folder of its own for the tests of bus/config, with a pons.yaml in it and no PONS_ variable around it.
 * Owns:      the folder, from files_set_up to files_tear_down.
 * May use:   base, config, cmocka.
 * Threading: one thread.
 * Spec:      - */
#ifndef PONS_TESTS_CONFIG_FILES_H
#define PONS_TESTS_CONFIG_FILES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bus/config/config.h"

/* Group fixtures of cmocka: make the folder, enter it and unset every PONS_ variable; leave and remove it. */
int files_set_up(void **state);
int files_tear_down(void **state);
/* A test's fixture: unsets every PONS_ variable. */
int files_clean(void **state);
/* The folder, and the path of pons.yaml in it; valid until files_tear_down. */
const char *files_folder(void);
const char *files_config(void);
/* Writes a file of that mode; name is relative to the folder. files_tear_down removes it. */
void files_write(const char *name, const char *text, unsigned mode);
/* Loads text as pons.yaml with the catalog {"echo", "second"}; fails the test on any finding or warning. The caller owns what it returns. */
Config *files_load(const char *text);
/* Loads text in the same way, which must be refused with CONFIG_E_INVALID and exactly these lines, each "LINE:COLUMN: ..."
   for a place in the file or "VARIABLE: ..." for one outside; and nothing must be returned. */
void files_refuse(const char *text, const char *lines);
/* The whole text of a file, to be freed; fails the test when there is none. */
char *files_read(const char *path);

#endif
