/* Bodies over LIMIT_BODY_BYTES, in both directions and of both sides: requests that come whole, one part behind the other, answers
   that come as far as we let them, replies that go as far as their reader takes them.

   An answer in parts begins with a window of one byte, which is good for one part. More of it is let in for the first few that have begun
   alone, so what all hold together is bounded, however many are asked at a time. */
#include <stdlib.h>

#include "bus/broker/inside-internal.h"

enum {
  RECEIVING = 3, /* answers that are let in at a time */
  AHEAD = LIMIT_STREAM_WINDOW_BYTES,
};

typedef struct Window {
  TableLink link;
  RequestId id;
  uint64_t bytes;
} Window;

typedef struct Coming {
  List in_inside;
  RequestId id;
  bool is_answer;
  bool is_torn; /* a part is missing */
  uint32_t attempt;
  uint64_t next; /* number of the part that comes next */
  uint64_t granted;
  Buffer body;
  Heard head; /* of a request: its texts alone, which it owns */
} Coming;

typedef struct Going {
  List in_inside;
  RequestId id;
  Block *body;
  size_t sent;
  uint64_t number;
  uint64_t window;
} Going;

/* --- windows of who asks --- */

static Window *find_window(const Inside *inside, RequestId id) {
  for (TableLink *at = table_bucket(&inside->windows, request_id_hash(id)); at; at = at->next) {
    Window *window = CONTAINER_OF(at, Window, link);

    if (request_id_equal(window->id, id))
      return window;
  }
  return NULL;
}

static void note_window(Inside *inside, RequestId id, uint64_t bytes) {
  Window *window = find_window(inside, id);

  if (!window && bytes == 0)
    return;
  if (!window) {
    window = calloc(1, sizeof *window);
    if (!window)
      abort();
    window->id = id;
    table_add(&inside->windows, &window->link, request_id_hash(id));
  }
  window->bytes = max_u64(window->bytes, bytes);
}

void inside_parts_forget(Inside *inside, RequestId id) {
  Window *window = find_window(inside, id);

  if (!window)
    return;
  table_remove(&inside->windows, &window->link);
  free(window);
}

/* --- what comes --- */

static Coming *find_coming(const Inside *inside, RequestId id, bool is_answer) {
  LIST_EACH (&inside->coming, Coming, in_inside, coming)
    if (coming->is_answer == is_answer && request_id_equal(coming->id, id))
      return coming;
  return NULL;
}

static Coming *new_coming(Inside *inside, const Heard *heard, bool is_answer) {
  Coming *coming = calloc(1, sizeof *coming);

  if (!coming)
    abort();
  coming->id = heard->id;
  coming->is_answer = is_answer;
  coming->attempt = heard->attempt;
  coming->granted = 1;
  list_push(&inside->coming, &coming->in_inside);
  return coming;
}

static void drop_coming(Coming *coming) {
  list_remove(&coming->in_inside);
  buffer_done(&coming->body);
  buffer_done(&coming->head.service);
  buffer_done(&coming->head.method);
  free(coming);
}

/* It was sent again, and is answered from the first part on: perhaps by another execution, whose parts do not fit those of the first. */
static void begin_anew(Coming *coming, uint32_t attempt) {
  buffer_clear(&coming->body);
  coming->attempt = attempt;
  coming->next = 0;
  coming->granted = 1;
  coming->is_torn = false;
}

static void append(Coming *coming, Bytes part) {
  buffer_append(&coming->body, part.data, part.size);
}

bool inside_parts_ask(Inside *inside, const Heard *heard) {
  Coming *coming;

  note_window(inside, heard->id, heard->window_bytes);
  if (!(heard->flags & FLAG_MORE))
    return false;
  coming = new_coming(inside, heard, false);
  coming->next = 1;
  coming->head.id = heard->id;
  buffer_append(&coming->head.service, heard->service.data, heard->service.size);
  buffer_append(&coming->head.method, heard->method.data, heard->method.size);
  append(coming, heard->body);
  return true;
}

static void take_part_of_ask(Inside *inside, const Heard *heard) {
  Coming *coming = find_coming(inside, heard->id, false);

  if (!coming)
    return;
  append(coming, heard->body);
  if (heard->flags & FLAG_MORE)
    return;
  list_remove(&coming->in_inside);
  inside_take_ask(inside, &coming->head, buffer_bytes(&coming->body));
  drop_coming(coming);
}

/* Lets more of the first answers in. */
static void grant(Inside *inside, uint64_t now_us) {
  uint32_t n = 0;

  LIST_EACH (&inside->coming, Coming, in_inside, coming) {
    uint64_t highest = coming->body.size + AHEAD;

    if (!coming->is_answer || coming->is_torn)
      continue;
    if (n++ == RECEIVING)
      return;
    if (highest - coming->granted < AHEAD / 2)
      continue;
    coming->granted = highest;
    inside_say(inside,
               &(Header){.kind = KIND_WINDOW,
                         .id = coming->id,
                         .attempt = coming->attempt,
                         .number = coming->next,
                         .window_bytes = highest},
               BYTES_NONE, NULL, now_us);
  }
}

static void take_part_of_answer(Inside *inside, const Heard *heard, uint64_t now_us) {
  Coming *coming = find_coming(inside, heard->id, true);

  if (!coming)
    coming = new_coming(inside, heard, true);
  if (heard->attempt > coming->attempt)
    begin_anew(coming, heard->attempt);
  if (heard->attempt < coming->attempt || heard->number < coming->next)
    return;
  coming->is_torn |= heard->number > coming->next;
  if (coming->is_torn)
    return;
  coming->next++;
  append(coming, heard->body);
  grant(inside, now_us);
}

void inside_parts_chunk(Inside *inside, const Heard *heard, uint64_t now_us) {
  if (heard->flags & FLAG_PART)
    take_part_of_answer(inside, heard, now_us);
  else
    take_part_of_ask(inside, heard);
}

void inside_parts_end(Inside *inside, const Heard *heard, uint64_t now_us) {
  Coming *coming = find_coming(inside, heard->id, true);

  if (coming && heard->attempt > coming->attempt)
    begin_anew(coming, heard->attempt);
  if (!coming || heard->kind != KIND_REPLY) {
    inside_take_answer(inside, heard, heard->kind == KIND_REPLY ? STATUS_OK : heard->status, heard->body);
  } else if (coming->is_torn || heard->number != coming->next) {
    inside_take_answer(inside, heard, STATUS_GONE, BYTES_NONE);
  } else {
    append(coming, heard->body);
    inside_take_answer(inside, heard, STATUS_OK, buffer_bytes(&coming->body));
  }
  if (coming) {
    drop_coming(coming);
    grant(inside, now_us);
  }
}

/* --- what goes --- */

static void drop_going(Inside *inside, Going *going) {
  list_remove(&going->in_inside);
  inside->going_bytes -= going->body->size;
  block_unref(&going->body);
  free(going);
}

/* Sends as far as the window goes; the last part is the REPLY. */
static void go_on(Inside *inside, Going *going, uint64_t now_us) {
  Header header = {.kind = KIND_CHUNK, .id = going->id, .flags = FLAG_PART};
  size_t size = going->body->size;

  while (size - going->sent > LIMIT_BODY_BYTES && going->sent < going->window) {
    header.number = going->number++;
    inside_say_slice(inside, &header, going->body, going->sent, LIMIT_BODY_BYTES, now_us);
    going->sent += LIMIT_BODY_BYTES;
  }
  if (size - going->sent > LIMIT_BODY_BYTES)
    return;
  header = (Header){.kind = KIND_REPLY, .id = going->id, .number = going->number};
  inside_say_slice(inside, &header, going->body, going->sent, size - going->sent, now_us);
  drop_going(inside, going);
}

/* Half of the room is for those who have nothing unread: one client that reads nothing does not take all of it. */
static bool has_room(const Inside *inside, ClientId client, size_t bytes) {
  size_t most = LIMIT_REPLIES_BYTES;

  LIST_EACH (&inside->going, Going, in_inside, going)
    if (going->id.client.value == client.value)
      most = LIMIT_REPLIES_BYTES / 2;
  return inside->going_bytes + bytes <= most;
}

int inside_parts_reply(Inside *inside, RequestId id, Bytes body, uint64_t now_us) {
  const Window *window = find_window(inside, id);
  Going *going;

  if (!window)
    return INSIDE_E_NO_WINDOW;
  if (!has_room(inside, id.client, body.size))
    return INSIDE_E_FULL;
  going = calloc(1, sizeof *going);
  if (!going)
    abort();
  *going = (Going){.id = id, .body = block_copy(body), .window = window->bytes};
  inside->going_bytes += body.size;
  list_push(&inside->going, &going->in_inside);
  inside_parts_forget(inside, id);
  go_on(inside, going, now_us);
  return 0;
}

static Going *find_going(const Inside *inside, RequestId id) {
  LIST_EACH (&inside->going, Going, in_inside, going)
    if (request_id_equal(going->id, id))
      return going;
  return NULL;
}

void inside_parts_window(Inside *inside, const Heard *heard, uint64_t now_us) {
  Going *going = find_going(inside, heard->id);

  if (going) {
    going->window = max_u64(going->window, heard->window_bytes);
    go_on(inside, going, now_us);
  } else if (find_window(inside, heard->id)) {
    note_window(inside, heard->id, heard->window_bytes);
  }
}

bool inside_parts_cancel(Inside *inside, RequestId id, uint64_t now_us) {
  Coming *coming = find_coming(inside, id, false);
  Going *going = find_going(inside, id);

  if (coming)
    drop_coming(coming);
  if (going)
    drop_going(inside, going);
  if (coming || going)
    inside_fail(inside, id, STATUS_CANCELLED, BYTES_NONE, now_us);
  return coming || going;
}

void inside_parts_done(Inside *inside) {
  LIST_EACH (&inside->coming, Coming, in_inside, coming)
    drop_coming(coming);
  LIST_EACH (&inside->going, Going, in_inside, going)
    drop_going(inside, going);
  TABLE_EACH (&inside->windows, Window, link, window)
    inside_parts_forget(inside, window->id);
  table_done(&inside->windows);
}
