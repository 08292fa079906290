/* Waiting requests. Priority with ageing needs no timer: each request has a rank, the time since when it waits plus one
   ageing step per band, and the smallest rank among the three heads goes first. So a batch request overtakes an
   interactive one exactly when it has waited two steps longer. */
#include "bus/core/core-internal.h"

void queue_init(Queue *queue) {
  for (int band = 0; band < PRIORITY_END; band++)
    list_init(&queue->bands[band]);
  queue->size = 0;
}

void queue_push(Core *core, Queue *queue, Request *request, bool front) {
  List *band = &queue->bands[request->priority];

  if (front)
    list_push_front(band, &request->in_holder);
  else
    list_push(band, &request->in_holder);
  request->queue = queue;
  request->state = REQUEST_QUEUED;
  queue->size++;
  core->n_queued++;
}

void queue_remove(Core *core, Request *request) {
  Service *service = request->service;

  list_remove(&request->in_holder);
  request->queue->size--;
  if (request->queue == &service->queue && !list_has(&service->in_gaps))
    list_push(&core->gaps, &service->in_gaps);
  request->queue = NULL;
  core->n_queued--;
}

uint64_t queue_rank(const Request *request) {
  return request->waiting_us + (uint64_t)request->priority * TIME_AGEING_STEP_US;
}

int queue_best_band(const Queue *queue, unsigned skip) {
  uint64_t least = UINT64_MAX;
  int best = -1;

  for (int band = 0; band < PRIORITY_END; band++) {
    const Request *head = LIST_FIRST(&queue->bands[band], Request, in_holder);

    if (!head || (skip & 1U << band) || queue_rank(head) >= least)
      continue;
    least = queue_rank(head);
    best = band;
  }
  return best;
}
