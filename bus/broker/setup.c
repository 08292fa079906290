#include "bus/broker/setup.h"

#include <stdio.h>

/* One file per node: both brokers of a development machine may share a folder. */
static void set_common(Setup *setup, const Config *config, uint64_t life, const char *node) {
  const ConfigAuthority *from = &config->authority;
  AuthorityOptions *options = &setup->options;

  snprintf(setup->path, sizeof setup->path, "%s/authority-%s.db", config->state_dir, node);
  options->path = setup->path;
  options->life = life;
  options->beat_us = from->beat_ms * US_PER_MS;
  options->pair.vote_us = from->vote_ms * US_PER_MS;
  options->pair.renew_us = from->renew_ms * US_PER_MS;
  options->pair.retry_us = from->retry_ms * US_PER_MS;
  options->pair.late_us = from->late_ms * US_PER_MS;
  options->pair.handover_us = from->handover_ms * US_PER_MS;
}

bool setup_authority(Setup *ret, const Config *config, const char *name, const char *site, uint64_t life) {
  const ConfigAuthority *from = &config->authority;
  bool alone = strcmp(from->node, "alone") == 0;
  AuthorityOptions *options = &ret->options;

  if (strcmp(from->node, "none") == 0)
    return false;
  *ret = (Setup){0};
  options->pair = pair_options_default(strcmp(from->node, "b") == 0 ? PAIR_B : PAIR_A, !alone && from->witness);
  options->pair.alone = alone;
  options->pair.takeover = strcmp(from->takeover, "manual") == 0 ? PAIR_MANUAL : PAIR_AFTER_LEASE;
  options->broker = name;
  options->site = site;
  set_common(ret, config, life, from->node);
  if (alone)
    return true;
  options->listen = from->listen;
  options->peer = from->peer;
  options->witness = from->witness;
  return true;
}

void setup_witness(Setup *ret, const Config *config, uint64_t life) {
  *ret = (Setup){0};
  ret->options.pair = pair_options_default(PAIR_WITNESS, false);
  ret->options.broker = "the witness";
  ret->options.listen = config->authority.witness_listen;
  set_common(ret, config, life, "witness");
}
