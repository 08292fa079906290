/* Durable requests on the data plane, as bus/broker/keeper-courier.c brings them there: clients inside each broker, one for each
   store that accepts requests, so that an instance sees the same id whoever delivers. They die with their broker. */
#include "tests/sim/two.h"

#include <assert.h>
#include <stdlib.h>

static void say(World *world, Broker *broker, Conn *courier, const Header *header, Bytes body) {
  _cleanup_(buffer_done) Buffer bytes = {0};

  header_encode(header, &bytes);
  core_receive(broker->core, courier->session, body.size ? 2 : 1, buffer_bytes(&bytes), body, NULL,
               broker_now_us(world, broker));
}

static Conn *new_courier(World *world, Broker *broker, ClientId client) {
  Hello hello = {.version = 1,
                 .client = client.value,
                 .agent = TEXT("courier"),
                 .incarnation = broker->incarnation,
                 .has_features = true,
                 .features = FEATURE_CONFIRM};
  _cleanup_(buffer_done) Buffer body = {0};
  Conn *courier = calloc(1, sizeof *courier);

  assert(courier);
  courier->broker = broker->index;
  list_init(&courier->to_broker);
  list_init(&courier->to_peer);
  courier->session = core_connect(broker->core, courier, broker_now_us(world, broker));
  core_trust(courier->session);
  if (contract_encode(CONTRACT(Hello), &hello, &body, NULL) != 0)
    world_fail(world, "HELLO can't be encoded");
  say(world, broker, courier, &(Header){.kind = KIND_HELLO}, buffer_bytes(&body));
  return courier;
}

void couriers_forget(Broker *broker) {
  for (int i = 0; i < BROKERS; i++) {
    if (broker->couriers[i])
      channel_empty(&broker->couriers[i]->to_peer);
    free(TAKE(broker->couriers[i]));
  }
}

/* The checks of executions know a try by its id. */
static void note_try(World *world, const DurableEntry *entry) {
  RequestId id = durable_delivery(entry);
  Ask *try = &world->tries[world->n_tries];

  if (world_find_ask(world, id))
    return;
  if (++world->n_tries > TRIES_MAX)
    world_fail(world, "there are more tries of durable requests than this world is made for");
  *try = (Ask){.id = id, .client = -1, .wish = entry->id.sequence, .once = !entry->idempotent, .orphan = true};
  world_add_ask(world, try);
}

void courier_deliver(World *world, Broker *broker, const DurableAction *action) {
  const DurableEntry *entry = action->entry;
  RequestId id = durable_delivery(entry);
  Conn **courier = &broker->couriers[id.client.value % BROKERS];
  uint64_t body[2] = {id.client.value, id.sequence};
  Header header = {.kind = KIND_REQUEST,
                   .id = id,
                   .attempt = action->attempt,
                   .age_us = min_u64(action->age_us, LIMIT_DEADLINE_US),
                   .deadline_us = action->deadline_us,
                   .flags = entry->idempotent ? FLAG_IDEMPOTENT : 0,
                   .service = text_of(entry->service),
                   .method = text_of(entry->method)};

  note_try(world, entry);
  if (!*courier)
    *courier = new_courier(world, broker, id.client);
  say(world, broker, *courier, &header, (Bytes){(const uint8_t *)body, sizeof body});
}

/* Whether the try is still waited for, here and in this attempt. */
static void answer_ping(World *world, Broker *broker, Conn *courier, const Header *ping) {
  Header pong = {.kind = KIND_PONG, .number = ping->number, .id = ping->id, .attempt = ping->attempt};

  if (!request_id_is_none(ping->id) &&
      !keepers_wait(pairs_keepers(world->pairs), broker->index, ping->id, ping->attempt))
    pong.status = STATUS_STALE;
  say(world, broker, courier, &pong, BYTES_NONE);
}

static void take(World *world, Broker *broker, Conn *courier, const Packet *packet) {
  Header header = packet_read(world, packet);

  if (header.kind == KIND_PING)
    answer_ping(world, broker, courier, &header);
  else if (header.kind == KIND_REPLY || header.kind == KIND_ERROR)
    keepers_answered(pairs_keepers(world->pairs), broker->index, header.id,
                     header.kind == KIND_REPLY ? STATUS_OK : header.status, world->base.now_us);
}

void couriers_run(World *world, Broker *broker) {
  for (int i = 0; i < BROKERS; i++) {
    Conn *courier = broker->couriers[i];
    Packet *packet;

    while (courier && (packet = channel_first(&courier->to_peer))) {
      list_remove(&packet->in_channel); /* more may come behind it meanwhile */
      take(world, broker, courier, packet);
      packet_free(packet);
    }
  }
}
