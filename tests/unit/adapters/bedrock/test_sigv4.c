/* Signatures against those that AWS has published: its test suite for version 4, and the examples of its guide. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "adapters/bedrock/sigv4.h"
#include "adapters/dialect/dialect.h"

enum { SUITE_S = 1440938160 }; /* 2015-08-30 12:36:00, the suite's moment */

static const Sigv4Signer suite_signer = {
    .access_key_id = {"AKIDEXAMPLE", 11},
    .secret = {"wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", 40},
    .region = {"us-east-1", 9},
    .service = {"service", 7},
};

typedef struct Vector {
  const char *name; /* in AWS's suite */
  const char *method;
  const char *path;
  const char *query;
  const char *headers[6]; /* name, value, name, value, ... */
  const char *body;
  const char *names;
  const char *signature;
} Vector;

static const Vector vectors[] = {
    {"get-vanilla",
     "GET",
     "/",
     "",
     {"host", "example.amazonaws.com"},
     "",
     "host;x-amz-date",
     "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
    {"post-vanilla",
     "POST",
     "",
     "",
     {"host", "example.amazonaws.com"},
     "",
     "host;x-amz-date",
     "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
    {"get-utf8",
     "GET",
     "/\xe1\x88\xb4",
     "",
     {"host", "example.amazonaws.com"},
     "",
     "host;x-amz-date",
     "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"},
    {"get-unreserved",
     "GET",
     "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
     "",
     {"host", "example.amazonaws.com"},
     "",
     "host;x-amz-date",
     "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"},
    {"get-vanilla-query-order-key-case",
     "GET",
     "/",
     "Param1=value1&Param2=value2",
     {"host", "example.amazonaws.com"},
     "",
     "host;x-amz-date",
     "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
    {"get-header-value-trim",
     "GET",
     "/",
     "",
     {"host", "example.amazonaws.com", "my-header1", " value1", "my-header2", " \"a   b   c\""},
     "",
     "host;my-header1;my-header2;x-amz-date",
     "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"},
    {"post-x-www-form-urlencoded",
     "POST",
     "/",
     "",
     {"content-type", "application/x-www-form-urlencoded", "host", "example.amazonaws.com"},
     "Param1=value1",
     "content-type;host;x-amz-date",
     "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"},
};

static void put_answer(const Sigv4Signer *signer, const Vector *vector, Buffer *ret) {
  Sigv4Header headers[3];
  size_t count = 0;
  Sigv4Key key = {.scope = ""};

  for (; count < 3 && vector->headers[2 * count]; count++)
    headers[count] = (Sigv4Header){text_of(vector->headers[2 * count]), text_of(vector->headers[2 * count + 1])};
  sigv4_sign(signer,
             &(Sigv4Request){.method = text_of(vector->method),
                             .path = text_of(vector->path),
                             .query = text_of(vector->query),
                             .headers = headers,
                             .headers_count = count,
                             .body = {(const uint8_t *)vector->body, strlen(vector->body)},
                             .now_s = SUITE_S},
             &key, ret);
}

static void each_vector_of_the_suite(void **state) {
  (void)state;
  for (size_t i = 0; i < ELEMENTS(vectors); i++) {
    _cleanup_(buffer_done) Buffer headers = {0};
    _cleanup_(buffer_done) Buffer wanted = {0};

    put_answer(&suite_signer, &vectors[i], &headers);
    buffer_printf(&wanted,
                  "X-Amz-Date: 20150830T123600Z%cAuthorization: AWS4-HMAC-SHA256 "
                  "Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=%s, Signature=%s%c",
                  0, vectors[i].names, vectors[i].signature, 0);
    if (headers.size != wanted.size || memcmp(headers.data, wanted.data, wanted.size) != 0)
      fail_msg("%s: %s", vectors[i].name, (const char *)headers.data + 29);
  }
}

/* "Deriving the signing key" of AWS's guide has all its numbers. */
static void the_key_of_a_day_is_the_guide_s(void **state) {
  static const uint8_t wanted[32] = {0xf4, 0x78, 0x0e, 0x2d, 0x9f, 0x65, 0xfa, 0x89, 0x5f, 0x9c, 0x67,
                                     0xb3, 0x2c, 0xe1, 0xba, 0xf0, 0xb0, 0xd8, 0xa4, 0x35, 0x05, 0xa0,
                                     0x00, 0xa1, 0xa9, 0xe0, 0x90, 0xd4, 0x14, 0xdb, 0x40, 0x4d};
  Sigv4Signer signer = {.access_key_id = TEXT("AKIDEXAMPLE"),
                        .secret = suite_signer.secret,
                        .region = TEXT("us-east-1"),
                        .service = TEXT("iam")};
  _cleanup_(buffer_done) Buffer headers = {0};
  Sigv4Key key = {.scope = ""};

  (void)state;
  sigv4_sign(&signer, &(Sigv4Request){.method = TEXT("GET"), .now_s = 1329264000}, &key, &headers);
  assert_memory_equal(key.bytes, wanted, sizeof wanted);
  assert_string_equal(key.scope, "20120215/us-east-1/iam");
}

static void a_kept_key_ends_with_its_day(void **state) {
  Sigv4Request request = {.method = TEXT("GET"), .now_s = SUITE_S};
  _cleanup_(buffer_done) Buffer first = {0};
  _cleanup_(buffer_done) Buffer again = {0};
  Sigv4Key key = {.scope = ""};
  Sigv4Key kept;

  (void)state;
  sigv4_sign(&suite_signer, &request, &key, &first);
  kept = key;
  sigv4_sign(&suite_signer, &request, &key, &again);
  assert_int_equal(first.size, again.size);
  assert_memory_equal(first.data, again.data, first.size);
  assert_memory_equal(&key, &kept, sizeof key);
  request.now_s += 86400;
  sigv4_sign(&suite_signer, &request, &key, &again);
  assert_string_equal(key.scope, "20150831/us-east-1/service");
  assert_memory_not_equal(key.bytes, kept.bytes, sizeof key.bytes);
}

/* post-sts-header-before of the suite: the token is signed like every other header. */
static void a_session_token_is_signed(void **state) {
  static const char token[] =
      "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfI"
      "eoIYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0"
      "wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypN"
      "C9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA==";
  Sigv4Signer signer = suite_signer;
  _cleanup_(buffer_done) Buffer headers = {0};
  Vector vector = {.method = "POST", .path = "/", .body = "", .headers = {"host", "example.amazonaws.com"}};
  const char *at;

  (void)state;
  signer.session_token = text_of(token);
  put_answer(&signer, &vector, &headers);
  at = (const char *)headers.data;
  at += strlen(at) + 1;
  assert_memory_equal(at, "X-Amz-Security-Token: AQoDYXdz", 30);
  at += strlen(at) + 1;
  assert_string_equal(at,
                      "Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
                      "SignedHeaders=host;x-amz-date;x-amz-security-token, "
                      "Signature=85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead");
}

static void a_path_is_encoded_once_more(void **state) {
  static const char wanted[] =
      "POST\n/model/arn%253Aaws%253A%252Fa/converse\n\nhost:h:1\nx-amz-date:20150830T123600Z\n\n"
      "host;x-amz-date\ne3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
  Sigv4Header host = {TEXT("host"), TEXT("h:1")};
  _cleanup_(buffer_done) Buffer path = {0};
  _cleanup_(buffer_done) Buffer canonical = {0};

  (void)state;
  buffer_printf(&path, "/model/");
  dialect_put_segment(&path, TEXT("arn:aws:/a"));
  buffer_printf(&path, "/converse");
  sigv4_canonical_request(&suite_signer,
                          &(Sigv4Request){.method = TEXT("POST"),
                                          .path = {(const char *)path.data, path.size},
                                          .headers = &host,
                                          .headers_count = 1,
                                          .now_s = SUITE_S},
                          &canonical);
  assert_int_equal(canonical.size, sizeof wanted - 1);
  assert_memory_equal(canonical.data, wanted, sizeof wanted - 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(each_vector_of_the_suite),     cmocka_unit_test(the_key_of_a_day_is_the_guide_s),
      cmocka_unit_test(a_kept_key_ends_with_its_day), cmocka_unit_test(a_session_token_is_signed),
      cmocka_unit_test(a_path_is_encoded_once_more),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
