/* What:      a machine of durable requests in a box: a disk that knows what is synced, its log for the other broker, and what was delivered.
 *            Two boxes are joined by box_exchange.
 * Owns:      the machine, its disk and its mail.
 * May use:   base, wire, core, cmocka.
 * Threading: one thread.
 * Spec:      docs/durable.md */
#ifndef PONS_TESTS_DURABLE_BOX_H
#define PONS_TESTS_DURABLE_BOX_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants the above first */
#include <cmocka.h>

#include "bus/core/changes.h"
#include "bus/core/durable.h"

enum { BOX_ROWS = 64, BOX_WRITES = 256, BOX_MAIL = 4096 };

#define BOX_START UINT64_C(1700000000000000)

typedef struct BoxWrite {
  bool drops;
  DurableEntry entry;
} BoxWrite;

/* What a change says; the log has its address. */
typedef struct BoxMail {
  DurableEntry entry;
  DurableHave haves[BOX_ROWS];
  size_t n;
} BoxMail;

typedef struct Box {
  Durable *durable;
  DurableOptions options;
  uint64_t now_us;
  bool refuses; /* the store can't take anything now */
  DurableEntry disk[BOX_ROWS];
  size_t n_disk;
  BoxWrite writes[BOX_WRITES]; /* not synced */
  size_t n_writes;
  uint64_t serial;
  Changes *log;
  uint64_t life;
  BoxMail *mail[BOX_MAIL]; /* all that was ever said in this life */
  size_t n_mail;
  bool asks; /* the other to go on */
  uint32_t delivered;
  RequestId delivery; /* the last */
  uint32_t attempt;
  uint64_t age_us;
  uint64_t deadline_us;
  uint32_t kept;
  uint32_t copies; /* as last told */
  uint32_t unkept;
  uint32_t ended;
  Status status; /* as last told */
  uint64_t behind;
  void (*on_deliver)(void *world, struct Box *box, const DurableAction *action);
  void (*on_told)(void *world, struct Box *box, const DurableAction *action);
  void *world;
} Box;

static inline DurableEntry box_copy(const DurableEntry *entry) {
  DurableEntry copy = *entry;

  if (copy.body)
    block_ref(copy.body);
  if (copy.annotations)
    block_ref(copy.annotations);
  if (copy.reply)
    block_ref(copy.reply);
  return copy;
}

static inline uint64_t box_write(Box *box, const DurableEntry *entry, bool drops) {
  if (box->refuses && !drops)
    return 0;
  assert_true(box->n_writes < BOX_WRITES);
  box->writes[box->n_writes++] = (BoxWrite){drops, box_copy(entry)};
  return ++box->serial;
}

static inline uint64_t box_append(Box *box, ChangeKind kind, const BoxMail *mail) {
  BoxMail *kept = malloc(sizeof *kept);

  assert_non_null(kept);
  assert_true(box->n_mail < BOX_MAIL);
  *kept = *mail;
  box->mail[box->n_mail++] = kept;
  return changes_append(box->log, kind, (Bytes){(const uint8_t *)&kept, sizeof kept}, box->now_us);
}

static inline uint64_t box_send(Box *box, const DurableEntry *entry) {
  return changes_have_room(box->log) ? box_append(box, CHANGE_DURABLE, &(BoxMail){.entry = box_copy(entry)}) : 0;
}

static inline void box_send_versions(Box *box, const DurableVersions *versions) {
  BoxMail mail = {.n = versions->n};

  for (size_t i = 0; i < mail.n; i++)
    mail.haves[i] = versions->haves[i];
  box_append(box, CHANGE_VERSIONS, &mail);
}

static inline uint64_t box_act(void *userdata, const DurableAction *action) {
  Box *box = userdata;

  switch (action->kind) {
  case DURABLE_DO_WRITE:
    return box_write(box, action->entry, false);
  case DURABLE_DO_FORGET:
    return box_write(box, action->entry, true);
  case DURABLE_DO_DELIVER:
    box->delivered++;
    box->delivery = durable_delivery(action->entry);
    box->attempt = action->attempt;
    box->age_us = action->age_us;
    box->deadline_us = action->deadline_us;
    if (box->on_deliver)
      box->on_deliver(box->world, box, action);
    break;
  case DURABLE_DO_KEPT:
    box->kept++;
    box->copies = action->copies;
    break;
  case DURABLE_DO_UNKEPT:
    box->unkept++;
    break;
  case DURABLE_DO_ENDED:
    box->ended++;
    box->status = action->entry->status;
    break;
  case DURABLE_DO_BEHIND:
    box->behind += action->count;
    break;
  case DURABLE_DO_SEND:
    return box_send(box, action->entry);
  case DURABLE_DO_SEND_VERSIONS:
    box_send_versions(box, action->versions);
    break;
  }
  if (box->on_told && (action->kind == DURABLE_DO_KEPT || action->kind == DURABLE_DO_ENDED))
    box->on_told(box->world, box, action);
  return 0;
}

static inline DurableEntry *box_on_disk(Box *box, RequestId id) {
  for (size_t i = 0; i < box->n_disk; i++)
    if (request_id_equal(box->disk[i].id, id))
      return &box->disk[i];
  return NULL;
}

/* One change reaches the platter. */
static inline void box_apply(Box *box, const BoxWrite *write) {
  DurableEntry *row = box_on_disk(box, write->entry.id);

  if (row)
    durable_entry_done(row);
  if (write->drops && row)
    *row = box->disk[--box->n_disk];
  else if (!write->drops && row)
    *row = box_copy(&write->entry);
  else if (!write->drops)
    box->disk[box->n_disk++] = box_copy(&write->entry);
  assert_true(box->n_disk < BOX_ROWS);
}

/* The disk has all that it was asked for; the machine hears of it. */
static inline void box_sync(Box *box) {
  while (box->n_writes > 0) {
    size_t n = box->n_writes;

    for (size_t i = 0; i < n; i++) {
      box_apply(box, &box->writes[i]);
      durable_entry_done(&box->writes[i].entry);
    }
    memmove(box->writes, box->writes + n, (box->n_writes - n) * sizeof *box->writes);
    box->n_writes -= n;
    durable_written(box->durable, box->serial - box->n_writes, box->now_us);
  }
}

static inline void box_drop_mail(Box *box) {
  for (size_t i = 0; i < box->n_mail; i++) {
    durable_entry_done(&box->mail[i]->entry);
    free(box->mail[i]);
  }
  box->n_mail = 0;
}

/* The link has come up for this one, or is lost. */
static inline void box_link(Box *box, bool is_up) {
  if (is_up)
    changes_linked(box->log, 0, box->now_us);
  box->asks = is_up;
  durable_linked(box->durable, is_up, box->now_us);
}

static inline void box_hear(Box *to, const Box *from, const Change *change) {
  const BoxMail *mail;
  DurableEntry entry;

  memcpy(&mail, change->body.data, sizeof mail);
  if (changes_hear(to->log, from->life, change->position, change->kind) != 0)
    return;
  if (change->kind == CHANGE_SNAPSHOT)
    durable_take_snapshot(to->durable, to->now_us);
  else if (change->kind == CHANGE_VERSIONS)
    durable_take_versions(to->durable, &(DurableVersions){mail->haves, mail->n}, to->now_us);
  else if (change->kind == CHANGE_LEVEL)
    durable_take_level(to->durable, to->now_us);
  if (change->kind != CHANGE_DURABLE)
    return;
  entry = box_copy(&mail->entry);
  durable_take(to->durable, &entry, change->position, to->now_us);
}

static inline bool box_tell(Box *box, bool all) {
  box_append(box, all ? CHANGE_SNAPSHOT : CHANGE_RESUME, &(BoxMail){.n = 0});
  durable_tell(box->durable, all, box->now_us);
  box_append(box, CHANGE_LEVEL, &(BoxMail){.n = 0});
  return true;
}

/* to says how far it has heard from. Returns whether that was news. */
static inline bool box_acknowledge(Box *to, Box *from) {
  ChangesHeard heard = changes_heard(to->log);
  uint64_t done = changes_done(from->log, CHANGE_DURABLE);
  ChangesAnswer answer;

  heard.done[CHANGE_DURABLE] = durable_done(to->durable, heard.heard);
  heard.again = to->asks;
  heard.own_life = 0; /* what depends on it is shown in test_changes */
  to->asks = false;
  answer = changes_take_heard(from->log, &heard, from->now_us);
  if (answer != CHANGES_NOTHING)
    return box_tell(from, answer == CHANGES_TELL_ALL);
  durable_take_done(from->durable, changes_done(from->log, CHANGE_DURABLE), from->now_us);
  return changes_done(from->log, CHANGE_DURABLE) > done;
}

/* Gives what has been said to the other; loses = all of it gets lost. Returns whether there was something. */
static inline bool box_mail(Box *from, Box *to, bool loses) {
  bool any = false;
  Change change;

  if (!from->durable)
    return false;
  loses = loses || !to->durable;
  while (changes_next(from->log, &change, from->now_us)) {
    changes_sent(from->log, from->now_us);
    any = true;
    if (!loses)
      box_hear(to, from, &change);
  }
  return (!loses && box_acknowledge(to, from)) || any;
}

/* Until neither has anything to say or to write. */
static inline void box_exchange(Box *a, Box *b) {
  bool any = true;

  while (any || a->n_writes > 0 || b->n_writes > 0) {
    box_sync(a);
    box_sync(b);
    any = box_mail(a, b, false);
    any = box_mail(b, a, false) || any;
  }
}

static inline void box_open(Box *box, ClientId courier) {
  static uint64_t lives;
  DurableSink sink = {box_act, box};

  box->options.first = (RequestId){courier, box->now_us * DURABLE_TRIES_KEPT};
  box->life = ++lives;
  changes_new(&box->log, box->life);
  durable_new(&box->durable, &box->options, &sink);
  for (size_t i = 0; i < box->n_disk; i++) {
    DurableEntry entry = box_copy(&box->disk[i]);

    durable_load(box->durable, &entry, box->now_us);
  }
}

/* What was not synced is gone; first n of it had got to the platter all the same. */
static inline void box_crash(Box *box, size_t n) {
  durable_destroy(&box->durable);
  changes_destroy(&box->log);
  box_drop_mail(box);
  for (size_t i = 0; i < box->n_writes; i++) {
    if (i < n)
      box_apply(box, &box->writes[i]);
    durable_entry_done(&box->writes[i].entry);
  }
  box->n_writes = 0;
}

static inline void box_done(Box *box) {
  if (box->durable)
    box_crash(box, 0);
  for (size_t i = 0; i < box->n_disk; i++)
    durable_entry_done(&box->disk[i]);
  box->n_disk = 0;
}

static inline void box_tick(Box *box, uint64_t us) {
  box->now_us += us;
  durable_tick(box->durable, box->now_us);
  box_sync(box);
}

static inline DurableEntry box_wish(uint64_t number, bool idempotent) {
  DurableEntry wish = {.id = {{7}, number}, .idempotent = idempotent, .patience_us = 3600 * US_PER_S};

  snprintf(wish.service, sizeof wish.service, "echo");
  snprintf(wish.method, sizeof wish.method, "work");
  wish.body = block_copy((Bytes){(const uint8_t *)"body", 4});
  wish.body_bytes = 4;
  return wish;
}

static inline RequestId box_accept(Box *box, uint64_t number, bool idempotent) {
  DurableEntry wish = box_wish(number, idempotent);
  RequestId id = wish.id;

  assert_int_equal(durable_accept(box->durable, &wish, box->now_us), 0);
  box_sync(box);
  return id;
}

static inline void box_answer(Box *box, Status status, const char *text) {
  durable_answered(box->durable, box->delivery, status, text_of(text), (Bytes){(const uint8_t *)text, strlen(text)},
                   TEXT_NONE, box->now_us);
  box_sync(box);
}

#endif
