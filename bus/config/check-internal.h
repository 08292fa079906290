/* What:      the three steps between a file and a Config: the file against the keys, the variables over it, the whole
 *            against itself.
 * Owns:      nothing.
 * May use:   base, libcyaml.
 * Threading: one thread.
 * Spec:      docs/configuration.md */
#ifndef PONS_CONFIG_CHECK_INTERNAL_H
#define PONS_CONFIG_CHECK_INTERNAL_H

#include "bus/config/config.h"
#include "bus/config/report-internal.h"
#include "bus/config/schema-internal.h"
#include "bus/config/tree-internal.h"

/* Compares the tree with the keys of mapping: unknown and double keys, wrong kinds, values out of bounds, missing ones.
   All findings go into report. */
void check_keys(Report *report, const Tree *tree, const Mapping *mapping);

/* Gives each key that node (NULL: nothing) has not set its default. base is the struct of mapping. */
void defaults_apply(const Mapping *mapping, const Node *node, void *base);
/* Gives a value to what has its default only in words (site, directories, endpoints, programs), adds the agents of the
   catalog, the groups and profiles that are always there, and completes paths: ipc in runtime_dir, secrets beside file
   (NULL: the working directory). catalog ends with NULL, or is NULL when it is not known. */
void defaults_work_out(Config *config, const char *file, const ConfigCatalog *catalog);

/* Checks each PONS_ variable of the process by itself; findings go into report, warnings into its buffer alone. */
void environment_check(Report *report);
/* Sets the keys that have a PONS_ variable, all of which environment_check has passed. */
void environment_apply(Config *config);
/* The variable that has set the key at path, written into ret, which it returns; or NULL. */
const char *environment_source(const char *path, char ret[KEY_VARIABLE_SIZE]);

/* Checks what no single key can tell: names that must exist or be unique, addresses, sums, orders. Without a
   catalog (NULL) the names of agents are not checked. */
void check_whole(Report *report, const Config *config, const Tree *tree, const ConfigCatalog *catalog);
/* Appends the file at path to bytes. Returns 0; negative errno when it can't be read, or CONFIG_E_INVALID when it is no
   configuration, and errors says so. */
int file_read(const char *path, Buffer *bytes, Buffer *errors);
/* Fills a struct of size_bytes by schema from bytes that check_keys has passed; the caller owns *ret. What libcyaml still
   refuses goes into report. Returns 0, -ENOMEM or CONFIG_E_INVALID. */
int file_fill(Report *report, Bytes bytes, const Tree *tree, const cyaml_schema_value_t *schema, size_t size_bytes,
              void **ret);
/* Frees what file_fill has made; takes NULL. */
void file_free(const cyaml_schema_value_t *schema, void *data);
/* Appends what has a value as YAML. */
void mapping_print(Buffer *ret, const Mapping *mapping, const void *base);

/* Reads the price list that config names, if it does, and completes the rows of the model table with it; tree is that of
   pons.yaml. Returns 0; CONFIG_E_INVALID with findings in errors, also when the file can't be read; or -ENOMEM. */
int price_list_apply(Config *config, const Tree *tree, Buffer *errors);
/* A copy of formatted text, to be freed. */
char *text_format(const char *format, ...) _printf_(1, 2);

#endif
