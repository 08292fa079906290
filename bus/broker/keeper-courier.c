/* Who brings tries to the bus: clients without a connection, one for each client id that tries have. A request that the other broker
   accepted is delivered under that broker's id, so that its instance knows it again, whoever delivers it. */
#include <stdio.h>
#include <stdlib.h>

#include "bus/broker/keeper-internal.h"
#include "bus/wire/session.h"

/* A try that no courier could take: it is answered at the end of the turn, since the machine may not be called from its sink. */
typedef struct Unsent {
  List in_keeper;
  RequestId delivery;
} Unsent;

static Text printable(Text text) {
  for (size_t i = 0; i < text.size; i++)
    if ((unsigned char)text.data[i] < 0x20 || (unsigned char)text.data[i] > 0x7e)
      return TEXT_NONE;
  return text;
}

static void on_answer(void *userdata, const InsideAnswer *answer) {
  Keeper *k = userdata;
  uint64_t now_us = keeper_now_us(k);
  Text message = TEXT_NONE;
  ErrorBody error;

  if (answer->status != STATUS_OK && contract_decode(CONTRACT(ErrorBody), answer->body, NULL, &error, NULL) == 0)
    message = error.message;
  else if (answer->status != STATUS_OK)
    message = text_of(status_about(answer->status));
  durable_answered(k->durable, answer->id, answer->status, message, answer->body, printable(answer->content_type),
                   now_us);
  keeper_settle(k);
}

static bool waits(void *userdata, RequestId id, uint32_t attempt) {
  Keeper *k = userdata;

  keeper_now_us(k);
  return durable_waits(k->durable, id, attempt);
}

static Inside *find_courier(Keeper *k, ClientId client) {
  InsideHandler handler = {.on_answer = on_answer, .waits = waits, .userdata = k};
  InsideOptions options = {.agent = "courier", .client = client};

  for (uint32_t i = 0; i < k->n_couriers; i++)
    if (inside_client(k->couriers[i]).value == client.value)
      return k->couriers[i];
  if (k->n_couriers == COURIERS)
    return NULL;
  inside_new(&k->couriers[k->n_couriers], &options, &handler);
  inside_enter(k->couriers[k->n_couriers], k->insides, k->core, k->options.life, loop_now_us(k->loop));
  return k->couriers[k->n_couriers++];
}

static void put_aside(Keeper *k, RequestId delivery) {
  Unsent *unsent = calloc(1, sizeof *unsent);

  if (!unsent)
    abort();
  unsent->delivery = delivery;
  list_push(&k->unsent, &unsent->in_keeper);
}

/* A try whose body is on its way from the disk. */
typedef struct Delivery {
  Keeper *keeper;
  RequestId id;
  RequestId delivery;
  uint32_t attempt;
  uint64_t age_us;
  uint64_t due_us;
} Delivery;

static void send(Keeper *k, const DurableEntry *entry, const Delivery *delivery, Block *body) {
  uint64_t now_us = loop_now_us(k->loop);
  Inside *courier = find_courier(k, entry->delivery.client);
  Header header = {.kind = KIND_REQUEST,
                   .id = delivery->delivery,
                   .attempt = delivery->attempt,
                   .age_us = delivery->age_us,
                   .deadline_us = max_u64(1, delivery->due_us - min_u64(now_us, delivery->due_us)),
                   .priority = entry->priority,
                   .flags = entry->idempotent ? FLAG_IDEMPOTENT : 0,
                   .service = text_of(entry->service),
                   .method = text_of(entry->method),
                   .content_type = text_of(entry->content_type),
                   .annotations = block_bytes(entry->annotations)};

  keeper_count(k, COUNTER_DURABLE_DELIVERED, 1);
  if (courier)
    inside_send(courier, &header, body, now_us);
  else
    put_aside(k, header.id);
}

/* Nobody waits for a try of which the machine has thought better meanwhile. */
static const DurableEntry *find_waiting(const Delivery *delivery) {
  const Keeper *k = delivery->keeper;

  if (!k->core || !durable_waits(k->durable, delivery->delivery, delivery->attempt))
    return NULL;
  return durable_find(k->durable, delivery->id);
}

/* The other broker has it, or nobody has. While it is away, that is not known. */
static void on_mended(void *userdata, Block *block, const char *why) {
  Delivery *delivery = userdata;
  Keeper *k = delivery->keeper;
  const DurableEntry *entry = find_waiting(delivery);
  char text[STORE_TEXT_BYTES + 64];

  snprintf(text, sizeof text, "its body is damaged on this disk, and %s", why);
  if (entry && block) {
    shelf_put(k->shelf, delivery->id, SHELF_BODY, block, &k->last_serial);
    send(k, entry, delivery, block);
  } else if (entry && k->options.durable.has_peer && !k->linked) {
    durable_answered(k->durable, delivery->delivery, STATUS_UNAVAILABLE, text_of(text), BYTES_NONE, TEXT_NONE,
                     keeper_now_us(k));
  } else if (entry) {
    durable_spoilt(k->durable, delivery->id, text_of(text), keeper_now_us(k));
  }
  free(delivery);
}

static void on_body(void *userdata, Block *block, const char *why) {
  Delivery *delivery = userdata;
  Keeper *k = delivery->keeper;
  const DurableEntry *entry = find_waiting(delivery);
  char room[64];

  if (entry && block && block->size == entry->body_bytes) {
    send(k, entry, delivery, block);
  } else if (entry) {
    keeper_on_damaged(k, shelf_key(delivery->id, SHELF_BODY, room), BYTES_NONE, why);
    keeper_keep_damage(k);
    keeper_mend(k, delivery->id, entry->body_bytes, on_mended, delivery);
    return;
  }
  free(delivery);
}

void keeper_deliver(Keeper *k, const DurableAction *action) {
  const DurableEntry *entry = action->entry;
  Delivery delivery = {.keeper = k,
                       .id = entry->id,
                       .delivery = durable_delivery(entry),
                       .attempt = action->attempt,
                       .age_us = min_u64(action->age_us, LIMIT_DEADLINE_US),
                       .due_us = loop_now_us(k->loop) + action->deadline_us};
  Block *body = entry->body_bytes > 0 ? shelf_find(k->shelf, entry->id, SHELF_BODY) : NULL;
  Delivery *kept;

  if (body || entry->body_bytes == 0) {
    send(k, entry, &delivery, body);
    return;
  }
  kept = malloc(sizeof *kept);
  if (!kept)
    abort();
  *kept = delivery;
  shelf_get(k->shelf, entry->id, SHELF_BODY, on_body, kept);
}

static bool answer_unsent(Keeper *k) {
  bool any = !list_is_empty(&k->unsent);

  LIST_EACH (&k->unsent, Unsent, in_keeper, unsent) {
    list_remove(&unsent->in_keeper);
    durable_answered(k->durable, unsent->delivery, STATUS_UNAVAILABLE,
                     TEXT("requests of more than 16 stores are kept here: this one waits for a restart"), BYTES_NONE,
                     TEXT_NONE, keeper_now_us(k));
    free(unsent);
  }
  return any;
}

bool keeper_turn_couriers(Keeper *k) {
  bool any = answer_unsent(k);

  for (uint32_t i = 0; i < k->n_couriers; i++)
    any = inside_turn(k->couriers[i], loop_now_us(k->loop)) || any;
  return any;
}

void keeper_done_couriers(Keeper *k) {
  for (uint32_t i = 0; i < k->n_couriers; i++)
    inside_destroy(&k->couriers[i]);
  LIST_EACH (&k->unsent, Unsent, in_keeper, unsent)
    free(unsent);
}
