/* What:      what `pons up` is to run, worked out of the configuration: the broker or both, then each agent of the profile.
 * Owns:      names, paths and argument lists; borrows the Config, which must outlive it.
 * May use:   base, config.
 * Threading: one thread.
 * Spec:      docs/adr/0007-supervisor.md */
#ifndef PONS_CTL_PLAN_H
#define PONS_CTL_PLAN_H

#include "bus/config/config.h"
#include "bus/ctl/environment.h"
#include "bus/ctl/supervise.h"

enum {
  PLAN_E_PROFILE = 1, /* there is no such profile */
  PLAN_E_PROGRAM,     /* a program is not there */
  PLAN_E_SECRET,      /* a secret can't be had */
};

/* One process. */
typedef struct PlanChild {
  char *name;               /* "broker", "echo"; "echo#2" for the second of several instances */
  const ConfigAgent *agent; /* NULL for a broker */
  bool is_other;            /* the second broker: "broker@NAME" */
  const char *secrets;      /* section of pons.yaml whose secrets it reads itself, or "" */
  char *const *listen;      /* endpoints that the supervisor listens at for it, in the configuration */
  uint32_t listen_count;
  char *program;    /* a path */
  char **arguments; /* argv, NULL at the end */
  SuperviseSpec spec;
} PlanChild;

typedef struct Plan {
  const Config *config;
  char *config_path; /* absolute; NULL: built-in defaults, there is no file */
  const ConfigProfile *profile;
  PlanChild *children; /* the broker first, then the second if it runs here */
  uint32_t count;
  SuperviseBudget *groups;
  uint32_t group_count;
  uint32_t name_width; /* of the longest name */
} Plan;

/* Works out what to run under profile (NULL: the configuration's own); catalog is catalog_rows(). Returns 0 and gives the caller *ret; a PLAN_E_
   above: errors says for each finding what is wrong and what to do, and *ret is left alone. Looks for files and reads
   secrets, only to see that they are there. */
int plan_new(Plan **ret, const Config *config, const ConfigCatalog *catalog, const char *profile, Buffer *errors);
/* Takes NULL, nulls the pointer. Usable as _cleanup_. */
void plan_destroy(Plan **plan);

/* Fills an empty environment with all that child gets, secrets included: they are read now, so that a changed one counts
   from the next start. Secrets that an agent reads itself come as what they refer to: the file's path stands in
   pons.yaml, the variable is handed on. Returns 0; PLAN_E_SECRET, errors says which. */
int plan_environment(const Plan *plan, const PlanChild *child, const char *notify_path, Environment *ret,
                     Buffer *errors);

#endif
