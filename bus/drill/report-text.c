#include <inttypes.h>

#include "bus/drill/report.h"

static double s(uint64_t time_us) {
  return (double)time_us / (double)US_PER_S;
}

static void print_load(const Report *report, const ReportLoad *load, Buffer *ret) {
  buffer_printf(ret, "%3u  %-8s %-10s %7u %8u %7u %4u %6u", report->run, load->name, load_kind_name(load->kind),
                load->sent, load->answered, load->unknown, load->lost, load->failed);
  if (load->kind == LOAD_ONCE)
    buffer_printf(ret, " %5" PRIu64, load->twice);
  else
    buffer_printf(ret, "     -");
  buffer_printf(ret, "  %7.1f  ", report_ms(load->pause_us));
  for (ReportPhase i = 0; i < REPORT_PHASES; i++)
    buffer_printf(ret, " %5.1f/%6.1f", report_ms(load->phases[i].p50_us), report_ms(load->phases[i].max_us));
  buffer_printf(ret, "  %s\n", report_is_passed(report) ? "ok" : "FAILED");
}

static void print_errors(const Report *report, Buffer *ret) {
  for (uint32_t i = 0; i < report->load_count; i++)
    for (uint32_t status = STATUS_OK + 1; status < STATUS_END; status++)
      if (report->loads[i].by_status[status])
        buffer_printf(ret, "  %u x %s at %s: %s\n", report->loads[i].by_status[status], status_name((Status)status),
                      report->loads[i].name, status_about((Status)status));
}

static void print_leads(const Report *report, Buffer *ret) {
  for (uint32_t i = 0; i < report->lead_count; i++) {
    const ReportLead *lead = &report->leads[i];

    buffer_printf(ret, "  %7.3f s  the %s broker %s in epoch %" PRIu64 "\n", s(lead->at_us),
                  lead->broker == 0 ? "preferred" : "other", lead->leads ? "leads" : "leads no more", lead->epoch);
  }
}

static void print_moves(const Report *report, Buffer *ret) {
  for (uint32_t i = 0; i < report->move_count; i++)
    buffer_printf(ret, "  %7.3f s  %s: nobody held the lease for %.1f ms, bound %.0f ms%s\n", s(report->moves[i].at_us),
                  report->moves[i].what, report_ms(report->moves[i].away_us), report_ms(report->moves[i].bound_us),
                  report->moves[i].twice ? "; TWO HELD IT AT ONE TIME" : "");
}

static void print_pause(const ReportLoad *load, Buffer *ret) {
  buffer_printf(ret, "  %7.3f s  begins the longest pause at %s, %.1f ms", s(load->pause_at_us), load->name,
                report_ms(load->pause_us));
  if (load->pause_still_us)
    buffer_printf(ret, ", of which the machine stood still for %.1f ms", report_ms(load->pause_still_us));
  buffer_printf(ret, "; before the event it was %.1f ms\n", report_ms(load->pause_calm_us));
}

static void print_worst(const Report *report, Buffer *ret) {
  buffer_printf(ret, "\nrun %u, the worst:\n  %7.3f s  %s\n", report->run, s(report->event_us), report->event);
  if (report->event_end_us >= report->event_us + REPORT_LASTING_US)
    buffer_printf(ret, "  %7.3f s  that was over\n", s(report->event_end_us));
  for (uint32_t i = 0; i < report->load_count; i++)
    print_pause(&report->loads[i], ret);
  print_moves(report, ret);
  print_leads(report, ret);
  print_errors(report, ret);
}

static void print_findings(const Report *report, Buffer *ret) {
  Text line;

  for (size_t at = 0; report_next_finding(report, &at, &line);)
    buffer_printf(ret, "FAILED in run %u: %.*s\n", report->run, TEXT_ARG(line));
}

void report_print_text(Report *const *reports, uint32_t count, Buffer *ret) {
  if (count == 0)
    return;
  buffer_printf(ret, "%s: %s\n\n", reports[0]->drill->name, reports[0]->drill->about);
  buffer_printf(ret, "RUN  FROM     METHOD        SENT ANSWERED UNKNOWN LOST FAILED TWICE  PAUSE ms    BEFORE p50/max"
                     " DURING AFTER ms\n");
  for (uint32_t i = 0; i < count; i++)
    for (uint32_t k = 0; k < reports[i]->load_count; k++)
      print_load(reports[i], &reports[i]->loads[k], ret);
  print_worst(report_worst(reports, count), ret);
  for (uint32_t i = 0; i < count; i++)
    print_findings(reports[i], ret);
}
