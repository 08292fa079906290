/* The two bodies with which a session begins. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "bus/base/log.h"
#include "bus/client/client-internal.h"
#include "bus/wire/next.h"

int hello_build(Client *client) {
  HelloCall *calls = client->calls_count ? calloc(client->calls_count, sizeof *calls) : NULL;
  ContractFault fault;
  Hello hello = {
      .version = PROTOCOL_VERSION,
      .has_min_version = true,
      .min_version = PROTOCOL_VERSION_MIN,
      .client = client->id.value,
      .agent = text_of(client->agent),
      .incarnation = client->incarnation_us,
      .has_site = client->site[0] != '\0',
      .site = text_of(client->site),
      .has_library = true,
      .library = text_of(client->library),
      .has_pid = true,
      .pid = (uint64_t)getpid(),
      .has_features = true,
      .features = FEATURE_CONFIRM | (client->has_instance ? FEATURE_PROBE : 0),
      .has_services = client->instance.services_count > 0,
      .services = {client->instance.services, client->instance.services_count},
      .has_calls = client->calls_count > 0,
      .calls = {calls, client->calls_count},
  };
  int r;

  if (client->calls_count && !calls)
    return -ENOMEM;
  for (size_t i = 0; i < client->calls_count; i++)
    calls[i] = (HelloCall){.service = text_of(client->calls[i]->service),
                           .method = text_of(client->calls[i]->method),
                           .has_hash = true,
                           .hash = method_contract_hash(client->calls[i])};
  buffer_clear(&client->hello);
  r = contract_encode(CONTRACT(Hello), &hello, &client->hello, &fault);
  free(calls);
  next_add_field(&client->hello);
  if (r == 0)
    return 0;
  log_debug("PONS-CLIENT-HELLO", "HELLO can't be made: %s %s", fault.path, fault.message);
  return -EINVAL;
}

int hello_read_welcome(Link *link, Bytes body) {
  Block *copy = block_copy(body);
  Welcome welcome;
  int r;

  link->welcome = (Welcome){0};
  arena_clear(&link->welcome_arena);
  r = contract_decode(CONTRACT(Welcome), block_bytes(copy), &link->welcome_arena, &welcome, NULL);
  block_unref(&link->welcome_body);
  link->welcome_body = copy;
  if (r == 0)
    link->welcome = welcome;
  if (NEXT)
    link_send(link, &(Header){.kind = (Kind)KIND_NEXT}, BYTES_NONE, NULL);
  return r;
}
