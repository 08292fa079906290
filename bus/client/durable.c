/* A durable request as its caller sees it: two questions to the service `pons.durable`, to whichever broker can be asked. The first has it
   kept, and may be asked again without harm, since the request has an id of its own. The second waits for its end; if it comes to
   nothing, because a broker went away or does not know the request yet, it is asked again until the caller's time is over.

   What is said here fits agents/contracts/durable.def, which this room does not know; a test holds it against that. */
#include <errno.h>
#include <stdlib.h>

#include "bus/client/client-internal.h"
#include "bus/wire/msgpack.h"

enum { AGAIN_US = 200000 };

typedef struct Waiting {
  List in_client;
  Client *client;
  DurableHandler handler;
  RequestId id;
  RequestId asked; /* the question in hand; none = waits for its timer */
  bool submits;
  bool kept; /* by us: that a broker does not know it is not the last word */
  bool cancelled;
  uint64_t due_us;
  uint64_t asked_us;
  ClientTimer timer;
  Buffer wish;
} Waiting;

static void ask(Waiting *waiting);

/* --- the end --- */

static void forget(Waiting *waiting) {
  list_remove(&waiting->in_client);
  timer_stop(waiting->client, &waiting->timer);
  buffer_done(&waiting->wish);
  free(waiting);
}

static void end(Waiting *waiting, const Answer *answer) {
  DurableHandler handler = waiting->handler;
  Answer last = *answer;

  last.id = waiting->id;
  last.took_us = clock_monotonic_us() - waiting->asked_us;
  forget(waiting);
  if (handler.on_end)
    handler.on_end(handler.userdata, &last);
}

static void end_by_itself(Waiting *waiting, Status status, const char *message) {
  end(waiting, &(Answer){.status = status, .message = text_of(message)});
}

static void on_due(Client *client _unused_, ClientTimer *timer, uint64_t now_us) {
  Waiting *waiting = CONTAINER_OF(timer, Waiting, timer);

  if (waiting->cancelled)
    end_by_itself(waiting, STATUS_CANCELLED, status_about(STATUS_CANCELLED));
  else if (now_us >= waiting->due_us)
    end_by_itself(waiting, STATUS_DEADLINE, "its end did not come in time; it goes on, and can be waited for again");
  else
    ask(waiting);
}

static void end_soon(Waiting *waiting, uint64_t us) {
  waiting->asked = (RequestId){0};
  waiting->timer.on_due = on_due;
  timer_set(waiting->client, &waiting->timer, min_u64(clock_monotonic_us() + us, waiting->due_us));
}

/* --- answers --- */

/* Walks a map of texts to values; the reader stands at each value in turn. Returns false at the end or when it can't be read. */
static bool next_field(MsgpackReader *reader, uint32_t *left, Text *ret_key) {
  return *left > 0 && (*left)-- > 0 && msgpack_get_text(reader, ret_key) == 0;
}

static uint32_t read_copies(Bytes body) {
  MsgpackReader reader = msgpack_reader(body);
  uint64_t copies = 1;
  uint32_t left = 0;
  Text key;

  if (msgpack_get_map(&reader, &left) != 0)
    return 1;
  while (next_field(&reader, &left, &key)) {
    int r = text_is(key, "copies") ? msgpack_get_uint(&reader, &copies) : msgpack_skip(&reader);

    if (r != 0)
      break;
  }
  return (uint32_t)copies;
}

static int read_end(Bytes body, Answer *answer) {
  MsgpackReader reader = msgpack_reader(body);
  uint32_t left = 0;
  Text key;
  int r = msgpack_get_map(&reader, &left);

  answer->body = BYTES_NONE;
  answer->content_type = TEXT_NONE;
  while (r == 0 && next_field(&reader, &left, &key)) {
    if (text_is(key, "body"))
      r = msgpack_get_bytes(&reader, &answer->body);
    else if (text_is(key, "content_type"))
      r = msgpack_get_text(&reader, &answer->content_type);
    else
      r = msgpack_skip(&reader);
  }
  return r;
}

/* Whether an error is about the request, and not about the way to who could tell. */
static bool is_last_word(const Waiting *waiting, const Answer *answer) {
  if (answer->status == STATUS_CANCELLED || answer->status == STATUS_DENIED)
    return true;
  if (text_is(answer->code, "durable_unknown"))
    return !waiting->kept;
  return answer->code.size > 0 || answer->status == STATUS_INVALID || answer->status == STATUS_GONE;
}

static void on_awaited(Waiting *waiting, const Answer *answer) {
  Answer last = *answer;

  if (answer->status == STATUS_OK && read_end(answer->body, &last) == 0)
    end(waiting, &last);
  else if (answer->status == STATUS_OK)
    end_by_itself(waiting, STATUS_INTERNAL, "the broker's answer can't be read");
  else if (is_last_word(waiting, answer))
    end(waiting, answer);
  else
    end_soon(waiting, AGAIN_US);
}

static void on_submitted(Waiting *waiting, const Answer *answer) {
  if (answer->status != STATUS_OK) {
    end(waiting, answer);
    return;
  }
  waiting->submits = false;
  waiting->kept = true;
  buffer_done(&waiting->wish);
  if (waiting->handler.on_kept)
    waiting->handler.on_kept(waiting->handler.userdata, waiting->id, read_copies(answer->body));
  if (waiting->cancelled || !waiting->handler.on_end)
    end_soon(waiting, 0);
  else
    ask(waiting);
  if (!waiting->handler.on_end)
    waiting->cancelled = true;
}

static void on_answer(void *userdata, const Answer *answer) {
  Waiting *waiting = userdata;

  waiting->asked = (RequestId){0};
  if (waiting->submits)
    on_submitted(waiting, answer);
  else
    on_awaited(waiting, answer);
}

/* --- questions --- */

static void put_id(Buffer *body, RequestId id) {
  char text[REQUEST_ID_TEXT_SIZE];

  msgpack_put_text(body, TEXT("id"));
  msgpack_put_text(body, text_of(request_id_format(id, text)));
}

static void ask(Waiting *waiting) {
  uint64_t now_us = clock_monotonic_us();
  _cleanup_(buffer_done) Buffer body = {0};
  Ask question = {.service = TEXT("pons.durable"),
                  .method = waiting->submits ? TEXT("submit") : TEXT("await"),
                  .idempotent = true,
                  .attempts = waiting->submits ? 0 : 1, /* how it ended is no reason to ask again */
                  .deadline_us = max_u64(1, waiting->due_us - min_u64(now_us, waiting->due_us))};

  if (waiting->submits) {
    question.body = buffer_bytes(&waiting->wish);
  } else {
    msgpack_put_map(&body, 1);
    put_id(&body, waiting->id);
    question.body = buffer_bytes(&body);
  }
  if (client_ask(waiting->client, &question, &(AskHandler){.on_end = on_answer, .userdata = waiting}, &waiting->asked) <
      0)
    end_soon(waiting, AGAIN_US);
}

static void put_optional(Buffer *body, const char *key, Bytes value, bool is_text) {
  if (value.size == 0)
    return;
  msgpack_put_text(body, text_of(key));
  if (is_text)
    msgpack_put_text(body, (Text){(const char *)value.data, value.size});
  else
    msgpack_put_bytes(body, value);
}

/* A DurableWish. */
static void put_wish(Buffer *body, const Ask *ask, RequestId id, uint64_t patience_us) {
  static const char *const priorities[] = {
      [ASK_NORMAL] = "normal", [ASK_INTERACTIVE] = "interactive", [ASK_BATCH] = "batch"};
  Bytes type = {(const uint8_t *)ask->content_type.data, ask->content_type.size};

  msgpack_put_map(body, 6u + (type.size > 0) + (ask->annotations.size > 0) + (patience_us > 0));
  put_id(body, id);
  msgpack_put_text(body, TEXT("service"));
  msgpack_put_text(body, ask->service);
  msgpack_put_text(body, TEXT("method"));
  msgpack_put_text(body, ask->method);
  msgpack_put_text(body, TEXT("body"));
  msgpack_put_bytes(body, ask->body);
  put_optional(body, "content_type", type, true);
  put_optional(body, "annotations", ask->annotations, false);
  msgpack_put_text(body, TEXT("priority"));
  msgpack_put_text(body, text_of(priorities[ask->priority <= ASK_BATCH ? ask->priority : ASK_NORMAL]));
  msgpack_put_text(body, TEXT("idempotent"));
  msgpack_put_bool(body, ask->idempotent);
  if (patience_us > 0) {
    msgpack_put_text(body, TEXT("deadline_us"));
    msgpack_put_uint(body, patience_us);
  }
}

/* --- begun, taken back --- */

static void on_begin(void *userdata) {
  Waiting *waiting = userdata;

  client_did(waiting->client);
  list_push(&waiting->client->durables, &waiting->in_client);
  ask(waiting);
}

static Waiting *new_waiting(Client *client, RequestId id, uint64_t deadline_us, const DurableHandler *handler) {
  Waiting *waiting = calloc(1, sizeof *waiting);

  if (!waiting)
    return NULL;
  waiting->client = client;
  waiting->handler = *handler;
  waiting->id = id;
  waiting->asked_us = clock_monotonic_us();
  waiting->due_us = waiting->asked_us + min_u64(deadline_us ? deadline_us : client->deadline_us, LIMIT_DEADLINE_US);
  return waiting;
}

static int begin(Waiting *waiting) {
  int r = client_do(waiting->client, on_begin, waiting);

  if (r < 0) {
    buffer_done(&waiting->wish);
    free(waiting);
  }
  return r;
}

int client_submit(Client *client, const Ask *ask, uint64_t patience_us, const DurableHandler *handler, RequestId *ret) {
  RequestId id = {client->id, atomic_fetch_add_explicit(&client->sequence, 1, memory_order_relaxed) + 1};
  Waiting *waiting;
  int r;

  if (ask->stream)
    return -EINVAL;
  waiting = new_waiting(client, id, ask->deadline_us, handler);
  if (!waiting)
    return -ENOMEM;
  waiting->submits = true;
  put_wish(&waiting->wish, ask, id, patience_us);
  r = begin(waiting);
  if (r == 0 && ret)
    *ret = id;
  return r;
}

int client_await(Client *client, RequestId id, uint64_t deadline_us, const DurableHandler *handler) {
  Waiting *waiting;

  if (!handler->on_end)
    return -EINVAL;
  waiting = new_waiting(client, id, deadline_us, handler);
  return waiting ? begin(waiting) : -ENOMEM;
}

void durable_cancel(Client *client, RequestId id) {
  LIST_EACH (&client->durables, Waiting, in_client, waiting) {
    if (!request_id_equal(waiting->id, id))
      continue;
    waiting->cancelled = true;
    if (request_id_is_none(waiting->asked))
      end_soon(waiting, 0);
    else
      client_cancel(client, waiting->asked);
    return;
  }
}

void durable_done(Client *client) {
  LIST_EACH (&client->durables, Waiting, in_client, waiting)
    end_by_itself(waiting, STATUS_CANCELLED, status_about(STATUS_CANCELLED));
}
