/* Rights at each place where somebody asks for something: what is allowed passes, the rest is DENIED with the key's name. */
#include "bus/core/core-internal.h"
#include "tests/unit/bus/core/harness.h"

typedef struct World {
  Harness h;
  Rights *rights;
  CoreIdentity identity;
} World;

/* A client whose key has the rights that the test gives it; the worker of the harness has none and may do all. */
static int start(void **state) {
  World *world = calloc(1, sizeof *world);

  world->rights = rights_new();
  world->identity = (CoreIdentity){"narrow.pc2", 7, world->rights};
  harness_start(&world->h, NULL);
  *state = world;
  return 0;
}

static int stop(void **state) {
  World *world = *state;

  harness_stop(&world->h);
  rights_destroy(&world->rights);
  free(world);
  return 0;
}

static void allow(World *world, RightsDeed deed, const char *pattern) {
  assert_int_equal(rights_allow(world->rights, deed, text_of(pattern)), 0);
}

static void identify(World *world, TestPeer *peer) {
  core_identify(world->h.core, peer->session, &world->identity, world->h.now_us);
}

/* The last word to the peer is DENIED, and names the key and what it wanted. */
static void check_denied(World *world, TestPeer *peer, const char *what) {
  const Heard *heard = harness_last(peer);
  _cleanup_(buffer_done) Buffer text = {0};

  assert_int_equal(heard->header.kind, KIND_ERROR);
  assert_int_equal(heard->header.status, STATUS_DENIED);
  buffer_append(&text, heard->body.data, heard->body.size);
  buffer_append(&text, "", 1);
  assert_non_null(memmem(text.data, text.size, "narrow.pc2", 10));
  assert_non_null(memmem(text.data, text.size, what, strlen(what)));
  assert_true(core_counter(world->h.core, COUNTER_DENIED) > 0);
}

static void who_may_call_what(void **state) {
  World *world = *state;
  Harness *h = &world->h;

  allow(world, RIGHTS_CALL, "echo.say");
  identify(world, &h->client);
  harness_ask(h, &h->client, "echo", "say", BYTES_NONE);
  assert_int_equal(harness_last(&h->worker)->header.kind, KIND_REQUEST);
  harness_clear(&h->worker);
  harness_ask(h, &h->client, "echo", "once", BYTES_NONE);
  check_denied(world, &h->client, "call echo.once");
  harness_ask(h, &h->client, "pons", "stats", BYTES_NONE);
  check_denied(world, &h->client, "call pons.stats");
  assert_int_equal(h->worker.n_heard, 0);
  assert_int_equal(core_counter(h->core, COUNTER_DENIED), 2);
}

static void what_no_star_includes(void **state) {
  World *world = *state;
  Harness *h = &world->h;

  allow(world, RIGHTS_CALL, "*");
  identify(world, &h->client);
  harness_ask(h, &h->client, "pons.durable", "show", BYTES_NONE);
  check_denied(world, &h->client, "call pons.durable.show; no * includes it: write it out under `call` in keys.yaml");
  harness_ask(h, &h->client, "pons.durable", "list", BYTES_NONE);
  assert_int_equal(harness_last(&h->client)->header.status, STATUS_NO_SERVICE);
}

static void who_may_forward_where(void **state) {
  static const ForwardTarget targets[] = {{.service = TEXT("echo"), .method = TEXT("say")},
                                          {.service = TEXT("vault"), .method = TEXT("open")}};
  World *world = *state;
  Harness *h = &world->h;
  RequestId id;

  allow(world, RIGHTS_SERVE, "echo");
  allow(world, RIGHTS_CALL, "echo");
  identify(world, &h->worker);
  id = harness_ask(h, &h->client, "echo", "say", BYTES_NONE);
  harness_forward(h, &h->worker, id, targets, 2);
  check_denied(world, &h->client, "call vault.open");
}

static void who_may_serve_what(void **state) {
  World *world = *state;
  Harness *h = &world->h;
  TestPeer liar = {.session = NULL};
  TestPeer honest = {.session = NULL};

  h->identity = &world->identity;
  allow(world, RIGHTS_SERVE, "echo");
  harness_worker(h, &honest, "honest", 77, 1);
  assert_non_null(honest.session);
  harness_instance(h, &liar, &(TestInstance){.name = "liar", .client = 78, .service = "vault"});
  check_denied(world, &liar, "serve vault.say");
  assert_null(liar.session);
  harness_forget(&honest);
  harness_forget(&liar);
}

static void who_may_say_and_hear_what(void **state) {
  World *world = *state;
  Harness *h = &world->h;
  Header publish = {.kind = KIND_PUBLISH, .id = {h->client.client, 1}, .service = TEXT("a.b")};
  Header subscribe = {.kind = KIND_SUBSCRIBE, .service = TEXT("a.*")};

  allow(world, RIGHTS_PUBLISH, "a.b");
  allow(world, RIGHTS_SUBSCRIBE, "a.*");
  identify(world, &h->client);
  harness_give(h, &h->client, &subscribe, BYTES_NONE);
  harness_give(h, &h->client, &publish, (Bytes){(const uint8_t *)"x", 1});
  assert_int_equal(harness_last(&h->client)->header.kind, KIND_EVENT);
  publish.service = TEXT("a.c");
  publish.id.sequence = 2;
  harness_give(h, &h->client, &publish, (Bytes){(const uint8_t *)"x", 1});
  check_denied(world, &h->client, "publish to a.c");
  subscribe.service = TEXT(">");
  harness_give(h, &h->client, &subscribe, BYTES_NONE);
  check_denied(world, &h->client, "subscribe to >");
}

static void rights_that_are_taken_away_end_the_session(void **state) {
  World *world = *state;
  Harness *h = &world->h;
  Header subscribe = {.kind = KIND_SUBSCRIBE, .service = TEXT("a.b")};
  Rights *less = rights_new();

  allow(world, RIGHTS_SERVE, "echo");
  identify(world, &h->worker);
  assert_non_null(h->worker.session);
  allow(world, RIGHTS_SUBSCRIBE, "a.>");
  identify(world, &h->client);
  harness_give(h, &h->client, &subscribe, BYTES_NONE);
  world->identity.rights = less;
  identify(world, &h->worker);
  check_denied(world, &h->worker, "serve echo");
  assert_null(h->worker.session);
  identify(world, &h->client);
  check_denied(world, &h->client, "subscribe to a.b");
  assert_null(h->client.session);
  rights_destroy(&less);
}

/* Ids are no secret: who knows one must not get the answers that wait for it. */
static void a_client_id_belongs_to_its_key(void **state) {
  World *world = *state;
  Harness *h = &world->h;
  CoreIdentity other = {"other.pc2", 8, NULL};
  TestPeer first = {.session = NULL};
  TestPeer second = {.session = NULL};
  TestPeer thief = {.session = NULL};

  h->identity = &world->identity;
  harness_client(h, &first, "first", 500);
  assert_non_null(first.session);
  h->identity = &other;
  harness_client(h, &thief, "first", 500);
  assert_null(thief.session);
  assert_int_equal(harness_last(&thief)->header.status, STATUS_FOREIGN_ID);
  assert_non_null(first.session);
  h->identity = &world->identity;
  harness_client(h, &second, "first", 500);
  assert_non_null(second.session);
  assert_null(first.session);
  harness_forget(&first);
  harness_forget(&second);
  harness_forget(&thief);
}

/* A service of the broker's process that calls on behalf of a client. */
static void what_is_called_on_behalf_of_a_client(void **state) {
  World *world = *state;
  Harness *h = &world->h;

  assert_true(core_may_call(h->core, (ClientId){999}, TEXT("echo"), TEXT("say"))); /* nobody has keys yet */
  allow(world, RIGHTS_CALL, "echo.say");
  identify(world, &h->client);
  assert_true(core_may_call(h->core, h->client.client, TEXT("echo"), TEXT("say")));
  assert_false(core_may_call(h->core, h->client.client, TEXT("echo"), TEXT("once")));
  assert_false(core_may_call(h->core, (ClientId){999}, TEXT("echo"), TEXT("say")));
  assert_int_equal(core_counter(h->core, COUNTER_DENIED), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(who_may_call_what),
      TEST(what_no_star_includes),
      TEST(who_may_forward_where),
      TEST(who_may_serve_what),
      TEST(who_may_say_and_hear_what),
      TEST(rights_that_are_taken_away_end_the_session),
      TEST(a_client_id_belongs_to_its_key),
      TEST(what_is_called_on_behalf_of_a_client),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
