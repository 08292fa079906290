#include "bus/broker/durable-words.h"

#include <stdio.h>
#include <stdlib.h>

#include "bus/wire/peer.h"

static const char *const states[] = {[DURABLE_WAITING] = "waiting",
                                     [DURABLE_BEGUN] = "begun",
                                     [DURABLE_DONE] = "done",
                                     [DURABLE_DEAD] = "dead",
                                     [DURABLE_DROPPED] = "dropped"};

void durable_words_encode(const DurableEntry *entry, Bytes body, Bytes reply, Buffer *buffer) {
  PeerDurable row = {.client = entry->id.client.value,
                     .sequence = entry->id.sequence,
                     .delivery_client = entry->delivery.client.value,
                     .delivery_sequence = entry->delivery.sequence,
                     .state = text_of(states[entry->state]),
                     .has_idempotent = entry->idempotent,
                     .idempotent = entry->idempotent,
                     .priority = entry->priority,
                     .status = entry->status,
                     .round = entry->round,
                     .tries = entry->tries,
                     .attempts = entry->attempts,
                     .accepted_us = entry->accepted_us,
                     .since_us = entry->since_us,
                     .expires_us = entry->expires_us,
                     .patience_us = entry->patience_us,
                     .has_ended_us = entry->ended_us > 0,
                     .ended_us = entry->ended_us,
                     .service = text_of(entry->service),
                     .method = text_of(entry->method),
                     .content_type = text_of(entry->content_type),
                     .reply_type = text_of(entry->reply_type),
                     .message = text_of(entry->message),
                     .has_body_bytes = entry->body_bytes > 0,
                     .body_bytes = entry->body_bytes,
                     .has_reply_bytes = entry->reply_bytes > 0,
                     .reply_bytes = entry->reply_bytes,
                     .body = body,
                     .annotations = block_bytes(entry->annotations),
                     .reply = reply};

  row.has_content_type = row.content_type.size > 0;
  row.has_reply_type = row.reply_type.size > 0;
  row.has_message = row.message.size > 0;
  row.has_body = row.body.size > 0;
  row.has_annotations = row.annotations.size > 0;
  row.has_reply = row.reply.size > 0;
  if (contract_encode(CONTRACT(PeerDurable), &row, buffer, NULL) != 0)
    abort(); /* the machine keeps nothing that does not fit */
}

static DurableState state_of(Text word) {
  unsigned i = 0;

  while (i < ELEMENTS(states) - 1 && !text_is(word, states[i]))
    i++;
  return (DurableState)i;
}

static void put(char *room, size_t room_bytes, Text text) {
  snprintf(room, room_bytes, "%.*s", TEXT_ARG(text));
}

static uint32_t size_of(bool is_said, uint64_t size, Bytes bytes) {
  return (uint32_t)(is_said ? size : bytes.size);
}

static Block *keep(Bytes bytes) {
  return bytes.size ? block_copy(bytes) : NULL;
}

bool durable_words_decode(Bytes bytes, DurableEntry *ret) {
  PeerDurable row;

  if (contract_decode(CONTRACT(PeerDurable), bytes, NULL, &row, NULL) != 0)
    return false;
  if ((row.body.size > 0 && row.has_body_bytes && row.body_bytes != row.body.size) ||
      (row.reply.size > 0 && row.has_reply_bytes && row.reply_bytes != row.reply.size))
    return false;
  *ret = (DurableEntry){.id = {{row.client}, row.sequence},
                        .delivery = {{row.delivery_client}, row.delivery_sequence},
                        .state = state_of(row.state),
                        .idempotent = row.idempotent,
                        .priority = (uint8_t)row.priority,
                        .status = (Status)row.status,
                        .round = (uint32_t)row.round,
                        .tries = (uint32_t)row.tries,
                        .attempts = (uint32_t)row.attempts,
                        .accepted_us = row.accepted_us,
                        .since_us = row.since_us,
                        .expires_us = row.expires_us,
                        .patience_us = row.patience_us,
                        .ended_us = row.ended_us,
                        .body_bytes = size_of(row.has_body_bytes, row.body_bytes, row.body),
                        .reply_bytes = size_of(row.has_reply_bytes, row.reply_bytes, row.reply),
                        .body = keep(row.body),
                        .annotations = keep(row.annotations),
                        .reply = keep(row.reply)};
  put(ret->service, sizeof ret->service, row.service);
  put(ret->method, sizeof ret->method, row.method);
  put(ret->content_type, sizeof ret->content_type, row.content_type);
  put(ret->reply_type, sizeof ret->reply_type, row.reply_type);
  put(ret->message, sizeof ret->message, row.message);
  return true;
}
