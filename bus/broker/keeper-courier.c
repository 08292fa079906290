/* Who brings tries to the bus: clients without a connection, one for each client id that tries have. A request that the other broker
   accepted is delivered under that broker's id, so that its instance knows it again, whoever delivers it. */
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

void keeper_deliver(Keeper *k, const DurableAction *action) {
  const DurableEntry *entry = action->entry;
  Inside *courier = find_courier(k, entry->delivery.client);
  Header header = {.kind = KIND_REQUEST,
                   .id = durable_delivery(entry),
                   .attempt = action->attempt,
                   .age_us = min_u64(action->age_us, LIMIT_DEADLINE_US),
                   .deadline_us = action->deadline_us,
                   .priority = entry->priority,
                   .flags = entry->idempotent ? FLAG_IDEMPOTENT : 0,
                   .service = text_of(entry->service),
                   .method = text_of(entry->method),
                   .content_type = text_of(entry->content_type),
                   .annotations = block_bytes(entry->annotations)};

  keeper_count(k, COUNTER_DURABLE_DELIVERED, 1);
  if (courier)
    inside_send(courier, &header, block_bytes(entry->body), loop_now_us(k->loop));
  else
    put_aside(k, header.id);
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
