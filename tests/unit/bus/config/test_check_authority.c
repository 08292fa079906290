/* Who leads, checked whole: the exact place and sentence of each finding, and what is fine. */
#include "tests/unit/bus/config/files.h"

#define PAIR "authority: {node: a, peer: \"tcp://10.0.0.2:7102\""

static void what_is_refused(void **state _unused_) {
  static const struct {
    const char *text;
    const char *lines;
  } files[] = {
      {"authority: {node: c}\n", "1:19: authority.node: is 'c', must be one of: none alone a b"},
      {"authority: {node: b}\n",
       "1:12: authority.peer: node 'b' needs the other broker's address; name it, or write `node: alone`"},
      {PAIR ", listen: \"tcp://10.0.0.2:7102\"}\nbroker: {insecure: true}\n",
       "1:28: authority.peer: 'tcp://10.0.0.2:7102' is this broker's own address; name the other one's"},
      {PAIR ", listen: \"tcp://10.0.0.1:7102\"}\n",
       "1:59: authority.listen: 'tcp://10.0.0.1:7102' listens beyond loopback without keys: whoever reaches it could "
       "say who leads; use 127.0.0.1, make keys with `pons keys init`, or set broker.insecure: true if the network is "
       "yours alone"},
      {PAIR ", listen: \"tcp://127.0.0.1:7100\"}\n", "1:59: authority.listen: 'tcp://127.0.0.1:7100' takes the same "
                                                     "address as broker.listen[0]; give it another port"},
      {PAIR ", listen: \"tcp://127.0.0.1:*\"}\n",
       "1:59: authority.listen: 'tcp://127.0.0.1:*' must be tcp://ADDRESS:PORT with a port that the others can know"},
      {"authority: {node: a, peer: \"tcp://pc2:7102\"}\n",
       "1:28: authority.peer: 'tcp://pc2:7102' must be tcp://ADDRESS:PORT with the numbers of one machine; a name is "
       "not "
       "looked up"},
      {PAIR ", witness: \"tcp://0.0.0.0:7103\"}\n", "1:60: authority.witness: 'tcp://0.0.0.0:7103' must be "
                                                    "tcp://ADDRESS:PORT with the numbers of one machine; a name "
                                                    "is not looked up"},
      {PAIR ", witness: \"tcp://10.0.0.3:7103\", takeover: after_lease}\n",
       "1:93: authority.takeover: after_lease is for a pair without a witness: with one everything moves by itself; "
       "remove this line"},
      {"authority: {node: alone}\nother_broker: {endpoints: [\"tcp://127.0.0.2:7100\"]}\n",
       "1:19: authority.node: 'alone' is for one broker, and other_broker names a second: each would lead by itself; "
       "write a or b, and authority.peer"},
      {"authority: {vote_ms: 600, renew_ms: 201}\n",
       "1:37: authority.renew_ms: is more than a third of authority.vote_ms: a vote would run out unrenewed"},
      {"durable: {backoff_ms: 5000, backoff_longest_ms: 4999}\n",
       "1:49: durable.backoff_longest_ms: is 4999, must be at least durable.backoff_ms, which is 5000"},
  };

  for (size_t i = 0; i < ELEMENTS(files); i++)
    files_refuse(files[i].text, files[i].lines);
}

static void what_is_worked_out(void **state _unused_) {
  _cleanup_(config_destroy) Config *none = files_load("");
  _cleanup_(config_destroy) Config *pair = files_load(PAIR "}\n");
  _cleanup_(config_destroy) Config *three = files_load(PAIR ", witness: \"tcp://[::1]:7103\"}\n");

  assert_string_equal(none->authority.node, "none");
  assert_null(none->authority.peer);
  assert_string_equal(pair->authority.takeover, "after_lease");
  assert_string_equal(pair->authority.listen, "tcp://127.0.0.1:7102");
  assert_string_equal(three->authority.takeover, "manual");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(what_is_refused, files_clean),
      cmocka_unit_test_setup(what_is_worked_out, files_clean),
  };

  return cmocka_run_group_tests(tests, files_set_up, files_tear_down);
}
