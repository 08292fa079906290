/* Questions that only the leader can answer, passed on to it. They are bounded, and end when the link does. */
#include <stdlib.h>

#include "bus/broker/authority-internal.h"

enum { RELAYS = 256, PATIENCE_US = 1000000 };

typedef struct Relay {
  List in_authority;
  uint64_t number;
  uint64_t due_us;
  AuthorityAsker asker;
} Relay;

static void drop(Authority *a, Relay *relay) {
  list_remove(&relay->in_authority);
  a->n_relays--;
  free(relay);
}

bool relay_ask(Authority *a, const AuthorityAsk *ask) {
  PeerAsk question = {.number = a->last_relay + 1,
                      .service = ask->service,
                      .method = ask->method,
                      .client = ask->client.value,
                      .body = ask->body};
  _cleanup_(buffer_done) Buffer body = {0};
  Relay *relay;

  if (!a->link || ask->from_peer || !peerlink_is_up(a->link) || peerlink_peer_leads(a->link) == 0 ||
      a->n_relays == RELAYS || contract_encode(CONTRACT(PeerAsk), &question, &body, NULL) != 0)
    return false;
  relay = calloc(1, sizeof *relay);
  if (!relay)
    abort();
  relay->number = ++a->last_relay;
  relay->due_us = loop_now_us(a->loop) + PATIENCE_US;
  relay->asker = authority_asker(ask);
  list_push(&a->relays, &relay->in_authority);
  a->n_relays++;
  peerlink_send(a->link, a->options.pair.node == PAIR_A ? PAIR_B : PAIR_A, "ask", buffer_bytes(&body));
  return true;
}

void relay_take_ask(Authority *a, Bytes body) {
  PeerAsk ask;

  if (contract_decode(CONTRACT(PeerAsk), body, NULL, &ask, NULL) == 0)
    authority_ask(a, &(AuthorityAsk){.from_peer = true,
                                     .number = ask.number,
                                     .client = {ask.client},
                                     .service = ask.service,
                                     .method = ask.method,
                                     .body = ask.body});
}

void relay_take_answer(Authority *a, Bytes body) {
  PeerAnswer answer;

  if (contract_decode(CONTRACT(PeerAnswer), body, NULL, &answer, NULL) != 0 || !a->core)
    return;
  LIST_EACH (&a->relays, Relay, in_authority, relay) {
    if (relay->number != answer.number)
      continue;
    if (answer.status == STATUS_OK)
      inside_reply(a->inside, relay->asker.id, answer.body, loop_now_us(a->loop));
    else
      inside_fail(a->inside, relay->asker.id, (Status)answer.status, answer.body, loop_now_us(a->loop));
    drop(a, relay);
    return;
  }
}

void relay_sweep(Authority *a, uint64_t now_us) {
  LIST_EACH (&a->relays, Relay, in_authority, relay) {
    if (relay->due_us > now_us)
      continue;
    authority_fail_leaderless(a, &relay->asker);
    drop(a, relay);
  }
}
