/* The pure parts of the bedrock dialect for tests in other languages. `bedrock_lines frames` reads lines of hex, each the bytes
   of an event stream, and says of each what messages are in it and how it ended. `bedrock_lines sign` reads lines of words that
   blanks separate: id, secret, token or -, region, method, host, path, query or -, seconds since 1970, the value of a header
   content-type as hex, body as hex or -; and writes the Authorization header of each. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

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

enum { ID, SECRET, TOKEN, REGION, METHOD, HOST, PATH, QUERY, SECONDS, TYPE, BODY, WORDS };

static Text word_or_none(const char *word) {
  return strcmp(word, "-") == 0 ? TEXT_NONE : text_of(word);
}

static void sign(char *line) {
  char *words[WORDS] = {NULL};
  _cleanup_(buffer_done) Buffer body = {0};
  _cleanup_(buffer_done) Buffer type = {0};
  _cleanup_(buffer_done) Buffer headers = {0};
  Sigv4Key key = {.scope = ""};
  const char *at;

  for (size_t i = 0; i < WORDS; i++)
    words[i] = strsep(&line, " \n");
  if (!words[BODY])
    exit(2);
  read_hex(words[BODY], &body);
  read_hex(words[TYPE], &type);
  sigv4_sign(&(Sigv4Signer){.access_key_id = text_of(words[ID]),
                            .secret = text_of(words[SECRET]),
                            .session_token = word_or_none(words[TOKEN]),
                            .region = text_of(words[REGION]),
                            .service = TEXT("bedrock")},
             &(Sigv4Request){.method = text_of(words[METHOD]),
                             .path = text_of(words[PATH]),
                             .query = word_or_none(words[QUERY]),
                             .headers = (Sigv4Header[]){{TEXT("content-type"), {(const char *)type.data, type.size}},
                                                        {TEXT("host"), text_of(words[HOST])}},
                             .headers_count = 2,
                             .body = buffer_bytes(&body),
                             .now_s = strtoull(words[SECONDS], NULL, 10)},
             &key, &headers);
  at = (const char *)headers.data;
  while (strncmp(at, "Authorization: ", 15) != 0)
    at += strlen(at) + 1;
  printf("%s\n", at + 15);
}

int main(int argc, char **argv) {
  const char *mode = argc > 1 ? argv[1] : "";
  char *line = NULL;
  size_t room = 0;

  while (getline(&line, &room, stdin) > 0) {
    if (strcmp(mode, "sign") == 0)
      sign(line);
    else
      frames(line);
  }
  free(line);
  return 0;
}
