/* The figures and the text that Prometheus reads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>

#include "agents/gateway/metrics.h"

static const char *const models[] = {"small", "a\"b\\c"};

/* Whether the text has that line. */
static bool has_line(const Metrics *metrics, const char *line) {
  _cleanup_(buffer_done) Buffer text = {0};
  _cleanup_(buffer_done) Buffer wanted = {0};
  bool found;

  buffer_append(&text, "\n", 1);
  metrics_print(metrics, &text);
  buffer_append(&text, "", 1);
  buffer_printf(&wanted, "\n%s\n", line);
  buffer_append(&wanted, "", 1);
  found = strstr((char *)text.data, (char *)wanted.data) != NULL;
  if (!found)
    print_message("no line %s in:%s", line, (char *)text.data);
  return found;
}

static void figures_with_and_without_labels(void **state) {
  _cleanup_(metrics_done) Metrics metrics;

  (void)state;
  metrics_init(&metrics, models, 2);
  assert_true(has_line(&metrics, "pons_gateway_connections 0"));
  metrics_add(&metrics, METRIC_CONNECTIONS, 0, 0, 3);
  metrics_add(&metrics, METRIC_CONNECTIONS, 0, 0, -1);
  metrics_add(&metrics, METRIC_REQUESTS, ROUTE_chat, 2, 1);
  metrics_add(&metrics, METRIC_REQUESTS, ROUTE_NONE, 4, 5);
  assert_true(has_line(&metrics, "pons_gateway_connections 2"));
  assert_true(has_line(&metrics, "# TYPE pons_gateway_connections gauge"));
  assert_true(has_line(&metrics, "pons_gateway_requests_total{route=\"chat\",status=\"2xx\"} 1"));
  assert_true(has_line(&metrics, "pons_gateway_requests_total{route=\"none\",status=\"4xx\"} 5"));
  assert_int_equal(metrics_total(&metrics, METRIC_REQUESTS), 6);
}

static void models_are_those_of_the_table(void **state) {
  _cleanup_(metrics_done) Metrics metrics;

  (void)state;
  metrics_init(&metrics, models, 2);
  assert_int_equal(metrics_model(&metrics, TEXT("small")), 0);
  assert_int_equal(metrics_model(&metrics, TEXT("made up")), 2);
  metrics_add(&metrics, METRIC_MODEL_TOKENS, 1, TOKENS_OUTPUT, 9);
  metrics_add(&metrics, METRIC_MODEL_COST, 2, 0, 1234567890);
  assert_true(has_line(&metrics, "pons_gateway_model_tokens_total{model=\"a\\\"b\\\\c\",kind=\"output\"} 9"));
  assert_true(has_line(&metrics, "pons_gateway_model_cost_usd_total{model=\"other\"} 1.234567890"));
}

static void histograms_add_up(void **state) {
  _cleanup_(metrics_done) Metrics metrics;

  (void)state;
  metrics_init(&metrics, NULL, 0);
  metrics_observe(&metrics, METRIC_FIRST, 0, 1000);
  metrics_observe(&metrics, METRIC_FIRST, 0, 1001);
  metrics_observe(&metrics, METRIC_FIRST, 0, 400000000);
  assert_true(has_line(&metrics, "pons_gateway_first_token_seconds_bucket{le=\"0.001\"} 1"));
  assert_true(has_line(&metrics, "pons_gateway_first_token_seconds_bucket{le=\"0.0025\"} 2"));
  assert_true(has_line(&metrics, "pons_gateway_first_token_seconds_bucket{le=\"300\"} 2"));
  assert_true(has_line(&metrics, "pons_gateway_first_token_seconds_bucket{le=\"+Inf\"} 3"));
  assert_true(has_line(&metrics, "pons_gateway_first_token_seconds_sum 400.002001"));
  assert_true(has_line(&metrics, "pons_gateway_first_token_seconds_count 3"));
  metrics_observe(&metrics, METRIC_SECONDS, ROUTE_ready, 10);
  assert_true(has_line(&metrics, "pons_gateway_request_seconds_bucket{route=\"ready\",le=\"+Inf\"} 1"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(figures_with_and_without_labels),
      cmocka_unit_test(models_are_those_of_the_table),
      cmocka_unit_test(histograms_add_up),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
