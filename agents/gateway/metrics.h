/* What:      the gateway's own figures, from the table metrics.def, and how Prometheus reads them.
 * Owns:      the figures. Names of models are borrowed.
 * May use:   base.
 * Threading: one thread; pure.
 * Spec:      Prometheus text format 0.0.4 */
#ifndef PONS_GATEWAY_METRICS_H
#define PONS_GATEWAY_METRICS_H

#include "agents/gateway/routes.h"

typedef enum MetricId {
#define METRIC(id, name, type, first, second, unit, help) METRIC_##id,
#include "agents/gateway/metrics.def"
#undef METRIC
  METRICS
} MetricId;

typedef enum TokenKind { TOKENS_INPUT, TOKENS_CACHED, TOKENS_OUTPUT, TOKENS_REASONING, TOKEN_KINDS } TokenKind;

typedef struct Metrics {
  const char *const *models; /* names, borrowed */
  uint32_t models_count;
  uint64_t *values[METRICS]; /* of all label values, the second label's next to each other */
} Metrics;

/* Makes all figures 0. models are the only names that the label `model` has besides "other"; they must outlive the
   metrics. */
void metrics_init(Metrics *metrics, const char *const *models, uint32_t models_count);
/* Frees the figures. Usable as _cleanup_. */
void metrics_done(Metrics *metrics);

/* Adds to a counter or gauge; first and second are the places of its labels (RouteKind, status class 1 to 5, TokenKind,
   metrics_model), 0 for one that it hasn't. */
void metrics_add(Metrics *metrics, MetricId id, uint32_t first, uint32_t second, int64_t more);
/* Counts one observation of a histogram. */
void metrics_observe(Metrics *metrics, MetricId id, uint32_t first, uint64_t value_us);
/* The place of a model's name; that of "other" for a name that is not in the table. */
uint32_t metrics_model(const Metrics *metrics, Text name);
/* One figure, as it was added up: of all label values together. */
uint64_t metrics_total(const Metrics *metrics, MetricId id);

/* Appends all figures with HELP and TYPE. Series with labels that are 0 are left out. */
void metrics_print(const Metrics *metrics, Buffer *ret);

#endif
