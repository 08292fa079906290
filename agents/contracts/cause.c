#include "agents/contracts/cause.h"

static const struct {
  const char *name;
  Status status;
  unsigned http_status;
  CauseNext next;
  bool counts;
  const char *about;
} causes[] = {
#define CAUSE(name, text, status, http, next, counts, about)                                                           \
  [CAUSE_##name] = {text, STATUS_##status, http, CAUSE_NEXT_##next, counts, about},
#include "agents/contracts/causes.def"
#undef CAUSE
};

const char *cause_name(Cause cause) {
  return causes[cause].name;
}

const char *cause_about(Cause cause) {
  return causes[cause].about;
}

Status cause_status(Cause cause) {
  return causes[cause].status;
}

unsigned cause_http_status(Cause cause) {
  return causes[cause].http_status;
}

CauseNext cause_next(Cause cause) {
  return causes[cause].next;
}

bool cause_counts(Cause cause) {
  return causes[cause].counts;
}

Cause cause_of_name(Text name) {
  for (Cause cause = 0; cause < CAUSE_END; cause++)
    if (text_is(name, causes[cause].name))
      return cause;
  return CAUSE_UNAVAILABLE;
}
