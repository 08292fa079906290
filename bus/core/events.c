/* Topics: exact patterns are found by hash, those with wildcards in one list. Last values: kept.c. */
#include "bus/core/core-internal.h"

#include "bus/wire/topic.h"

#include <stdlib.h>

enum {
  TELL_EVERY_US = 20000,
  TELL_MOST = 4096, /* last values that are looked at in that time, for all who have subscribed: some ms of work */
  TELL_SLICE = 512, /* and for one of them before the next one's turn */
};

/* --- patterns --- */

static Pattern *find_pattern(const Core *core, Text text) {
  uint64_t hash = text_hash(text);

  for (TableLink *at = table_bucket(&core->patterns, hash); at; at = at->next) {
    Pattern *pattern = CONTAINER_OF(at, Pattern, link);

    if (at->hash == hash && text_equal((Text){pattern->text, pattern->size}, text))
      return pattern;
  }
  return NULL;
}

static Pattern *make_pattern(Core *core, Text text) {
  Pattern *pattern = calloc(1, sizeof *pattern + text.size);

  if (!pattern)
    abort();
  memcpy(pattern->text, text.data, text.size);
  pattern->size = (uint8_t)text.size;
  list_init(&pattern->subscriptions);
  table_add(&core->patterns, &pattern->link, text_hash(text));
  if (topic_pattern_is_wild(text))
    list_push(&core->wild, &pattern->in_wild);
  return pattern;
}

static void drop_subscription(Core *core, Subscription *subscription) {
  Pattern *pattern = subscription->pattern;

  list_remove(&subscription->in_pattern);
  list_remove(&subscription->in_session);
  list_remove(&subscription->in_telling);
  subscription->session->n_subscriptions--;
  free(subscription);
  if (!list_is_empty(&pattern->subscriptions))
    return;
  list_remove(&pattern->in_wild);
  table_remove(&core->patterns, &pattern->link);
  free(pattern);
}

/* Walks the session's list, which is bounded; a pattern may have a subscriber in every session. */
static Subscription *find_subscription(const Pattern *pattern, const Session *session) {
  LIST_EACH (&session->subscriptions, Subscription, in_session, subscription) {
    if (subscription->pattern == pattern)
      return subscription;
  }
  return NULL;
}

void events_forget_session(Core *core, Session *session) {
  LIST_EACH (&session->subscriptions, Subscription, in_session, subscription)
    drop_subscription(core, subscription);
}

/* --- publishing --- */

static void send_to_pattern(Core *core, const Pattern *pattern, const Header *event, Bytes body, Block *block) {
  LIST_EACH (&pattern->subscriptions, Subscription, in_pattern, subscription) {
    Session *session = subscription->session;

    if (session->last_event == core->last_event)
      continue;
    session->last_event = core->last_event;
    core->counters[COUNTER_EVENTS_OUT]++;
    core_send(core, session, event, body, block);
  }
}

/* A session gets the event once, whichever of its patterns fit. */
static void send_event(Core *core, Text topic, const Header *event, Bytes body, Block *block) {
  Pattern *exact = find_pattern(core, topic);

  core->last_event++;
  if (exact)
    send_to_pattern(core, exact, event, body, block);
  LIST_EACH (&core->wild, Pattern, in_wild, pattern) {
    if (topic_matches((Text){pattern->text, pattern->size}, topic))
      send_to_pattern(core, pattern, event, body, block);
  }
}

/* An ERROR about a topic names the topic: the ids of PUBLISH are counted apart from those of requests, and one of them may
   be an unanswered request's. */
static void refuse(Core *core, Session *session, Text topic, Status status, const char *message) {
  Header header = {.kind = KIND_ERROR, .status = status, .service = topic};
  _cleanup_(buffer_done) Buffer body = {0};

  core_put_error(core, &body, status, message, NULL, 0);
  core_send(core, session, &header, buffer_bytes(&body), NULL);
}

void events_publish(Core *core, Session *session, const Header *header, Bytes body, Block *block) {
  Header event = {.kind = KIND_EVENT,
                  .id = header->id,
                  .service = header->service,
                  .content_type = header->content_type,
                  .trace = header->trace,
                  .annotations = header->annotations};

  if (!topic_is_valid(header->service) || (header->service.size > 5 && memcmp(header->service.data, "pons.", 5) == 0)) {
    refuse(core, session, header->service, STATUS_BAD_NAME, "not a topic that may be published to");
    return;
  }
  if (header->id.client.value != session->client->id.value) {
    refuse(core, session, header->service, STATUS_FOREIGN_ID,
           "the id of an event begins with the client id of its publisher");
    return;
  }
  if (!may(core, session, RIGHTS_PUBLISH, header->service, TEXT_NONE)) {
    refuse(core, session, header->service, STATUS_DENIED, core->denial);
    return;
  }
  core->counters[COUNTER_EVENTS_IN]++;
  if ((header->flags & FLAG_RETAIN) && !kept_put(core, header, body))
    refuse(core, session, header->service, STATUS_LIMIT, "too many or too large retained topics");
  send_event(core, header->service, &event, body, block);
  if (core->sink.event && core->options.has_peer)
    core->sink.event(core->sink.userdata, header, body);
}

/* Subscribers with a session at each broker hear it twice, and drop the second by its id. */
void core_peer_event(Core *core, const Header *header, Bytes body, uint64_t now_us) {
  Header event = {
      .kind = KIND_EVENT, .id = header->id, .service = header->service, .content_type = header->content_type};

  core->now_us = now_us;
  if (!topic_is_valid(header->service) || header->id.client.value == 0)
    return;
  if (header->flags & FLAG_RETAIN)
    kept_put_later(core, header, body);
  send_event(core, header->service, &event, body, NULL);
}

/* A value that it has kept, and that is newer than the one here. */
void core_peer_kept(Core *core, const KeptValue *value, uint64_t now_us) {
  Header event = {.kind = KIND_EVENT,
                  .id = value->id,
                  .service = value->topic,
                  .flags = FLAG_RETAIN,
                  .content_type = value->content_type};

  core->now_us = now_us;
  if (topic_is_valid(value->topic) && value->id.client.value != 0 &&
      kept_put_newer(core, &event, value->body, value->age_us))
    send_event(core, value->topic, &event, value->body, NULL);
}

void events_tell(Core *core, const char *topic, Bytes body) {
  Header event = {.kind = KIND_EVENT, .service = text_of(topic)};

  send_event(core, event.service, &event, body, NULL);
}

bool core_publish(Core *core, Text topic, Bytes body, uint64_t now_us) {
  Header event = {.kind = KIND_EVENT, .service = topic};
  bool kept;

  core->now_us = now_us;
  kept = kept_put(core, &event, body);
  send_event(core, topic, &event, body, NULL);
  return kept;
}

/* --- subscribing --- */

static void send_last_value(Core *core, Session *session, const Topic *topic) {
  Header event = {.kind = KIND_EVENT,
                  .id = topic->id,
                  .service = {topic->name, topic->size},
                  .flags = FLAG_RETAIN,
                  .content_type = {topic->content_type, topic->content_type_size}};

  core_send(core, session, &event, block_bytes(topic->body), topic->body);
}

/* Looks at the next last values for it. Returns whether it has been told all. */
static bool tell_slice(Core *core, Subscription *subscription) {
  Text pattern = {subscription->pattern->text, subscription->pattern->size};
  uint32_t left = (uint32_t)min_u64(TELL_SLICE, core->tell_left);

  LIST_EACH (&core->kept, Topic, in_kept, topic) {
    if (topic->serial <= subscription->told)
      continue;
    if (topic->serial > subscription->until)
      return true;
    if (left-- == 0)
      return false;
    core->tell_left--;
    subscription->told = topic->serial;
    if (topic->body->size > 0 && topic_matches(pattern, (Text){topic->name, topic->size}))
      send_last_value(core, subscription->session, topic);
  }
  return true;
}

/* Whoever subscribes may be told all that is kept, many times over by one message; so it is done a bounded number at a time, for one
   after the other. */
static void tell_some(Core *core) {
  Subscription *subscription;

  if (core->now_us - core->tell_us >= TELL_EVERY_US) {
    core->tell_us = core->now_us;
    core->tell_left = TELL_MOST;
  }
  while (core->tell_left > 0 && (subscription = LIST_FIRST(&core->telling, Subscription, in_telling))) {
    list_remove(&subscription->in_telling);
    if (!tell_slice(core, subscription))
      list_push(&core->telling, &subscription->in_telling);
  }
  if (!list_is_empty(&core->telling))
    core_set_timer(core, &core->tell_timer, core->tell_us + TELL_EVERY_US);
}

static void on_tell(Core *core, Timer *timer, uint64_t now_us) {
  (void)timer;
  (void)now_us;
  tell_some(core);
}

void events_start(Core *core) {
  list_init(&core->telling);
  core->tell_timer.on_due = on_tell;
  core->tell_us = core->now_us;
  core->tell_left = TELL_MOST;
}

static void send_last_values(Core *core, Subscription *subscription) {
  const Pattern *pattern = subscription->pattern;
  const Topic *exact;

  if (list_has(&pattern->in_wild)) {
    subscription->told = 0;
    subscription->until = core->kept_serial;
    if (!list_has(&subscription->in_telling))
      list_push(&core->telling, &subscription->in_telling);
    tell_some(core);
    return;
  }
  exact = kept_find(core, (Text){pattern->text, pattern->size});
  if (exact && exact->body->size > 0)
    send_last_value(core, subscription->session, exact);
}

static Subscription *add_subscription(Session *session, Pattern *pattern) {
  Subscription *subscription = calloc(1, sizeof *subscription);

  if (!subscription)
    abort();
  subscription->pattern = pattern;
  subscription->session = session;
  list_push(&pattern->subscriptions, &subscription->in_pattern);
  list_push(&session->subscriptions, &subscription->in_session);
  session->n_subscriptions++;
  return subscription;
}

void events_subscribe(Core *core, Session *session, const Header *header) {
  Pattern *pattern = find_pattern(core, header->service);
  Subscription *subscription = pattern ? find_subscription(pattern, session) : NULL;

  if (!topic_pattern_is_valid(header->service)) {
    refuse(core, session, header->service, STATUS_BAD_NAME, "not a topic pattern");
    return;
  }
  if (!may(core, session, RIGHTS_SUBSCRIBE, header->service, TEXT_NONE)) {
    refuse(core, session, header->service, STATUS_DENIED, core->denial);
    return;
  }
  if (!subscription) {
    if (session->n_subscriptions >= core->options.limits.subscriptions) {
      refuse(core, session, header->service, STATUS_LIMIT, "too many subscriptions in one session");
      return;
    }
    subscription = add_subscription(session, pattern ? pattern : make_pattern(core, header->service));
  }
  send_last_values(core, subscription);
}

void events_unsubscribe(Core *core, Session *session, const Header *header) {
  Pattern *pattern = find_pattern(core, header->service);
  Subscription *subscription = pattern ? find_subscription(pattern, session) : NULL;

  if (subscription)
    drop_subscription(core, subscription);
}

void events_done(Core *core) {
  kept_done(core);
  table_done(&core->patterns);
}
