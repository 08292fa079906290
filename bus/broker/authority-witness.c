/* Nobody misses a witness while both brokers live, until one of them dies. So the leader, which asks it with each renewal, says when it has
   not answered for a vote. */
#include "bus/base/log.h"
#include "bus/broker/authority-internal.h"

static void say(Authority *a, uint64_t for_us) {
  if (a->witness.silent)
    log_warning("PONS-WITNESS-SILENT",
                "%s has not heard the witness for %llu ms: nothing changes while both brokers live, and nobody leads "
                "when one is "
                "lost; start it again",
                a->options.broker, (unsigned long long)(for_us / US_PER_MS));
  else
    log_info("PONS-WITNESS-HEARD", "%s hears the witness again", a->options.broker);
}

void witness_on_beat(Authority *a, uint64_t now_us) {
  uint64_t heard_us;
  bool silent;

  if (!a->options.pair.has_witness || !authority_leads(a)) {
    a->witness.asked_us = 0; /* who does not lead does not ask */
    return;
  }
  if (a->witness.asked_us == 0)
    a->witness.asked_us = now_us;
  heard_us = max_u64(peerlink_witness_heard_us(a->link), a->witness.asked_us);
  silent = now_us > heard_us + a->options.pair.vote_us;
  if (silent == a->witness.silent || (!silent && heard_us == a->witness.asked_us))
    return;
  a->witness.silent = silent;
  say(a, now_us - heard_us);
}
