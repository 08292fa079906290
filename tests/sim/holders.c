/* Holders of leases, as the client library is one: it counts from when it asked, stops at 0.8, and takes no answer but that to
   its last question. At no moment two of them may believe in the same lease, unless it is marked may_double. */
#include "tests/sim/pairs-internal.h"

enum { SOLO, HUB }; /* HUB may double */

static const char *const names[NAMES] = {"solo", "hub"};

void holders_new(Pairs *pairs) {
  for (int i = 0; i < HOLDERS; i++) {
    pairs->holders[i].clock = (LocalClock){pairs_draw(pairs, 10 * US_PER_S), 990000 + pairs_draw(pairs, 20001)};
    pairs_happen(pairs, HOLDER_ASKS, 0, pairs_draw(pairs, 100000))->holder = i;
  }
}

static Wish choose(Pairs *pairs, const Holding *holding) {
  if (!holding->has)
    return REQUEST;
  return pairs_draw(pairs, pairs->keen) ? RENEW : RELEASE;
}

static void send(Pairs *pairs, const Happening *ask, int at) {
  Happening *h;
  uint64_t at_us;

  if (pairs_draw(pairs, 100) < pairs->loss)
    return;
  h = pairs_happen(pairs, LEASE_ASK, at, pairs_delay_us(pairs));
  at_us = h->at_us;
  *h = *ask;
  h->kind = LEASE_ASK;
  h->node = at;
  h->at_us = at_us;
}

void holders_ask(Pairs *pairs, int i) {
  Holder *holder = &pairs->holders[i];
  int name = (int)pairs_draw(pairs, NAMES);
  Holding *holding = &holder->holdings[name];
  uint64_t now_us = pairs_local_us(pairs, &holder->clock);
  int at = (int)pairs_draw(pairs, 2);

  holding->has = holding->has && now_us < holding->until_us;
  Happening ask = {.holder = i,
                   .name = name,
                   .wish = choose(pairs, holding),
                   .local_us = now_us,
                   .token = holding->token,
                   .duration_us = 200000 + pairs_draw(pairs, 6000000)};
  if (ask.wish == RELEASE)
    holding->has = false;
  ask.number = holding->number = ++holder->numbers;
  send(pairs, &ask, at);
  send(pairs, &ask, 1 - at);
  pairs_happen(pairs, HOLDER_ASKS, 0, 20000 + pairs_draw(pairs, 150000))->holder = i;
}

void holders_on_ask(Pairs *pairs, const Happening *asked) {
  static const PairEventKind kinds[] = {PAIR_ON_LEASE_REQUESTED, PAIR_ON_LEASE_RENEWED, PAIR_ON_LEASE_RELEASED};
  LeaseAsk ask = {.name = text_of(names[asked->name]),
                  .holder = {(uint64_t)asked->holder + 1},
                  .token = asked->token,
                  .duration_us = asked->duration_us,
                  .may_double = asked->name == HUB};

  pairs->asking = asked;
  pairs_give(pairs, asked->node, (PairEvent){.kind = kinds[asked->wish], .lease = &ask});
  pairs->asking = NULL;
}

void holders_on_act(Pairs *pairs, const PairAction *action) {
  const Happening *asked = pairs->asking;
  Happening *h;

  if (action->kind != PAIR_DO_GRANT || pairs_draw(pairs, 100) < pairs->loss)
    return;
  h = pairs_happen(pairs, LEASE_ANSWER, 0, pairs_delay_us(pairs));
  h->holder = asked->holder;
  h->name = asked->name;
  h->wish = asked->wish;
  h->number = asked->number;
  h->local_us = asked->local_us;
  h->token = action->lease->token;
  h->duration_us = action->lease->duration_us;
}

static void check_alone(const Pairs *pairs, int i, int name) {
  for (int other = 0; other < HOLDERS; other++) {
    const Holding *holding = &pairs->holders[other].holdings[name];
    bool has = holding->has && pairs_local_us(pairs, &pairs->holders[other].clock) < holding->until_us;

    pairs_demand(pairs, other == i || !has || name == HUB, "a lease has two holders");
  }
}

/* What a resource would see. */
static void check_token(Pairs *pairs, LeaseToken token) {
  pairs_demand(pairs, token_compare(token, pairs->highest_token) > 0 || pairs->forced,
               "the token of a lease does not rise");
  pairs->highest_token = token;
}

void holders_on_answer(Pairs *pairs, const Happening *answer) {
  Holder *holder = &pairs->holders[answer->holder];
  Holding *holding = &holder->holdings[answer->name];
  uint64_t now_us = pairs_local_us(pairs, &holder->clock);
  uint64_t until_us = lease_holder_until_us(answer->local_us, answer->duration_us);
  bool still = holding->has && now_us < holding->until_us && token_compare(holding->token, answer->token) == 0;

  if (answer->number != holding->number || until_us <= now_us || answer->wish == RELEASE ||
      (answer->wish == RENEW && !still))
    return;
  holding->number = 0;
  check_alone(pairs, answer->holder, answer->name);
  if (answer->wish == REQUEST && answer->name == SOLO)
    check_token(pairs, answer->token);
  pairs->tally.leases += answer->wish == REQUEST;
  pairs->tally.renewals += answer->wish == RENEW;
  holding->has = true;
  holding->token = answer->token;
  holding->until_us = still ? max_u64(holding->until_us, until_us) : until_us;
}
