/* The log of changes, rule by rule, and random histories of two brokers that tell each other their tables: links that break at any place
   and come up at one side first, processes that die and forget what was not synced, logs that overflow. Whatever happens, what is
   acknowledged is there, and in the end both know all. PONS_SEED=N replays one, PONS_SEEDS=N runs so many. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka wants the above first */
#include <cmocka.h>

#include "bus/core/changes.h"

enum { KEYS = 8, MAIL = 8192, STEPS = 300, SEEDS = 400 };

/* --- one log --- */

static void append(Changes *c, ChangeKind kind, uint64_t value) {
  changes_append(c, kind, (Bytes){(const uint8_t *)&value, sizeof value}, 1);
}

/* Takes what is sent now; returns how many, and the first and last position. */
static uint64_t take_sent(Changes *c, uint64_t now_us, uint64_t *ret_first, uint64_t *ret_last) {
  Change change;
  uint64_t n = 0;

  while (changes_next(c, &change, now_us)) {
    *ret_first = n++ ? *ret_first : change.position;
    *ret_last = change.position;
    changes_sent(c, now_us);
  }
  return n;
}

static ChangesHeard heard_of(uint64_t life, uint64_t position, bool again) {
  ChangesHeard heard = {.life = life, .heard = position, .again = again};

  for (int i = 0; i < CHANGE_KINDS; i++)
    heard.done[i] = position;
  return heard;
}

static void kinds_have_words(void **state _unused_) {
  for (int i = 0; i < CHANGE_KINDS; i++)
    assert_int_equal(change_of(text_of(change_word((ChangeKind)i))), i);
  assert_int_equal(change_of(TEXT("of a later version")), CHANGE_KINDS);
}

static ChangesHeard word_of(uint64_t position, uint64_t own_life, uint64_t own_last) {
  ChangesHeard heard = heard_of(77, position, false);

  heard.own_life = own_life;
  heard.own_last = own_last;
  return heard;
}

/* What the other has on disk is settled once all is heard that it had said before: an older flag may be among that. */
static void a_word_counts_when_what_was_said_before_it_is_heard(void **state _unused_) {
  ChangesHeard first = word_of(2, 9, 2);
  ChangesHeard second = word_of(3, 9, 3);
  ChangesHeard of_successor = word_of(4, 10, 1);
  ChangesHeard of_old_version = word_of(5, 0, 0);
  Changes *c;

  changes_new(&c, 77);
  for (uint64_t i = 1; i <= 5; i++)
    append(c, CHANGE_FLAG, i);
  assert_int_equal(changes_hear(c, 9, 1, CHANGE_SNAPSHOT), 0);
  changes_take_heard(c, &first, 1);
  changes_take_heard(c, &second, 1);
  assert_int_equal(changes_done(c, CHANGE_FLAG), 3);
  assert_int_equal(changes_settled(c, CHANGE_FLAG), 0);
  assert_int_equal(changes_hear(c, 9, 2, CHANGE_FLAG), 0);
  assert_int_equal(changes_settled(c, CHANGE_FLAG), 2);
  assert_int_equal(changes_hear(c, 9, 3, CHANGE_LEVEL), 0);
  assert_int_equal(changes_settled(c, CHANGE_FLAG), 3);
  changes_take_heard(c, &of_successor, 1); /* its log has another life, of which nothing was heard */
  assert_int_equal(changes_settled(c, CHANGE_FLAG), 3);
  assert_int_equal(changes_hear(c, 10, 1, CHANGE_SNAPSHOT), 0);
  assert_int_equal(changes_settled(c, CHANGE_FLAG), 4);
  changes_take_heard(c, &of_old_version, 1);
  assert_int_equal(changes_settled(c, CHANGE_FLAG), 5);
  assert_int_equal(changes_heard(c).own_life, 77);
  assert_int_equal(changes_heard(c).own_last, 5);
  changes_destroy(&c);
}

static void it_goes_on_from_what_was_heard(void **state _unused_) {
  Changes *c;
  ChangesHeard heard;
  uint64_t first = 0;
  uint64_t last = 0;

  changes_new(&c, 77);
  assert_int_equal(take_sent(c, 1, &first, &last), 0);
  for (uint64_t i = 1; i <= 5; i++)
    append(c, CHANGE_LEASE, i);
  assert_int_equal(take_sent(c, 1, &first, &last), 5);
  assert_int_equal(first, 1);
  heard = heard_of(77, 2, false);
  assert_int_equal(changes_take_heard(c, &heard, 1), CHANGES_NOTHING);
  assert_int_equal(take_sent(c, 1, &first, &last), 0); /* they are on their way */
  heard.again = true;
  assert_int_equal(changes_take_heard(c, &heard, 1), CHANGES_TELL_REST);
  assert_int_equal(take_sent(c, 1, &first, &last), 3);
  assert_int_equal(first, 3);
  assert_int_equal(changes_behind(c, 9).positions, 3);
  assert_int_equal(changes_behind(c, 9).for_us, 8);
  heard = heard_of(77, 5, false);
  changes_take_heard(c, &heard, 10);
  assert_int_equal(changes_behind(c, 20).positions, 0);
  assert_int_equal(changes_behind(c, 20).for_us, 0);
  changes_destroy(&c);
  changes_destroy(&c);
}

/* Who has heard nothing, or of another life, or says that he heard what was never said, is told all. */
static void who_knows_nothing_is_told_all(void **state _unused_) {
  ChangesHeard heard = heard_of(0, 0, true);
  Changes *c;

  changes_new(&c, 77);
  append(c, CHANGE_FLAG, 1);
  assert_int_equal(changes_take_heard(c, &heard, 1), CHANGES_TELL_ALL);
  heard = heard_of(76, 1, true);
  assert_int_equal(changes_take_heard(c, &heard, 1), CHANGES_TELL_ALL);
  heard = heard_of(77, 9, true);
  assert_int_equal(changes_take_heard(c, &heard, 1), CHANGES_TELL_ALL);
  assert_int_equal(changes_done(c, CHANGE_FLAG), 0);
  heard = heard_of(77, 0, true);
  assert_int_equal(changes_take_heard(c, &heard, 1), CHANGES_TELL_ALL);
  changes_destroy(&c);
}

static void what_is_not_heard_is_sent_again(void **state _unused_) {
  Changes *c;
  uint64_t first = 0;
  uint64_t last = 0;

  changes_new(&c, 77);
  append(c, CHANGE_LEASE, 1);
  assert_int_equal(take_sent(c, 1, &first, &last), 1);
  assert_int_equal(take_sent(c, CHANGES_AGAIN_US, &first, &last), 0);
  assert_int_equal(take_sent(c, CHANGES_AGAIN_US + 1, &first, &last), 1);
  changes_linked(c, 0, CHANGES_AGAIN_US + 2);
  assert_int_equal(take_sent(c, CHANGES_AGAIN_US + 2, &first, &last), 1);
  changes_destroy(&c);
}

/* Who is there now may be another process than the one that did not hear it. */
static void a_new_process_is_told_nothing_before_it_says_where_it_is(void **state _unused_) {
  ChangesHeard old = word_of(0, 8, 1);
  ChangesHeard new = word_of(0, 9, 0);
  Changes *c;
  uint64_t first = 0;
  uint64_t last = 0;

  changes_new(&c, 77);
  append(c, CHANGE_SNAPSHOT, 1);
  append(c, CHANGE_FLAG, 1);
  changes_linked(c, 8, 1);
  changes_take_heard(c, &old, 1);
  assert_int_equal(take_sent(c, 1, &first, &last), 2);
  changes_linked(c, 8, 2); /* the same one, which may not have noticed that it was cut off */
  assert_int_equal(take_sent(c, 2, &first, &last), 2);
  changes_linked(c, 9, 3);
  changes_take_heard(c, &old, 3); /* it was on its way */
  assert_int_equal(take_sent(c, 3 + CHANGES_AGAIN_US, &first, &last), 0);
  new.again = true;
  assert_int_equal(changes_take_heard(c, &new, 4), CHANGES_TELL_ALL);
  append(c, CHANGE_SNAPSHOT, 1);
  assert_int_equal(take_sent(c, 4, &first, &last), 1);
  assert_int_equal(first, 3);
  changes_destroy(&c);
}

/* A disk may be slower than memory, and than another disk. */
static void each_kind_is_done_by_itself(void **state _unused_) {
  ChangesHeard heard = heard_of(77, 3, false);
  Changes *c;

  changes_new(&c, 77);
  append(c, CHANGE_FLAG, 1);
  append(c, CHANGE_DURABLE, 2);
  append(c, CHANGE_INSTANCE, 3);
  heard.done[CHANGE_DURABLE] = 1;
  heard.done[CHANGE_FLAG] = 9; /* more than it has heard: not believed */
  changes_take_heard(c, &heard, 1);
  assert_int_equal(changes_done(c, CHANGE_INSTANCE), 3);
  assert_int_equal(changes_done(c, CHANGE_FLAG), 3);
  assert_int_equal(changes_done(c, CHANGE_DURABLE), 1);
  assert_int_equal(changes_behind(c, 1).positions, 2);
  heard.done[CHANGE_DURABLE] = 2; /* all of its kind */
  changes_take_heard(c, &heard, 1);
  assert_int_equal(changes_behind(c, 1).positions, 0);
  changes_destroy(&c);
}

static void a_log_that_overflows_is_told_anew(void **state _unused_) {
  ChangesHeard heard = heard_of(77, 1, true);
  Changes *c;
  uint64_t first = 0;
  uint64_t last = 0;

  changes_new(&c, 77);
  for (uint64_t i = 0; i < CHANGES_KEPT / 2; i++)
    append(c, CHANGE_LEASE, i);
  assert_false(changes_have_room(c));
  for (uint64_t i = 0; i < CHANGES_KEPT / 2; i++)
    append(c, CHANGE_LEASE, i);
  assert_false(changes_are_lost(c));
  append(c, CHANGE_LEASE, 1);
  assert_true(changes_are_lost(c));
  assert_int_equal(changes_last(c), CHANGES_KEPT + 1);
  assert_int_equal(take_sent(c, 1, &first, &last), 0);
  assert_int_equal(changes_behind(c, 1).positions, CHANGES_KEPT + 1);
  assert_int_equal(changes_take_heard(c, &heard, 1), CHANGES_TELL_ALL);
  append(c, CHANGE_SNAPSHOT, 0);
  assert_false(changes_are_lost(c));
  for (uint64_t i = 0; i < 2 * CHANGES_KEPT; i++) /* an answer is kept whatever its size */
    append(c, CHANGE_INSTANCE, i);
  append(c, CHANGE_LEVEL, 0);
  append(c, CHANGE_LEASE, 1);
  assert_false(changes_are_lost(c));
  assert_true(changes_have_room(c));
  take_sent(c, 1, &first, &last);
  assert_int_equal(first, CHANGES_KEPT + 2);
  assert_int_equal(changes_take_heard(c, &heard, 1),
                   CHANGES_TELL_ALL); /* a second answer would be kept beside the first */
  changes_destroy(&c);
}

static void no_more_than_so_much_is_on_its_way(void **state _unused_) {
  static const uint8_t large[100000];
  Changes *c;
  ChangesHeard heard = heard_of(77, 1, false);
  uint64_t first = 0;
  uint64_t last = 0;

  changes_new(&c, 77);
  for (int i = 0; i < 5; i++)
    changes_append(c, CHANGE_DURABLE, (Bytes){large, sizeof large}, 1);
  assert_int_equal(take_sent(c, 1, &first, &last), 2);
  changes_take_heard(c, &heard, 1);
  assert_int_equal(take_sent(c, 1, &first, &last), 1);
  for (int i = 0; i < CHANGES_KEPT_BYTES / 100000; i++)
    changes_append(c, CHANGE_DURABLE, (Bytes){large, sizeof large}, 1);
  assert_true(changes_are_lost(c));
  changes_destroy(&c);
}

static void a_gap_is_not_taken(void **state _unused_) {
  Changes *c;

  changes_new(&c, 77);
  assert_int_equal(changes_hear(c, 5, 1, CHANGE_LEASE), CHANGES_E_GAP); /* nothing has begun */
  assert_int_equal(changes_hear(c, 5, 10, CHANGE_SNAPSHOT), 0);
  assert_int_equal(changes_hear(c, 5, 11, CHANGE_KINDS), 0); /* of a later version: it counts, and is passed over */
  assert_int_equal(changes_hear(c, 5, 11, CHANGE_LEASE), CHANGES_E_KNOWN);
  assert_int_equal(changes_hear(c, 5, 13, CHANGE_LEASE), CHANGES_E_GAP);
  assert_int_equal(changes_hear(c, 6, 12, CHANGE_LEASE), CHANGES_E_GAP); /* another process */
  assert_int_equal(changes_heard(c).heard, 11);
  assert_int_equal(changes_heard(c).life, 5);
  assert_int_equal(changes_hear(c, 5, 20, CHANGE_SNAPSHOT), 0);
  assert_int_equal(changes_hear(c, 6, 1, CHANGE_SNAPSHOT), 0);
  assert_int_equal(changes_heard(c).heard, 1);
  changes_forget(c);
  assert_int_equal(changes_heard(c).life, 0);
  changes_destroy(&c);
}

/* --- histories --- */

typedef struct Message {
  bool is_heard;
  ChangesHeard heard;
  uint64_t life;
  uint64_t position;
  ChangeKind kind;
  uint64_t key;
  uint64_t value;
} Message;

/* FLAG stands for what is on a disk that is synced later, of which the newer counts, LEASE for what is in memory. */
typedef struct Broker {
  Changes *log; /* NULL: its process is dead */
  uint64_t life;
  uint64_t own[2][KEYS];
  uint64_t told[2][KEYS]; /* positions */
  uint64_t copy[2][KEYS]; /* of the other's */
  uint64_t disk[KEYS];    /* of copy[1] what is synced */
  uint64_t unsynced;      /* the first position of that kind that is not; 0 = all are */
  bool up;
  bool answered;      /* a level came since */
  Message mail[MAIL]; /* to this one */
  size_t n_mail;
} Broker;

typedef struct World {
  uint64_t random;
  uint64_t seed;
  uint64_t now_us;
  uint64_t values;
  Broker brokers[2];
} World;

static uint64_t draw(World *w, uint64_t below) {
  w->random ^= w->random >> 12;
  w->random ^= w->random << 25;
  w->random ^= w->random >> 27;
  return (w->random * UINT64_C(2685821657736338717) >> 33) % below;
}

static ChangeKind kind_of(int table) {
  return table ? CHANGE_FLAG : CHANGE_LEASE;
}

static void post(Broker *to, Message message) {
  if (!to->log)
    return;
  assert_true(to->n_mail < MAIL);
  to->mail[to->n_mail++] = message;
}

static void tell(World *w, Broker *b, int table, uint64_t key) {
  uint64_t body[2] = {key, b->own[table][key]};

  b->told[table][key] = changes_append(b->log, kind_of(table), (Bytes){(const uint8_t *)body, sizeof body}, w->now_us);
}

static void mark(World *w, Broker *b, ChangeKind kind) {
  uint64_t body[2] = {0};

  changes_append(b->log, kind, (Bytes){(const uint8_t *)body, sizeof body}, w->now_us);
}

static void answer(World *w, Broker *b, ChangesAnswer answer_) {
  if (answer_ == CHANGES_NOTHING)
    return;
  mark(w, b, answer_ == CHANGES_TELL_ALL ? CHANGE_SNAPSHOT : CHANGE_RESUME);
  for (int table = 0; table < 2 && answer_ == CHANGES_TELL_ALL; table++)
    for (uint64_t key = 0; key < KEYS; key++)
      if (b->own[table][key])
        tell(w, b, table, key);
  mark(w, b, CHANGE_LEVEL);
}

static ChangesHeard heard_by(const Broker *b) {
  ChangesHeard heard = changes_heard(b->log);

  if (b->unsynced)
    heard.done[CHANGE_FLAG] = b->unsynced - 1;
  return heard;
}

static void send(World *w, int i) {
  Broker *b = &w->brokers[i];
  Broker *other = &w->brokers[1 - i];
  Change change;
  uint64_t body[2];

  if (!b->log || !b->up)
    return;
  if (changes_are_lost(b->log))
    answer(w, b, CHANGES_TELL_ALL);
  while (changes_next(b->log, &change, w->now_us)) {
    memcpy(body, change.body.data, sizeof body);
    changes_sent(b->log, w->now_us);
    post(
        other,
        (Message){.life = b->life, .position = change.position, .kind = change.kind, .key = body[0], .value = body[1]});
  }
}

/* What is acknowledged is there. */
static void check(World *w, int i) {
  const Broker *b = &w->brokers[i];
  const Broker *other = &w->brokers[1 - i];

  for (int table = 0; b->log && table < 2; table++)
    for (uint64_t key = 0; key < KEYS; key++) {
      uint64_t there = table ? other->disk[key] : other->copy[0][key];

      if (b->told[table][key] == 0 || changes_done(b->log, kind_of(table)) < b->told[table][key])
        continue;
      if (there < b->own[table][key] && (table || other->log))
        fail_msg("seed %llu: %llu of %d is acknowledged, and not there", (unsigned long long)w->seed,
                 (unsigned long long)key, i);
    }
}

static void take(World *w, int i, const Message *message) {
  Broker *b = &w->brokers[i];
  int table = message->kind == CHANGE_FLAG;

  if (message->is_heard) {
    answer(w, b, changes_take_heard(b->log, &message->heard, w->now_us));
    check(w, i);
    return;
  }
  if (changes_hear(b->log, message->life, message->position, message->kind) != 0)
    return;
  if (message->kind == CHANGE_SNAPSHOT) {
    memset(b->copy[0], 0, sizeof b->copy[0]);
    memcpy(b->copy[1], b->disk, sizeof b->disk);
    b->unsynced = 0;
  }
  b->answered = b->answered || message->kind == CHANGE_LEVEL;
  if (message->kind != CHANGE_LEASE && message->kind != CHANGE_FLAG)
    return;
  if (message->value < b->copy[0][message->key] && !table)
    fail_msg("seed %llu: %d hears an older value after a newer one", (unsigned long long)w->seed, i);
  b->copy[table][message->key] = max_u64(b->copy[table][message->key], message->value);
  if (table && !b->unsynced)
    b->unsynced = message->position;
}

/* Up to n messages arrive at i, and it says what it has heard. */
static void deliver(World *w, int i, size_t n) {
  Broker *b = &w->brokers[i];
  size_t k = 0;

  n = min_u64(n, b->n_mail);
  for (; k < n && b->log; k++)
    take(w, i, &b->mail[k]);
  memmove(b->mail, b->mail + n, (b->n_mail - n) * sizeof *b->mail);
  b->n_mail -= n;
  if (b->log && b->up && n > 0)
    post(&w->brokers[1 - i], (Message){.is_heard = true, .heard = heard_by(b)});
}

static void set_up(World *w, int i) {
  Broker *b = &w->brokers[i];
  ChangesHeard heard;

  if (!b->log || b->up)
    return;
  b->up = true;
  b->answered = false;
  changes_linked(b->log, w->brokers[1 - i].life, w->now_us);
  heard = heard_by(b);
  heard.again = true;
  post(&w->brokers[1 - i], (Message){.is_heard = true, .heard = heard});
}

static void cut(World *w) {
  for (int i = 0; i < 2; i++) {
    w->brokers[i].up = false;
    w->brokers[i].n_mail = 0;
  }
}

static void start(World *w, int i) {
  Broker *b = &w->brokers[i];

  b->life = ++w->values;
  memset(b->own[0], 0, sizeof b->own[0]);
  memset(b->copy, 0, sizeof b->copy);
  memset(b->told, 0, sizeof b->told);
  memcpy(b->copy[1], b->disk, sizeof b->disk);
  b->unsynced = 0;
  changes_new(&b->log, b->life);
}

static void step(World *w) {
  int i = (int)draw(w, 2);
  Broker *b = &w->brokers[i];
  uint64_t what = draw(w, 64);
  uint64_t many = draw(w, 40) ? 1 + draw(w, 6) : CHANGES_KEPT + draw(w, 20);

  w->now_us += draw(w, 100000);
  if (what < 20 && b->log) {
    for (; many > 0; many--) {
      uint64_t key = draw(w, KEYS);
      int table = (int)draw(w, 2);

      b->own[table][key] = ++w->values;
      tell(w, b, table, key);
    }
  } else if (what < 32) {
    send(w, i);
  } else if (what < 46) {
    deliver(w, i, 1 + draw(w, 30));
  } else if (what < 52 && b->log) {
    memcpy(b->disk, b->copy[1], sizeof b->disk);
    b->unsynced = 0;
  } else if (what < 57 && w->brokers[0].log && w->brokers[1].log) {
    set_up(w, i);
  } else if (what < 59) {
    cut(w);
  } else if (what < 61) { /* one direction breaks, and only who speaks notices */
    w->brokers[1 - i].n_mail = draw(w, w->brokers[1 - i].n_mail + 1);
    if (b->up) {
      b->up = false;
      set_up(w, i);
    }
  } else if (what < 63 && !b->log) {
    start(w, i);
  } else if (what == 63 && b->log) {
    changes_destroy(&b->log);
    cut(w);
  }
}

static void heal(World *w) {
  cut(w);
  for (int i = 0; i < 2; i++)
    if (!w->brokers[i].log)
      start(w, i);
  set_up(w, 0);
  set_up(w, 1);
  for (int n = 0; n < 40; n++)
    for (int i = 0; i < 2; i++) {
      Broker *b = &w->brokers[i];

      w->now_us += 10000;
      send(w, i);
      deliver(w, 1 - i, MAIL);
      memcpy(b->disk, b->copy[1], sizeof b->disk);
      b->unsynced = 0;
      post(&w->brokers[1 - i], (Message){.is_heard = true, .heard = heard_by(b)});
    }
}

static void check_end(World *w, int i) {
  Broker *b = &w->brokers[i];
  Broker *other = &w->brokers[1 - i];
  unsigned long long seed = w->seed;

  for (int table = 0; table < 2; table++)
    for (uint64_t key = 0; key < KEYS; key++)
      if (b->own[table][key] && other->copy[table][key] != b->own[table][key])
        fail_msg("seed %llu: %d does not know %llu of the other", seed, 1 - i, (unsigned long long)key);
  if (changes_behind(b->log, w->now_us).positions > 0)
    fail_msg("seed %llu: %d stays behind", seed, 1 - i);
  if (!b->answered)
    fail_msg("seed %llu: %d was never told that this is all", seed, i);
}

static void run_history(uint64_t seed) {
  World *w = calloc(1, sizeof *w);

  *w = (World){.random = seed * 2 + 1, .seed = seed, .now_us = 1};
  for (int i = 0; i < 2; i++)
    start(w, i);
  for (int i = 0; i < STEPS; i++)
    step(w);
  heal(w);
  for (int i = 0; i < 2; i++)
    check_end(w, i);
  for (int i = 0; i < 2; i++)
    changes_destroy(&w->brokers[i].log);
  free(w);
}

static void whatever_happens(void **state _unused_) {
  const char *one = getenv("PONS_SEED");
  const char *many = getenv("PONS_SEEDS");
  uint64_t n = many ? strtoull(many, NULL, 10) : SEEDS;

  if (one)
    run_history(strtoull(one, NULL, 10));
  for (uint64_t seed = 1; !one && seed <= n; seed++)
    run_history(seed);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(kinds_have_words),
      cmocka_unit_test(a_word_counts_when_what_was_said_before_it_is_heard),
      cmocka_unit_test(it_goes_on_from_what_was_heard),
      cmocka_unit_test(who_knows_nothing_is_told_all),
      cmocka_unit_test(what_is_not_heard_is_sent_again),
      cmocka_unit_test(a_new_process_is_told_nothing_before_it_says_where_it_is),
      cmocka_unit_test(each_kind_is_done_by_itself),
      cmocka_unit_test(a_log_that_overflows_is_told_anew),
      cmocka_unit_test(no_more_than_so_much_is_on_its_way),
      cmocka_unit_test(a_gap_is_not_taken),
      cmocka_unit_test(whatever_happens),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
