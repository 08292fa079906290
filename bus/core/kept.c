/* The last value of each topic that is to be kept, in the order in which they were.

   A broker that was away, or behind a cut cable, has older values than the other; when the link comes up both tell each other what
   they have, and the newer wins: of one publisher the higher sequence, of two publishers the one that was kept later. What
   counts is the age, since two machines' clocks need not agree. So that a value that was forgotten here does not come back
   from there, its topic stays, without a value, until others need its place. */
#include "bus/core/core-internal.h"

#include <stdlib.h>

Topic *kept_find(const Core *core, Text name) {
  uint64_t hash = text_hash(name);

  for (TableLink *at = table_bucket(&core->topics, hash); at; at = at->next) {
    Topic *topic = CONTAINER_OF(at, Topic, link);

    if (at->hash == hash && text_equal((Text){topic->name, topic->size}, name))
      return topic;
  }
  return NULL;
}

static void drop(Core *core, Topic *topic) {
  core->topic_bytes -= topic->body->size;
  core->n_forgotten -= topic->body->size == 0;
  list_remove(&topic->in_kept);
  table_remove(&core->topics, &topic->link);
  block_unref(&topic->body);
  free(topic);
}

/* A topic without a value gives its place to one that has some. */
static void make_room(Core *core) {
  if (core->topics.size < core->options.limits.topics || core->n_forgotten == 0)
    return;
  LIST_EACH (&core->kept, Topic, in_kept, topic) {
    if (topic->body->size == 0) {
      drop(core, topic);
      return;
    }
  }
}

static void add(Core *core, const Header *header, Bytes body, uint64_t since_us) {
  Topic *topic = calloc(1, sizeof *topic + header->service.size);

  if (!topic)
    abort();
  memcpy(topic->name, header->service.data, header->service.size);
  topic->size = (uint8_t)header->service.size;
  topic->id = header->id;
  topic->body = block_copy(body);
  topic->since_us = since_us;
  topic->serial = ++core->kept_serial;
  topic->content_type_size = (uint8_t)header->content_type.size;
  if (header->content_type.size)
    memcpy(topic->content_type, header->content_type.data, header->content_type.size);
  core->topic_bytes += body.size;
  core->n_forgotten += body.size == 0;
  table_add(&core->topics, &topic->link, text_hash(header->service));
  list_push(&core->kept, &topic->in_kept);
}

/* Whether nobody needs to be told that there is no value any more. */
static bool may_forget(const Core *core, const Header *header) {
  return !core->options.has_peer || request_id_is_none(header->id);
}

static bool put(Core *core, const Header *header, Bytes body, uint64_t since_us) {
  Topic *topic = kept_find(core, header->service);
  uint64_t freed = topic ? topic->body->size : 0;

  if (body.size == 0 && (!topic || may_forget(core, header))) {
    if (topic)
      drop(core, topic);
    return true;
  }
  if (!topic)
    make_room(core);
  if (core->topic_bytes - freed + body.size > LIMIT_TOPIC_BYTES ||
      (!topic && core->topics.size >= core->options.limits.topics))
    return false;
  if (topic)
    drop(core, topic);
  add(core, header, body, since_us);
  return true;
}

bool kept_put(Core *core, const Header *header, Bytes body) {
  return put(core, header, body, core->now_us);
}

static bool is_of(const Topic *topic, const Header *header) {
  return topic->id.client.value == header->id.client.value;
}

void kept_put_later(Core *core, const Header *header, Bytes body) {
  const Topic *topic = kept_find(core, header->service);

  if (!topic || !is_of(topic, header) || header->id.sequence > topic->id.sequence)
    put(core, header, body, core->now_us);
}

bool kept_put_newer(Core *core, const Header *header, Bytes body, uint64_t age_us) {
  const Topic *topic = kept_find(core, header->service);
  uint64_t since_us = core->now_us - min_u64(age_us, core->now_us);
  bool newer = !topic                 ? body.size > 0
               : is_of(topic, header) ? header->id.sequence > topic->id.sequence
                                      : since_us > topic->since_us;

  return newer && put(core, header, body, since_us);
}

static KeptValue value_of(const Core *core, const Topic *topic) {
  return (KeptValue){.id = topic->id,
                     .topic = {topic->name, topic->size},
                     .content_type = {topic->content_type, topic->content_type_size},
                     .body = block_bytes(topic->body),
                     .age_us = core->now_us - topic->since_us};
}

uint64_t core_tell_kept(Core *core, uint64_t after, TellKept *tell, void *userdata, uint64_t now_us) {
  core->now_us = now_us;
  LIST_EACH (&core->kept, Topic, in_kept, topic) {
    KeptValue value = value_of(core, topic);

    if (topic->serial <= after || request_id_is_none(topic->id))
      continue;
    if (!tell(userdata, &value))
      return after;
    after = topic->serial;
  }
  return core->kept_serial;
}

uint64_t core_kept_serial(const Core *core) {
  return core->kept_serial;
}

void kept_done(Core *core) {
  TABLE_EACH (&core->topics, Topic, link, topic)
    drop(core, topic);
  table_done(&core->topics);
}
