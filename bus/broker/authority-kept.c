/* The last values of topics, told to the other broker when the link comes up: what was kept while it was down is not known there.
   They go in parts with the beats, so that no beat waits behind all of them. */
#include <stdlib.h>

#include "bus/broker/authority-internal.h"
#include "bus/core/roster.h"

enum { PART_BYTES = 131072, PART_VALUES = 256 };

typedef struct Part {
  Authority *authority;
  uint32_t values;
  size_t bytes;
} Part;

static bool tell(void *userdata, const KeptValue *value) {
  Part *part = userdata;
  Authority *a = part->authority;
  PeerKept kept = {.topic = value->topic,
                   .publisher = value->id.client.value,
                   .sequence = value->id.sequence,
                   .age_us = value->age_us,
                   .has_content_type = value->content_type.size > 0,
                   .content_type = value->content_type,
                   .body = value->body};
  _cleanup_(buffer_done) Buffer body = {0};

  if (part->values == PART_VALUES || part->bytes > PART_BYTES)
    return false;
  if (contract_encode(CONTRACT(PeerKept), &kept, &body, NULL) != 0)
    abort();
  part->values++;
  part->bytes += body.size;
  return peerlink_send(a->link, a->options.pair.node == PAIR_A ? PAIR_B : PAIR_A, "kept", buffer_bytes(&body)) == 0;
}

void keptlink_on_up(Authority *a) {
  a->kept.told = 0;
  a->kept.upto = a->core ? core_kept_serial(a->core) : 0;
}

void keptlink_on_beat(Authority *a, uint64_t now_us) {
  Part part = {.authority = a};

  if (a->core && peerlink_is_up(a->link) && a->kept.told < a->kept.upto)
    a->kept.told = core_tell_kept(a->core, a->kept.told, tell, &part, now_us);
}

void keptlink_take(Authority *a, Bytes body) {
  PeerKept kept;

  if (a->core && contract_decode(CONTRACT(PeerKept), body, NULL, &kept, NULL) == 0)
    core_peer_kept(a->core,
                   &(KeptValue){.id = {{kept.publisher}, kept.sequence},
                                .topic = kept.topic,
                                .content_type = kept.content_type,
                                .body = kept.body,
                                .age_us = kept.age_us},
                   loop_now_us(a->loop));
}
