#include <errno.h>
#include <inttypes.h>

#include "bus/ctl/bodyjson.h"
#include "bus/ctl/reach.h"

typedef struct Listener {
  Ctl *ctl;
  uint64_t seen;
  uint64_t lost;
} Listener;

static json_t *event_json(const BusEvent *event) {
  char publisher[17];

  snprintf(publisher, sizeof publisher, "%016" PRIx64, event->publisher.value);
  return json_pack("{s:o, s:s, s:I, s:b, s:b, s:I, s:o}", "topic", jsontext_new(event->topic), "publisher", publisher,
                   "sequence", (json_int_t)event->sequence, "retained", event->retained, "gap", event->gap, "lost",
                   (json_int_t)event->lost, "body", bodyjson_new(event->body, event->content_type));
}

static void print_line(const BusEvent *event) {
  json_t *body = bodyjson_new(event->body, event->content_type);
  char *text = json_dumps(body, JSON_ENCODE_ANY | JSON_COMPACT);

  json_decref(body);
  printf("%.*s %s\n", TEXT_ARG(event->topic), text ? text : "");
  fflush(stdout);
  free(text);
}

static void on_event(void *userdata, const BusEvent *event) {
  Listener *listener = userdata;

  if (listener->ctl->options.count && listener->seen == listener->ctl->options.count)
    return; /* the loop's turn is not over yet */
  listener->seen++;
  if (event->lost > listener->lost)
    ctl_say("%" PRIu64 " events were lost: this end reads too slowly", event->lost - listener->lost);
  else if (event->gap)
    ctl_say("events of %.*s are missing before this one", TEXT_ARG(event->topic));
  listener->lost = event->lost;
  if (listener->ctl->options.json)
    ctl_write_json(listener->ctl, event_json(event));
  else
    print_line(event);
}

static bool has_seen_all(void *userdata) {
  const Listener *listener = userdata;

  return listener->ctl->options.count && listener->seen >= listener->ctl->options.count;
}

static CtlExit listen_for(Reach *reach, Listener *listener) {
  const Options *options = &listener->ctl->options;
  uint64_t deadline_us = options->timeout_ms ? clock_monotonic_us() + options->timeout_ms * US_PER_MS : TIME_NEVER;
  int r = client_subscribe(reach->client, text_of(options->arguments[0]), on_event, listener, NULL);

  if (r == -EINVAL) {
    ctl_say("'%s' is no topic; it looks like a.b, a.*, or a.>", options->arguments[0]);
    return CTL_USAGE;
  }
  if (r < 0) {
    ctl_say("can't subscribe: %s", strerror(-r));
    return CTL_FAILED;
  }
  r = reach_run(reach, has_seen_all, listener, deadline_us);
  if (reach->interrupted)
    return (CtlExit)CTL_INTERRUPTED;
  if (reach->refused)
    return CTL_FAILED;
  if (r == -ETIMEDOUT && options->count) {
    ctl_say("%" PRIu64 " of %" PRIu64 " events came in time", listener->seen, options->count);
    return CTL_FAILED;
  }
  return r < 0 && r != -ETIMEDOUT ? CTL_FAILED : CTL_OK;
}

CtlExit cmd_sub(Ctl *ctl) {
  _cleanup_(reach_close) Reach reach = {0};
  Listener listener = {.ctl = ctl};
  CtlExit status = reach_open(ctl, reach_wait_ms(ctl), false, &reach);

  return status ? status : listen_for(&reach, &listener);
}
