/* A second broker: what is refused, what is worked out, and how clients are told of it. */
#include "tests/unit/bus/config/files.h"

static void what_is_refused(void **state _unused_) {
  static const struct {
    const char *text;
    const char *lines;
  } files[] = {
      {"other_broker: {preferred: true}\n",
       "1:27: other_broker.preferred: there is no other broker; name its endpoints"},
      {"other_broker: {endpoints: [\"tcp://127.0.0.1:7100\"]}\n",
       "1:28: other_broker.endpoints[0]: 'tcp://127.0.0.1:7100' is the first broker's, broker.listen[0]; write the "
       "address of the second"},
      {"other_broker: {endpoints: [\"tcp://0.0.0.0:7100\"]}\nbroker: {listen: [\"tcp://127.0.0.1:7101\"]}\n",
       "1:28: other_broker.endpoints[0]: 'tcp://0.0.0.0:7100' can be listened at but not connected to; write the "
       "broker's address and port"},
      {"site: pc2\nother_broker: {run: true}\n",
       "2:15: other_broker.name: 'pc2' is the first broker's name; give the second another"},
  };

  for (size_t i = 0; i < ELEMENTS(files); i++)
    files_refuse(files[i].text, files[i].lines);
}

static void expect_brokers(const Config *config, const char *text) {
  _cleanup_(buffer_done) Buffer all = {0};

  assert_int_equal(config_brokers(config, &all, NULL), 0);
  buffer_append(&all, "", 1);
  assert_string_equal((const char *)all.data, text);
}

static void clients_are_told_of_both(void **state _unused_) {
  _cleanup_(config_destroy) Config *one = files_load("client: {endpoints: [\"ipc:///a\", \"tcp://127.0.0.1:7100\"]}\n");
  _cleanup_(config_destroy) Config *two =
      files_load("client: {endpoints: [\"ipc:///a\"]}\nother_broker: {endpoints: [\"ipc:///b\", \"ipc:///c\"]}\n");
  _cleanup_(config_destroy) Config *beside =
      files_load("client: {endpoints: [\"ipc:///a\"]}\nother_broker: {endpoints: [\"ipc:///b\"], preferred: true}\n");
  _cleanup_(config_destroy) Config *same =
      files_load("client: {endpoints: [\"ipc:///a\"]}\nother_broker: {run: true}\n");

  expect_brokers(one, "ipc:///a,tcp://127.0.0.1:7100");
  expect_brokers(two, "ipc:///a;ipc:///b,ipc:///c");
  expect_brokers(beside, "ipc:///b;ipc:///a");
  expect_brokers(same, "ipc:///a;tcp://127.0.0.2:7100");
  assert_string_equal(same->other_broker.name, "pc2");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(what_is_refused, files_clean),
      cmocka_unit_test_setup(clients_are_told_of_both, files_clean),
  };

  return cmocka_run_group_tests(tests, files_set_up, files_tear_down);
}
