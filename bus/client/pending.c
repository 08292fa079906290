/* Unanswered requests: made on any thread, then kept, sent and ended on the loop's. A Pending is one allocation: what it
   has to say again after a reconnect lies behind it. */
#include <errno.h>
#include <stdlib.h>

#include "bus/client/client-internal.h"

enum { WINDOW_DEFAULT_BYTES = 262144 };

/* --- making --- */

/* Wrong in the request itself: its end, and why. */
static Status check(const Ask *ask, uint64_t deadline_us, const char **ret_message) {
  *ret_message = NULL;
  if (deadline_us > LIMIT_DEADLINE_US)
    return STATUS_NO_DEADLINE;
  if (ask->body.size > LIMIT_REQUEST_BYTES) {
    *ret_message = "the body is over 16 MiB";
    return STATUS_TOO_LARGE;
  }
  if (ask->service.size == 0 || ask->service.size > LIMIT_TARGET_BYTES || !name_is_valid(ask->method)) {
    *ret_message = "not the name of a service, or of a method";
    return STATUS_BAD_NAME;
  }
  if (ask->annotations.size > LIMIT_ANNOTATIONS_BYTES || ask->content_type.size > LIMIT_CONTENT_TYPE_BYTES) {
    *ret_message = "the annotations or the content type are too long";
    return STATUS_TOO_LARGE;
  }
  return STATUS_OK;
}

static Text keep_text(uint8_t **at, Text text) {
  Text kept = {(const char *)*at, text.size};

  if (text.size)
    memcpy(*at, text.data, text.size);
  *at += text.size;
  return kept;
}

static Bytes keep_bytes(uint8_t **at, Bytes bytes) {
  Bytes kept = {*at, bytes.size};

  if (bytes.size)
    memcpy(*at, bytes.data, bytes.size);
  *at += bytes.size;
  return kept;
}

static void on_due(Client *client, ClientTimer *timer, uint64_t now_us);

static void fill(Pending *pending, const Ask *ask, uint64_t deadline_us) {
  static const Priority bands[] = {PRIORITY_NORMAL, PRIORITY_INTERACTIVE, PRIORITY_BATCH};
  const Client *client = pending->client;

  pending->timer.on_due = on_due;
  pending->asked_us = clock_monotonic_us();
  pending->due_us = pending->asked_us + deadline_us;
  pending->asked = 1;
  pending->attempts = ask->attempts ? ask->attempts : client->attempts;
  pending->flags = (ask->stream ? FLAG_STREAM : 0) | (ask->idempotent ? FLAG_IDEMPOTENT : 0);
  pending->priority = (uint8_t)bands[ask->priority <= ASK_BATCH ? ask->priority : ASK_NORMAL];
  pending->manual_window = ask->manual_window;
  pending->window_bytes =
      ask->window_bytes ? (uint32_t)min_u64(ask->window_bytes, LIMIT_STREAM_WINDOW_BYTES) : WINDOW_DEFAULT_BYTES;
  pending->granted_bytes = pending->window_bytes;
  if (ask->trace) {
    pending->trace = *ask->trace;
    pending->has_trace = true;
  }
}

Pending *pending_new(Client *client, const Ask *ask, const AskHandler *handler) {
  uint64_t deadline_us = ask->deadline_us ? ask->deadline_us : client->deadline_us;
  const char *message;
  Status status = check(ask, deadline_us, &message);
  /* What is refused is kept without its parts. */
  static const Ask nothing = {.deadline_us = 1};
  const Ask *kept = status == STATUS_OK ? ask : &nothing;
  bool inline_body = !kept->block && pack_takes(kept->body.size);
  Pending *pending = malloc(sizeof *pending + kept->service.size + kept->method.size + kept->content_type.size +
                            kept->annotations.size + (inline_body ? kept->body.size : 0));
  uint8_t *at;

  if (!pending)
    return NULL;
  *pending = (Pending){.client = client, .handler = *handler, .end_status = status, .end_message = message};
  fill(pending, kept, deadline_us);
  at = pending->tail;
  pending->service = keep_text(&at, kept->service);
  pending->method = keep_text(&at, kept->method);
  pending->content_type = keep_text(&at, kept->content_type);
  pending->annotations = keep_bytes(&at, kept->annotations);
  if (kept->block) {
    pending->block = block_ref(kept->block);
    pending->body = kept->body;
  } else if (inline_body) {
    pending->body = keep_bytes(&at, kept->body);
  } else {
    pending->block = block_copy(kept->body);
    pending->body = block_bytes(pending->block);
  }
  pending->id.client = client->id;
  pending->id.sequence = atomic_fetch_add_explicit(&client->sequence, 1, memory_order_relaxed) + 1;
  pending->first_id = pending->id;
  return pending;
}

void pending_free(Pending *pending) {
  block_unref(&pending->block);
  buffer_done(&pending->reply);
  free(pending);
}

/* --- keeping --- */

Pending *pending_find(Client *client, RequestId id, bool first) {
  uint64_t hash = request_id_hash(id);

  for (TableLink *at = table_bucket(&client->requests, hash); at; at = at->next) {
    Pending *pending = CONTAINER_OF(at, Pending, link);

    if (request_id_equal(pending->id, id))
      return pending;
  }
  if (!first || id.client.value != client->id.value || client->stats.retried == 0)
    return NULL;
  LIST_EACH (&client->unanswered, Pending, in_client, pending) {
    if (request_id_equal(pending->first_id, id))
      return pending;
  }
  return NULL;
}

uint64_t client_kept_max_bytes(const Client *client) {
  const Welcome *said = client->was_home ? &client->was_home->welcome : NULL;

  return said && said->has_kept_max_bytes ? said->kept_max_bytes : LIMIT_CLIENT_BYTES;
}

/* Why there is no room for it, or OK. */
static Status over_quota(const Client *client, const Pending *pending) {
  uint64_t said = client->was_home ? client->was_home->welcome.outstanding_max : 0;
  uint64_t most = said ? said : LIMIT_CLIENT_REQUESTS;

  return client->outstanding >= most || client->kept_bytes + pending->body.size > client_kept_max_bytes(client)
             ? STATUS_QUOTA
             : STATUS_OK;
}

void pending_take(Pending *pending) {
  Client *client = pending->client;

  if (pending->end_status == STATUS_OK)
    pending->end_status = over_quota(client, pending);
  client->stats.asked++;
  client->outstanding++;
  client->kept_bytes += pending->body.size;
  list_push(&client->unanswered, &pending->in_client);
  table_add(&client->requests, &pending->link, request_id_hash(pending->id));
  if (pending->end_status != STATUS_OK) {
    pending_end_soon(pending, pending->end_status, pending->end_message);
    return;
  }
  timer_set(client, &pending->timer, pending->due_us);
  if (client->home)
    pending_send(pending, client->home, pending->asked_us);
}

/* --- sending --- */

/* The body's further pieces. */
static void send_parts(Pending *pending, Link *link) {
  size_t at = LIMIT_BODY_BYTES;
  Header header = {.kind = KIND_CHUNK, .id = pending->id, .attempt = pending->attempt};

  while (at < pending->body.size) {
    size_t size = (size_t)min_u64(pending->body.size - at, LIMIT_BODY_BYTES);

    header.number++;
    header.flags = at + size < pending->body.size ? FLAG_MORE : 0;
    link_send(link, &header, (Bytes){pending->body.data + at, size}, pending->block);
    at += size;
  }
}

void pending_expect(Pending *pending, Link *link) {
  if (pending->at)
    pending->at->outstanding--;
  pending->at = link;
  if (link)
    link->outstanding++;
}

void pending_send(Pending *pending, Link *link, uint64_t now_us) {
  Header header = {
      .kind = KIND_REQUEST,
      .id = pending->id,
      .attempt = pending->attempt,
      .service = pending->service,
      .method = pending->method,
      .deadline_us = pending->due_us > now_us ? pending->due_us - now_us : 1,
      .priority = pending->priority,
      .flags = pending->flags,
      .content_type = pending->content_type,
      .window_bytes = pending->granted_bytes,
      .annotations = pending->annotations,
  };
  Bytes body = pending->body;

  if (pending->attempt == 0)
    pending->sent_us = now_us;
  header.age_us = min_u64(now_us - pending->sent_us, LIMIT_DEADLINE_US);
  header.number = pending->attempt ? pending->number : 0;
  header.execution = pending->execution;
  if (pending->has_trace)
    header.trace = pending->trace;
  if (body.size > LIMIT_BODY_BYTES) {
    header.flags |= FLAG_MORE;
    body.size = LIMIT_BODY_BYTES;
  }
  pending->state = PENDING_SENT;
  pending_expect(pending, link);
  pending->incarnation = link->welcome.incarnation;
  link_send(link, &header, body, pending->block);
  if (pending->body.size > LIMIT_BODY_BYTES)
    send_parts(pending, link);
  link_watch(link, now_us);
}

/* A broker that can't find out what became of an earlier attempt knows nothing of the chunks that have come. */
static bool can_go_on(const Pending *pending, const Link *link) {
  return (link->welcome.features & FEATURE_PROBE) || pending->incarnation == link->welcome.incarnation;
}

void pending_send_again(Pending *pending, Link *link, uint64_t now_us) {
  bool goes_on = can_go_on(pending, link);

  if (pending->pieces > 0 && !goes_on) {
    pending_end_soon(pending, STATUS_STREAM_LOST, NULL);
    return;
  }
  if (!goes_on)
    parts_drop(pending);
  pending->attempt++;
  pending->client->stats.resent++;
  pending_send(pending, link, now_us);
}

/* Sends it if it waits for nothing but a session. */
static void place(Pending *pending, uint64_t now_us) {
  Client *client = pending->client;

  if (pending->state == PENDING_UNSENT)
    pending_send(pending, client->home, now_us);
  else if (pending->state == PENDING_SENT && !pending->at)
    pending_send_again(pending, client->home, now_us);
}

void pending_place(Client *client) {
  uint64_t now_us = clock_monotonic_us();

  LIST_EACH (&client->unanswered, Pending, in_client, pending)
    place(pending, now_us);
}

void pending_await_session(Pending *pending) {
  pending_expect(pending, NULL);
  pending->state = pending->attempt == 0 ? PENDING_UNSENT : PENDING_SENT;
}

void pending_pause(Pending *pending, uint64_t wait_us) {
  pending_expect(pending, NULL);
  pending->state = PENDING_PAUSED;
  timer_set(pending->client, &pending->timer, min_u64(clock_monotonic_us() + wait_us, pending->due_us));
}

void pending_orphan(Link *link) {
  LIST_EACH (&link->client->unanswered, Pending, in_client, pending) {
    if (pending->at == link) {
      pending_expect(pending, NULL);
      pending->refused = 0;
      pending->was_lost = true;
    }
  }
}

/* --- ending --- */

/* Tells the broker that nobody waits any more. */
static void cancel(const Pending *pending) {
  Header header = {.kind = KIND_CANCEL, .id = pending->id, .attempt = pending->attempt};

  if (pending->at)
    link_send(pending->at, &header, BYTES_NONE, NULL);
}

void pending_end(Pending *pending, const Answer *answer) {
  Client *client = pending->client;
  Answer told = *answer;
  uint64_t now_us;

  told.id = pending->id;
  told.attempts = pending->asked;
  told.chunks = pending->pieces;
  now_us = max_u64(loop_now_us(client->loop), pending->asked_us); /* the turn's: exact enough, and free */
  told.took_us = now_us - pending->asked_us;
  timer_stop(client, &pending->timer);
  pending_expect(pending, NULL);
  table_remove(&client->requests, &pending->link);
  list_remove(&pending->in_client);
  client->outstanding--;
  client->kept_bytes -= pending->body.size;
  client->reply_bytes -= pending->reply.size;
  client->stats.answered++;
  if (pending->handler.on_end)
    pending->handler.on_end(pending->handler.userdata, &told);
  pending_free(pending);
  if (client->outstanding == 0)
    move_look(client);
}

void pending_end_soon(Pending *pending, Status status, const char *message) {
  pending_expect(pending, NULL);
  pending->state = PENDING_ENDING;
  pending->end_status = status;
  pending->end_message = message;
  timer_set(pending->client, &pending->timer, 0);
}

static void end_with(Pending *pending, Status status, const char *message) {
  pending_end(pending, &(Answer){.status = status, .message = text_of(message ? message : status_about(status))});
}

/* The next attempt, under a new id. */
static void ask_again(Pending *pending, uint64_t now_us) {
  Client *client = pending->client;

  parts_drop(pending);
  table_remove(&client->requests, &pending->link);
  pending->id.sequence = atomic_fetch_add_explicit(&client->sequence, 1, memory_order_relaxed) + 1;
  table_add(&client->requests, &pending->link, request_id_hash(pending->id));
  pending->attempt = 0;
  pending->refused = 0;
  pending->was_lost = false;
  pending->asked++;
  pending->state = PENDING_UNSENT;
  client->stats.retried++;
  timer_set(client, &pending->timer, pending->due_us);
  if (client->home)
    pending_send(pending, client->home, now_us);
}

static void on_deadline(Pending *pending) {
  if (pending->state == PENDING_UNSENT)
    end_with(pending, STATUS_UNAVAILABLE, NULL);
  else if (!pending->at && !(pending->flags & FLAG_IDEMPOTENT))
    end_with(pending, STATUS_UNKNOWN, "the session was lost and no other was there before the deadline");
  else
    end_with(pending, STATUS_DEADLINE, NULL);
}

/* The pause is over, or the deadline has come. */
static void resume(Pending *pending, uint64_t now_us) {
  pending_await_session(pending);
  if (now_us >= pending->due_us) {
    on_deadline(pending);
    return;
  }
  timer_set(pending->client, &pending->timer, pending->due_us);
  if (pending->client->home)
    place(pending, now_us);
}

static void on_due(Client *client, ClientTimer *timer, uint64_t now_us) {
  Pending *pending = CONTAINER_OF(timer, Pending, timer);

  (void)client;
  switch (pending->state) {
  case PENDING_WAITING:
    ask_again(pending, now_us);
    break;
  case PENDING_PAUSED:
    resume(pending, now_us);
    break;
  case PENDING_ENDING:
    end_with(pending, pending->end_status, pending->end_message);
    break;
  case PENDING_UNSENT:
  case PENDING_SENT:
  default:
    on_deadline(pending);
    break;
  }
}

void pending_cancel(Pending *pending, Status status, const char *message) {
  if (pending->state == PENDING_SENT)
    cancel(pending);
  if (pending->state != PENDING_ENDING)
    pending_end_soon(pending, status, message);
}

void pending_end_all(Client *client) {
  Pending *pending;

  while ((pending = LIST_FIRST(&client->unanswered, Pending, in_client)))
    end_with(pending, STATUS_CANCELLED, "the client was closed");
}
