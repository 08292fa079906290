/* Who leads: a pair of brokers must find each other and agree with its witness. */
#include "bus/config/address-internal.h"
#include "bus/config/whole-internal.h"

static bool is_pair(const ConfigAuthority *authority) {
  return strcmp(authority->node, "a") == 0 || strcmp(authority->node, "b") == 0;
}

/* An address that is connected to for as long as the process lives: no name that somebody has to look up. */
static void check_reached(const Whole *whole, const char *path, const char *endpoint) {
  if (!endpoint)
    return;
  if (!address_is_tcp(endpoint) || !address_is_numeric(address_host(endpoint)) || address_any_port(endpoint) ||
      address_is_all(address_host(endpoint)))
    whole_wrong(whole, path, "'%s' must be tcp://ADDRESS:PORT with the numbers of one machine; a name is not looked up",
                endpoint);
}

static void check_awaited(const Whole *whole, const char *path, const char *endpoint) {
  if (!address_is_tcp(endpoint) || address_any_port(endpoint)) {
    whole_wrong(whole, path, "'%s' must be tcp://ADDRESS:PORT with a port that the others can know", endpoint);
    return;
  }
  if (!address_is_loopback(address_host(endpoint)) && !whole->config->broker.insecure && !whole->config->keys.dir)
    whole_wrong(whole, path,
                "'%s' listens beyond loopback without keys: whoever reaches it could say who leads; use 127.0.0.1, "
                "make keys with `pons keys init`, or set broker.insecure: true if the network is yours alone",
                endpoint);
}

static void check_pair(const Whole *whole) {
  const ConfigAuthority *authority = &whole->config->authority;
  const ConfigBroker *broker = &whole->config->broker;

  check_awaited(whole, "authority.listen", authority->listen);
  for (uint32_t i = 0; i < broker->listen_count; i++)
    if (address_collides(authority->listen, broker->listen[i]))
      whole_wrong(whole, "authority.listen", "'%s' takes the same address as broker.listen[%u]; give it another port",
                  authority->listen, i);
  if (!authority->peer)
    whole_wrong(whole, "authority.peer", "node '%s' needs the other broker's address; name it, or write `node: alone`",
                authority->node);
  else if (address_collides(authority->peer, authority->listen))
    whole_wrong(whole, "authority.peer", "'%s' is this broker's own address; name the other one's", authority->peer);
  if (authority->witness && strcmp(authority->takeover, "after_lease") == 0)
    whole_wrong(whole, "authority.takeover",
                "after_lease is for a pair without a witness: with one everything moves by itself; remove this line");
}

static void check_alone(const Whole *whole) {
  const Config *config = whole->config;

  if (strcmp(config->authority.node, "alone") == 0 &&
      (config->other_broker.endpoints_count || config->other_broker.run))
    whole_wrong(
        whole, "authority.node",
        "'alone' is for one broker, and other_broker names a second: each would lead by itself; write a or b, and "
        "authority.peer");
}

void check_authority(const Whole *whole) {
  const ConfigAuthority *authority = &whole->config->authority;

  check_reached(whole, "authority.peer", authority->peer);
  check_reached(whole, "authority.witness", authority->witness);
  check_awaited(whole, "authority.witness_listen", authority->witness_listen);
  check_alone(whole);
  if (is_pair(authority))
    check_pair(whole);
  if (authority->renew_ms > authority->vote_ms / 3)
    whole_wrong(whole, "authority.renew_ms",
                "is more than a third of authority.vote_ms: a vote would run out unrenewed");
  whole_order(whole, "durable.backoff_longest_ms", whole->config->durable.backoff_longest_ms, false,
              "durable.backoff_ms", whole->config->durable.backoff_ms);
}
