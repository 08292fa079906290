#include "agents/contracts/cause.h"

static const struct {
  const char *name;
  CauseWhose whose;
  bool key;
  bool again;
  CauseNext next;
  bool counts;
  Status status;
  unsigned http_status;
  const char *about;
} causes[] = {
#define CAUSE(name, text, whose, key, again, next, counts, status, http, about)                                        \
  [CAUSE_##name] = {text, CAUSE_WHOSE_##whose, key, again, CAUSE_NEXT_##next, counts, STATUS_##status, http, about},
#include "agents/contracts/causes.def"
#undef CAUSE
};

const char *cause_name(Cause cause) {
  return causes[cause].name;
}

const char *cause_about(Cause cause) {
  return causes[cause].about;
}

CauseWhose cause_whose(Cause cause) {
  return causes[cause].whose;
}

Status cause_status(Cause cause) {
  return causes[cause].status;
}

unsigned cause_http_status(Cause cause) {
  return causes[cause].http_status;
}

bool cause_key(Cause cause) {
  return causes[cause].key;
}

bool cause_again(Cause cause) {
  return causes[cause].again;
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
