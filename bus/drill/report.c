#include "bus/drill/report.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static void *make(size_t count, size_t size) {
  void *memory = calloc(count ? count : 1, size);

  if (!memory)
    abort();
  return memory;
}

Report *report_new(const Drill *drill, uint32_t run, const ReportTimes *times, const char *event) {
  Report *report = make(1, sizeof *report);

  report->drill = drill;
  report->run = run;
  report->event_us = times->event_us - times->start_us;
  report->event_end_us = times->event_end_us - times->start_us;
  report->length_us = times->length_us;
  report->bucket_count = (uint32_t)min_u64(times->length_us / REPORT_BUCKET_US + 1, REPORT_BUCKETS_MAX);
  report->buckets = make(report->bucket_count, sizeof report->buckets[0]);
  snprintf(report->event, sizeof report->event, "%s", event);
  return report;
}

void report_destroy(Report **report) {
  if (!*report)
    return;
  buffer_done(&(*report)->findings);
  free((*report)->buckets);
  free(*report);
  *report = NULL;
}

/* --- latency --- */

static int compare(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

  return (x > y) - (x < y);
}

/* Of sorted values: the least that so many of a thousand don't exceed. */
static uint64_t at_thousandth(const uint64_t *sorted, uint32_t count, uint64_t thousandth) {
  return count ? sorted[(count * thousandth + 999) / 1000 - 1] : 0;
}

static ReportPhase phase_of(const Report *report, uint64_t due_us) {
  if (due_us < report->event_us)
    return REPORT_BEFORE;
  return due_us < report->event_end_us + REPORT_DURING_US ? REPORT_DURING : REPORT_AFTER;
}

static bool is_answered(const LoadSample *sample) {
  return sample->status == STATUS_OK;
}

static ReportLatency latency_of(const Report *report, ReportPhase phase, const LoadSample *samples, uint32_t count,
                                uint64_t start_us) {
  uint64_t *all = make(count, sizeof *all);
  uint64_t *bus = make(count, sizeof *bus);
  ReportLatency latency = {0};

  for (uint32_t i = 0; i < count; i++)
    if (is_answered(&samples[i]) && phase_of(report, samples[i].due_us - start_us) == phase) {
      uint64_t took_us = samples[i].end_us - samples[i].due_us;

      all[latency.count] = took_us;
      bus[latency.count++] = took_us - min_u64(samples[i].inside_us, took_us);
    }
  qsort(all, latency.count, sizeof *all, compare);
  qsort(bus, latency.count, sizeof *bus, compare);
  latency.p50_us = at_thousandth(all, latency.count, 500);
  latency.p99_us = at_thousandth(all, latency.count, 990);
  latency.max_us = at_thousandth(all, latency.count, 1000);
  latency.bus_us = at_thousandth(bus, latency.count, 500);
  free(all);
  free(bus);
  return latency;
}

/* --- pauses --- */

/* A time without an answer belongs to the event when any of it lies behind the event. */
static void note_pause(const Report *report, ReportLoad *load, uint64_t from_us, uint64_t to_us) {
  uint64_t pause_us = to_us - from_us;

  if (to_us <= report->event_us) {
    load->pause_calm_us = max_u64(load->pause_calm_us, pause_us);
  } else if (pause_us > load->pause_us) {
    load->pause_us = pause_us;
    load->pause_at_us = from_us;
  }
}

/* From the first request to the last, in the order in which the answers came. */
static void find_pauses(const Report *report, ReportLoad *load, const LoadSample *samples, uint32_t count,
                        uint64_t start_us) {
  uint64_t *ends = make(count, sizeof *ends);
  uint64_t last_us = 0;
  uint32_t answered = 0;

  for (uint32_t i = 0; i < count; i++)
    if (is_answered(&samples[i]))
      ends[answered++] = samples[i].end_us - start_us;
  qsort(ends, answered, sizeof *ends, compare);
  for (uint32_t i = 0; i < answered; last_us = ends[i++])
    note_pause(report, load, last_us, ends[i]);
  if (count && last_us < samples[count - 1].due_us - start_us)
    note_pause(report, load, last_us, samples[count - 1].due_us - start_us);
  free(ends);
  load->pause_still_us =
      stall_within(report->stalls, report->stall_count, load->pause_at_us, load->pause_at_us + load->pause_us);
}

/* --- counting --- */

void report_add_stalls(Report *report, const Stall *stalls, uint32_t count, uint64_t start_us) {
  report->is_watched = true;
  for (uint32_t i = 0; i < count && report->stall_count < STALLS_MAX; i++)
    if (stalls[i].from_us >= start_us)
      report->stalls[report->stall_count++] = (Stall){stalls[i].from_us - start_us, stalls[i].to_us - start_us};
}

/* Whether the event can have hit it: it was unanswered then, or was asked before all was over. */
static bool is_hit(const Report *report, const LoadSample *sample, uint64_t start_us) {
  return sample->end_us - start_us >= report->event_us && phase_of(report, sample->due_us - start_us) != REPORT_AFTER;
}

static void count_end(ReportLoad *load, const LoadSample *sample) {
  load->sent++;
  if (sample->status < STATUS_END)
    load->by_status[sample->status]++;
  if (is_answered(sample))
    load->answered++;
  else if (sample->status == STATUS_UNKNOWN)
    load->unknown++;
  else if (sample->status == STATUS_DEADLINE || sample->status >= STATUS_END)
    load->lost++;
  else
    load->failed++;
}

static void count_answer(Report *report, const LoadSample *sample, uint64_t start_us) {
  uint64_t number = (sample->end_us - start_us) / REPORT_BUCKET_US;

  if (is_answered(sample) && number < report->bucket_count) {
    ReportBucket *bucket = &report->buckets[number];

    bucket->answered++;
    bucket->worst_us = max_u64(bucket->worst_us, sample->end_us - sample->due_us);
  }
}

void report_add_load(Report *report, const LoadOptions *options, const LoadSample *samples, uint32_t count,
                     uint64_t done, uint64_t start_us) {
  ReportLoad *load = &report->loads[report->load_count];

  if (report->load_count == REPORT_LOADS_MAX)
    return;
  report->load_count++;
  *load = (ReportLoad){.name = options->name, .kind = options->kind, .rate = options->rate, .done = done};
  for (uint32_t i = 0; i < count; i++) {
    count_end(load, &samples[i]);
    count_answer(report, &samples[i], start_us);
    if (is_answered(&samples[i]) && is_hit(report, &samples[i], start_us))
      load->worst_us = max_u64(load->worst_us, samples[i].end_us - samples[i].due_us);
  }
  if (options->kind == LOAD_ONCE && done > load->sent)
    load->twice = done - load->sent;
  find_pauses(report, load, samples, count, start_us);
  for (ReportPhase i = 0; i < REPORT_PHASES; i++)
    load->phases[i] = latency_of(report, i, samples, count, start_us);
}

/* In the order of their times: that a broker leads no more may be known late. */
void report_add_lead(Report *report, ReportLead lead, uint64_t start_us) {
  uint32_t at = report->lead_count;

  lead.at_us = lead.at_us > start_us ? lead.at_us - start_us : 0;
  if (report->lead_count == REPORT_LEADS_MAX || lead.at_us > report->length_us)
    return;
  while (at > 0 && report->leads[at - 1].at_us > lead.at_us) {
    report->leads[at] = report->leads[at - 1];
    at--;
  }
  report->leads[at] = lead;
  report->lead_count++;
}

void report_add_move(Report *report, ReportMove move, uint64_t start_us) {
  if (report->move_count == REPORT_MOVES_MAX)
    return;
  move.at_us -= min_u64(start_us, move.at_us);
  report->moves[report->move_count++] = move;
}

/* --- judging --- */

static void judge_count(Report *report, const ReportLoad *load, uint64_t count, const char *what) {
  if (count)
    buffer_printf(&report->findings, "%" PRIu64 " of %u requests from %s (%s) %s\n", count, load->sent, load->name,
                  load_kind_name(load->kind), what);
}

static bool is_over(uint64_t time_us, uint32_t bound_ms) {
  return bound_ms && time_us > bound_ms * US_PER_MS;
}

/* That the machine stood still excuses nothing: it says where to look. */
static void judge_pause(Report *report, const ReportLoad *load) {
  if (!is_over(load->pause_us, report->drill->pause_ms))
    return;
  buffer_printf(&report->findings, "longest pause at %s: %.1f ms, bound %u ms; before the event %.1f ms", load->name,
                report_ms(load->pause_us), report->drill->pause_ms, report_ms(load->pause_calm_us));
  if (load->pause_still_us)
    buffer_printf(&report->findings, "; the machine stood still for %.1f ms of it", report_ms(load->pause_still_us));
  buffer_printf(&report->findings, "\n");
}

static void judge_worst(Report *report, const ReportLoad *load) {
  if (is_over(load->worst_us, report->drill->worst_ms))
    buffer_printf(&report->findings, "worst latency at %s: %.1f ms, bound %u ms; before the event %.1f ms\n",
                  load->name, report_ms(load->worst_us), report->drill->worst_ms,
                  report_ms(load->phases[REPORT_BEFORE].max_us));
}

static void judge_share(Report *report, const ReportLoad *load) {
  uint64_t before_us = load->phases[REPORT_BEFORE].bus_us;
  uint64_t during_us = load->phases[REPORT_DURING].bus_us;

  if (report->drill->bus_percent && during_us * 100 > before_us * report->drill->bus_percent)
    buffer_printf(&report->findings,
                  "the bus's share of the latency: %" PRIu64 " us, before %" PRIu64 " us, bound %u %%\n", during_us,
                  before_us, report->drill->bus_percent);
}

static void judge_move(Report *report, const ReportMove *move, bool with_times) {
  if (move->twice)
    buffer_printf(&report->findings, "two held the lease at one time: %s\n", move->what);
  if (with_times && move->away_us > move->bound_us)
    buffer_printf(&report->findings, "nobody held the lease for %.1f ms, bound %.0f ms: %s\n", report_ms(move->away_us),
                  report_ms(move->bound_us), move->what);
}

void report_judge(Report *report, bool with_times) {
  if (report->event_end_us > report->length_us)
    buffer_printf(&report->findings, "the event lasted longer than the load: give it --seconds %" PRIu64 " or more\n",
                  (report->event_end_us + REPORT_DURING_US) / US_PER_S + 1);
  for (uint32_t i = 0; i < report->load_count; i++) {
    const ReportLoad *load = &report->loads[i];

    if (load->sent == 0)
      buffer_printf(&report->findings, "nothing was asked from %s\n", load->name);
    judge_count(report, load, load->lost, "were lost");
    judge_count(report, load, load->unknown, "ended UNKNOWN");
    judge_count(report, load, load->failed, "failed");
    judge_count(report, load, load->twice, "were done twice");
    if (with_times) {
      judge_pause(report, load);
      judge_worst(report, load);
      judge_share(report, load);
    }
  }
  for (uint32_t i = 0; i < report->move_count; i++)
    judge_move(report, &report->moves[i], with_times);
}

bool report_is_passed(const Report *report) {
  return report->findings.size == 0;
}

bool report_next_finding(const Report *report, size_t *at, Text *ret) {
  const char *line = (const char *)report->findings.data;
  size_t left = report->findings.size - *at;
  const char *end = left ? memchr(line + *at, '\n', left) : NULL;

  if (!end)
    return false;
  *ret = (Text){line + *at, (size_t)(end - line) - *at};
  *at += ret->size + 1;
  return true;
}

static uint64_t longest_pause(const Report *report) {
  uint64_t longest_us = 0;

  for (uint32_t i = 0; i < report->load_count; i++)
    longest_us = max_u64(longest_us, report->loads[i].pause_us);
  for (uint32_t i = 0; i < report->move_count; i++)
    longest_us = max_u64(longest_us, report->moves[i].away_us);
  return longest_us;
}

const Report *report_worst(Report *const *reports, uint32_t count) {
  const Report *worst = count ? reports[0] : NULL;

  for (uint32_t i = 1; i < count; i++) {
    bool is_passed = report_is_passed(reports[i]);

    if (is_passed != report_is_passed(worst) ? !is_passed : longest_pause(reports[i]) > longest_pause(worst))
      worst = reports[i];
  }
  return worst;
}
