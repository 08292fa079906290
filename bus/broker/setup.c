#include "bus/broker/setup.h"

#include <stdio.h>

#include "bus/config/keyring.h"

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

/* Requests that outlive a broker are no part of authority's file: what is wrong with one is not wrong with the other. */
static void set_durable(Setup *setup, const Config *config, const char *node) {
  const ConfigDurable *from = &config->durable;
  KeeperOptions *keeper = &setup->options.keeper;

  snprintf(setup->durable_path, sizeof setup->durable_path, "%s/durable-%s.db", config->state_dir, node);
  keeper->path = setup->durable_path;
  keeper->broker = setup->options.broker;
  keeper->life = setup->options.life;
  keeper->deadline_us = from->deadline_s * US_PER_S;
  keeper->durable = durable_options_default();
  keeper->durable.has_peer = setup->options.peer != NULL;
  keeper->durable.rows = from->rows;
  keeper->durable.bytes = from->bytes;
  keeper->durable.attempts = from->attempts;
  keeper->durable.backoff_us = from->backoff_ms * US_PER_MS;
  keeper->durable.backoff_longest_us = from->backoff_longest_ms * US_PER_MS;
  keeper->durable.attempt_us = from->attempt_ms * US_PER_MS;
  keeper->durable.keep_us = from->keep_s * US_PER_S;
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
  options->listen = alone ? NULL : from->listen;
  options->peer = alone ? NULL : from->peer;
  options->witness = alone ? NULL : from->witness;
  set_durable(ret, config, from->node);
  return true;
}

void setup_witness(Setup *ret, const Config *config, uint64_t life) {
  *ret = (Setup){0};
  ret->options.pair = pair_options_default(PAIR_WITNESS, false);
  ret->options.broker = "the witness";
  ret->options.listen = config->authority.witness_listen;
  set_common(ret, config, life, "witness");
}

static int find_key(const Admission *admission, const char *name, PublicKey *ret, Buffer *errors) {
  if (admission_find(admission, name, ret) == 0)
    return 0;
  buffer_printf(
      errors,
      "keys.yaml: has no key %s, with whom this broker is to talk; `pons config check` says how to come by it\n", name);
  return ADMISSION_E_KEYS;
}

int setup_keys(Setup *setup, const Config *config, Admission *admission, const char *name, Buffer *errors) {
  AuthorityOptions *options = &setup->options;
  bool is_other = strcmp(name, config->other_broker.name) == 0;
  char peer[KEYRING_NAME_SIZE];
  int r = 0;

  options->key = admission_key(admission);
  options->gate = admission_peer_gate(admission);
  if (options->peer)
    r = find_key(admission, keyring_broker_name(is_other ? config->broker.name : config->other_broker.name, peer),
                 &options->peer_key, errors);
  if (r == 0 && options->witness)
    r = find_key(admission, KEYRING_WITNESS, &options->witness_key, errors);
  return r;
}
