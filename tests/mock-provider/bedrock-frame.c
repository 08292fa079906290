/* AWS's event stream, written: lengths and checksums around headers and payload, all big-endian. The checksum is worked out bit
   by bit, by none of the adapter's code. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/mock-provider/bedrock-internal.h"

static uint32_t checksum(const uint8_t *data, size_t size) {
  uint32_t crc = UINT32_MAX;

  for (size_t i = 0; i < size; i++) {
    crc ^= data[i];
    for (unsigned bit = 0; bit < 8; bit++)
      crc = crc >> 1 ^ (0xedb88320 & (0 - (crc & 1)));
  }
  return ~crc;
}

static void put_u32(uint32_t number, Buffer *out) {
  uint8_t bytes[4] = {(uint8_t)(number >> 24), (uint8_t)(number >> 16), (uint8_t)(number >> 8), (uint8_t)number};

  buffer_append(out, bytes, sizeof bytes);
}

static void put_header(const char *name, Text value, Buffer *out) {
  uint8_t size = (uint8_t)strlen(name), head[3] = {7, (uint8_t)(value.size >> 8), (uint8_t)value.size};

  buffer_append(out, &size, 1);
  buffer_append(out, name, size);
  buffer_append(out, head, sizeof head);
  buffer_append(out, value.data, value.size);
}

static void put_headers(BedrockMessage message, const char *type, Text payload, Buffer *out) {
  static const char *const NAMES[] = {":event-type", ":exception-type", ":error-code"};
  static const char *const MESSAGES[] = {"event", "exception", "error"};

  put_header(NAMES[message], text_of(type), out);
  if (message == BEDROCK_ERROR)
    put_header(":error-message", payload, out);
  else
    put_header(":content-type", TEXT("application/json"), out);
  put_header(":message-type", text_of(MESSAGES[message]), out);
}

void bedrock_put_message(BedrockMessage message, const char *type, Text payload, Buffer *out) {
  size_t at = out->size;
  Buffer headers = {0};

  put_headers(message, type, payload, &headers);
  if (message == BEDROCK_ERROR)
    payload = TEXT_NONE;
  put_u32((uint32_t)(16 + headers.size + payload.size), out);
  put_u32((uint32_t)headers.size, out);
  put_u32(checksum(out->data + at, 8), out);
  buffer_append(out, headers.data, headers.size);
  buffer_append(out, payload.data, payload.size);
  put_u32(checksum(out->data + at, out->size - at), out);
  buffer_done(&headers);
}

void bedrock_put_event(Buffer *out, const char *type, const char *format, ...) {
  va_list arguments;
  char *payload = NULL;
  int size;

  va_start(arguments, format);
  size = vasprintf(&payload, format, arguments);
  va_end(arguments);
  if (size < 0)
    abort();
  bedrock_put_message(BEDROCK_EVENT, type, (Text){payload, (size_t)size}, out);
  free(payload);
}
