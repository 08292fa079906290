/* What comes back for a request: its end or another try, and pieces of its stream. */
#include "bus/client/client-internal.h"

/* So often it is sent on at once: both brokers may be replaced in turn. Who is turned away more often waits in between, so that brokers
   that come and go are not asked as fast as they do. */
enum { TURNED_AWAY_MAX = 2 };

static void read_error(const Message *message, Answer *answer) {
  ErrorBody body = {.message = TEXT_NONE};

  if (message->body.size == 0 || contract_decode(CONTRACT(ErrorBody), message->body, NULL, &body, NULL) != 0 ||
      body.message.size == 0)
    body.message = text_of(status_about(answer->status));
  answer->message = body.message;
  answer->path = body.path;
  answer->origin = body.origin;
  answer->code = body.code;
  answer->http_status = (unsigned)body.http_status;
  answer->retry_after_us = body.retry_after_us;
}

/* Puts the request to wait for its next attempt, if that is allowed and makes sense before the deadline. */
static bool try_again(Pending *pending, const Answer *answer) {
  Client *client = pending->client;
  uint64_t at_us;

  if (pending->asked >= pending->attempts || pending->pieces > 0 || !retry_has_budget(&client->budget) ||
      !retry_may(answer->status, (pending->flags & FLAG_IDEMPOTENT) != 0, pending->was_lost))
    return false;
  at_us = clock_monotonic_us() + retry_wait_us(pending->asked, answer->retry_after_us, client_random(client));
  if (at_us >= pending->due_us)
    return false;
  pending->state = PENDING_WAITING;
  pending_expect(pending, NULL);
  timer_set(client, &pending->timer, at_us);
  return true;
}

/* What one broker can't take now, the other may: these are the end when both have said so. An instance that one has lost may
   still be with the other, which asks it whether it has the request; if nobody can know, that one says UNKNOWN. */
static bool ask_other(Pending *pending, const Link *from, Status status) {
  bool is_lost = status == STATUS_WORKER_LOST && pending->pieces == 0 && pending->number == 0;
  Link *other = move_other(from);

  if (!is_lost && status != STATUS_NO_SERVICE && status != STATUS_OVERLOADED && status != STATUS_OTHER_BROKER)
    return false;
  pending->refused |= (uint8_t)(1u << link_index(from));
  if (!other || pending->refused & 1u << link_index(other))
    return false;
  pending->was_lost |= is_lost;
  pending_send_again(pending, other, clock_monotonic_us());
  return true;
}

/* A broker that is stopping, and was sent this before it could be known, has not begun it: whoever is there next is asked, as for what
   is new. It is no retry: nobody has tried. */
static bool await_next(Pending *pending, const Link *from, Status status) {
  Link *other = move_other(from);

  if (status != STATUS_DRAINING || !from->going_away || pending->pieces > 0)
    return false;
  if (++pending->turned_away > TURNED_AWAY_MAX)
    pending_pause(pending, retry_wait_us(pending->turned_away - TURNED_AWAY_MAX, 0, client_random(pending->client)));
  else if (other)
    pending_send_again(pending, other, clock_monotonic_us());
  else
    pending_await_session(pending);
  return true;
}

/* A request that was sent more than once may have been begun the first time, whatever the second was told by a broker that
   does not find out. */
static void doubt(const Pending *pending, const Link *link, Answer *answer) {
  Retry retry = status_retry(answer->status);

  if (!pending->was_lost || (link->welcome.features & FEATURE_PROBE) || (pending->flags & FLAG_IDEMPOTENT) ||
      (retry != RETRY_KNOWN && retry != RETRY_LATER))
    return;
  answer->status = STATUS_UNKNOWN;
  answer->message = TEXT("the session was lost after it was asked, and now it can't be asked again");
}

/* Whether a REPLY is of the execution that the chunks are of. Another may have made as many, and others. */
static bool is_of_it(const Pending *pending, const Header *reply) {
  return !reply->execution || !pending->execution || reply->execution == pending->execution;
}

/* A REPLY: whole, with all chunks that the broker passed on before it. */
static void end_with_reply(Pending *pending, const Message *message, Answer *answer) {
  _cleanup_(block_unref) Block *block = NULL;
  const char *why;

  if (message->header.number > pending->number || !is_of_it(pending, &message->header)) {
    answer->status = parts_missing(pending, &why);
    answer->message = text_of(why);
  } else if (pending->reply.size + message->body.size > LIMIT_REPLY_BYTES) {
    answer->status = STATUS_TOO_LARGE;
    answer->message = TEXT("the reply is over 16 MiB");
  } else {
    answer->body = parts_join(pending, message->body, message->block, &block);
    answer->block = block;
  }
  pending_end(pending, answer);
}

/* A reply counts wherever it comes from if all that came before it is here: the first is the answer. What goes wrong with
   an attempt that is not the last does not. */
static bool counts(const Pending *pending, const Link *link, const Header *header) {
  bool is_reply = header->kind == KIND_REPLY;

  if (!pending || (pending->state != PENDING_SENT && pending->state != PENDING_PAUSED))
    return false;
  if (is_reply && header->number == pending->number && is_of_it(pending, header))
    return true;
  if (header->attempt < pending->attempt && (is_reply || header->attempt > 0))
    return false;
  return pending->at == link;
}

bool pending_answer(Link *link, const Message *message) {
  Client *client = link->client;
  Pending *pending = pending_find(client, message->header.id, false);
  Answer answer = {
      .status = message->header.kind == KIND_REPLY ? STATUS_OK : message->header.status,
      .content_type = message->header.content_type,
      .annotations = message->header.annotations,
  };

  if (!counts(pending, link, &message->header))
    return false;
  if (message->header.kind != KIND_REPLY && answer.status == STATUS_OK)
    answer.status = STATUS_INTERNAL; /* an error without a status that we know as one */
  if (ask_other(pending, link, answer.status) || await_next(pending, link, answer.status))
    return true;
  retry_count(&client->budget, answer.status);
  if (answer.status == STATUS_OK) {
    end_with_reply(pending, message, &answer);
    return true;
  }
  read_error(message, &answer);
  if (try_again(pending, &answer))
    return true;
  doubt(pending, link, &answer);
  pending_end(pending, &answer);
  return true;
}

/* --- streams --- */

/* Opens the window when half of it is used up. */
static void grant(Pending *pending) {
  uint64_t highest = pending->consumed_bytes + pending->window_bytes;
  Header header = {.kind = KIND_WINDOW,
                   .id = pending->id,
                   .attempt = pending->attempt,
                   .number = pending->number,
                   .window_bytes = highest};

  if (highest - pending->granted_bytes < pending->window_bytes / 2 + 1 || pending->state != PENDING_SENT)
    return;
  pending->granted_bytes = highest;
  if (pending->at)
    link_send(pending->at, &header, BYTES_NONE, NULL);
}

void pending_consumed(Pending *pending, uint64_t bytes) {
  pending->consumed_bytes = min_u64(pending->consumed_bytes + bytes, pending->received_bytes);
  grant(pending);
}

/* The text under `instance` in the annotations of a collected answer. */
static Text find_instance(Bytes annotations) {
  MsgpackReader reader = msgpack_reader(annotations);
  uint32_t pairs = 0;
  Text key;
  Text value;

  if (msgpack_get_map(&reader, &pairs) != 0)
    return TEXT_NONE;
  for (uint32_t i = 0; i < pairs; i++) {
    if (msgpack_get_text(&reader, &key) != 0)
      return TEXT_NONE;
    if (text_is(key, "instance") && msgpack_get_text(&reader, &value) == 0)
      return value;
    if (msgpack_skip(&reader) != 0)
      return TEXT_NONE;
  }
  return TEXT_NONE;
}

static void tell(Pending *pending, const Message *message) {
  const Header *header = &message->header;
  bool collect = (header->flags & FLAG_COLLECT) != 0;
  AskChunk chunk = {
      .id = pending->first_id,
      .number = pending->pieces++,
      .body = message->body,
      .block = message->block,
      .is_collect = collect,
      .status = header->status,
      .instance = collect ? find_instance(header->annotations) : TEXT_NONE,
      .annotations = header->annotations,
  };

  pending->number++;
  if (pending->handler.on_chunk)
    pending->handler.on_chunk(pending->handler.userdata, &chunk);
}

bool pending_chunk(Link *link, const Message *message) {
  const Header *header = &message->header;
  bool is_part = (header->flags & FLAG_PART) != 0;
  Pending *pending = pending_find(link->client, header->id, false);
  const char *why;

  if (!pending || pending->state != PENDING_SENT || pending->at != link || header->attempt < pending->attempt)
    return false;
  if (header->flags & FLAG_COLLECT) {
    tell(pending, message);
    return true;
  }
  if (!(pending->flags & FLAG_STREAM) && !is_part)
    return false;
  if (header->number < pending->number)
    return false;
  if (header->number > pending->number) {
    Status status = parts_missing(pending, &why);

    pending_cancel(pending, status, why);
    return true;
  }
  if (header->number == 0)
    pending->execution = header->execution;
  pending->received_bytes += message->body.size;
  if (is_part)
    parts_take(pending, message->body);
  else
    tell(pending, message);
  if (!pending->manual_window || is_part)
    pending_consumed(pending, message->body.size);
  return true;
}
