#include <errno.h>

#include "bus/ctl/jsontext.h"
#include "bus/ctl/question.h"
#include "bus/ctl/reach.h"

/* The event itself is not answered. What the broker says to the question behind it comes after what it has to say of the event. */
static CtlExit await_taken(Reach *reach) {
  json_t *pong = NULL;
  CtlExit status = reach_ask(reach, "pons", "ping", NULL, &pong);

  json_decref(pong);
  return reach->refused ? CTL_FAILED : status;
}

static CtlExit publish(Ctl *ctl, Reach *reach, Bytes body) {
  const char *topic = ctl->options.arguments[0];
  int r = client_publish(reach->client, text_of(topic), body, ctl->options.retain);
  CtlExit status;

  if (r == -EINVAL) {
    ctl_say("'%s' is no topic; it looks like a.b, without wildcards", topic);
    return CTL_USAGE;
  }
  if (r < 0) {
    ctl_say("the event can't be sent: %s", r == -EMSGSIZE ? "its message is over 252 KiB" : strerror(-r));
    return CTL_FAILED;
  }
  status = await_taken(reach);
  if (status == CTL_OK && ctl->options.json)
    ctl_write_json(ctl, json_pack("{s:o, s:I}", "topic", jsontext_new(text_of(topic)), "bytes", (json_int_t)body.size));
  return status;
}

CtlExit cmd_pub(Ctl *ctl) {
  _cleanup_(buffer_done) Buffer body = {0};
  _cleanup_(buffer_done) Buffer errors = {0};
  _cleanup_(reach_close) Reach reach = {0};
  CtlExit status;

  if (question_read(ctl->options.arguments[1], &body, &errors) != 0) {
    ctl_say_lines(&errors);
    return CTL_USAGE;
  }
  status = reach_open(ctl, reach_wait_ms(ctl), false, &reach);
  return status ? status : publish(ctl, &reach, buffer_bytes(&body));
}
