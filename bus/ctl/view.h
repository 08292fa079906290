/* What:      the tables of `pons up` and `pons status`, from the supervisor's and the broker's JSON.
 * Owns:      nothing.
 * May use:   base, jansson.
 * Threading: any; pure.
 * Spec:      docs/pons.1.md, "up", "status" */
#ifndef PONS_CTL_VIEW_H
#define PONS_CTL_VIEW_H

#include <jansson.h>

#include "bus/ctl/grid.h"

/* Appends the table of processes: name, pid, state, restarts, since, endpoint. now_us is CLOCK_REALTIME. */
void view_print_processes(const json_t *supervisor, uint64_t now_us, Buffer *ret);
/* Appends the same joined with the broker's view (join.h): name, pid, state, restarts, since, instance, services. */
void view_print_fleet(const json_t *supervisor, uint64_t now_us, Buffer *ret);
/* Appends one line for each process that is not ready: its name, its state, how it last ended and what it last wrote. */
void view_print_troubles(const json_t *supervisor, Buffer *ret);
/* Appends the table of instances: service, version, instance, state, credit, outstanding, queued. */
void view_print_instances(const json_t *registry, Buffer *ret);
/* Appends what is to be seen of contracts that don't fit: one line each. Returns how many. */
uint32_t view_print_mismatches(const json_t *registry, Buffer *ret);

/* Appends, behind a comma, which broker lacks changes of the other's log, if one does for more than a moment. */
void view_print_behind(const json_t *authority, Buffer *ret);

/* Appends a table of columns with the rows, whose cells the function adds. */
void view_print_rows(const GridColumn *columns, uint32_t column_count, const json_t *rows,
                     void (*add_cells)(Grid *grid, const json_t *row), Buffer *ret);
/* The first row that has this text at key, borrowed; or NULL. */
const json_t *view_find(const json_t *rows, const char *key, const char *text);

/* The text, or number, at key of an object; "" and 0 when there is none. */
const char *view_text(const json_t *object, const char *key);
uint64_t view_number(const json_t *object, const char *key);

#endif
