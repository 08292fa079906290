/* What:      a drill's samples as figures, and the figures as text, JSON and a timeline.
 * Owns:      a Report its lists.
 * May use:   base, wire.
 * Threading: one thread; pure.
 * Spec:      docs/drills.md, "The report" */
#ifndef PONS_DRILL_REPORT_H
#define PONS_DRILL_REPORT_H

#include "bus/base/buffer.h"
#include "bus/drill/drill.h"
#include "bus/drill/load.h"
#include "bus/drill/stall.h"
#include "bus/wire/header.h"

enum {
  REPORT_LOADS_MAX = 3,
  REPORT_BUCKET_US = 10000, /* of the timeline */
  REPORT_BUCKETS_MAX = 360000,
  REPORT_LEADS_MAX = 1000,
  REPORT_MOVES_MAX = 8,
  REPORT_NAME_BYTES = 64,
  REPORT_EVENT_BYTES = 200,
  REPORT_DURING_US = 1000000, /* the event is over so long after its end */
  REPORT_LASTING_US = 1000,   /* an event that was shorter has no end worth telling */
};

/* By when a request was due. */
typedef enum ReportPhase { REPORT_BEFORE, REPORT_DURING, REPORT_AFTER, REPORT_PHASES } ReportPhase;

/* Of the requests of one phase that were answered; all 0 when there are none. */
typedef struct ReportLatency {
  uint32_t count;
  uint64_t p50_us;
  uint64_t p99_us;
  uint64_t max_us;
  uint64_t bus_us; /* median of what is left without the model's own time */
} ReportLatency;

typedef struct ReportLoad {
  const char *name;
  LoadKind kind;
  uint32_t rate;
  uint32_t sent;
  uint32_t answered;
  uint32_t unknown;
  uint32_t lost;   /* neither answered nor failed by its deadline */
  uint32_t failed; /* any other named error */
  uint32_t by_status[STATUS_END];
  uint64_t done;        /* LOAD_ONCE: how often the work was done */
  uint64_t twice;       /* of these, more often than it was asked */
  uint64_t pause_us;    /* the longest time without an answer, from the event on */
  uint64_t pause_at_us; /* its beginning */
  uint64_t
      worst_us; /* the longest that was waited of what the event can have hit: it was unanswered then, or came after */
  uint64_t pause_still_us; /* for so long of it the machine stood still */
  uint64_t pause_calm_us;  /* the longest one before the event: what this machine does by itself */
  ReportLatency phases[REPORT_PHASES];
} ReportLoad;

/* Answers that came in one piece of the timeline, of all loads together. */
typedef struct ReportBucket {
  uint32_t answered;
  uint64_t worst_us;
} ReportBucket;

/* From at_us on a broker led, or not. */
typedef struct ReportLead {
  uint64_t at_us;
  uint32_t broker; /* 0 = the preferred one */
  bool leads;
  uint64_t epoch;
} ReportLead;

/* A lease had one holder, and then another. */
typedef struct ReportMove {
  const char *what; /* happened */
  uint64_t at_us;
  uint64_t away_us; /* for so long nobody held it */
  uint64_t bound_us;
  bool twice; /* two held it at one time */
} ReportMove;

/* One run. All times count from its beginning. */
typedef struct Report {
  const Drill *drill;
  uint32_t run;                   /* from 1 */
  char event[REPORT_EVENT_BYTES]; /* what was done */
  uint64_t event_us;
  uint64_t event_end_us; /* when it was undone, or done */
  uint64_t length_us;
  bool is_watched; /* for stalls of the machine */
  Stall stalls[STALLS_MAX];
  uint32_t stall_count;
  ReportLoad loads[REPORT_LOADS_MAX];
  uint32_t load_count;
  ReportBucket *buckets;
  uint32_t bucket_count;
  ReportLead leads[REPORT_LEADS_MAX];
  uint32_t lead_count;
  ReportMove moves[REPORT_MOVES_MAX];
  uint32_t move_count;
  Buffer findings; /* each bound that was broken, a line each; empty = the drill is passed */
} Report;

/* When the things of a run were; CLOCK_MONOTONIC. */
typedef struct ReportTimes {
  uint64_t start_us;
  uint64_t event_us;
  uint64_t event_end_us;
  uint64_t length_us;
} ReportTimes;

/* As people read times. */
static inline double report_ms(uint64_t time_us) {
  return (double)time_us / (double)US_PER_MS;
}

/* Makes an empty report of one run. */
Report *report_new(const Drill *drill, uint32_t run, const ReportTimes *times, const char *event);
/* Takes NULL, nulls the pointer. Usable as _cleanup_. */
void report_destroy(Report **report);
/* Notes when the machine stood still, in order, CLOCK_MONOTONIC; those before the beginning and over STALLS_MAX are left out. Called
   before the loads are counted; if it is not called nobody has looked. */
void report_add_stalls(Report *report, const Stall *stalls, uint32_t count, uint64_t start_us);
/* Counts one load. done: how often its work was done, for LOAD_ONCE. name is borrowed. At most REPORT_LOADS_MAX. */
void report_add_load(Report *report, const LoadOptions *options, const LoadSample *samples, uint32_t count,
                     uint64_t done, uint64_t start_us);
/* Notes who led when; at_us is CLOCK_MONOTONIC. Those before the beginning count from it; those behind the end, and over the bound, are left out. */
void report_add_lead(Report *report, ReportLead lead, uint64_t start_us);
/* Notes a move of a lease; at_us is CLOCK_MONOTONIC. Those over the bound are left out. */
void report_add_move(Report *report, ReportMove move, uint64_t start_us);
/* Holds the figures against the drill's bounds; times only if with_times. */
void report_judge(Report *report, bool with_times);
/* True when no bound was broken. */
bool report_is_passed(const Report *report);
/* Goes through the bounds that were broken: *at begins as 0. False behind the last. Borrowed. */
bool report_next_finding(const Report *report, size_t *at, Text *ret);
/* The run of which the least good is to be said: one that broke a bound before one that did not, then by the longest pause. */
const Report *report_worst(Report *const *reports, uint32_t count);

/* Appends what a person reads: a line per run and load, then the worst run. */
void report_print_text(Report *const *reports, uint32_t count, Buffer *ret);
/* Appends one JSON object and a newline. */
void report_print_json(Report *const *reports, uint32_t count, Buffer *ret);
/* Appends one run's timeline: answers and the worst latency per 10 ms, who led when, the event. */
void report_print_svg(const Report *report, Buffer *ret);

#endif
