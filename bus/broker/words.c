#include "bus/broker/words.h"

#include <stdio.h>
#include <stdlib.h>

static const char *const says[] = {
    [PAIR_SAY_ASK] = "ask",           [PAIR_SAY_GIVE] = "give",   [PAIR_SAY_DENY] = "deny",
    [PAIR_SAY_ANNOUNCE] = "announce", [PAIR_SAY_YIELD] = "yield", [PAIR_SAY_HAND_OVER] = "hand_over"};

static const char *const changes[] = {[PAIR_CLEAR] = "clear", [PAIR_PUT] = "put", [PAIR_DROP] = "drop"};

static void encode(const Contract *contract, const void *value, Buffer *buffer) {
  if (contract_encode(contract, value, buffer, NULL) != 0)
    abort(); /* what the machine says fits its contract */
}

static void encode_lease(const PairMessage *message, Buffer *buffer) {
  const Lease *lease = &message->lease;
  PeerLease body = {.epoch = message->epoch,
                    .position = message->position,
                    .change = text_of(changes[message->change]),
                    .has_name = message->change != PAIR_CLEAR,
                    .name = text_of(lease->name)};

  body.has_holder = body.has_token_epoch = body.has_token_counter = body.has_remaining_us = body.has_may_double =
      body.has_name;
  body.holder = lease->holder.value;
  body.token_epoch = lease->token.epoch;
  body.token_counter = lease->token.counter;
  body.remaining_us = lease->duration_us;
  body.may_double = lease->may_double;
  encode(CONTRACT(PeerLease), &body, buffer);
}

const char *words_encode(const PairMessage *message, Buffer *buffer) {
  PeerVote body = {.epoch = message->epoch,
                   .has_seen = message->seen > 0,
                   .seen = message->seen,
                   .has_life = message->life > 0,
                   .life = message->life,
                   .has_ask_us = message->ask_us > 0,
                   .ask_us = message->ask_us,
                   .has_position = message->position > 0,
                   .position = message->position,
                   .has_wait_us = message->wait_us > 0,
                   .wait_us = message->wait_us,
                   .has_leading = message->leading,
                   .leading = message->leading};

  if (message->kind == PAIR_SAY_REPLICATE) {
    encode_lease(message, buffer);
    return "lease";
  }
  body.say = text_of(says[message->kind]);
  encode(CONTRACT(PeerVote), &body, buffer);
  return "vote";
}

static unsigned find(const char *const *list, size_t n, Text word) {
  unsigned i = 0;

  while (i < n && !(list[i] && text_is(word, list[i])))
    i++;
  return i;
}

static bool decode_vote(Bytes bytes, PairMessage *ret) {
  PeerVote body;

  if (contract_decode(CONTRACT(PeerVote), bytes, NULL, &body, NULL) != 0)
    return false;
  *ret = (PairMessage){.kind = (PairMessageKind)find(says, ELEMENTS(says), body.say),
                       .epoch = body.epoch,
                       .seen = body.seen,
                       .life = body.life,
                       .ask_us = body.ask_us,
                       .position = body.position,
                       .wait_us = body.wait_us,
                       .leading = body.leading};
  return true;
}

static bool decode_lease(Bytes bytes, PairMessage *ret) {
  PeerLease body;

  if (contract_decode(CONTRACT(PeerLease), bytes, NULL, &body, NULL) != 0)
    return false;
  *ret = (PairMessage){.kind = PAIR_SAY_REPLICATE,
                       .epoch = body.epoch,
                       .position = body.position,
                       .change = (PairChange)find(changes, ELEMENTS(changes), body.change),
                       .lease = {.holder = {body.holder},
                                 .token = {body.token_epoch, body.token_counter},
                                 .duration_us = body.remaining_us,
                                 .may_double = body.may_double}};
  snprintf(ret->lease.name, sizeof ret->lease.name, "%.*s", TEXT_ARG(body.name));
  return ret->change == PAIR_CLEAR || body.has_name;
}

bool words_decode(Text kind, Bytes body, PairMessage *ret) {
  PairMessage message;
  bool read = text_is(kind, "vote")    ? decode_vote(body, &message)
              : text_is(kind, "lease") ? decode_lease(body, &message)
                                       : false;

  if (read)
    *ret = message;
  return read;
}
