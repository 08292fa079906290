/* Models, providers and the gateway against each other: the exact place and sentence of each finding, and what is fine. */
#include <stdio.h>

#include "tests/unit/bus/config/files.h"

#define TABLE "providers: [{name: p, base_url: \"https://h/v1\"}]\n"

typedef struct BadFile {
  const char *text;
  const char *lines;
} BadFile;

static void refuse_each(const BadFile *files, size_t count) {
  for (size_t i = 0; i < count; i++)
    files_refuse(files[i].text, files[i].lines);
}

static void test_models(void **state _unused_) {
  static const BadFile files[] = {
      {TABLE "models:\n  - {name: m, executor: Local}\n  - {name: m, executor: Local}\n",
       "4:12: models[1].name: 'm' is there already as models[0]; merge the two or rename one"},
      {TABLE "models:\n  - {name: auto, executor: Local}\n",
       "3:12: models[0].name: 'auto' is what a request says that leaves the choice to pons; choose another name"},
      {TABLE "models:\n  - {name: m, executor: RemoteApiAdapter, provider: q}\n",
       "3:53: models[0].provider: there is no provider 'q'; correct the name, or add it under providers:"},
      {TABLE "models:\n  - {name: m, executor: RemoteApiAdapter}\n",
       "3:5: models[0].provider: 'm' is run by RemoteApiAdapter and has no provider; write `provider: NAME`"},
      {TABLE "models:\n  - {name: m, executor: Local, provider: p}\n",
       "3:42: models[0].provider: 'm' is run by Local, which knows no providers; remove the line, or write `executor: "
       "RemoteApiAdapter`"},
  };

  refuse_each(files, ELEMENTS(files));
}

static void test_dialects(void **state _unused_) {
  static const BadFile files[] = {
      {"providers:\n  - {name: p, base_url: \"https://h/v1\", api_version: 2024-10-21, chat_path: /x}\n",
       "2:54: providers[0].api_version: is of dialect azure, and this one is openai; remove the line, or write "
       "`dialect: azure`\n"
       "2:77: providers[0].chat_path: is of dialect custom, and this one is openai; remove the line, or write "
       "`dialect: custom`"},
      {"providers:\n  - {name: p, dialect: custom, base_url: \"https://h/v1\", key_header: \"X-Key: sk-1\"}\n",
       "2:70: providers[0].key_header: must have {key} once behind the colon, where the key is put in; the key itself "
       "belongs under `key:`"},
      {"providers:\n  - {name: p, dialect: custom, base_url: \"https://h/v1\", headers: [\"X-A: b\", \"api-key: "
       "sk\"]}\n",
       "2:78: providers[0].headers[1]: is a header that pons writes itself or one for a secret; remove it, and write "
       "the key under `key:` and its header as `key_header:`"},
      {"providers:\n  - {name: p, dialect: custom, base_url: \"https://h/v1\", chat_path: \"/a/{key}\"}\n",
       "2:69: providers[0].chat_path: is '/a/{key}', must be a path that begins with /, with no other braces than "
       "{model}"},
      {"providers:\n  - {name: p, dialect: custom, base_url: \"https://h/v1\", headers: [\"X-A:b\"]}\n",
       "2:68: providers[0].headers[0]: must be a header `Name: value` of at most 512 visible characters"},
  };

  refuse_each(files, ELEMENTS(files));
}

static void test_providers(void **state _unused_) {
  static const BadFile files[] = {
      {"providers:\n  - {name: p, base_url: \"https://h/v1\"}\n  - {name: p, base_url: \"https://h/v1\"}\n",
       "3:12: providers[1].name: 'p' is there already as providers[0]; merge the two or rename one"},
      {"providers:\n  - {name: p, base_url: \"http://192.168.1.5:8000/v1/\"}\n",
       "2:25: providers[0].base_url: 'http://192.168.1.5:8000/v1' would send the key and all requests in clear; use "
       "https://, or set insecure: true if the network is yours alone"},
      {"providers:\n  - {name: p, base_url: \"http://127.0.0.1.example/v1\"}\n",
       "2:25: providers[0].base_url: 'http://127.0.0.1.example/v1' would send the key and all requests in clear; use "
       "https://, or set insecure: true if the network is yours alone"},
      {"providers:\n  - {name: p, base_url: \"https://h/v1\", total_ms: 1000}\n",
       "2:51: providers[0].total_ms: is 1000, must be at least connect_ms, which is 5000\n"
       "2:51: providers[0].total_ms: is 1000, must be at least headers_ms, which is 60000\n"
       "2:51: providers[0].total_ms: is 1000, must be at least first_ms, which is 60000\n"
       "2:51: providers[0].total_ms: is 1000, must be at least idle_ms, which is 60000"},
      {"providers:\n  - {name: p, base_url: \"https://h/v1\", key: {env: PONS_TEST_KEY}}\n",
       "2:52: providers[0].key.env: 'PONS_TEST_KEY' would reach every agent, as all variables do that begin with "
       "PONS_; "
       "choose another name"},
      {"providers:\n  - {name: p}\n", "2:5: providers[0]: 'p' has no base_url; write `base_url: URL`"},
      {"providers:\n  - {name: p, dialect: bedrock}\n", "2:5: providers[0]: 'p' has no base_url; write `region: NAME`"},
      {"providers:\n  - {name: p, dialect: bedrock, base_url: \"https://proxy.example\"}\n",
       "2:43: providers[0].base_url: 'https://proxy.example' does not say for which region requests are signed; write "
       "`region: NAME` too"},
      {"providers:\n  - {name: p, base_url: \"https://h/v1\", region: eu-west-1}\n",
       "2:49: providers[0].region: dialect openai knows no regions; remove the line"},
      {"providers:\n  - {name: p, base_url: \"https://h/v1\", key: {env: A}, keys: [{env: B}, {env: A}]}\n",
       "2:73: providers[0].keys[1]: 'A' is there already; remove one of the two"},
      {"providers:\n  - {name: p, base_url: \"https://h/v1\", keys: [sk-literal]}\n",
       "2:48: providers[0].keys[0]: a secret must not stand in the file; write {file: PATH} or {env: NAME} in its "
       "place"},
      {"providers:\n  - {name: p, base_url: \"https://h/v1\", keys: [{env: PONS_B}]}\n",
       "2:54: providers[0].keys[0].env: 'PONS_B' would reach every agent, as all variables do that begin with PONS_; "
       "choose another name"},
      {"local_llm: {backend: http, base_url: \"http://10.0.0.2:8000/v1\"}\n",
       "1:38: local_llm.base_url: 'http://10.0.0.2:8000/v1' is on another machine and would get all requests in clear; "
       "make it an entry of providers:"},
      {"local_llm: {key: {env: PONS_TEST_KEY}}\n",
       "1:24: local_llm.key.env: 'PONS_TEST_KEY' would reach every agent, as all variables do that begin with PONS_; "
       "choose another name"},
  };

  refuse_each(files, ELEMENTS(files));
}

static void test_gateway(void **state _unused_) {
  static const BadFile files[] = {
      {"gateway:\n  listen: []\n",
       "2:11: gateway.listen: is empty; name at least one endpoint, or remove the line to take the default"},
      {"gateway:\n  listen: [\"ipc://a\"]\n",
       "2:12: gateway.listen[0]: 'ipc://a' is no address for HTTP; write tcp://ADDRESS:PORT"},
      {"gateway:\n  listen: [\"tcp://0.0.0.0:7180\"]\n",
       "2:12: gateway.listen[0]: 'tcp://0.0.0.0:7180' listens beyond loopback and nobody needs a key: everybody who "
       "reaches it could use the models at your cost; use 127.0.0.1, or set gateway.keys"},
      {"gateway:\n  listen: [\"tcp://127.0.0.1:7100\"]\n",
       "2:12: gateway.listen[0]: 'tcp://127.0.0.1:7100' takes the same address as broker.listen[0], "
       "'tcp://127.0.0.1:7100'; give it another port"},
      {"gateway:\n  listen: [\"tcp://127.0.0.1:7180\", \"tcp://127.0.0.1:7180\"]\n",
       "2:36: gateway.listen[1]: 'tcp://127.0.0.1:7180' takes the same address as gateway.listen[0], "
       "'tcp://127.0.0.1:7180'; give it another port or remove it"},
      {"gateway:\n  keys:\n    - {name: a, secret: {env: A}}\n    - {name: a, secret: {env: B}}\n",
       "4:14: gateway.keys[1].name: 'a' is there already as gateway.keys[0]; merge the two or rename one"},
      {"gateway:\n  keys:\n    - {name: a}\n",
       "3:7: gateway.keys[0]: 'a' has no secret; write `secret: {file: PATH}` or `secret: {env: NAME}`"},
      {"gateway:\n  keys:\n    - {name: a, secret: {env: PONS_TEST_KEY}}\n",
       "3:31: gateway.keys[0].secret.env: 'PONS_TEST_KEY' would reach every agent, as all variables do that begin with "
       "PONS_; choose another name"},
  };

  refuse_each(files, ELEMENTS(files));
}

/* A local model without a file is fine: its service says what is missing when it is asked. */
static void test_what_is_fine(void **state _unused_) {
  static const char *const texts[] = {
      "local_llm: {backend: libllama}\n",
      "local_llm: {backend: http, base_url: \"https://10.0.0.2/v1\"}\n",
      "local_llm: {base_url: \"http://10.0.0.2/v1\"}\n", /* not the backend */
      "gateway: {listen: [\"tcp://*:7180\"], keys: [{name: a, secret: {env: A}}]}\n",
      "gateway: {listen: [\"tcp://127.0.0.1:7180\", \"tcp://[::1]:7180\", \"tcp://127.0.0.1:0\"]}\n",
      "providers: [{name: p, base_url: \"http://10.0.0.2/v1\", insecure: true}]\n",
      "providers: [{name: p, base_url: \"http://127.0.0.1:11434/v1\"}, {name: q, base_url: \"http://[::1]:1/v1\"},\n"
      "  {name: r, base_url: \"http://localhost/v1\"}]\n",
      TABLE "models: [{name: m, executor: RemoteApiAdapter, provider: p}, {name: n, executor: Local}]\n",
      "providers: [{name: p, dialect: bedrock, region: eu-central-1},\n"
      "  {name: q, dialect: bedrock, base_url: \"https://bedrock-runtime.us-east-1.amazonaws.com\"}]\n",
      "providers: [{name: p, base_url: \"https://h\", total_ms: 60000, connect_ms: 60000}]\n",
  };

  for (size_t i = 0; i < ELEMENTS(texts); i++) {
    _cleanup_(config_destroy) Config *config = files_load(texts[i]);

    assert_non_null(config);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_models),  cmocka_unit_test(test_dialects),     cmocka_unit_test(test_providers),
      cmocka_unit_test(test_gateway), cmocka_unit_test(test_what_is_fine),
  };

  return cmocka_run_group_tests(tests, files_set_up, files_tear_down);
}
