#include "bus/ctl/lines.h"

static void keep_last(Lines *lines, Bytes line) {
  size_t size = min_u64(line.size, LINES_LAST_BYTES);

  if (size == 0)
    return;
  memcpy(lines->last, line.data, size);
  lines->last[size] = '\0';
}

static void print_line(const Lines *lines, Bytes line, Buffer *ret) {
  buffer_printf(ret, "%-*s | ", (int)lines->name_width, lines->name);
  buffer_append(ret, line.data, line.size);
  buffer_append(ret, "\n", 1);
}

/* Prints the line that ends with more. */
static void end_line(Lines *lines, Bytes more, Buffer *ret) {
  buffer_append(&lines->rest, more.data, more.size);
  if (lines->rest.size && lines->rest.data[lines->rest.size - 1] == '\r')
    lines->rest.size--;
  keep_last(lines, buffer_bytes(&lines->rest));
  print_line(lines, buffer_bytes(&lines->rest), ret);
  buffer_clear(&lines->rest);
}

void lines_push(Lines *lines, Bytes bytes, Buffer *ret) {
  while (bytes.size) {
    size_t room = LINE_MAX_BYTES - lines->rest.size;
    size_t look = min_u64(bytes.size, room + 1);
    const uint8_t *newline = memchr(bytes.data, '\n', look);
    size_t size = newline ? (size_t)(newline - bytes.data) : min_u64(look, room);
    size_t taken = newline ? size + 1 : size;

    if (newline || look > room)
      end_line(lines, (Bytes){bytes.data, size}, ret);
    else
      buffer_append(&lines->rest, bytes.data, size);
    bytes = (Bytes){bytes.data + taken, bytes.size - taken};
  }
}

void lines_flush(Lines *lines, Buffer *ret) {
  if (lines->rest.size)
    end_line(lines, BYTES_NONE, ret);
}

void lines_done(Lines *lines) {
  buffer_done(&lines->rest);
}
