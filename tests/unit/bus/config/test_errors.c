/* Bad files, each with the exact place and the exact sentence that people will read. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/bus/config/files.h"

#define NAME_RULE "must be 1 to 63 characters of a-z, 0-9, _ and -, the first a letter or a digit"
#define ENDPOINT_RULE                                                                                                  \
  "must be tcp://ADDRESS:PORT with a port up to 65535, or ipc://PATH, of at most 255 bytes and no spaces"

typedef struct BadFile {
  const char *text;
  const char *lines;
} BadFile;

static void refuse_each(const BadFile *files, size_t count) {
  for (size_t i = 0; i < count; i++)
    files_refuse(files[i].text, files[i].lines);
}

static void test_not_yaml(void **state _unused_) {
  static const BadFile files[] = {
      {"site: a\n\tlog: {}\n",
       "2:1: not YAML: found a tab character that violates indentation; indent with spaces, not "
       "tabs, and put text that begins with @, % or ` into quotes"},
      {"site: @a\n",
       "1:7: not YAML: found character that cannot start any token; indent with spaces, not tabs, and put "
       "text that begins with @, % or ` into quotes"},
      {"broker: {listen: [a\n",
       "2:1: not YAML: did not find expected ',' or ']'; check indentation, quotes and brackets "
       "here and in the line above"},
      {"site: a\nlog:\n  level: \xff\n", "3:1: not YAML: invalid leading UTF-8 octet; save the file as UTF-8 text"},
      {"site: a\n---\nsite: b\n", "2:1: a second document begins here; remove this --- or what is above it"},
      {"site: &x a\n", "1:7: anchors (&) and tags (!) are not used here; write the value itself"},
      {"site: !!str a\n", "1:7: anchors (&) and tags (!) are not used here; write the value itself"},
      {"log: &x {level: info}\n", "1:6: anchors (&) and tags (!) are not used here; write the value itself"},
      {"profiles: [{name: a, agents: [*]}]\n", "1:32: not YAML: did not find expected alphabetic or numeric character; "
                                               "put text that begins with * or & into quotes"},
      {"site: *x\n", "1:7: aliases (*) are not used here; write the value itself, text in \"quotes\""},
      {"? [a]\n: b\n", "1:3: a key must be a plain word; if this is a list entry, begin it with \"- \""},
      {"site: [[[[[[[[[[[[[[[[a]]]]]]]]]]]]]]]]\n", "1:22: nested more than 16 deep; no key of pons lies so deep"},
  };

  refuse_each(files, ELEMENTS(files));
}

static void test_unknown_keys(void **state _unused_) {
  static const BadFile files[] = {
      {"site: a\nsitee: b\n", "2:1: unknown key 'sitee'; did you mean 'site'?"},
      {"brokers:\n  name: a\n", "1:1: unknown key 'brokers'; did you mean 'broker'?"},
      {"log:\n  colour: red\n", "2:3: log: unknown key 'colour'; the keys here are: level"},
      {"broker:\n  limits:\n    request_per_client: 1\n",
       "3:5: broker.limits: unknown key 'request_per_client'; did you mean 'requests_per_client'?"},
      {"client: {retry: {tries: 1}}\n",
       "1:18: client.retry: unknown key 'tries'; the keys here are: budget_tokens, ratio, attempts"},
      {"agents:\n  - name: a\n    program: a\n    restart:\n      brust: 1\n",
       "5:7: agents[0].restart: unknown key 'brust'; did you mean 'burst'?"},
      {"log: {\"a\\nb\\e[31m\": 1}\n", "1:7: log: unknown key 'a?b?[31m'; the keys here are: level"},
  };

  refuse_each(files, ELEMENTS(files));
}

static void test_wrong_kinds(void **state _unused_) {
  static const BadFile files[] = {
      {"- a\n", "1:1: must be a mapping; write `site: VALUE`, one key in a line"},
      {"just words\n", "1:1: must be a mapping; write `site: VALUE`, one key in a line"},
      {"site: [a]\n", "1:7: site: is a list, must be one value; write `site: VALUE`"},
      {"site: {a: b}\n", "1:7: site: is a mapping, must be one value; write `site: VALUE`"},
      {"log: info\n", "1:6: log: must be a mapping; write `level: VALUE`, one key in a line"},
      {"broker:\n  listen: tcp://127.0.0.1:1\n", "2:11: broker.listen: must be a list; write `listen: [ONE, TWO]`"},
      {"agents: {name: a}\n",
       "1:9: agents: must be a list; begin each entry of `agents:` with \"- \" in a line of its own"},
      {"agents: [a]\n", "1:10: agents[0]: must be a mapping; write `name: VALUE`, one key in a line"},
      {"broker:\n  limits:\nsite: a\n",
       "2:3: broker.limits: has no value; write one behind the colon, or remove the line to "
       "take the default"},
      {"site:\n", "1:1: site: has no value; write one behind the colon, or remove the line to take the default"},
      {"agents:\n  - enabled: true\n", "2:5: agents[0]: has no name; add `name: VALUE` (the agent: one of "
                                       "agents/catalog.def, or any other with a program)"},
      {"log:\n  level: info\n  level: debug\n",
       "3:3: log.level: stands here a second time; line 2 has it already, keep one"},
      {"client: {endpoints: [ipc://a, ipc://b, ipc://c, ipc://d, ipc://e, ipc://f, ipc://g, ipc://h, ipc://i]}\n",
       "1:21: client.endpoints: has 9 entries, at most 8 are allowed"},
  };

  refuse_each(files, ELEMENTS(files));
}

static void test_values(void **state _unused_) {
  static const BadFile files[] = {
      {"site: MainPC\n", "1:7: site: is 'MainPC', " NAME_RULE},
      {"site: \"\"\n", "1:7: site: is '', " NAME_RULE},
      {"site: -a\n", "1:7: site: is '-a', " NAME_RULE},
      {"log: {level: loud}\n", "1:14: log.level: is 'loud', must be one of: error warning info debug"},
      {"log: {level: warn}\n", "1:14: log.level: is 'warn', must be one of: error warning info debug"},
      {"broker: {insecure: yes}\n", "1:20: broker.insecure: is 'yes', must be true or false"},
      {"broker: {limits: {sessions: 3}}\n",
       "1:29: broker.limits.sessions: is '3', must be a whole number from 4 to 1000000"},
      {"broker: {limits: {sessions: 1000001}}\n",
       "1:29: broker.limits.sessions: is '1000001', must be a whole number from 4 to 1000000"},
      {"broker: {limits: {sessions: 010}}\n",
       "1:29: broker.limits.sessions: is '010', must be a whole number from 4 to 1000000"},
      {"broker: {limits: {sessions: 0x10}}\n",
       "1:29: broker.limits.sessions: is '0x10', must be a whole number from 4 to 1000000"},
      {"broker: {limits: {sessions: -5}}\n",
       "1:29: broker.limits.sessions: is '-5', must be a whole number from 4 to 1000000"},
      {"broker: {limits: {sessions: 18446744073709551620}}\n",
       "1:29: broker.limits.sessions: is '18446744073709551620', must be a whole number from 4 to 1000000"},
      {"client: {retry: {ratio: 1.5}}\n", "1:25: client.retry.ratio: is '1.5', must be a number from 0 to 1"},
      {"client: {retry: {ratio: nan}}\n", "1:25: client.retry.ratio: is 'nan', must be a number from 0 to 1"},
      {"client: {retry: {ratio: 1e0}}\n", "1:25: client.retry.ratio: is '1e0', must be a number from 0 to 1"},
      {"broker: {listen: [\"tcp://127.0.0.1\"]}\n", "1:19: broker.listen[0]: is 'tcp://127.0.0.1', " ENDPOINT_RULE},
      {"broker: {listen: [\"tcp://127.0.0.1:65536\"]}\n",
       "1:19: broker.listen[0]: is 'tcp://127.0.0.1:65536', " ENDPOINT_RULE},
      {"broker: {listen: [\"tcp://:1\"]}\n", "1:19: broker.listen[0]: is 'tcp://:1', " ENDPOINT_RULE},
      {"broker: {listen: [\"inproc://a\"]}\n", "1:19: broker.listen[0]: is 'inproc://a', " ENDPOINT_RULE},
      {"broker: {listen: [\"ipc://\"]}\n", "1:19: broker.listen[0]: is 'ipc://', " ENDPOINT_RULE},
      {"broker: {listen: [\"ipc://a\\tb\"]}\n", "1:19: broker.listen[0]: is 'ipc://a?b', " ENDPOINT_RULE},
      {"runtime_dir: run\n", "1:14: runtime_dir: is 'run', must be a path that begins with /"},
      {"broker: {routes: [{service: \"a b\", versions: []}]}\n",
       "1:29: broker.routes[0].service: is 'a b', must be 1 to 63 characters of A-Z, a-z, 0-9, _, . and -"},
      {"agents: [{name: a, program: \"\"}]\n",
       "1:29: agents[0].program: is '', must be a path or a file name, not empty"},
      {"agents: [{name: a, program: a, tier: fpga}]\n",
       "1:38: agents[0].tier: is 'fpga', must be one of: gpu cpu remote"},
      {"agents: [{name: a, program: a, version: \"\"}]\n",
       "1:41: agents[0].version: is '', must be 1 to 31 characters of A-Z, a-z, 0-9, _, . and -"},
      {"agents: [{name: a, program: a, environment: [{name: 1A, value: x}]}]\n",
       "1:53: agents[0].environment[0].name: is '1A', must be the name of an environment variable: A-Z, a-z, 0-9 and "
       "_, the "
       "first no digit"},
      {"profiles: [{name: a, agents: [B]}]\n",
       "1:31: profiles[0].agents[0]: is 'B', must be the name of an agent, or \"*\" for all"},
  };

  refuse_each(files, ELEMENTS(files));
}

static void test_secrets_are_not_repeated(void **state _unused_) {
  static const BadFile files[] = {
      {"agents:\n  - name: a\n    program: a\n    environment:\n      - {name: A, secret: hunter2}\n",
       "5:27: agents[0].environment[0].secret: a secret must not stand in the file; write `secret: {file: PATH}` or "
       "`secret: {env: NAME}`"},
      {"agents: [{name: a, program: a, environment: [{name: A, secret: {hunter2}}]}]\n",
       "1:65: agents[0].environment[0].secret: has a key that is neither file nor env nor credential; use one of "
       "the three"},
      {"agents: [{name: a, program: a, environment: [{name: A, secret: {}}]}]\n",
       "1:64: agents[0].environment[0].secret: must have file, env or credential, one of the three"},
      {"agents: [{name: a, program: a, environment: [{name: A, secret: {file: a, env: B}}]}]\n",
       "1:64: agents[0].environment[0].secret: must have file, env or credential, one of the three"},
      {"agents: [{name: a, program: a, environment: [{name: OPENAI_API_KEY, value: hunter2}]}]\n",
       "1:76: agents[0].environment[0].value: 'OPENAI_API_KEY' is a secret by its name and must not stand in the file; "
       "write "
       "`secret: {file: PATH}` or `secret: {env: NAME}`"},
      {"agents: [{name: a, program: a, environment: [{name: Password, value: hunter2}]}]\n",
       "1:70: agents[0].environment[0].value: 'Password' is a secret by its name and must not stand in the file; write "
       "`secret: {file: PATH}` or `secret: {env: NAME}`"},
      {"agents: [{name: a, program: a, arguments: [\"--api-key=hunter2\"]}]\n",
       "1:44: agents[0].arguments[0]: '--api-key' takes a secret by its name and must not stand in the file; give it "
       "to the "
       "agent under environment: with `secret: {file: PATH}`"},
      {"agents: [{name: a, program: a, environment: [{name: A, value: \"hunter2\\0\"}]}]\n",
       "1:63: agents[0].environment[0].value: must be any text without a NUL byte"},
      {"agents: [{name: a, program: a, environment: [{name: A}]}]\n",
       "1:46: agents[0].environment[0]: 'A' must have value or secret, one of the two"},
      {"agents: [{name: a, program: a, environment: [{name: A, value: b, secret: {env: B}}]}]\n",
       "1:46: agents[0].environment[0]: 'A' must have value or secret, one of the two"},
  };

  refuse_each(files, ELEMENTS(files));
}

static void test_addresses(void **state _unused_) {
  static const BadFile files[] = {
      {"broker:\n  listen: []\n",
       "2:11: broker.listen: is empty; name at least one endpoint, or remove the line to take the default"},
      {"broker:\n  listen:\n    - tcp://192.168.1.5:7100\n",
       "3:7: broker.listen[0]: 'tcp://192.168.1.5:7100' listens beyond loopback without keys: everybody who reaches it "
       "could "
       "do everything; use 127.0.0.1, make keys with `pons keys init`, or set broker.insecure: true if the network is "
       "yours alone"},
      {"broker:\n  listen:\n    - tcp://*:7100\n",
       "3:7: broker.listen[0]: 'tcp://*:7100' listens beyond loopback without keys: everybody who reaches it could do "
       "everything; use 127.0.0.1, make keys with `pons keys init`, or set broker.insecure: true if the network is "
       "yours alone"},
      {"broker:\n  listen: [\"tcp://1270.0.0.1:7100\"]\n",
       "2:12: broker.listen[0]: 'tcp://1270.0.0.1:7100' listens beyond loopback without keys: everybody who reaches it "
       "could "
       "do everything; use 127.0.0.1, make keys with `pons keys init`, or set broker.insecure: true if the network is "
       "yours alone"},
      {"broker:\n  listen: [\"tcp://127.0.0.1:7100\", \"ipc://a\", \"tcp://127.0.0.1:7100\"]\n",
       "2:47: broker.listen[2]: 'tcp://127.0.0.1:7100' takes the same address as broker.listen[0], "
       "'tcp://127.0.0.1:7100'; "
       "give it another port or remove it"},
      {"broker:\n  insecure: true\n  listen: [\"tcp://127.0.0.1:7100\", \"tcp://0.0.0.0:7100\"]\n",
       "3:36: broker.listen[1]: 'tcp://0.0.0.0:7100' takes the same address as broker.listen[0], "
       "'tcp://127.0.0.1:7100'; give "
       "it another port or remove it"},
      {"runtime_dir: /r\nbroker:\n  listen: [ipc://a, ipc:///r/a]\n",
       "3:21: broker.listen[1]: 'ipc:///r/a' takes the same address as broker.listen[0], 'ipc:///r/a'; give it another "
       "port "
       "or remove it"},
      {"client:\n  endpoints: [\"tcp://*:7100\"]\n", "2:15: client.endpoints[0]: 'tcp://*:7100' can be listened at but "
                                                     "not connected to; write the broker's address and "
                                                     "port"},
      {"client:\n  endpoints: [\"tcp://127.0.0.1:0\"]\n",
       "2:15: client.endpoints[0]: 'tcp://127.0.0.1:0' can be listened at but not connected to; write the broker's "
       "address "
       "and port"},
      {"broker: {listen: "
       "[ipc:///aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
       "aaaaaaaaaaaaaaaaaaaaaaaaa]}\n",
       "1:19: broker.listen[0]: the socket's path "
       "'/"
       "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
       "aaa' is "
       "longer than 107 bytes; choose a shorter one, or a shorter runtime_dir"},
  };

  refuse_each(files, ELEMENTS(files));
}

static void test_next_to_loopback(void **state _unused_) {
  static const char *const hosts[] = {"126.255.255.255", "128.0.0.1", "127.1", "localhost.example", "[::2]"};

  for (size_t i = 0; i < ELEMENTS(hosts); i++) {
    char text[128];
    char expected[320];

    snprintf(text, sizeof text, "broker: {listen: [\"tcp://%s:1\"]}\n", hosts[i]);
    snprintf(
        expected, sizeof expected,
        "1:19: broker.listen[0]: 'tcp://%s:1' listens beyond loopback without keys: everybody who reaches it could do "
        "everything; use 127.0.0.1, make keys with `pons keys init`, or set broker.insecure: true if the network is "
        "yours alone",
        hosts[i]);
    files_refuse(text, expected);
  }
}

/* Names that only sound like secrets. */
static void test_no_secrets(void **state _unused_) {
  _cleanup_(config_destroy) Config *config =
      files_load("agents: [{name: a, program: a, arguments: [\"--monkey=1\", \"--key\", key=3],\n"
                 "  environment: [{name: MONKEY, value: a}, {name: TOKENS, value: b}, {name: KEY_SIZE, value: c}]}]\n");

  assert_int_equal(config->agents[0].environment_count, 3);
}

static void test_addresses_allowed(void **state _unused_) {
  _cleanup_(config_destroy) Config *config = NULL;

  config =
      files_load("broker: {listen: [\"tcp://127.0.0.2:7100\", \"tcp://127.0.0.1:7100\", \"tcp://localhost:7101\",\n"
                 "  \"tcp://[::1]:7102\", \"tcp://127.0.0.1:*\", \"tcp://127.0.0.1:0\", \"tcp://lo:7103\"]}\n");
  assert_string_equal(config->client.endpoints[0], "tcp://127.0.0.2:7100");
  config_destroy(&config);
  config = files_load("broker: {listen: [\"tcp://*:7100\"], insecure: true}\n");
  assert_string_equal(config->client.endpoints[0], "tcp://127.0.0.1:7100");
}

static void test_names(void **state _unused_) {
  static const BadFile files[] = {
      {"agents:\n  - {name: a, program: a}\n  - {name: b, program: b}\n  - {name: a, program: c}\n",
       "4:12: agents[2].name: 'a' is there already as agents[0]; merge the two or rename one"},
      {"groups: [{name: a}, {name: a}]\n",
       "1:28: groups[1].name: 'a' is there already as groups[0]; merge the two or rename one"},
      {"profiles:\n  - name: a\n    agents: []\n  - name: a\n    agents: []\n",
       "4:11: profiles[1].name: 'a' is there already as profiles[0]; merge the two or rename one"},
      {"agents:\n  - name: stranger\n",
       "2:11: agents[0].name: 'stranger' is not in agents/catalog.def; correct the name, or "
       "say with `program: PATH` what to start"},
      {"agents:\n  - name: a\n    program: a\n    group: nope\n",
       "4:12: agents[0].group: there is no group 'nope'; add it under groups:, or use core"},
      {"profiles:\n  - name: a\n    agents: [stranger]\n",
       "3:14: profiles[0].agents[0]: there is no agent 'stranger'; correct the name, or add it under agents:"},
      {"profile: nope\n", "1:10: profile: there is no profile 'nope'; correct the name, or add it under profiles:"},
      {"agents: [{name: a, program: a, environment: [{name: PONS_AGENT_NAME, value: b}]}]\n",
       "1:53: agents[0].environment[0].name: 'PONS_AGENT_NAME' belongs to the supervisor, which sets all of PONS_; "
       "choose "
       "another name"},
      {"agents: [{name: a, program: a, environment: [{name: A, value: b}, {name: A, value: c}]}]\n",
       "1:74: agents[0].environment[1].name: 'A' is there already as agents[0].environment[0]; merge the two or rename "
       "one"},
      {"broker:\n  routes:\n    - {service: A, versions: [{version: \"1\"}]}\n    - {service: A, versions: [{version: "
       "\"1\"}]}\n",
       "4:17: broker.routes[1].service: 'A' is there already as broker.routes[0]; merge the two or rename one"},
      {"broker: {routes: [{service: A, versions: [{version: \"1\"}, {version: \"1\"}]}]}\n",
       "1:69: broker.routes[0].versions[1].version: '1' is there already as broker.routes[0].versions[0]; merge the "
       "two or "
       "rename one"},
      {"broker: {routes: [{service: A, versions: [{version: \"1\", weight: 0}]}]}\n",
       "1:42: broker.routes[0].versions: no version of 'A' has a weight above 0, so nothing could be sent to it; give "
       "one a "
       "weight"},
      {"broker: {routes: [{service: A}]}\n",
       "1:19: broker.routes[0].versions: no version of 'A' has a weight above 0, so "
       "nothing could be sent to it; give one a weight"},
  };

  refuse_each(files, ELEMENTS(files));
}

static void test_orders(void **state _unused_) {
  static const BadFile files[] = {
      {"gateway:\n  held_max_bytes: 1048576\n",
       "2:19: gateway.held_max_bytes: is 1048576, must be at least gateway.body_max_bytes, which is 8388608"},
      {"broker:\n  limits:\n    bytes_all: 1048576\n",
       "3:16: broker.limits.bytes_all: is 1048576, must be at least broker.limits.bytes_per_client, which is 33554432"},
      {"broker:\n  heartbeat:\n    timeout_ms: 50\n",
       "3:17: broker.heartbeat.timeout_ms: is 50, must be above broker.heartbeat.interval_ms, which is 50"},
      {"broker:\n  heartbeat:\n    interval_ms: 200\n",
       "3:5: broker.heartbeat.timeout_ms: is 150, must be above broker.heartbeat.interval_ms, which is 200"},
      {"broker:\n  heartbeat:\n    idle_ms: 49\n",
       "3:14: broker.heartbeat.idle_ms: is 49, must be at least broker.heartbeat.interval_ms, which is 50"},
      {"agents:\n  - name: a\n    program: a\n    restart:\n      delay_ms: 5001\n",
       "5:7: agents[0].restart.delay_max_ms: is 5000, must be at least delay_ms, which is 5001"},
  };

  refuse_each(files, ELEMENTS(files));
}

/* All findings of a file at once, in its order. */
static void test_all_at_once(void **state _unused_) {
  files_refuse(
      "log: {level: x}\nsite: A\nbroker:\n  listen: 3\n  limits: {sessions: x, what: 1}\n",
      "1:14: log.level: is 'x', must be one of: error warning info debug\n"
      "2:7: site: is 'A', " NAME_RULE "\n"
      "4:11: broker.listen: must be a list; write `listen: [ONE, TWO]`\n"
      "5:22: broker.limits.sessions: is 'x', must be a whole number from 4 to 1000000\n"
      "5:25: broker.limits: unknown key 'what'; the keys here are: requests_per_client, bytes_per_client, bytes_all, "
      "queue_per_service, sessions, subscriptions_per_session, last_values\n");
  files_refuse(
      "profile: nope\nagents:\n  - {name: a, program: a, group: g}\nclient:\n  endpoints: [\"tcp://*:1\"]\n",
      "1:10: profile: there is no profile 'nope'; correct the name, or add it under profiles:\n"
      "3:34: agents[0].group: there is no group 'g'; add it under groups:, or use core\n"
      "5:15: client.endpoints[0]: 'tcp://*:1' can be listened at but not connected to; write the broker's address "
      "and port\n");
}

static void test_too_many(void **state _unused_) {
  _cleanup_(buffer_done) Buffer text = {0};
  _cleanup_(buffer_done) Buffer expected = {0};

  for (unsigned i = 0; i < 60; i++) {
    buffer_printf(&text, "zzzzzzzz%u: 1\n", i);
    if (i < 50)
      buffer_printf(
          &expected,
          "%u:1: unknown key 'zzzzzzzz%u'; the keys here are: site, log, runtime_dir, state_dir, profile, keys, "
          "broker, "
          "authority, durable, other_broker, client, gateway, coordinator, models, price_list, providers, local_llm, "
          "agents, groups, profiles\n",
          i + 1, i);
  }
  buffer_printf(&expected, "%s: 10 more findings are not shown; mend these first\n", files_config());
  buffer_append(&text, "", 1);
  buffer_append(&expected, "", 1);
  files_refuse((const char *)text.data, (const char *)expected.data);
}

static void test_too_large(void **state _unused_) {
  char *text = malloc(1024 * 1024 + 2);
  char expected[160];

  assert_non_null(text);
  memset(text, '#', 1024 * 1024 + 1);
  text[1024 * 1024 + 1] = '\0';
  snprintf(expected, sizeof expected, "%s: is larger than 1 MiB; it can't be a configuration of pons", files_config());
  files_refuse(text, expected);
  for (size_t i = 0; i < 1024 * 1024; i++)
    text[i] = i % 2 ? 'a' : ',';
  memcpy(text, "site: [", 7);
  text[200000] = ']';
  text[200001] = '\0';
  files_refuse(text, "1:131076: the file has more than 65536 values; it can't be a configuration of pons");
  free(text);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_not_yaml),
      cmocka_unit_test(test_unknown_keys),
      cmocka_unit_test(test_wrong_kinds),
      cmocka_unit_test(test_values),
      cmocka_unit_test(test_secrets_are_not_repeated),
      cmocka_unit_test(test_addresses),
      cmocka_unit_test(test_next_to_loopback),
      cmocka_unit_test(test_addresses_allowed),
      cmocka_unit_test(test_no_secrets),
      cmocka_unit_test(test_names),
      cmocka_unit_test(test_orders),
      cmocka_unit_test(test_all_at_once),
      cmocka_unit_test(test_too_many),
      cmocka_unit_test(test_too_large),
  };

  return cmocka_run_group_tests(tests, files_set_up, files_tear_down);
}
