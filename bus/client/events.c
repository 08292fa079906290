/* Events: publishing with a sequence per topic; subscriptions, each of which sees every event once and notices holes. */
#include <errno.h>
#include <stdlib.h>

#include "bus/client/client-internal.h"
#include "bus/wire/topic.h"

enum {
  SEEN_MAX = 4096,    /* publishers and topics that one subscription keeps in mind; the oldest is forgotten first */
  REFETCH_US = 10000, /* holes of that time are mended together */
};

/* --- publishing --- */

/* The sequence of a topic that this client publishes to. */
typedef struct OwnTopic {
  TableLink link;
  uint64_t sequence;
  size_t size;
  char name[];
} OwnTopic;

static Text topic_of(const Publication *publication) {
  return (Text){publication->bytes, publication->topic_size};
}

/* The next number of a topic, or 0 when there are too many topics. */
static uint64_t next_sequence(Client *client, Text name) {
  uint64_t hash = text_hash(name);
  OwnTopic *topic;

  for (TableLink *at = table_bucket(&client->topics, hash); at; at = at->next) {
    topic = CONTAINER_OF(at, OwnTopic, link);
    if (at->hash == hash && text_equal((Text){topic->name, topic->size}, name))
      return ++topic->sequence;
  }
  if (client->topics.size >= LIMIT_TOPICS)
    return 0;
  topic = malloc(sizeof *topic + name.size);
  if (!topic)
    abort();
  topic->sequence = 1;
  topic->size = name.size;
  memcpy(topic->name, name.data, name.size);
  table_add(&client->topics, &topic->link, hash);
  return 1;
}

static void drop_publication(Client *client, Publication *publication) {
  if (list_has(&publication->in_client)) {
    list_remove(&publication->in_client);
    client->publications_count--;
  }
  free(publication);
}

/* By the broker that is asked too, which tells the other. */
static void send_publication(Client *client, Publication *publication) {
  Header header = {
      .kind = KIND_PUBLISH,
      .id = {client->id, publication->sequence},
      .service = topic_of(publication),
      .flags = publication->retain ? FLAG_RETAIN : 0,
  };
  Bytes body = {(const uint8_t *)publication->bytes + publication->topic_size, publication->body_size};

  link_send(client->home, &header, body, NULL);
  drop_publication(client, publication);
}

static void on_publish(void *userdata) {
  Publication *publication = userdata;
  Client *client = publication->client;

  client_did(client);
  publication->sequence = next_sequence(client, topic_of(publication));
  if (publication->sequence == 0) {
    client->stats.events_dropped++;
    free(publication);
    return;
  }
  if (client->home) {
    send_publication(client, publication);
    return;
  }
  list_push(&client->publications, &publication->in_client);
  if (++client->publications_count <= LIMIT_OUTBOX_EVENTS)
    return;
  client->stats.events_dropped++;
  drop_publication(client, LIST_FIRST(&client->publications, Publication, in_client));
}

int client_publish(Client *client, Text topic, Bytes body, bool retain) {
  Publication *publication;
  int r;

  if (!topic_is_valid(topic))
    return -EINVAL;
  if (body.size > LIMIT_BODY_BYTES)
    return -EMSGSIZE;
  publication = malloc(sizeof *publication + topic.size + body.size);
  if (!publication)
    return -ENOMEM;
  *publication = (Publication){.client = client, .retain = retain, .topic_size = topic.size, .body_size = body.size};
  memcpy(publication->bytes, topic.data, topic.size);
  if (body.size)
    memcpy(publication->bytes + topic.size, body.data, body.size);
  r = client_do(client, on_publish, publication);
  if (r < 0)
    free(publication);
  return r;
}

/* --- subscribing --- */

static Text pattern_of(const Subscription *subscription) {
  return (Text){subscription->pattern, subscription->pattern_size};
}

static void send_pattern(Link *link, Kind kind, const Subscription *subscription) {
  Header header = {.kind = kind, .service = pattern_of(subscription)};

  if (link_is_open(link))
    link_send(link, &header, BYTES_NONE, NULL);
}

/* Every broker is heard, so that the loss of one loses no event. */
static void send_pattern_to_all(Client *client, Kind kind, const Subscription *subscription) {
  for (uint32_t i = 0; i < client->links_count; i++)
    send_pattern(&client->links[i], kind, subscription);
}

static void on_refetch(Client *client, ClientTimer *timer, uint64_t now_us) {
  (void)now_us;
  send_pattern_to_all(client, KIND_SUBSCRIBE, CONTAINER_OF(timer, Subscription, refetch));
}

static void forget(Subscription *subscription, Seen *seen) {
  table_remove(&subscription->seen, &seen->link);
  list_remove(&seen->in_order);
  free(seen);
}

static void free_subscription(Subscription *subscription) {
  LIST_EACH (&subscription->seen_order, Seen, in_order, seen)
    forget(subscription, seen);
  table_done(&subscription->seen);
  free(subscription);
}

static bool pattern_is_used(const Client *client, Text pattern) {
  LIST_EACH (&client->subscriptions, Subscription, in_client, subscription) {
    if (!subscription->over && text_equal(pattern_of(subscription), pattern))
      return true;
  }
  return false;
}

/* Takes out what was ended, once nobody walks the list. */
static void sweep(Client *client) {
  if (client->in_events)
    return;
  LIST_EACH (&client->subscriptions, Subscription, in_client, subscription) {
    if (subscription->over) {
      list_remove(&subscription->in_client);
      free_subscription(subscription);
    }
  }
}

static void on_subscribe(void *userdata) {
  Subscription *subscription = userdata;
  Client *client = subscription->client;

  client_did(client);
  list_push(&client->subscriptions, &subscription->in_client);
  send_pattern_to_all(client, KIND_SUBSCRIBE, subscription);
}

int client_subscribe(Client *client, Text pattern, OnEvent *on_event, void *userdata, uint64_t *ret) {
  Subscription *subscription;
  uint64_t number;
  int r;

  if (!topic_pattern_is_valid(pattern))
    return -EINVAL;
  if (atomic_fetch_add(&client->subscriptions_count, 1) >= LIMIT_SUBSCRIPTIONS) {
    atomic_fetch_sub(&client->subscriptions_count, 1);
    return -ENOBUFS;
  }
  subscription = calloc(1, sizeof *subscription + pattern.size);
  if (!subscription) {
    atomic_fetch_sub(&client->subscriptions_count, 1);
    return -ENOMEM;
  }
  number = atomic_fetch_add(&client->subscription_number, 1) + 1;
  subscription->number = number;
  subscription->client = client;
  subscription->on_event = on_event;
  subscription->userdata = userdata;
  subscription->refetch.on_due = on_refetch;
  subscription->pattern_size = (uint8_t)pattern.size;
  memcpy(subscription->pattern, pattern.data, pattern.size);
  list_init(&subscription->seen_order);
  r = client_do(client, on_subscribe, subscription);
  if (r < 0) {
    atomic_fetch_sub(&client->subscriptions_count, 1);
    free(subscription);
    return r;
  }
  if (ret)
    *ret = number;
  return 0;
}

typedef struct Ending {
  Client *client;
  uint64_t number;
} Ending;

static void on_unsubscribe(void *userdata) {
  Ending *ending = userdata;
  Client *client = ending->client;

  client_did(client);
  LIST_EACH (&client->subscriptions, Subscription, in_client, subscription) {
    if (subscription->number != ending->number || subscription->over)
      continue;
    subscription->over = true;
    timer_stop(client, &subscription->refetch);
    atomic_fetch_sub(&client->subscriptions_count, 1);
    if (!pattern_is_used(client, pattern_of(subscription)))
      send_pattern_to_all(client, KIND_UNSUBSCRIBE, subscription);
  }
  sweep(client);
  free(ending);
}

void client_unsubscribe(Client *client, uint64_t subscription) {
  Ending *ending = malloc(sizeof *ending);

  if (!ending)
    abort();
  *ending = (Ending){client, subscription};
  if (client_do(client, on_unsubscribe, ending) < 0)
    abort();
}

/* --- receiving --- */

static Seen *find_seen(const Subscription *subscription, uint64_t hash, ClientId publisher, Text topic) {
  for (TableLink *at = table_bucket(&subscription->seen, hash); at; at = at->next) {
    Seen *seen = CONTAINER_OF(at, Seen, link);

    if (at->hash == hash && seen->publisher.value == publisher.value &&
        text_equal((Text){seen->topic, seen->topic_size}, topic))
      return seen;
  }
  return NULL;
}

static void remember(Subscription *subscription, uint64_t hash, const Header *header) {
  Seen *seen = malloc(sizeof *seen + header->service.size);

  if (!seen)
    abort();
  *seen = (Seen){
      .publisher = header->id.client, .sequence = header->id.sequence, .topic_size = (uint8_t)header->service.size};
  memcpy(seen->topic, header->service.data, header->service.size);
  table_add(&subscription->seen, &seen->link, hash);
  list_push(&subscription->seen_order, &seen->in_order);
  if (subscription->seen.size > SEEN_MAX)
    forget(subscription, LIST_FIRST(&subscription->seen_order, Seen, in_order));
}

/* Notes the event. Returns false when it was seen before; *ret_gap when some before it are missing. */
static bool note(Subscription *subscription, const Header *header, bool *ret_gap) {
  uint64_t hash = text_hash(header->service) ^ request_id_hash((RequestId){header->id.client, 0});
  Seen *seen;

  *ret_gap = false;
  if (request_id_is_none(header->id)) /* a broker's own event */
    return true;
  seen = find_seen(subscription, hash, header->id.client, header->service);
  if (!seen) {
    remember(subscription, hash, header);
    return true;
  }
  if (header->id.sequence <= seen->sequence)
    return false;
  *ret_gap = header->id.sequence > seen->sequence + 1;
  seen->sequence = header->id.sequence;
  return true;
}

/* What this subscription's sessions have lost, all together. */
static uint64_t total_lost(const Subscription *subscription) {
  uint64_t lost = 0;

  for (size_t i = 0; i < CLIENT_BROKERS_MAX; i++)
    lost += subscription->lost[i];
  return lost;
}

static void deliver(Subscription *subscription, Link *link, const Message *message) {
  const Header *header = &message->header;
  Client *client = subscription->client;
  uint64_t *lost = &subscription->lost[link_index(link)];
  bool retained = (header->flags & FLAG_RETAIN) != 0;
  bool gap;

  if (!note(subscription, header, &gap)) {
    client->stats.events_dropped++;
    return;
  }
  if (header->number > *lost) {
    *lost = header->number;
    gap = true;
  }
  if (gap && !retained && !heap_has(&subscription->refetch.entry))
    timer_set(client, &subscription->refetch, clock_monotonic_us() + REFETCH_US);
  subscription->on_event(subscription->userdata, &(BusEvent){
                                                     .topic = header->service,
                                                     .body = message->body,
                                                     .content_type = header->content_type,
                                                     .publisher = header->id.client,
                                                     .sequence = header->id.sequence,
                                                     .lost = total_lost(subscription),
                                                     .retained = retained,
                                                     .gap = gap,
                                                 });
}

void events_receive(Link *link, const Message *message) {
  Client *client = link->client;

  client->in_events = true;
  LIST_EACH (&client->subscriptions, Subscription, in_client, subscription) {
    if (!subscription->over && topic_matches(pattern_of(subscription), message->header.service))
      deliver(subscription, link, message);
  }
  client->in_events = false;
  sweep(client);
}

void events_on_open(Link *link) {
  LIST_EACH (&link->client->subscriptions, Subscription, in_client, subscription) {
    subscription->lost[link_index(link)] = 0;
    send_pattern(link, KIND_SUBSCRIBE, subscription);
  }
}

void events_place(Client *client) {
  LIST_EACH (&client->publications, Publication, in_client, publication)
    send_publication(client, publication);
}

void events_done(Client *client) {
  LIST_EACH (&client->subscriptions, Subscription, in_client, subscription) {
    timer_stop(client, &subscription->refetch);
    list_remove(&subscription->in_client);
    free_subscription(subscription);
  }
  LIST_EACH (&client->publications, Publication, in_client, publication)
    drop_publication(client, publication);
  TABLE_EACH (&client->topics, OwnTopic, link, topic) {
    table_remove(&client->topics, &topic->link);
    free(topic);
  }
  table_done(&client->topics);
}
