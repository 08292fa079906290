/* Each broker connects a DEALER to the other's ROUTER and says all on it; what it hears comes by its own ROUTER. So each
   direction has a connection of its own, and the beats tell whether both work: a beat says which of the other's it has heard.
   The witness has a ROUTER alone and answers on the connection that asked. */
#include "bus/broker/peerlink.h"

#include <errno.h>
#include <stdlib.h>

#include "bus/base/log.h"
#include "bus/broker/knock.h"
#include "bus/loop/socket.h"
#include "bus/wire/next.h"

enum {
  SEND_QUEUE = 1024,     /* a whole table of leases, and flags, at once */
  BATCH = 256,           /* messages per turn and socket */
  MISSED = 3,            /* beats without which the link is lost */
  SENT = 64,             /* beats whose time of sending is remembered */
  LINGER_MS = 100,       /* a handover was said last */
  KNOCK_US = 100000,     /* how often at a port behind which nobody is heard */
  JUST_DOWN_US = 500000, /* for so long with each beat: a process that dies may close its port last */
};

struct PeerLink {
  Loop *loop;
  PeerLinkOptions options;
  PeerLinkHandler handler;
  Socket *router;
  Socket *peer;
  Socket *witness;
  Knock *knock;
  LoopTimer *timer;
  uint64_t due_us; /* of the next beat */
  uint64_t knocked_us;
  uint64_t down_us; /* when the link was lost */
  PeerLinkNews news;

  uint64_t number;        /* of the last beat */
  uint64_t sent_us[SENT]; /* by number */
  uint64_t heard;         /* the peer's last beat, and of which life of his */
  uint64_t heard_life;
  uint64_t good_us;   /* when a beat came that has heard one of the last of ours, or could not be expected to be seen */
  uint64_t worked_us; /* when such a beat came */
  bool connected;     /* our own DEALER: what a dead peer said last is read after its end */
  bool up;
  bool key_told; /* that a key is not admitted */
  char name[LIMIT_NAME_BYTES + 1];
  uint64_t peer_leads;
  uint64_t peer_told;
  uint64_t misfit_life; /* the life of a peer that does not fit, told once */
  uint64_t witness_heard_us;
  uint32_t asker[PAIR_NOBODY]; /* the witness: whom to answer where, and whether he has asked */
  bool asked[PAIR_NOBODY];
};

static PairNode peer_of(const PeerLink *link) {
  return link->options.node == PAIR_A ? PAIR_B : PAIR_A;
}

/* --- out --- */

static void encode_header(const PeerLink *link, const char *kind, Buffer *buffer) {
  PeerHeader header = {.kind = text_of(kind), .from = link->options.node, .life = link->options.life};

  if (contract_encode(CONTRACT(PeerHeader), &header, buffer, NULL) != 0)
    abort();
}

int peerlink_send(PeerLink *link, PairNode to, const char *kind, Bytes body) {
  bool by_router = link->options.node == PAIR_WITNESS;
  Socket *socket = by_router ? link->router : to == PAIR_WITNESS ? link->witness : link->peer;
  _cleanup_(buffer_done) Buffer header = {0};

  if (!socket || (by_router && (to >= PAIR_NOBODY || !link->asked[to])))
    return -ENOTCONN;
  encode_header(link, kind, &header);
  return socket_send(socket, by_router ? link->asker[to] : 0, buffer_bytes(&header), body, NULL);
}

void peerlink_tell(PeerLink *link, PeerLinkNews news) {
  link->news = news;
}

/* A kind that no broker of this version knows; see next.h. */
static void send_next(PeerLink *link) {
  _cleanup_(buffer_done) Buffer header = {0};

  msgpack_put_map(&header, 3);
  msgpack_put_text(&header, TEXT("kind"));
  msgpack_put_text(&header, TEXT("next"));
  msgpack_put_text(&header, TEXT("from"));
  msgpack_put_uint(&header, link->options.node);
  msgpack_put_text(&header, TEXT("life"));
  msgpack_put_uint(&header, link->options.life);
  socket_send(link->peer, 0, buffer_bytes(&header), buffer_bytes(&header), NULL);
}

static void send_beat(PeerLink *link, uint64_t now_us) {
  _cleanup_(buffer_done) Buffer body = {0};
  PeerBeat beat = {.number = ++link->number,
                   .has_heard = link->heard > 0,
                   .heard = link->heard,
                   .has_heard_life = link->heard > 0,
                   .heard_life = link->heard_life,
                   .seen = link->news.seen,
                   .has_leads = link->news.leads > 0,
                   .leads = link->news.leads,
                   .has_told = link->news.told > 0,
                   .told = link->news.told,
                   .broker = text_of(link->options.broker),
                   .vote_us = link->options.vote_us,
                   .witness = link->options.witness != NULL};

  if (contract_encode(CONTRACT(PeerBeat), &beat, &body, NULL) != 0)
    abort();
  next_add_field(&body);
  link->sent_us[link->number % SENT] = now_us;
  peerlink_send(link, peer_of(link), "beat", buffer_bytes(&body));
  if (NEXT)
    send_next(link);
}

/* --- up and down --- */

static void knock(PeerLink *link, uint64_t now_us) {
  link->knocked_us = now_us;
  knock_try(link->knock, now_us);
}

static void go_down(PeerLink *link, uint64_t now_us) {
  if (!link->up)
    return;
  link->up = false;
  link->peer_leads = 0;
  link->good_us = 0;
  link->down_us = now_us;
  link->handler.on_down(link->handler.userdata, link->worked_us);
  knock(link, now_us);
}

static void on_refused(void *userdata, uint64_t sent_us) {
  PeerLink *link = userdata;

  if (!link->up)
    link->handler.on_refused(link->handler.userdata, sent_us);
}

/* --- in --- */

/* Two that would count votes differently must not lead each other. */
static bool fits(PeerLink *link, const PeerHeader *header, const PeerBeat *beat) {
  const PeerLinkOptions *options = &link->options;

  if (beat->vote_us == options->vote_us && beat->witness == (options->witness != NULL))
    return true;
  if (link->misfit_life != header->life)
    log_error(
        "PONS-PEER-MISMATCH",
        "broker %.*s has %s and votes of %llu us, this one has %s and votes of %llu us: make authority.witness and "
        "authority.vote_ms the same at both",
        TEXT_ARG(beat->broker), beat->witness ? "a witness" : "no witness", (unsigned long long)beat->vote_us,
        options->witness ? "a witness" : "no witness", (unsigned long long)options->vote_us);
  link->misfit_life = header->life;
  return false;
}

/* True when the peer has heard one of the last beats: not only does it speak, it hears too. */
static bool hears_us(const PeerLink *link, const PeerBeat *beat, uint64_t now_us) {
  bool known = beat->has_heard && beat->has_heard_life && beat->heard_life == link->options.life &&
               beat->heard <= link->number && link->number - beat->heard < SENT;

  return known && now_us - link->sent_us[beat->heard % SENT] <= MISSED * link->options.beat_us;
}

static void note_beat(PeerLink *link, const PeerHeader *header, const PeerBeat *beat) {
  link->heard = beat->number;
  link->heard_life = header->life;
  memcpy(link->name, beat->broker.data, beat->broker.size);
  link->name[beat->broker.size] = '\0';
}

/* The peer hears by this beat that the link is up here too, before all that is said on it: else one would wait for the other's next beat
   with what it was asked. */
static void go_up(PeerLink *link, uint64_t seen, uint64_t now_us) {
  if (link->up)
    return;
  link->up = true;
  send_beat(link, now_us);
  link->handler.on_up(link->handler.userdata, seen);
}

static void take_beat(PeerLink *link, const PeerHeader *header, Bytes body) {
  uint64_t now_us = loop_now_us(link->loop);
  PeerBeat beat;
  bool is_new;

  if (contract_decode(CONTRACT(PeerBeat), body, NULL, &beat, NULL) != 0 || !fits(link, header, &beat))
    return;
  is_new = header->life != link->heard_life;
  if (is_new)
    go_down(link, now_us); /* it has been started anew */
  note_beat(link, header, &beat);
  if (!link->connected)
    return;
  if (hears_us(link, &beat, now_us)) {
    link->good_us = link->worked_us = now_us;
    link->peer_leads = beat.leads;
    link->peer_told = beat.told;
    go_up(link, beat.seen, now_us);
  } else if (is_new) {
    send_beat(link, now_us); /* it was heard */
  }
}

/* Whether a message of this node may come by this socket. */
static bool may_come(const PeerLink *link, const Socket *socket, uint64_t from) {
  if (link->options.node == PAIR_WITNESS)
    return from == PAIR_A || from == PAIR_B;
  return socket == link->witness ? from == PAIR_WITNESS : from == peer_of(link);
}

static void take(PeerLink *link, const Socket *socket, const SocketMessage *message) {
  PeerHeader header;

  if (message->frames != 2 || contract_decode(CONTRACT(PeerHeader), message->header, NULL, &header, NULL) != 0 ||
      !may_come(link, socket, header.from)) {
    log_debug("PONS-PEER-STRANGE", "a message on the peer link is not of it");
    return;
  }
  if (socket == link->witness)
    link->witness_heard_us = loop_now_us(link->loop);
  if (link->options.node == PAIR_WITNESS) {
    link->asker[header.from] = message->peer;
    link->asked[header.from] = true;
  }
  if (text_is(header.kind, "beat"))
    take_beat(link, &header, message->body);
  else
    link->handler.on_message(link->handler.userdata, (PairNode)header.from, header.kind, message->body);
}

/* Told once, until it connects: both go on trying. */
static void note_failure(PeerLink *link, const char *whom, int error) {
  if (link->key_told || (error != -EKEYREJECTED && error != -ENOKEY))
    return;
  link->key_told = true;
  log_error("PONS-PEER-KEY", "%s %s; see `pons keys list` there and here", whom,
            error == -ENOKEY ? "has no keys, or this one has none"
                             : "does not admit this one's key, or has another itself");
}

static void note_connection(PeerLink *link, bool connected) {
  link->connected = connected;
  link->key_told = link->key_told && !connected;
  if (connected)
    send_beat(link, loop_now_us(link->loop));
  else
    go_down(link, loop_now_us(link->loop));
}

static void drain(PeerLink *link, Socket *socket) {
  SocketMessage message;
  SocketEvent event;

  if (!socket)
    return;
  for (int i = 0; i < BATCH && socket_receive(socket, &message) == 0; i++) {
    take(link, socket, &message);
    socket_message_done(&message);
  }
  while (socket_next_event(socket, &event) == 0) {
    if (socket != link->router && event.type == SOCKET_FAILED)
      note_failure(link, socket == link->peer ? "the other broker" : "the witness", event.error);
    if (socket == link->peer)
      note_connection(link, event.type == SOCKET_UP);
  }
}

void peerlink_drain(PeerLink *link) {
  drain(link, link->router);
  drain(link, link->peer);
  drain(link, link->witness);
}

static void on_ready(void *userdata) {
  peerlink_drain(userdata);
}

/* A beat that was late itself judges nobody: it was us. */
static void on_beat(void *userdata, uint64_t now_us) {
  PeerLink *link = userdata;
  uint64_t due_us = link->due_us;
  bool late = now_us > due_us + link->options.beat_us;

  peerlink_drain(link);
  if (link->up && !late && now_us - link->good_us > MISSED * link->options.beat_us)
    go_down(link, now_us);
  if (late && link->up)
    link->good_us = now_us;
  if (!link->up && (now_us >= link->knocked_us + KNOCK_US || now_us < link->down_us + JUST_DOWN_US))
    knock(link, now_us);
  send_beat(link, now_us);
  link->due_us = now_us + link->options.beat_us;
  loop_timer_set(link->timer, link->due_us);
  if (link->handler.on_beat)
    link->handler.on_beat(link->handler.userdata, due_us, now_us);
}

/* --- made and closed --- */

/* server: the public key of who is behind the endpoint; NULL for our own. */
static int open_socket(PeerLink *link, SocketType type, const char *endpoint, const PublicKey *server, Socket **ret,
                       const char **ret_bad) {
  const PeerLinkOptions *options = &link->options;
  SocketHandler handler = {on_ready, link};
  int r = socket_new(link->loop, type, SEND_QUEUE, &handler, ret);

  *ret_bad = endpoint;
  if (r < 0)
    return r;
  if (options->key && server)
    socket_use_key(*ret, options->key, *server);
  else if (options->key)
    socket_use_gate(*ret, options->key, &options->gate);
  return type == SOCKET_ROUTER ? socket_bind(*ret, endpoint) : socket_connect(*ret, endpoint);
}

static int open_all(PeerLink *link, const char **ret_bad) {
  const PeerLinkOptions *options = &link->options;
  KnockHandler handler = {on_refused, link};
  int r = open_socket(link, SOCKET_ROUTER, options->listen, NULL, &link->router, ret_bad);

  if (r == 0 && options->witness)
    r = open_socket(link, SOCKET_DEALER, options->witness, &options->witness_key, &link->witness, ret_bad);
  if (r < 0 || !options->peer)
    return r;
  r = open_socket(link, SOCKET_DEALER, options->peer, &options->peer_key, &link->peer, ret_bad);
  if (r == 0)
    r = knock_new(&link->knock, link->loop, options->peer, &handler);
  if (r == 0)
    r = loop_timer_new(link->loop, on_beat, link, &link->timer);
  if (r < 0)
    return r;
  link->due_us = clock_monotonic_us();
  loop_timer_set(link->timer, link->due_us);
  return 0;
}

int peerlink_new(PeerLink **ret, Loop *loop, const PeerLinkOptions *options, const PeerLinkHandler *handler,
                 const char **ret_bad) {
  _cleanup_(peerlink_destroy) PeerLink *link = calloc(1, sizeof *link);
  int r;

  if (!link)
    abort();
  link->loop = loop;
  link->options = *options;
  link->handler = *handler;
  r = open_all(link, ret_bad);
  if (r < 0)
    return r;
  *ret_bad = NULL;
  *ret = TAKE(link);
  return 0;
}

void peerlink_destroy(PeerLink **link) {
  PeerLink *gone = TAKE(*link);

  if (!gone)
    return;
  loop_timer_destroy(&gone->timer);
  knock_destroy(&gone->knock);
  socket_destroy(&gone->router);
  socket_close(&gone->peer, LINGER_MS);
  socket_destroy(&gone->witness);
  free(gone);
}

const char *peerlink_endpoint(const PeerLink *link, char *ret, size_t size_bytes) {
  return socket_endpoint(link->router, ret, size_bytes);
}

void peerlink_ask_gate_again(PeerLink *link) {
  socket_ask_gate_again(link->router);
}

void peerlink_slept(PeerLink *link, uint64_t slept_us) {
  link->worked_us -= min_u64(slept_us, link->worked_us);
  go_down(link, loop_now_us(link->loop));
}

bool peerlink_is_up(const PeerLink *link) {
  return link->up;
}

const char *peerlink_peer(const PeerLink *link) {
  return link->name;
}

uint64_t peerlink_peer_leads(const PeerLink *link) {
  return link->peer_leads;
}

uint64_t peerlink_peer_life(const PeerLink *link) {
  return link->heard_life;
}

uint64_t peerlink_peer_told(const PeerLink *link) {
  return link->peer_told;
}

uint64_t peerlink_witness_heard_us(const PeerLink *link) {
  return link->witness_heard_us;
}
