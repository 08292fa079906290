/* Three bands over one axis of time: answers per piece, the worst latency of each on a logarithmic scale, who led. */
#include <inttypes.h>

#include "bus/drill/report.h"

enum {
  LEFT = 70,
  WIDTH = 1000,
  COLUMNS_MAX = 1000,
  ANSWERS_TOP = 60,
  ANSWERS_BASE = 210,
  LATENCY_TOP = 250,
  LATENCY_BASE = 400,
  LEADS_TOP = 430,
  LEAD_HEIGHT = 16,
  AXIS = 475,
  TICKS = 10,
  DECADES = 5, /* 0.1 ms to 10 s */
};

static double x_of(const Report *report, uint64_t at_us) {
  return LEFT + (double)WIDTH * (double)min_u64(at_us, report->length_us) / (double)max_u64(report->length_us, 1);
}

/* Straight within a decade, which is near enough to a logarithm. */
static double y_of_latency(uint64_t latency_us) {
  uint64_t decade_us = 100;
  uint32_t decades = 0;
  double at;

  for (; decades < DECADES && latency_us >= decade_us * 10; decades++)
    decade_us *= 10;
  at = decades + ((double)max_u64(latency_us, decade_us) / (double)decade_us - 1) / 9;
  return LATENCY_BASE - (LATENCY_BASE - LATENCY_TOP) * (at < DECADES ? at : DECADES) / DECADES;
}

/* Pieces of the timeline that share a column. */
static uint32_t column_step(const Report *report) {
  return (report->bucket_count + COLUMNS_MAX - 1) / COLUMNS_MAX;
}

static ReportBucket column_at(const Report *report, uint32_t first) {
  ReportBucket column = {0};

  for (uint32_t i = first; i < first + column_step(report) && i < report->bucket_count; i++) {
    column.answered += report->buckets[i].answered;
    column.worst_us = max_u64(column.worst_us, report->buckets[i].worst_us);
  }
  return column;
}

static uint32_t most_answers(const Report *report) {
  uint32_t most = 1;

  for (uint32_t i = 0; i < report->bucket_count; i += column_step(report))
    most = (uint32_t)max_u64(most, column_at(report, i).answered);
  return most;
}

static void print_answers(const Report *report, Buffer *ret) {
  uint32_t most = most_answers(report);
  double width = (double)WIDTH * column_step(report) / report->bucket_count;

  buffer_printf(ret, "<path fill=\"#4477aa\" d=\"");
  for (uint32_t i = 0; i < report->bucket_count; i += column_step(report)) {
    double height = (double)(ANSWERS_BASE - ANSWERS_TOP) * column_at(report, i).answered / most;

    if (height > 0)
      buffer_printf(ret, "M%.1f %dh%.1fv-%.1fh-%.1fz", x_of(report, (uint64_t)i * REPORT_BUCKET_US), ANSWERS_BASE,
                    width, height, width);
  }
  buffer_printf(ret, "\"/>\n<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%u</text>\n", LEFT - 6, ANSWERS_TOP + 10, most);
  buffer_printf(ret, "<text x=\"%d\" y=\"%d\">answers per %u ms</text>\n", LEFT, ANSWERS_TOP - 8,
                column_step(report) * REPORT_BUCKET_US / 1000);
}

static void print_latencies(const Report *report, Buffer *ret) {
  static const char *const labels[] = {"0.1 ms", "1 ms", "10 ms", "100 ms", "1 s", "10 s"};

  buffer_printf(ret, "<path fill=\"none\" stroke=\"#cc6677\" stroke-width=\"2\" d=\"");
  for (uint32_t i = 0; i < report->bucket_count; i += column_step(report)) {
    ReportBucket column = column_at(report, i);

    if (column.answered)
      buffer_printf(ret, "M%.1f %.1fh2", x_of(report, (uint64_t)i * REPORT_BUCKET_US), y_of_latency(column.worst_us));
  }
  buffer_printf(ret, "\"/>\n<text x=\"%d\" y=\"%d\">worst latency</text>\n", LEFT, LATENCY_TOP - 8);
  for (int decade = 0; decade <= DECADES; decade++) {
    double y = LATENCY_BASE - (double)(LATENCY_BASE - LATENCY_TOP) * decade / DECADES;

    buffer_printf(ret, "<path stroke=\"#dddddd\" d=\"M%d %.1fh%d\"/>\n", LEFT, y, WIDTH);
    buffer_printf(ret, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n", LEFT - 6, y + 4, labels[decade]);
  }
}

/* A bar from when a broker led until it did no more, or until the end. */
static void print_leads(const Report *report, Buffer *ret) {
  for (uint32_t i = 0; i < report->lead_count; i++) {
    const ReportLead *lead = &report->leads[i];
    uint64_t end_us = report->length_us;

    for (uint32_t k = i + 1; k < report->lead_count && end_us == report->length_us; k++)
      if (report->leads[k].broker == lead->broker)
        end_us = report->leads[k].at_us;
    if (lead->leads)
      buffer_printf(ret, "<rect x=\"%.1f\" y=\"%u\" width=\"%.1f\" height=\"%d\" fill=\"#%s\"/>\n",
                    x_of(report, lead->at_us), LEADS_TOP + lead->broker * LEAD_HEIGHT,
                    x_of(report, end_us) - x_of(report, lead->at_us), LEAD_HEIGHT - 2,
                    lead->broker == 0 ? "228833" : "ccbb44");
  }
  buffer_printf(ret, "<text x=\"%d\" y=\"%d\">who led: the preferred broker above, the other below</text>\n", LEFT,
                LEADS_TOP - 6);
}

static void print_mark(const Report *report, uint64_t at_us, const char *words, Buffer *ret) {
  buffer_printf(ret, "<path stroke=\"#aa0000\" stroke-dasharray=\"4 3\" d=\"M%.1f %dV%d\"/>\n", x_of(report, at_us),
                ANSWERS_TOP - 22, AXIS);
  buffer_printf(ret, "<text x=\"%.1f\" y=\"%d\" fill=\"#aa0000\">%s</text>\n", x_of(report, at_us) + 4,
                ANSWERS_TOP - 20, words);
}

static void print_axis(const Report *report, Buffer *ret) {
  buffer_printf(ret, "<path stroke=\"#000000\" d=\"M%d %dh%d\"/>\n", LEFT, AXIS, WIDTH);
  for (int i = 0; i <= TICKS; i++)
    buffer_printf(ret, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">%.1f s</text>\n", LEFT + i * WIDTH / TICKS,
                  AXIS + 16, (double)report->length_us * i / TICKS / (double)US_PER_S);
}

void report_print_svg(const Report *report, Buffer *ret) {
  buffer_printf(ret, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 1100 500\" font-family=\"sans-serif\" "
                     "font-size=\"12\">\n<rect width=\"1100\" height=\"500\" fill=\"#ffffff\"/>\n");
  buffer_printf(ret, "<text x=\"%d\" y=\"20\" font-size=\"16\">%s, run %u: %s</text>\n", LEFT, report->drill->name,
                report->run, report_is_passed(report) ? "passed" : "FAILED");
  print_answers(report, ret);
  print_latencies(report, ret);
  print_leads(report, ret);
  print_axis(report, ret);
  print_mark(report, report->event_us, report->event, ret);
  if (report->event_end_us >= report->event_us + REPORT_LASTING_US)
    print_mark(report, report->event_end_us, "", ret);
  buffer_printf(ret, "</svg>\n");
}
