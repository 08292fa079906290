/* One stream for each direction. Its position is the number of the change in the life of its owner, so whoever has heard up to p needs
   what comes after p, and nothing else. The owner keeps what was not heard; what does not fit is dropped with all before it, and a
   snapshot takes its place: a state that has a position, and stands for all changes before it. */
#include "bus/core/changes.h"

#include <stdlib.h>
#include <string.h>

#include "bus/base/list.h"

typedef struct Entry {
  List in_log;
  uint64_t position;
  ChangeKind kind;
  bool answers; /* it is part of an answer: not counted */
  bool flies;   /* sent, and not heard */
  size_t size;
  size_t cost; /* what it counts for */
  uint8_t body[];
} Entry;

/* What the other has said that it has, and how far its own log went then. */
typedef struct Word {
  uint64_t life; /* of its log; 0 = it did not say */
  uint64_t last;
  uint64_t done[CHANGE_KINDS];
  bool is_there;
} Word;

struct Changes {
  uint64_t life;
  List entries; /* that were not heard */
  List *next;   /* the first of them that is to be sent; the head when there is none */
  size_t kept;  /* how many, and how large, but for answers */
  size_t kept_bytes;
  size_t answers; /* how many are part of an answer */
  bool answering; /* between SNAPSHOT or RESUME and LEVEL */
  bool lost;
  uint64_t listener; /* life of the process that is told; 0 = any */
  uint64_t speaker;  /* life of the one that spoke last */
  size_t flying;
  uint64_t moved_us; /* when something was sent with nothing on its way, or was heard */
  uint64_t last;
  uint64_t last_of[CHANGE_KINDS];
  uint64_t heard;
  uint64_t done[CHANGE_KINDS];
  uint64_t settled[CHANGE_KINDS];
  Word waiting;       /* until the other's log is heard so far */
  Word newest;        /* of those that came meanwhile */
  uint64_t behind_us; /* since when the other is; 0 = it is level */

  struct {
    uint64_t life;
    uint64_t heard;
  } other;
};

/* --- kinds --- */

static const char *const words[] = {
#define CHANGE(name, word, contract, about) word,
#include "bus/core/changes.def"
#undef CHANGE
};

const char *change_word(ChangeKind kind) {
  return words[kind];
}

ChangeKind change_of(Text word) {
  unsigned i = 0;

  while (i < CHANGE_KINDS && !text_is(word, words[i]))
    i++;
  return (ChangeKind)i;
}

/* --- entries --- */

static void drop(Changes *c, Entry *entry) {
  if (c->next == &entry->in_log)
    c->next = entry->in_log.next;
  if (entry->answers) {
    c->answers--;
  } else {
    c->kept--;
    c->kept_bytes -= entry->cost;
  }
  c->flying -= entry->flies ? entry->cost : 0;
  list_remove(&entry->in_log);
  free(entry);
}

static void drop_to(Changes *c, uint64_t position) {
  LIST_EACH (&c->entries, Entry, in_log, entry) {
    if (entry->position > position)
      return;
    drop(c, entry);
  }
}

static void keep(Changes *c, ChangeKind kind, Bytes body) {
  Entry *entry = calloc(1, sizeof *entry + body.size);

  if (!entry)
    abort();
  entry->position = c->last;
  entry->kind = kind;
  entry->answers = c->answering;
  entry->size = body.size;
  entry->cost = body.size + sizeof *entry;
  if (body.size)
    memcpy(entry->body, body.data, body.size);
  c->answers += c->answering;
  c->kept += !c->answering;
  c->kept_bytes += c->answering ? 0 : entry->cost;
  list_push(&c->entries, &entry->in_log);
  if (c->next == &c->entries)
    c->next = &entry->in_log;
}

/* Sends again from what was heard. */
static void rewind_to_heard(Changes *c, uint64_t now_us) {
  LIST_EACH (&c->entries, Entry, in_log, entry)
    entry->flies = false;
  c->next = c->entries.next;
  c->flying = 0;
  c->moved_us = now_us;
}

/* --- the own log --- */

int changes_new(Changes **ret, uint64_t life) {
  Changes *c = calloc(1, sizeof *c);

  if (!c)
    abort();
  c->life = life;
  list_init(&c->entries);
  c->next = &c->entries;
  *ret = c;
  return 0;
}

void changes_destroy(Changes **changes) {
  Changes *gone = TAKE(*changes);

  if (!gone)
    return;
  drop_to(gone, gone->last);
  free(gone);
}

static bool is_full(const Changes *c, size_t more) {
  return c->kept >= CHANGES_KEPT || c->kept_bytes + more > CHANGES_KEPT_BYTES;
}

uint64_t changes_append(Changes *c, ChangeKind kind, Bytes body, uint64_t now_us) {
  if (kind == CHANGE_SNAPSHOT || (!c->answering && kind != CHANGE_RESUME && is_full(c, body.size))) {
    drop_to(c, c->last);
    c->lost = kind != CHANGE_SNAPSHOT;
  }
  c->answering = c->answering || kind == CHANGE_SNAPSHOT || kind == CHANGE_RESUME;
  c->last_of[kind] = ++c->last;
  if (!c->lost)
    keep(c, kind, body);
  if (kind == CHANGE_LEVEL)
    c->answering = false;
  if (c->behind_us == 0)
    c->behind_us = now_us;
  return c->last;
}

bool changes_have_room(const Changes *c) {
  return !c->lost && !c->answering && c->kept < CHANGES_KEPT / 2 && c->kept_bytes < CHANGES_KEPT_BYTES / 2;
}

bool changes_are_lost(const Changes *c) {
  return c->lost;
}

uint64_t changes_last(const Changes *c) {
  return c->last;
}

bool changes_next(Changes *c, Change *ret, uint64_t now_us) {
  const Entry *entry;

  if (c->flying > 0 && now_us >= c->moved_us + CHANGES_AGAIN_US)
    rewind_to_heard(c, now_us);
  if (c->listener != c->speaker || c->next == &c->entries)
    return false;
  entry = CONTAINER_OF(c->next, Entry, in_log);
  if (c->flying > 0 && c->flying + entry->cost > CHANGES_FLYING_BYTES)
    return false;
  *ret = (Change){entry->position, entry->kind, {entry->body, entry->size}};
  return true;
}

void changes_sent(Changes *c, uint64_t now_us) {
  Entry *entry = CONTAINER_OF(c->next, Entry, in_log);

  if (c->flying == 0)
    c->moved_us = now_us;
  entry->flies = true;
  c->flying += entry->cost;
  c->next = entry->in_log.next;
}

void changes_linked(Changes *c, uint64_t peer_life, uint64_t now_us) {
  c->listener = peer_life;
  rewind_to_heard(c, now_us);
}

/* --- what the other has --- */

static bool is_level(const Changes *c) {
  for (int kind = 0; kind < CHANGE_KINDS; kind++)
    if (c->last_of[kind] > c->done[kind])
      return false;
  return true;
}

/* A word that came before an older change of the other's was heard counts when that has been: newer ones do not put it off. */
static void settle(Changes *c) {
  while (c->waiting.is_there) {
    const Word *word = &c->waiting;

    if (word->life != 0 && (c->other.life != word->life || c->other.heard < word->last))
      return;
    memcpy(c->settled, word->done, sizeof c->settled);
    c->waiting = c->newest;
    c->newest.is_there = false;
  }
}

static void note_word(Changes *c, const ChangesHeard *heard) {
  Word word = {.life = heard->own_life, .last = heard->own_last, .is_there = true};
  bool is_next = c->waiting.is_there && c->waiting.life == word.life;

  memcpy(word.done, c->done, sizeof word.done);
  *(is_next ? &c->newest : &c->waiting) = word;
  settle(c);
}

static void forget_words(Changes *c) {
  memset(c->settled, 0, sizeof c->settled);
  c->waiting.is_there = c->newest.is_there = false;
}

static void note_heard(Changes *c, const ChangesHeard *heard, uint64_t now_us) {
  if (heard->heard > c->heard)
    c->moved_us = now_us;
  c->heard = max_u64(c->heard, heard->heard);
  for (int kind = 0; kind < CHANGE_KINDS; kind++)
    c->done[kind] = max_u64(c->done[kind], min_u64(heard->done[kind], heard->heard));
  note_word(c, heard);
  drop_to(c, c->heard);
  if (is_level(c))
    c->behind_us = 0;
}

/* Whether what is kept begins with what comes after heard. */
static bool reaches_back(const Changes *c, uint64_t heard) {
  const Entry *first = LIST_FIRST(&c->entries, Entry, in_log);

  return !c->lost && heard > 0 && heard + 1 >= (first ? first->position : c->last + 1);
}

/* A new process of the other's knows nothing of what its former self had. */
static ChangesAnswer go_on(Changes *c, uint64_t heard, uint64_t now_us) {
  if (reaches_back(c, heard) && c->answers == 0) {
    rewind_to_heard(c, now_us);
    return CHANGES_TELL_REST;
  }
  c->heard = 0;
  memset(c->done, 0, sizeof c->done);
  forget_words(c);
  return CHANGES_TELL_ALL;
}

ChangesAnswer changes_take_heard(Changes *c, const ChangesHeard *heard, uint64_t now_us) {
  bool is_own = heard->life == c->life && heard->heard <= c->last;

  c->speaker = heard->own_life ? heard->own_life : c->listener; /* an earlier version does not say */
  if (is_own)
    note_heard(c, heard, now_us);
  return heard->again ? go_on(c, is_own ? heard->heard : 0, now_us) : CHANGES_NOTHING;
}

uint64_t changes_done(const Changes *c, ChangeKind kind) {
  return c->done[kind];
}

uint64_t changes_settled(const Changes *c, ChangeKind kind) {
  return c->settled[kind];
}

ChangesBehind changes_behind(const Changes *c, uint64_t now_us) {
  uint64_t done = c->last;

  for (int kind = 0; kind < CHANGE_KINDS; kind++)
    if (c->last_of[kind] > c->done[kind])
      done = min_u64(done, c->done[kind]);
  return (ChangesBehind){c->last - done, done < c->last ? now_us - min_u64(now_us, c->behind_us) : 0};
}

/* --- the other's log --- */

int changes_hear(Changes *c, uint64_t life, uint64_t position, ChangeKind kind) {
  bool is_new = life != c->other.life;

  if (!is_new && position <= c->other.heard)
    return CHANGES_E_KNOWN;
  if (kind != CHANGE_SNAPSHOT && (is_new || position != c->other.heard + 1))
    return CHANGES_E_GAP;
  c->other.life = life;
  c->other.heard = position;
  settle(c);
  return 0;
}

ChangesHeard changes_heard(const Changes *c) {
  ChangesHeard heard = {.life = c->other.life, .heard = c->other.heard, .own_life = c->life, .own_last = c->last};

  for (int kind = 0; kind < CHANGE_KINDS; kind++)
    heard.done[kind] = heard.heard;
  return heard;
}

void changes_forget(Changes *c) {
  c->other.life = 0;
  c->other.heard = 0;
}
