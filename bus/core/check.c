/* The invariants of the core's memory, spelled out, for tests and the simulator. */
#include "bus/core/core-internal.h"

#include <stdio.h>
#include <stdlib.h>

#define REQUIRE(condition, sentence)                                                                                   \
  do {                                                                                                                 \
    if (!(condition)) {                                                                                                \
      fprintf(stderr, "core_check: %s\n", sentence);                                                                   \
      abort();                                                                                                         \
    }                                                                                                                  \
  } while (0)

static uint32_t count_queue(const Queue *queue) {
  uint32_t n = 0;

  for (int band = 0; band < PRIORITY_END; band++)
    LIST_EACH (&queue->bands[band], Request, in_holder, request) {
      REQUIRE(request->queue == queue && request->state == REQUEST_QUEUED, "a queued request knows its queue");
      REQUIRE(!request->worker, "a queued request has no worker");
      n++;
    }
  REQUIRE(n == queue->size, "a queue counts its requests");
  return n;
}

static uint32_t check_session(const Session *session) {
  uint32_t n = 0;

  LIST_EACH (&session->executing, Request, in_holder, request) {
    REQUIRE(request->worker == session && request->offer->session == session, "an executing request knows its worker");
    REQUIRE(request->state == REQUEST_EXECUTING || request->state == REQUEST_CANCELLED, "what executes says so");
    n++;
  }
  REQUIRE(n == session->n_executing, "an instance counts what it executes");
  REQUIRE(session->has_room == (session->ready && !session->draining && !session->suspect && n < session->credit),
          "room is what credit leaves");
  REQUIRE(heap_has(&session->timer.entry), "a session is looked after");
  return count_queue(&session->pinned);
}

static uint64_t check_client(const Client *client, uint32_t *unanswered) {
  uint64_t kept = 0;
  uint32_t n = 0;

  LIST_EACH (&client->requests, Request, in_client, request) {
    REQUIRE(request->client == client && !request->parent, "an unanswered request knows its client");
    REQUIRE(heap_has(&request->deadline.entry), "an unanswered request has a deadline");
    REQUIRE(request->state != REQUEST_CANCELLED, "a cancelled request has left its client");
    REQUIRE((request->state == REQUEST_QUEUED) == (request->queue != NULL), "who waits is in a queue");
    REQUIRE((request->state == REQUEST_EXECUTING) == (request->worker != NULL), "who executes has a worker");
    REQUIRE((request->state == REQUEST_PROBING) == (request->probing != NULL), "who is asked for says so");
    REQUIRE((request->state == REQUEST_ANSWERED) == (request->held != NULL), "a held answer is there");
    REQUIRE(request->state != REQUEST_COLLECTING || request->n_answered < request->n_children, "collecting goes on");
    kept += request->kept_bytes;
    n++;
  }
  REQUIRE(n == client->n_requests, "a client counts its requests");
  REQUIRE(kept == client->kept_bytes, "a client counts its kept bytes");
  *unanswered += n;
  return kept;
}

/* Whoever is first in a band waits because nobody can take it. */
static void check_heads(const Core *core, const Service *service) {
  for (int band = 0; band < PRIORITY_END; band++) {
    const Request *head = LIST_FIRST(&service->queue.bands[band], Request, in_holder);

    REQUIRE(!head || !dispatch_can_be_taken(core, head), "nobody waits whom somebody can take");
  }
}

static void check_service(const Service *service) {
  uint32_t n_free = 0;

  for (uint32_t i = 0; i < service->n_offers; i++) {
    REQUIRE(service->offers[i]->service == service, "an offer knows its service");
    n_free += service->offers[i]->session->has_room && service->offers[i]->weight > 0;
  }
  REQUIRE(n_free == service->n_free, "a service counts who has room");
  REQUIRE(service->n_offers > 0 || service->queue.size == 0, "nothing waits for a service without instances");
}

void core_check(const Core *core, uint64_t now_us) {
  uint32_t queued = 0;
  uint32_t sessions = 0;
  uint32_t unanswered = 0;
  uint32_t requests = 0;
  uint64_t kept = 0;

  REQUIRE(list_is_empty(&core->over), "sessions that ended are swept");
  REQUIRE(core_next_us(core) > now_us, "nothing is overdue after a tick");
  LIST_EACH (&core->sessions, Session, in_core, session) {
    REQUIRE(session->state != SESSION_OVER, "an ended session is in no list");
    queued += check_session(session);
    sessions++;
  }
  TABLE_EACH (&core->services, Service, link, service) {
    queued += count_queue(&service->queue);
    check_service(service);
    check_heads(core, service);
  }
  REQUIRE(list_is_empty(&core->gaps), "gaps are filled at the end of a step");
  TABLE_EACH (&core->requests, Request, link, request)
    requests += 1 + request->n_children - request->n_answered;
  TABLE_EACH (&core->clients, Client, link, client)
    kept += check_client(client, &unanswered);
  REQUIRE(sessions == core->n_sessions, "sessions are counted");
  REQUIRE(queued == core->n_queued, "queued requests are counted");
  REQUIRE(requests == core->n_requests, "requests in memory are counted");
  REQUIRE(unanswered == core->n_unanswered, "unanswered requests are counted");
  REQUIRE(kept == core->kept_bytes, "no body leaks");
}
