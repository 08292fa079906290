/* The service `pons.durable`: what clients and people ask. Who waits for the disk, for the other broker or for an end is answered when
   the machine says so. */
#include <stdio.h>
#include <stdlib.h>

#include "bus/broker/keeper-internal.h"
#include "bus/wire/session.h"

enum { CREDIT = 8192 };

typedef enum Waits { FOR_KEPT, FOR_END, FOR_DISK } Waits;

typedef struct Waiter {
  List in_keeper;
  TableLink by_id;
  RequestId id;
  RequestId asker;
  Waits waits;
  uint64_t serial; /* FOR_DISK */
} Waiter;

/* --- answers --- */

static void fail(Keeper *k, RequestId asker, Status status, const char *code, const char *text) {
  _cleanup_(buffer_done) Buffer body = {0};
  ErrorBody error = {.message = text_of(text),
                     .has_origin = true,
                     .origin = text_of(k->options.broker),
                     .has_code = code != NULL,
                     .code = text_of(code)};

  if (contract_encode(CONTRACT(ErrorBody), &error, &body, NULL) != 0)
    abort();
  if (k->core)
    inside_fail(k->service, asker, status, buffer_bytes(&body), loop_now_us(k->loop));
}

void keeper_reply(Keeper *k, RequestId asker, const Contract *contract, const void *value) {
  _cleanup_(buffer_done) Buffer body = {0};
  int r = 0;

  if (contract_encode(contract, value, &body, NULL) != 0)
    abort(); /* what is said here fits its contract */
  if (k->core)
    r = inside_reply(k->service, asker, buffer_bytes(&body), loop_now_us(k->loop));
  if (r == INSIDE_E_NO_WINDOW)
    fail(k, asker, STATUS_TOO_LARGE, NULL, "the answer comes in parts, for which the request needs a window");
  else if (r == INSIDE_E_FULL)
    fail(k, asker, STATUS_OVERLOADED, NULL,
         "large answers are not read yet, as many as there may be; ask again in a moment");
}

void keeper_fail_unknown(Keeper *k, RequestId asker) {
  fail(k, asker, STATUS_REFUSED, "durable_unknown",
       "this broker has no such durable request: it never had, or its end was forgotten after durable.keep_s");
}

static void fail_disk(Keeper *k, RequestId asker) {
  char text[STORE_TEXT_BYTES + 64];

  keeper_count(k, COUNTER_DURABLE_REFUSED, 1);
  snprintf(text, sizeof text, "it can't be written to disk, and is not kept: %s",
           *k->disk ? k->disk : "too much waits to be written; ask again in a moment");
  fail(k, asker, STATUS_FAILED, "no_disk", text);
}

static void reply_kept(Keeper *k, RequestId asker, RequestId id, uint32_t copies) {
  char text[REQUEST_ID_TEXT_SIZE];
  DurableKept kept = {.id = text_of(request_id_format(id, text)), .copies = copies};

  keeper_reply(k, asker, CONTRACT(DurableKept), &kept);
}

static void reply_answer(Keeper *k, RequestId asker, const DurableEntry *entry, Bytes body) {
  DurableAnswer answer = {
      .body = body, .has_content_type = *entry->reply_type != '\0', .content_type = text_of(entry->reply_type)};

  keeper_reply(k, asker, CONTRACT(DurableAnswer), &answer);
}

/* Who asks for a reply that is on its way from the disk. */
typedef struct Ender {
  Keeper *keeper;
  RequestId id;
  RequestId asker;
} Ender;

static void on_reply_read(void *userdata, Block *block, const char *why) {
  Ender *ender = userdata;
  Keeper *k = ender->keeper;
  const DurableEntry *entry = durable_find(k->durable, ender->id);
  char text[STORE_TEXT_BYTES + 64];

  snprintf(text, sizeof text, "done; the reply that was kept can't be read: %s", why);
  if (!entry)
    keeper_fail_unknown(k, ender->asker);
  else if (block)
    reply_answer(k, ender->asker, entry, block_bytes(block));
  else
    fail(k, ender->asker, STATUS_GONE, NULL, text);
  free(ender);
}

static void reply_kept_answer(Keeper *k, RequestId asker, const DurableEntry *entry) {
  Ender *ender = malloc(sizeof *ender);

  if (!ender)
    abort();
  *ender = (Ender){k, entry->id, asker};
  shelf_get(k->shelf, entry->id, SHELF_REPLY, on_reply_read, ender);
}

static void reply_end(Keeper *k, RequestId asker, const DurableEntry *entry) {
  if (entry->state == DURABLE_DROPPED)
    fail(k, asker, STATUS_REFUSED, "durable_dropped", "it was a dead letter, and was given up");
  else if (entry->state == DURABLE_DEAD)
    fail(k, asker, entry->status, "dead_letter", entry->message);
  else if (entry->status != STATUS_OK)
    fail(k, asker, entry->status, NULL, entry->message);
  else if (entry->reply_bytes > 0)
    reply_kept_answer(k, asker, entry);
  else
    reply_answer(k, asker, entry, BYTES_NONE);
}

/* --- who waits --- */

static void drop(Keeper *k, Waiter *waiter) {
  list_remove(&waiter->in_keeper);
  table_remove(&k->waiters_by_id, &waiter->by_id);
  free(waiter);
}

static void wait_for(Keeper *k, RequestId asker, RequestId id, Waits waits) {
  Waiter *waiter = calloc(1, sizeof *waiter);

  if (!waiter)
    abort();
  *waiter = (Waiter){.id = id, .asker = asker, .waits = waits, .serial = k->last_serial};
  list_push(&k->waiters, &waiter->in_keeper);
  table_add(&k->waiters_by_id, &waiter->by_id, request_id_hash(id));
}

/* The next that waits so for this one, or NULL. */
static Waiter *find_waiter(const Keeper *k, RequestId id, Waits waits) {
  for (TableLink *at = table_bucket(&k->waiters_by_id, request_id_hash(id)); at; at = at->next) {
    Waiter *waiter = CONTAINER_OF(at, Waiter, by_id);

    if (waiter->waits == waits && request_id_equal(waiter->id, id))
      return waiter;
  }
  return NULL;
}

void keeper_tell_kept(Keeper *k, const DurableEntry *entry, uint32_t copies) {
  Waiter *waiter;

  while ((waiter = find_waiter(k, entry->id, FOR_KEPT))) {
    if (copies > 0)
      reply_kept(k, waiter->asker, entry->id, copies);
    else
      fail_disk(k, waiter->asker);
    drop(k, waiter);
  }
  while (copies == 0 && (waiter = find_waiter(k, entry->id, FOR_END))) {
    keeper_fail_unknown(k, waiter->asker);
    drop(k, waiter);
  }
}

void keeper_tell_end(Keeper *k, const DurableEntry *entry) {
  Waiter *waiter;

  while ((waiter = find_waiter(k, entry->id, FOR_END))) {
    reply_end(k, waiter->asker, entry);
    drop(k, waiter);
  }
}

void keeper_tell_written(Keeper *k, uint64_t serial) {
  LIST_EACH (&k->waiters, Waiter, in_keeper, waiter) {
    if (waiter->waits != FOR_DISK || waiter->serial > serial)
      continue;
    keeper_reply(k, waiter->asker, CONTRACT(PonsNothing), &(PonsNothing){0});
    drop(k, waiter);
  }
}

void keeper_dismiss(Keeper *k, Status status, const char *code, const char *text) {
  LIST_EACH (&k->waiters, Waiter, in_keeper, waiter) {
    fail(k, waiter->asker, status, code, text);
    drop(k, waiter);
  }
}

static void on_cancel(void *userdata, RequestId asker) {
  Keeper *k = userdata;

  LIST_EACH (&k->waiters, Waiter, in_keeper, waiter) {
    if (!request_id_equal(waiter->asker, asker))
      continue;
    fail(k, asker, STATUS_CANCELLED, NULL, status_about(STATUS_CANCELLED));
    drop(k, waiter);
    return;
  }
}

/* --- submit --- */

static Block *keep(Bytes bytes) {
  return bytes.size > 0 ? block_copy(bytes) : NULL;
}

static uint8_t priority_of(const DurableWish *wish) {
  if (!wish->has_priority)
    return PRIORITY_NORMAL;
  return text_is(wish->priority, "interactive") ? PRIORITY_INTERACTIVE
         : text_is(wish->priority, "batch")     ? PRIORITY_BATCH
                                                : PRIORITY_NORMAL;
}

static DurableEntry entry_of(const Keeper *k, const DurableWish *wish, RequestId id) {
  DurableEntry entry = {.id = id,
                        .idempotent = wish->idempotent,
                        .priority = priority_of(wish),
                        .patience_us = wish->has_deadline_us ? wish->deadline_us : k->options.deadline_us,
                        .body = keep(wish->body),
                        .annotations = keep(wish->annotations)};

  snprintf(entry.service, sizeof entry.service, "%.*s", TEXT_ARG(wish->service));
  snprintf(entry.method, sizeof entry.method, "%.*s", TEXT_ARG(wish->method));
  snprintf(entry.content_type, sizeof entry.content_type, "%.*s", TEXT_ARG(wish->content_type));
  return entry;
}

static void accept(Keeper *k, RequestId asker, const DurableWish *wish, RequestId id) {
  DurableEntry entry = entry_of(k, wish, id);
  int r = durable_accept(k->durable, &entry, keeper_now_us(k));
  uint32_t copies = durable_copies(k->durable, id);

  keeper_settle(k);
  if (r == DURABLE_E_NO_DISK) {
    if (k->shelf && !durable_find(k->durable, id)) /* its body may have been taken when its row was not */
      shelf_drop(k->shelf, id, SHELF_BODY, &k->last_serial);
    fail_disk(k, asker);
  } else if (r == DURABLE_E_FULL) {
    keeper_count(k, COUNTER_DURABLE_REFUSED, 1);
    fail(k, asker, STATUS_LIMIT, "durable_full",
         "as many durable requests are kept as there may be (durable.rows, durable.bytes): look at `pons deadletter "
         "list`");
  } else if (copies > 0) {
    reply_kept(k, asker, id, copies);
  } else {
    wait_for(k, asker, id, FOR_KEPT);
  }
}

static void on_submit(Keeper *k, RequestId asker, const void *request) {
  const DurableWish *wish = request;
  RequestId id = asker;

  if (wish->has_id && request_id_parse(wish->id, &id) < 0)
    fail(k, asker, STATUS_INVALID, "bad_id", "id: wanted 16 hex digits, -, up to 16 hex digits");
  else if (memchr(wish->service.data, '*', wish->service.size))
    fail(k, asker, STATUS_REFUSED, "durable_to_all", "a durable request has one answer: it can't go to SERVICE@*");
  else if (k->core && !core_may_call(k->core, asker.client, wish->service, wish->method))
    fail(k, asker, STATUS_DENIED, "denied", "the key of who asks may not call this method; see `pons keys list`");
  else
    accept(k, asker, wish, id);
}

/* --- one of them --- */

static const DurableEntry *find(const Keeper *k, Text text, RequestId *ret) {
  return request_id_parse(text, ret) == 0 ? durable_find(k->durable, *ret) : NULL;
}

static void on_await(Keeper *k, RequestId asker, const void *request) {
  const DurableAsk *ask = request;
  RequestId id;
  const DurableEntry *entry = find(k, ask->id, &id);

  if (!entry)
    keeper_fail_unknown(k, asker);
  else if (entry->state == DURABLE_DROPPED || durable_has_ended(k->durable, id))
    reply_end(k, asker, entry);
  else
    wait_for(k, asker, id, FOR_END);
}

/* What a person has decided is answered when it is on disk. */
static void answer_hand(Keeper *k, RequestId asker, RequestId id, int r) {
  keeper_settle(k);
  if (r == DURABLE_E_UNKNOWN)
    keeper_fail_unknown(k, asker);
  else if (r == DURABLE_E_NOT_DEAD)
    fail(k, asker, STATUS_REFUSED, "not_dead", "it is no dead letter");
  else if (r != 0 || !k->store)
    fail_disk(k, asker);
  else
    wait_for(k, asker, id, FOR_DISK);
}

static void on_requeue(Keeper *k, RequestId asker, const void *request) {
  const DurableAsk *ask = request;
  RequestId id = {0};
  int r = DURABLE_E_UNKNOWN;

  if (keeper_find_damage(k, ask->id))
    r = DURABLE_E_NOT_DEAD;
  else if (request_id_parse(ask->id, &id) == 0)
    r = durable_requeue(k->durable, id, keeper_now_us(k));
  answer_hand(k, asker, id, r);
}

static void on_drop(Keeper *k, RequestId asker, const void *request) {
  const DurableAsk *ask = request;
  Damage *damage = keeper_find_damage(k, ask->id);
  RequestId id = {0};
  int r = DURABLE_E_UNKNOWN;

  if (damage)
    r = keeper_drop_damage(k, damage);
  else if (request_id_parse(ask->id, &id) == 0)
    r = durable_drop(k->durable, id, keeper_now_us(k));
  answer_hand(k, asker, id, r);
}

/* --- the table --- */

static const struct {
  const char *method;
  void (*answer)(Keeper *keeper, RequestId asker, const void *request);
} methods[] = {
    {"submit", on_submit},   {"await", on_await}, {"list", keeper_list},     {"show", keeper_show},
    {"requeue", on_requeue}, {"drop", on_drop},   {"status", keeper_status},
};

typedef union Question {
  DurableWish wish;
  DurableAsk ask;
  DurableWhich which;
  PonsNothing nothing;
} Question;

static void on_ask(void *userdata, const InsideAsk *ask) {
  const MethodContract *contract = contract_find(ask->service, ask->method);
  char text[CONTRACT_PATH_BYTES + 512 + 4];
  Keeper *k = userdata;
  ContractFault fault;
  Question question;
  size_t row = 0;

  while (row < ELEMENTS(methods) && !text_is(ask->method, methods[row].method))
    row++;
  if (row == ELEMENTS(methods) || !contract) {
    fail(k, ask->id, STATUS_NO_METHOD, NULL, status_about(STATUS_NO_METHOD));
  } else if (contract_decode(contract->request, ask->body, NULL, &question, &fault) == 0) {
    methods[row].answer(k, ask->id, &question);
  } else {
    snprintf(text, sizeof text, "%s: %s", fault.path, fault.message);
    fail(k, ask->id, STATUS_INVALID, NULL, text);
  }
}

void keeper_offer(Keeper *k) {
  static const char *const services[] = {"pons.durable", NULL};
  InsideHandler handler = {.on_ask = on_ask, .on_cancel = on_cancel, .userdata = k};
  InsideOptions options = {.agent = "keeper", .services = services, .credit = CREDIT};

  inside_new(&k->service, &options, &handler);
  inside_enter(k->service, k->insides, k->core, k->options.life, loop_now_us(k->loop));
}
