/* Endpoints as text become addresses and come back. */
#include "bus/loop/address.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
/* cmocka wants the above first */
#include <cmocka.h>

#include <netinet/in.h>

static int read_it(const char *endpoint, bool to_bind, Address *ret) {
  char host[ADDRESS_HOST_BYTES];

  return address_read(endpoint, to_bind, ret, host);
}

static void endpoints_come_back(void **state _unused_) {
  static const struct {
    const char *endpoint;
    const char *printed;
  } rows[] = {
      {"ipc:///run/pons/bus", "ipc:///run/pons/bus"},   {"ipc://@pons", "ipc://@pons"},
      {"tcp://127.0.0.1:7100", "tcp://127.0.0.1:7100"}, {"tcp://[::1]:7100", "tcp://[::1]:7100"},
      {"tcp://*:7100", "tcp://0.0.0.0:7100"},           {"tcp://127.0.0.2:*", "tcp://127.0.0.2:0"},
      {"tcp://lo:7100", "tcp://127.0.0.1:7100"},
  };
  char text[128];

  for (size_t i = 0; i < ELEMENTS(rows); i++) {
    Address address;

    assert_int_equal(read_it(rows[i].endpoint, true, &address), 0);
    assert_string_equal(address_print(&address, text, sizeof text), rows[i].printed);
  }
}

static void bad_ones_are_refused(void **state _unused_) {
  static const char *const bad[] = {"",
                                    "udp://x:1",
                                    "ipc://",
                                    "tcp://",
                                    "tcp://:1",
                                    "tcp://127.0.0.1",
                                    "tcp://127.0.0.1:x",
                                    "tcp://127.0.0.1:65536",
                                    "tcp://a:-1",
                                    "tcp://a:1x",
                                    "inproc://a",
                                    "tcp://127.0.0.1:"};
  char longest[ADDRESS_PATH_BYTES + 8] = "ipc://";
  char host[ADDRESS_HOST_BYTES + 16] = "tcp://";
  Address address;

  for (size_t i = 0; i < ELEMENTS(bad); i++) {
    assert_int_equal(read_it(bad[i], true, &address), -EINVAL);
    assert_int_equal(read_it(bad[i], false, &address), -EINVAL);
  }
  assert_int_equal(read_it("tcp://127.0.0.1:*", false, &address), -EINVAL);
  assert_int_equal(read_it("tcp://127.0.0.1:0", false, &address), -EINVAL);
  memset(longest + 6, 'x', ADDRESS_PATH_BYTES);
  assert_int_equal(read_it(longest, true, &address), -ENAMETOOLONG);
  memset(host + 6, 'x', ADDRESS_HOST_BYTES);
  memcpy(host + 6 + ADDRESS_HOST_BYTES, ":1", 3);
  assert_int_equal(read_it(host, true, &address), -ENAMETOOLONG);
}

static void a_name_is_told_and_keeps_its_port(void **state _unused_) {
  struct sockaddr_in found = {.sin_family = AF_INET, .sin_addr = {htonl(0x0a000001)}};
  struct sockaddr_in6 found6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
  char host[ADDRESS_HOST_BYTES];
  char text[128];
  Address address;

  assert_int_equal(address_read("tcp://pc2.home:7100", false, &address, host), ADDRESS_E_NAME);
  assert_string_equal(host, "pc2.home");
  address_set_host(&address, (struct sockaddr *)&found, sizeof found);
  assert_string_equal(address_print(&address, text, sizeof text), "tcp://10.0.0.1:7100");
  address_set_host(&address, (struct sockaddr *)&found6, sizeof found6);
  assert_string_equal(address_print(&address, text, sizeof text), "tcp://[::1]:7100");
}

static void only_files_have_a_path(void **state _unused_) {
  Address address;

  assert_int_equal(read_it("ipc:///tmp/x", true, &address), 0);
  assert_string_equal(address_path(&address), "/tmp/x");
  assert_int_equal(read_it("ipc://@x", true, &address), 0);
  assert_null(address_path(&address));
  assert_int_equal(read_it("tcp://127.0.0.1:1", true, &address), 0);
  assert_null(address_path(&address));
}

static void what_is_of_this_machine_alone(void **state _unused_) {
  static const struct {
    const char *endpoint;
    bool here;
  } rows[] = {{"ipc:///tmp/x", true},          {"ipc://@x", true},
              {"tcp://127.0.0.1:7100", true},  {"tcp://127.8.9.1:7100", true},
              {"tcp://[::1]:7100", true},      {"tcp://localhost:7100", true},
              {"tcp://lo:7100", true},         {"tcp://0.0.0.0:7100", false},
              {"tcp://*:7100", false},         {"tcp://[::]:7100", false},
              {"tcp://10.0.0.1:7100", false},  {"tcp://128.0.0.1:7100", false},
              {"tcp://somewhere:7100", false}, {"nowhere", false}};

  for (size_t i = 0; i < ELEMENTS(rows); i++)
    if (address_is_here(rows[i].endpoint) != rows[i].here)
      fail_msg("%s", rows[i].endpoint);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(endpoints_come_back),
      cmocka_unit_test(bad_ones_are_refused),
      cmocka_unit_test(a_name_is_told_and_keeps_its_port),
      cmocka_unit_test(only_files_have_a_path),
      cmocka_unit_test(what_is_of_this_machine_alone),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
