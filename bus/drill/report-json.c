/* Names and events are this program's own words, so nothing in them has to be escaped. */
#include <inttypes.h>

#include "bus/drill/report.h"

static const char *between(uint32_t i) {
  return i ? ", " : "";
}

static void print_latency(const ReportLatency *latency, Buffer *ret) {
  buffer_printf(ret,
                "{\"count\": %u, \"p50_us\": %" PRIu64 ", \"p99_us\": %" PRIu64 ", \"max_us\": %" PRIu64
                ", \"bus_us\": %" PRIu64 "}",
                latency->count, latency->p50_us, latency->p99_us, latency->max_us, latency->bus_us);
}

static void print_errors(const ReportLoad *load, Buffer *ret) {
  uint32_t printed = 0;

  buffer_printf(ret, "\"errors\": {");
  for (uint32_t i = STATUS_OK + 1; i < STATUS_END; i++)
    if (load->by_status[i])
      buffer_printf(ret, "%s\"%s\": %u", between(printed++), status_name((Status)i), load->by_status[i]);
  buffer_printf(ret, "}");
}

static void print_load(const ReportLoad *load, Buffer *ret) {
  static const char *const phases[] = {
      [REPORT_BEFORE] = "before", [REPORT_DURING] = "during", [REPORT_AFTER] = "after"};

  buffer_printf(ret,
                "{\"from\": \"%s\", \"method\": \"%s\", \"rate\": %u, \"sent\": %u, \"answered\": %u, \"unknown\": %u, "
                "\"lost\": %u, \"failed\": %u, ",
                load->name, load_kind_name(load->kind), load->rate, load->sent, load->answered, load->unknown,
                load->lost, load->failed);
  if (load->kind == LOAD_ONCE)
    buffer_printf(ret, "\"done\": %" PRIu64 ", \"twice\": %" PRIu64 ", ", load->done, load->twice);
  print_errors(load, ret);
  buffer_printf(ret,
                ", \"pause_us\": %" PRIu64 ", \"pause_at_us\": %" PRIu64 ", \"pause_still_us\": %" PRIu64
                ", \"pause_calm_us\": %" PRIu64 ", \"worst_us\": %" PRIu64,
                load->pause_us, load->pause_at_us, load->pause_still_us, load->pause_calm_us, load->worst_us);
  for (ReportPhase i = 0; i < REPORT_PHASES; i++) {
    buffer_printf(ret, ", \"%s\": ", phases[i]);
    print_latency(&load->phases[i], ret);
  }
  buffer_printf(ret, "}");
}

static void print_leads(const Report *report, Buffer *ret) {
  buffer_printf(ret, "\"leads\": [");
  for (uint32_t i = 0; i < report->lead_count; i++)
    buffer_printf(ret, "%s{\"at_us\": %" PRIu64 ", \"broker\": %u, \"leads\": %s, \"epoch\": %" PRIu64 "}", between(i),
                  report->leads[i].at_us, report->leads[i].broker, report->leads[i].leads ? "true" : "false",
                  report->leads[i].epoch);
  buffer_printf(ret, "]");
}

/* Of a drill that is about a lease alone. */
static void print_moves(const Report *report, Buffer *ret) {
  if (report->move_count == 0)
    return;
  buffer_printf(ret, "\"moves\": [");
  for (uint32_t i = 0; i < report->move_count; i++) {
    const ReportMove *move = &report->moves[i];

    buffer_printf(ret,
                  "%s{\"what\": \"%s\", \"at_us\": %" PRIu64 ", \"away_us\": %" PRIu64 ", \"bound_us\": %" PRIu64
                  ", \"twice\": %s}",
                  between(i), move->what, move->at_us, move->away_us, move->bound_us, move->twice ? "true" : "false");
  }
  buffer_printf(ret, "], ");
}

/* Nothing where nobody has looked. */
static void print_stalls(const Report *report, Buffer *ret) {
  if (!report->is_watched)
    return;
  buffer_printf(ret, "\"stalls\": [");
  for (uint32_t i = 0; i < report->stall_count; i++)
    buffer_printf(ret, "%s{\"at_us\": %" PRIu64 ", \"for_us\": %" PRIu64 "}", between(i), report->stalls[i].from_us,
                  report->stalls[i].to_us - report->stalls[i].from_us);
  buffer_printf(ret, "], ");
}

static void print_findings(const Report *report, Buffer *ret) {
  uint32_t printed = 0;
  Text line;

  buffer_printf(ret, "\"findings\": [");
  for (size_t at = 0; report_next_finding(report, &at, &line);)
    buffer_printf(ret, "%s\"%.*s\"", between(printed++), TEXT_ARG(line));
  buffer_printf(ret, "]");
}

static void print_run(const Report *report, Buffer *ret) {
  buffer_printf(ret,
                "{\"run\": %u, \"passed\": %s, \"event\": \"%s\", \"event_us\": %" PRIu64 ", \"event_end_us\": %" PRIu64
                ", \"length_us\": %" PRIu64 ", \"loads\": [",
                report->run, report_is_passed(report) ? "true" : "false", report->event, report->event_us,
                report->event_end_us, report->length_us);
  for (uint32_t i = 0; i < report->load_count; i++) {
    buffer_printf(ret, "%s", between(i));
    print_load(&report->loads[i], ret);
  }
  buffer_printf(ret, "], ");
  print_moves(report, ret);
  print_stalls(report, ret);
  print_leads(report, ret);
  buffer_printf(ret, ", ");
  print_findings(report, ret);
  buffer_printf(ret, "}");
}

void report_print_json(Report *const *reports, uint32_t count, Buffer *ret) {
  const Report *worst = report_worst(reports, count);

  if (!worst)
    return;
  buffer_printf(ret, "{\"drill\": \"%s\", \"passed\": %s, \"worst\": %u, \"runs\": [", worst->drill->name,
                report_is_passed(worst) ? "true" : "false", worst->run);
  for (uint32_t i = 0; i < count; i++) {
    buffer_printf(ret, "%s", between(i));
    print_run(reports[i], ret);
  }
  buffer_printf(ret, "]}\n");
}
