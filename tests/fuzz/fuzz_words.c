/* Rooms: broker. Messages of the peer link, each a byte for who speaks and what kind it is, a byte for its size, and a body: whatever
   the machine is told, it keeps its own rules. */
#include <stdlib.h>

#include "bus/broker/words.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool truth) {
  if (!truth)
    abort();
}

/* Its epochs are its own, and it says nothing that the codec could not carry. */
static void on_act(void *userdata, const PairAction *action) {
  PairNode node = *(const PairNode *)userdata;
  _cleanup_(buffer_done) Buffer body = {0};
  PairMessage back;

  if (action->kind == PAIR_DO_LEAD)
    must(epoch_is_of(action->epoch, node));
  if (action->kind == PAIR_DO_SEND && action->message->kind != PAIR_SAY_HAVE) /* which the log says */
    must(words_decode(text_of(words_encode(action->message, &body)), buffer_bytes(&body), &back));
}

static void persist(Pair *pair, uint64_t serial, uint64_t now_us) {
  pair_step(pair, &(PairEvent){.kind = PAIR_ON_PERSISTED, .serial = serial}, now_us);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  PairNode node = size > 0 ? (PairNode)(data[0] % 3) : PAIR_A;
  PairOptions options = pair_options_default(node, node != PAIR_WITNESS && size > 1 && data[1] & 1);
  uint64_t now_us = 1000;
  PairSink sink = {on_act, &node};
  Pair *pair;

  pair_new(&pair, &options, &sink);
  pair_step(pair, &(PairEvent){.kind = PAIR_ON_STARTED, .life = 7}, now_us);
  for (size_t at = 2; at + 2 < size;) {
    size_t body = min_u64(data[at + 1], size - at - 2);
    PairMessage message;

    now_us += (uint64_t)data[at] * 10000;
    if (words_decode(data[at] & 4 ? TEXT("lease") : TEXT("vote"), (Bytes){data + at + 2, body}, &message))
      pair_receive(pair, (PairNode)(data[at] & 3), &message, now_us);
    persist(pair, UINT64_MAX, now_us);
    must(pair_until_us(pair) == 0 || pair_until_us(pair) > now_us);
    at += 2 + body;
  }
  pair_destroy(&pair);
  return 0;
}
