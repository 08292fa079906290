#include <stdlib.h>

#include "bus/broker/authority-internal.h"

static void send_answer(Authority *a, const AuthorityAsker *asker, Status status, Bytes body) {
  PeerAnswer answer = {.number = asker->number, .status = status, .body = body};
  _cleanup_(buffer_done) Buffer buffer = {0};

  if (asker->from_peer) {
    if (a->link && contract_encode(CONTRACT(PeerAnswer), &answer, &buffer, NULL) == 0)
      peerlink_send(a->link, a->options.pair.node == PAIR_A ? PAIR_B : PAIR_A, "answer", buffer_bytes(&buffer));
  } else if (!a->core) {
    return; /* the process ends */
  } else if (status == STATUS_OK) {
    inside_reply(a->inside, asker->id, body, loop_now_us(a->loop));
  } else {
    inside_fail(a->inside, asker->id, status, body, loop_now_us(a->loop));
  }
}

void authority_reply(Authority *a, const AuthorityAsker *asker, const Contract *contract, const void *value) {
  _cleanup_(buffer_done) Buffer body = {0};

  if (contract_encode(contract, value, &body, NULL) != 0)
    abort(); /* what is said here fits its contract */
  send_answer(a, asker, STATUS_OK, buffer_bytes(&body));
}

void authority_fail(Authority *a, const AuthorityAsker *asker, Status status, const char *code, uint64_t retry_after_us,
                    const char *text) {
  _cleanup_(buffer_done) Buffer body = {0};
  ErrorBody error = {.message = text_of(text),
                     .has_retry_after_us = retry_after_us > 0,
                     .retry_after_us = retry_after_us,
                     .has_origin = true,
                     .origin = text_of(a->options.broker),
                     .has_code = code != NULL,
                     .code = text_of(code)};

  if (contract_encode(CONTRACT(ErrorBody), &error, &body, NULL) != 0)
    abort();
  send_answer(a, asker, status, buffer_bytes(&body));
}

void authority_fail_leaderless(Authority *a, const AuthorityAsker *asker) {
  uint64_t retry_us = pair_ask_again_us(a->pair, LEASE_NOT_LEADER, NULL, loop_now_us(a->loop));

  authority_fail(a, asker, STATUS_UNAVAILABLE, "no_leader", retry_us,
                 "nobody leads whom this broker could ask: wait, or look at `pons lead`");
}
