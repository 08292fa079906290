/* Who asks. A client outlives its session by the grace, so that one that comes back finds its answers. */
#include "bus/core/core-internal.h"

#include <stdlib.h>

static uint64_t id_hash(ClientId id) {
  return request_id_hash((RequestId){id, 0});
}

static void on_grace_over(Core *core, Timer *timer, uint64_t now_us);

Client *client_find(const Core *core, ClientId id) {
  for (TableLink *at = table_bucket(&core->clients, id_hash(id)); at; at = at->next) {
    Client *client = CONTAINER_OF(at, Client, link);

    if (client->id.value == id.value)
      return client;
  }
  return NULL;
}

Client *client_ref(Core *core, ClientId id) {
  Client *client = client_find(core, id);

  if (client)
    return client;
  client = calloc(1, sizeof *client);
  if (!client)
    abort();
  client->id = id;
  client->grace.on_due = on_grace_over;
  list_init(&client->requests);
  table_add(&core->clients, &client->link, id_hash(id));
  return client;
}

static void cancel_all(Core *core, Client *client) {
  LIST_EACH (&client->requests, Request, in_client, request) {
    trace_step(core, request, STEP_CLIENT_LOST, NULL, STATUS_OK);
    request_cancel(core, request);
  }
}

/* After the grace its requests go; after a minute more the memory of its losses does. */
static void on_grace_over(Core *core, Timer *timer, uint64_t now_us) {
  Client *client = CONTAINER_OF(timer, Client, grace);

  cancel_all(core, client);
  if (client->losses > 0 && now_us - client->lost_us < TIME_HORIZON_US &&
      core->clients.size <= 2 * core->options.limits.sessions) {
    core_set_timer(core, timer, client->lost_us + TIME_HORIZON_US);
    return;
  }
  client->losses = 0;
  client_sweep(core, client);
}

void client_lost(Core *core, Client *client, bool clean) {
  client->session = NULL;
  if (clean) {
    cancel_all(core, client);
    client->losses = 0;
    client_sweep(core, client);
  } else {
    core_set_timer(core, &client->grace, core->now_us + TIME_CLIENT_GRACE_US);
  }
}

/* Gives a client that is back what happened while it was away. */
static void settle(Core *core, Request *request) {
  bool comes_again = (request->client->session->features & FEATURE_CONFIRM) && request->n_children == 0;

  if (request->stream_hole && comes_again)
    return; /* it says which part it wants, and may get it from where it is kept */
  if (request->stream_hole && ((request->flags & FLAG_STREAM) || request->n_children > 0)) {
    request_fail(core, request, STATUS_STREAM_LOST, "a part of the stream came while you were away", 0);
  } else if (request->stream_hole) {
    request_fail(core, request, STATUS_GONE, "a part of the reply came while you were away", 0);
  } else if (request->state == REQUEST_ANSWERED) {
    HeldAnswer *held = request->held;

    request_answer(core, request, &held->header, block_bytes(held->body), held->body);
  }
}

void client_attach(Core *core, Client *client, Session *session) {
  client->session = session;
  core_stop_timer(core, &client->grace);
  LIST_EACH (&client->requests, Request, in_client, request)
    settle(core, request);
  once_look_at_all(core, client);
}

void client_sweep(Core *core, Client *client) {
  if (client->session || client->n_requests > 0 || heap_has(&client->grace.entry) || client->losses > 0)
    return;
  table_remove(&core->clients, &client->link);
  free(client);
}
