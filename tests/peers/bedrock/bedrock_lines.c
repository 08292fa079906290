/* The pure parts of the bedrock dialect for tests in other languages. `bedrock_lines frames` reads lines of hex, each the bytes
   of an event stream, and says of each what messages are in it and how it ended. `bedrock_lines sign` reads lines of words that
   blanks separate: id, secret, token or -, region, host, path, seconds since 1970, body as hex or -; and writes the
   Authorization header of each. `bedrock_lines encode` reads lines of a model's id, a blank and a request of OpenAI's, and writes
   the path and the body that go to Bedrock for each. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "adapters/bedrock/bedrock.h"
#include "adapters/bedrock/event_stream.h"
#include "adapters/bedrock/sigv4.h"

static unsigned digit(char c) {
  return c <= '9' ? (unsigned)(c - '0') : (unsigned)(c - 'a' + 10);
}

static void read_hex(const char *at, Buffer *ret) {
  for (; at[0] >= '0' && at[1] >= '0'; at += 2)
    buffer_append(ret, &(uint8_t){(uint8_t)(digit(at[0]) << 4 | digit(at[1]))}, 1);
}

static void print_hex(Bytes bytes) {
  for (size_t i = 0; i < bytes.size; i++)
    printf("%02x", bytes.data[i]);
}

static void on_message(void *userdata, const EventMessage *message) {
  Bytes headers = message->headers;
  EventHeader header;

  (void)userdata;
  while (event_header_next(&headers, &header)) {
    printf("%.*s/%d=%" PRId64 "/", TEXT_ARG(header.name), header.type, header.number);
    print_hex(header.value);
    printf(",");
  }
  printf("|");
  print_hex(message->payload);
  printf(" ");
}

static void frames(const char *line) {
  static const char *const endings[] = {"OK", "SIZE", "CHECKSUM", "HEADERS"};
  _cleanup_(event_stream_done) EventStream stream = {{0}};
  _cleanup_(buffer_done) Buffer bytes = {0};
  int r;

  read_hex(line, &bytes);
  r = event_stream_feed(&stream, buffer_bytes(&bytes), on_message, NULL);
  printf("%s\n", r == 0 && !event_stream_is_between(&stream) ? "CUT" : endings[r]);
}

static void sign(char *line) {
  char *words[8] = {NULL};
  _cleanup_(buffer_done) Buffer body = {0};
  _cleanup_(buffer_done) Buffer headers = {0};
  Sigv4Key key = {.scope = ""};
  Sigv4Signer signer;
  const char *at;

  for (size_t i = 0; i < ELEMENTS(words); i++)
    words[i] = strsep(&line, " \n");
  if (!words[7])
    exit(2);
  read_hex(words[7], &body);
  signer = (Sigv4Signer){.access_key_id = text_of(words[0]),
                         .secret = text_of(words[1]),
                         .session_token = strcmp(words[2], "-") == 0 ? TEXT_NONE : text_of(words[2]),
                         .region = text_of(words[3]),
                         .service = TEXT("bedrock")};
  sigv4_sign(&signer,
             &(Sigv4Request){.method = TEXT("POST"),
                             .path = text_of(words[5]),
                             .headers = (Sigv4Header[]){{TEXT("content-type"), TEXT("application/json")},
                                                        {TEXT("host"), text_of(words[4])}},
                             .headers_count = 2,
                             .body = buffer_bytes(&body),
                             .now_s = strtoull(words[6], NULL, 10)},
             &key, &headers);
  at = (const char *)headers.data;
  while (strncmp(at, "Authorization: ", 15) != 0)
    at += strlen(at) + 1;
  printf("%s\n", at + 15);
}

static void encode(char *line) {
  const char *model = strsep(&line, " ");
  _cleanup_(dialect_request_done) DialectRequest request = {.asked = {.model = text_of(model)}};
  _cleanup_(dialect_fault_done) DialectFault fault = {.texts = {0}};
  Json value = {TEXT_NONE};
  int r = json_check(text_of(line), &value, NULL);

  if (r == 0)
    r = json_is_none(json_find(value, "input")) ? bedrock_dialect.encode_chat(value, &request, &fault)
                                                : bedrock_dialect.encode_embed(value, &request, &fault);
  if (r != 0)
    printf("refused %.*s\n", TEXT_ARG(fault.fault.message));
  else
    printf("%.*s %.*s\n", (int)request.path.size, (const char *)request.path.data, (int)request.body.size,
           (const char *)request.body.data);
}

int main(int argc, char **argv) {
  const char *mode = argc > 1 ? argv[1] : "";
  char *line = NULL;
  size_t room = 0;

  while (getline(&line, &room, stdin) > 0) {
    if (strcmp(mode, "sign") == 0)
      sign(line);
    else if (strcmp(mode, "encode") == 0)
      encode(line);
    else
      frames(line);
  }
  free(line);
  return 0;
}
