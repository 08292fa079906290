/* The line keeps its order. What is said on it while it is cut, or too much for it, is lost: the real one drops what the other does not read. */
#include "tests/sim/logs.h"

#include <assert.h>
#include <stdlib.h>

#include "bus/base/clock.h"
#include "tests/sim/common.h"

enum { MAILS = 8192, FLIGHT_US = 3000, FORGET_US = 2000000 };

/* What was said in one life; the log, and mail, have its address. */
typedef struct Said {
  struct Said *next;
  LogsWord word;
} Said;

/* On its way: a change of the other's log, or how far the own was heard. */
typedef struct Mail {
  uint64_t at_us;
  bool is_heard;
  ChangesHeard heard;
  uint64_t life;
  Change change;
  const Said *said;
} Mail;

typedef struct Side {
  Changes *changes; /* NULL: its process is dead */
  uint64_t life;
  bool linked;
  Said *said;
  bool level;         /* since it was linked the other has told all */
  uint64_t asked_us;  /* when it was asked to */
  bool asks;          /* the other to go on */
  uint64_t forgot_us; /* when all was asked for, since something could not be taken */
  ChangesHeard told;  /* the other, how far its log was heard */
  Mail mail[MAILS];   /* to this one */
  size_t n_mail;
} Side;

struct Logs {
  Chance chance;
  LogsSink sink;
  uint64_t lives;
  Side sides[2];
};

/* --- out --- */

uint64_t logs_append(Logs *logs, int broker, ChangeKind kind, const LogsWord *word, uint64_t now_us) {
  Side *side = &logs->sides[broker];
  Said *said = malloc(sizeof *said);

  assert(said && side->changes);
  *said = (Said){side->said, *word};
  side->said = said;
  return changes_append(side->changes, kind, (Bytes){(const uint8_t *)&said, sizeof said}, now_us);
}

static void tell(Logs *logs, int broker, ChangesAnswer answer, uint64_t now_us) {
  if (answer == CHANGES_NOTHING)
    return;
  logs_append(logs, broker, answer == CHANGES_TELL_ALL ? CHANGE_SNAPSHOT : CHANGE_RESUME, &(LogsWord){0}, now_us);
  logs->sink.tell(logs->sink.userdata, broker, answer == CHANGES_TELL_ALL);
  logs_append(logs, broker, CHANGE_LEVEL, &(LogsWord){0}, now_us);
}

static void post(Logs *logs, int from, Mail mail) {
  Side *to = &logs->sides[1 - from];

  if (!to->changes || chance_draw(&logs->chance, 1000) < logs->sink.loss(logs->sink.userdata, from, 1 - from))
    return;
  assert(to->n_mail < MAILS);
  mail.at_us += chance_draw(&logs->chance, FLIGHT_US);
  to->mail[to->n_mail++] = mail;
}

static ChangesHeard heard_now(const Logs *logs, int broker) {
  ChangesHeard heard = changes_heard(logs->sides[broker].changes);

  for (int kind = 0; kind < CHANGE_KINDS; kind++)
    heard.done[kind] = logs->sink.done(logs->sink.userdata, broker, (ChangeKind)kind, heard.heard);
  return heard;
}

static bool is_same(const ChangesHeard *a, const ChangesHeard *b) {
  return a->life == b->life && a->heard == b->heard && memcmp(a->done, b->done, sizeof a->done) == 0;
}

static void ask_for_all(Logs *logs, int broker, uint64_t now_us) {
  Side *side = &logs->sides[broker];

  if (now_us < side->forgot_us + FORGET_US || !logs->sink.is_short(logs->sink.userdata, broker))
    return;
  side->forgot_us = now_us;
  changes_forget(side->changes);
  side->asks = true;
}

static void say_heard(Logs *logs, int broker, uint64_t now_us) {
  Side *side = &logs->sides[broker];
  ChangesHeard heard = heard_now(logs, broker);

  if (!side->level && now_us >= side->asked_us + CHANGES_AGAIN_US)
    side->asks = true;
  heard.again = side->asks;
  if (!heard.again && is_same(&heard, &side->told))
    return;
  side->asks = false;
  if (heard.again)
    side->asked_us = now_us;
  side->told = heard;
  post(logs, broker, (Mail){.at_us = now_us, .is_heard = true, .heard = heard});
}

void logs_flush(Logs *logs, int broker, uint64_t now_us) {
  Side *side = &logs->sides[broker];
  const Said *said;
  Change change;

  if (!side->changes || !side->linked)
    return;
  if (changes_are_lost(side->changes))
    tell(logs, broker, CHANGES_TELL_ALL, now_us);
  while (changes_next(side->changes, &change, now_us)) {
    memcpy(&said, change.body.data, sizeof said);
    changes_sent(side->changes, now_us);
    post(logs, broker, (Mail){.at_us = now_us, .life = side->life, .change = change, .said = said});
  }
  ask_for_all(logs, broker, now_us);
  say_heard(logs, broker, now_us);
}

/* --- in --- */

static void take_change(Logs *logs, int broker, const Mail *mail) {
  Side *side = &logs->sides[broker];
  ChangeKind kind = mail->change.kind;
  int r = changes_hear(side->changes, mail->life, mail->change.position, kind);

  if (r == CHANGES_E_GAP)
    side->level = false; /* it asks again */
  if (r != 0)
    return;
  side->level = side->level || (side->linked && kind == CHANGE_LEVEL);
  logs->sink.take(logs->sink.userdata, broker, kind, &mail->said->word, mail->change.position);
  logs->sink.on_heard(logs->sink.userdata, broker);
}

static void take_heard(Logs *logs, int broker, const ChangesHeard *heard, uint64_t now_us) {
  tell(logs, broker, changes_take_heard(logs->sides[broker].changes, heard, now_us), now_us);
  logs->sink.on_heard(logs->sink.userdata, broker);
}

void logs_hear(Logs *logs, int broker, uint64_t now_us) {
  Side *side = &logs->sides[broker];

  while (side->n_mail > 0 && side->mail[0].at_us <= now_us) {
    Mail mail = side->mail[0];

    memmove(side->mail, side->mail + 1, --side->n_mail * sizeof *side->mail);
    if (mail.is_heard)
      take_heard(logs, broker, &mail.heard, now_us);
    else
      take_change(logs, broker, &mail);
  }
}

/* --- what is known --- */

bool logs_have_room(const Logs *logs, int broker) {
  return changes_have_room(logs->sides[broker].changes);
}

uint64_t logs_done(const Logs *logs, int broker, ChangeKind kind) {
  return changes_done(logs->sides[broker].changes, kind);
}

uint64_t logs_settled(const Logs *logs, int broker, ChangeKind kind) {
  return changes_settled(logs->sides[broker].changes, kind);
}

/* --- processes and links --- */

static void forget_said(Side *side) {
  Said *said = side->said;

  while (said) {
    Said *gone = said;

    said = said->next;
    durable_entry_done(&gone->word.entry);
    free((void *)(uintptr_t)gone->word.versions.haves);
    free(gone);
  }
  side->said = NULL;
}

void logs_start(Logs *logs, int broker, uint64_t now_us) {
  Side *side = &logs->sides[broker];

  side->life = now_us + ++logs->lives;
  side->told = (ChangesHeard){0};
  changes_new(&side->changes, side->life);
}

void logs_kill(Logs *logs, int broker) {
  Side *side = &logs->sides[broker];

  changes_destroy(&side->changes);
  side->linked = false;
  side->n_mail = 0;
  logs->sides[1 - broker].n_mail = 0; /* what it said last may be lost with it */
  forget_said(side);
}

void logs_link(Logs *logs, int broker, bool up, uint64_t now_us) {
  Side *side = &logs->sides[broker];

  side->linked = up;
  side->asks = up;
  side->level = false;
  if (!up)
    side->n_mail = 0;
  else if (side->changes)
    changes_linked(side->changes, logs->sides[1 - broker].life, now_us);
}

void logs_new(Logs **ret, uint64_t seed, const LogsSink *sink) {
  Logs *logs = calloc(1, sizeof *logs);

  assert(logs);
  logs->chance = chance_of(seed, 17);
  logs->sink = *sink;
  *ret = logs;
}

void logs_destroy(Logs **logs) {
  Logs *gone = TAKE(*logs);

  for (int i = 0; i < 2; i++)
    logs_kill(gone, i);
  free(gone);
}
