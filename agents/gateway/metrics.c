#include "agents/gateway/metrics.h"

#include <inttypes.h>
#include <stdlib.h>

typedef enum MetricType { COUNTER, GAUGE, HISTOGRAM } MetricType;
typedef enum MetricLabel { LABEL_NONE, LABEL_ROUTE, LABEL_CLASS, LABEL_MODEL, LABEL_TOKENS } MetricLabel;
typedef enum MetricUnit { UNIT_ONE, UNIT_US, UNIT_NANO } MetricUnit;

static const struct {
  const char *name;
  const char *help;
  MetricType type;
  MetricLabel labels[2];
  MetricUnit unit;
} rows[] = {
#define METRIC(id, name, type, first, second, unit, help)                                                              \
  {name, help, type, {LABEL_##first, LABEL_##second}, UNIT_##unit},
#include "agents/gateway/metrics.def"
#undef METRIC
};

static const char *const types[] = {"counter", "gauge", "histogram"};
static const char *const label_names[] = {NULL, "route", "status", "model", "kind"};
static const char *const classes[] = {"0xx", "1xx", "2xx", "3xx", "4xx", "5xx"};
static const char *const tokens[] = {"input", "cached", "output", "reasoning"};

/* Upper bounds of a histogram's buckets; one for more, the count of the last, and then the sum, follow. */
static const struct {
  uint64_t us;
  const char *text;
} bounds[] = {{1000, "0.001"},    {2500, "0.0025"},   {5000, "0.005"},     {10000, "0.01"},  {25000, "0.025"},
              {50000, "0.05"},    {100000, "0.1"},    {250000, "0.25"},    {500000, "0.5"},  {1000000, "1"},
              {2500000, "2.5"},   {5000000, "5"},     {10000000, "10"},    {30000000, "30"}, {60000000, "60"},
              {120000000, "120"}, {300000000, "300"}, {UINT64_MAX, "+Inf"}};
enum { SUM = ELEMENTS(bounds), HISTOGRAM_SIZE };

static uint32_t label_size(const Metrics *metrics, MetricLabel label) {
  switch (label) {
  case LABEL_ROUTE:
    return ROUTE_KINDS;
  case LABEL_CLASS:
    return ELEMENTS(classes);
  case LABEL_MODEL:
    return metrics->models_count + 1;
  case LABEL_TOKENS:
    return TOKEN_KINDS;
  default:
    return 1;
  }
}

static const char *label_text(const Metrics *metrics, MetricLabel label, uint32_t place) {
  switch (label) {
  case LABEL_ROUTE:
    return route_name((RouteKind)place);
  case LABEL_CLASS:
    return classes[place];
  case LABEL_TOKENS:
    return tokens[place];
  default:
    return place < metrics->models_count ? metrics->models[place] : "other";
  }
}

static uint32_t series_of(const Metrics *metrics, MetricId id) {
  return label_size(metrics, rows[id].labels[0]) * label_size(metrics, rows[id].labels[1]);
}

static size_t series_size(MetricId id) {
  return rows[id].type == HISTOGRAM ? HISTOGRAM_SIZE : 1;
}

void metrics_init(Metrics *metrics, const char *const *models, uint32_t models_count) {
  *metrics = (Metrics){.models = models, .models_count = models_count};
  for (MetricId id = 0; id < METRICS; id++) {
    metrics->values[id] = calloc(series_of(metrics, id) * series_size(id), sizeof(uint64_t));
    if (!metrics->values[id])
      abort();
  }
}

void metrics_done(Metrics *metrics) {
  for (MetricId id = 0; id < METRICS; id++)
    free(metrics->values[id]);
  *metrics = (Metrics){.models = NULL};
}

static uint64_t *values_at(const Metrics *metrics, MetricId id, uint32_t first, uint32_t second) {
  return metrics->values[id] + (first * label_size(metrics, rows[id].labels[1]) + second) * series_size(id);
}

void metrics_add(Metrics *metrics, MetricId id, uint32_t first, uint32_t second, int64_t more) {
  *values_at(metrics, id, first, second) += (uint64_t)more;
}

void metrics_observe(Metrics *metrics, MetricId id, uint32_t first, uint64_t value_us) {
  uint64_t *values = values_at(metrics, id, first, 0);
  size_t bucket = 0;

  while (value_us > bounds[bucket].us)
    bucket++;
  values[bucket]++;
  values[SUM] += value_us;
}

uint32_t metrics_model(const Metrics *metrics, Text name) {
  uint32_t place = 0;

  while (place < metrics->models_count && !text_is(name, metrics->models[place]))
    place++;
  return place;
}

uint64_t metrics_total(const Metrics *metrics, MetricId id) {
  uint64_t total = 0;

  for (uint32_t i = 0; i < series_of(metrics, id); i++)
    total += metrics->values[id][i * series_size(id)];
  return total;
}

/* --- printing --- */

/* Back slash, quote and line feed are escaped in the value of a label. */
static void put_escaped(Buffer *buffer, const char *text) {
  for (; *text; text++) {
    if (*text == '\n') {
      buffer_append(buffer, "\\n", 2);
      continue;
    }
    if (*text == '\\' || *text == '"')
      buffer_append(buffer, "\\", 1);
    buffer_append(buffer, text, 1);
  }
}

/* {route="chat",status="2xx",le="0.1"}, or nothing. */
static void put_labels(const Metrics *metrics, MetricId id, uint32_t series, const char *le, Buffer *buffer) {
  uint32_t second = label_size(metrics, rows[id].labels[1]);
  const uint32_t places[] = {series / second, series % second};
  const char *before = "{";

  for (size_t i = 0; i < 2; i++) {
    if (rows[id].labels[i] == LABEL_NONE)
      continue;
    buffer_printf(buffer, "%s%s=\"", before, label_names[rows[id].labels[i]]);
    put_escaped(buffer, label_text(metrics, rows[id].labels[i], places[i]));
    buffer_append(buffer, "\"", 1);
    before = ",";
  }
  if (le)
    buffer_printf(buffer, "%sle=\"%s\"", before, le);
  if (le || *before == ',')
    buffer_append(buffer, "}", 1);
}

static void put_value(MetricUnit unit, uint64_t value, Buffer *buffer) {
  if (unit == UNIT_US)
    buffer_printf(buffer, " %" PRIu64 ".%06" PRIu64 "\n", value / 1000000, value % 1000000);
  else if (unit == UNIT_NANO)
    buffer_printf(buffer, " %" PRIu64 ".%09" PRIu64 "\n", value / 1000000000, value % 1000000000);
  else
    buffer_printf(buffer, " %" PRIu64 "\n", value);
}

static void put_histogram(const Metrics *metrics, MetricId id, uint32_t series, Buffer *buffer) {
  const uint64_t *values = metrics->values[id] + series * HISTOGRAM_SIZE;
  uint64_t count = 0;

  for (size_t i = 0; i < SUM; i++) {
    count += values[i];
    buffer_printf(buffer, "%s_bucket", rows[id].name);
    put_labels(metrics, id, series, bounds[i].text, buffer);
    put_value(UNIT_ONE, count, buffer);
  }
  buffer_printf(buffer, "%s_sum", rows[id].name);
  put_labels(metrics, id, series, NULL, buffer);
  put_value(rows[id].unit, values[SUM], buffer);
  buffer_printf(buffer, "%s_count", rows[id].name);
  put_labels(metrics, id, series, NULL, buffer);
  put_value(UNIT_ONE, count, buffer);
}

static bool is_empty(MetricId id, const uint64_t *values) {
  for (size_t i = 0; i < series_size(id); i++)
    if (values[i])
      return false;
  return true;
}

static void put_metric(const Metrics *metrics, MetricId id, Buffer *buffer) {
  bool has_labels = rows[id].labels[0] != LABEL_NONE;

  buffer_printf(buffer, "# HELP %s %s\n# TYPE %s %s\n", rows[id].name, rows[id].help, rows[id].name,
                types[rows[id].type]);
  for (uint32_t i = 0; i < series_of(metrics, id); i++) {
    const uint64_t *values = metrics->values[id] + i * series_size(id);

    if (has_labels && is_empty(id, values))
      continue;
    if (rows[id].type == HISTOGRAM) {
      put_histogram(metrics, id, i, buffer);
      continue;
    }
    buffer_printf(buffer, "%s", rows[id].name);
    put_labels(metrics, id, i, NULL, buffer);
    put_value(rows[id].unit, *values, buffer);
  }
}

void metrics_print(const Metrics *metrics, Buffer *ret) {
  for (MetricId id = 0; id < METRICS; id++)
    put_metric(metrics, id, ret);
}
