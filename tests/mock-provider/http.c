/* The head is looked for once per byte and read when it is whole. A chunked body is decoded in place, as far as it has come,
   to where it begins; so body is one text in either case. What two readers could take in two ways is refused: bare LF,
   folded lines, blanks before a colon, two lengths, a length beside chunks. */
#include "tests/mock-provider/http.h"

#include <strings.h>

static const struct {
  unsigned status;
  const char *reason;
} REASONS[] = {
    {200, "OK"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {413, "Content Too Large"},
    {415, "Unsupported Media Type"},
    {417, "Expectation Failed"},
    {422, "Unprocessable Content"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
    {529, "Overloaded"},
};

const char *http_reason(unsigned status) {
  for (size_t i = 0; i < ELEMENTS(REASONS); i++)
    if (REASONS[i].status == status)
      return REASONS[i].reason;
  return "Status";
}

bool http_same(Text a, Text b) {
  return a.size == b.size && (a.size == 0 || strncasecmp(a.data, b.data, a.size) == 0);
}

Text http_header(const HttpRequest *request, const char *name) {
  Text wanted = text_of(name);

  for (unsigned i = 0; i < request->header_count; i++)
    if (http_same(request->headers[i].name, wanted))
      return request->headers[i].value;
  return TEXT_NONE;
}

static bool is_token(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         (c && strchr("!#$%&'*+-.^_`|~", c));
}

static size_t span_token(Text text) {
  size_t n = 0;

  while (n < text.size && is_token(text.data[n]))
    n++;
  return n;
}

static Text text_from(Text text, size_t at) {
  return (Text){text.data + at, text.size - at};
}

static Text trim(Text text) {
  while (text.size && (text.data[0] == ' ' || text.data[0] == '\t'))
    text = text_from(text, 1);
  while (text.size && (text.data[text.size - 1] == ' ' || text.data[text.size - 1] == '\t'))
    text.size--;
  return text;
}

static int refuse(int status, const char *why, const char **ret_why) {
  *ret_why = why;
  return status;
}

/* Takes the line at the front of *rest, whose end is known to be in it. False when it holds a byte that no line may. */
static bool take_line(Text *rest, Text *ret_line) {
  const char *end = memchr(rest->data, '\n', rest->size);
  size_t size;

  if (!end || end == rest->data || end[-1] != '\r')
    return false;
  size = (size_t)(end - rest->data) - 1;
  *ret_line = (Text){rest->data, size};
  *rest = text_from(*rest, size + 2);
  for (size_t i = 0; i < size; i++)
    if (((uint8_t)ret_line->data[i] < 0x20 && ret_line->data[i] != '\t') || ret_line->data[i] == 0x7f)
      return false;
  return true;
}

/* "http://host/path" is a target too, and means its path. */
static bool split_target(HttpRequest *request, Text target) {
  const char *mark;

  if (target.size > 7 && http_same((Text){target.data, 7}, TEXT("http://"))) {
    mark = memchr(target.data + 7, '/', target.size - 7);
    if (!mark)
      return false;
    target = text_from(target, (size_t)(mark - target.data));
  }
  if (!target.size || target.data[0] != '/')
    return false;
  for (size_t i = 0; i < target.size; i++)
    if (target.data[i] <= ' ' || target.data[i] == '#')
      return false;
  mark = memchr(target.data, '?', target.size);
  request->path = (Text){target.data, mark ? (size_t)(mark - target.data) : target.size};
  request->query = mark ? text_from(target, request->path.size + 1) : TEXT_NONE;
  return true;
}

static int read_request_line(HttpRequest *request, Text line, const char **ret_why) {
  size_t n = span_token(line);
  const char *space;
  Text version;

  request->method = (Text){line.data, n};
  if (!n || n >= line.size || line.data[n] != ' ')
    return refuse(400, "the request line has no method", ret_why);
  line = text_from(line, n + 1);
  space = memchr(line.data, ' ', line.size);
  if (!space)
    return refuse(400, "the request line has no version", ret_why);
  version = text_from(line, (size_t)(space - line.data) + 1);
  if (!split_target(request, (Text){line.data, (size_t)(space - line.data)}))
    return refuse(400, "the request target is no path", ret_why);
  request->old = text_is(version, "HTTP/1.0");
  if (!request->old && !text_is(version, "HTTP/1.1"))
    return version.size > 5 && memcmp(version.data, "HTTP/", 5) == 0 ? refuse(505, "wants HTTP/1.1", ret_why)
                                                                     : refuse(400, "no HTTP version", ret_why);
  request->keep_alive = !request->old;
  return HTTP_DONE;
}

static int read_length(HttpRequest *request, Text value, const char **ret_why) {
  size_t size = 0;

  if (!value.size || value.size > 12)
    return refuse(400, "Content-Length is no number", ret_why);
  for (size_t i = 0; i < value.size; i++) {
    if (value.data[i] < '0' || value.data[i] > '9')
      return refuse(400, "Content-Length is no number", ret_why);
    size = size * 10 + (size_t)(value.data[i] - '0');
  }
  if (size > HTTP_BODY_MAX)
    return refuse(413, "the body is larger than 16 MiB", ret_why);
  request->content_size = size;
  return HTTP_DONE;
}

static bool has_word(Text list, const char *word) {
  while (list.size) {
    const char *comma = memchr(list.data, ',', list.size);
    size_t n = comma ? (size_t)(comma - list.data) : list.size;

    if (http_same(trim((Text){list.data, n}), text_of(word)))
      return true;
    list = text_from(list, comma ? n + 1 : n);
  }
  return false;
}

typedef struct Seen {
  unsigned hosts;
  unsigned lengths;
  unsigned codings;
} Seen;

/* What a header says about the message itself. */
static int note_header(HttpRequest *request, const HttpHeader *header, Seen *seen, const char **ret_why) {
  if (http_same(header->name, TEXT("host"))) {
    seen->hosts++;
  } else if (http_same(header->name, TEXT("content-length"))) {
    seen->lengths++;
    return read_length(request, header->value, ret_why);
  } else if (http_same(header->name, TEXT("transfer-encoding"))) {
    seen->codings++;
    request->chunked = true;
    if (!http_same(header->value, TEXT("chunked")))
      return refuse(501, "knows no transfer coding but chunked", ret_why);
  } else if (http_same(header->name, TEXT("connection"))) {
    if (has_word(header->value, "close"))
      request->keep_alive = false;
    else if (request->old && has_word(header->value, "keep-alive"))
      request->keep_alive = true;
  } else if (http_same(header->name, TEXT("expect"))) {
    if (!http_same(header->value, TEXT("100-continue")))
      return refuse(417, "knows no expectation but 100-continue", ret_why);
    request->expects = !request->old;
  }
  return HTTP_DONE;
}

static int read_header(HttpRequest *request, Text line, Seen *seen, const char **ret_why) {
  size_t n = span_token(line);
  HttpHeader *header;

  if (!n || n >= line.size || line.data[n] != ':')
    return refuse(400, "a header line is no NAME: VALUE", ret_why);
  if (request->header_count == HTTP_HEADERS_MAX)
    return refuse(431, "more than 64 headers", ret_why);
  header = &request->headers[request->header_count++];
  header->name = (Text){line.data, n};
  header->value = trim(text_from(line, n + 1));
  return note_header(request, header, seen, ret_why);
}

static int read_head(HttpRequest *request, Text head, const char **ret_why) {
  Seen seen = {0};
  Text line;
  int r;

  if (!take_line(&head, &line))
    return refuse(400, "a control character in the request line", ret_why);
  r = read_request_line(request, line, ret_why);
  request->header_count = 0;
  while (!r) {
    if (!take_line(&head, &line))
      return refuse(400, "a control character in a header", ret_why);
    if (!line.size)
      break;
    r = read_header(request, line, &seen, ret_why);
  }
  if (r)
    return r;
  if (seen.hosts > 1 || (!seen.hosts && !request->old))
    return refuse(400, "wants one Host header", ret_why);
  if (seen.lengths > 1 || seen.codings > 1 || (seen.lengths && seen.codings) || (seen.codings && request->old))
    return refuse(400, "more than one length of the body", ret_why);
  return HTTP_DONE;
}

/* The size line of a chunk at the front of raw: HTTP_DONE with its size and length, HTTP_MORE, or 400. */
static int read_chunk_size(Text raw, size_t *ret_size, size_t *ret_line, const char **ret_why) {
  const char *end = memchr(raw.data, '\n', raw.size < 256 ? raw.size : 256);
  size_t size = 0, n = 0;

  if (!end)
    return raw.size < 256 ? HTTP_MORE : refuse(400, "the size line of a chunk is too long", ret_why);
  for (; n < 8 && raw.data[n] && strchr("0123456789abcdefABCDEF", raw.data[n]); n++)
    size = size * 16 + (size_t)(raw.data[n] <= '9' ? raw.data[n] - '0' : (raw.data[n] | 0x20) - 'a' + 10);
  if (!n || end == raw.data || end[-1] != '\r' || (raw.data + n != end - 1 && raw.data[n] != ';'))
    return refuse(400, "the size of a chunk is no number", ret_why);
  *ret_size = size;
  *ret_line = (size_t)(end - raw.data) + 1;
  return HTTP_DONE;
}

/* The trailer behind the last chunk: lines up to an empty one. */
static int read_trailer(Text raw, size_t *ret_size, const char **ret_why) {
  Text rest = raw, line;

  while (rest.size && memchr(rest.data, '\n', rest.size)) {
    if (!take_line(&rest, &line))
      return refuse(400, "a bad line behind the last chunk", ret_why);
    if (!line.size) {
      *ret_size = raw.size - rest.size;
      return HTTP_DONE;
    }
  }
  return raw.size > HTTP_HEAD_MAX ? refuse(431, "the trailer is larger than 64 KiB", ret_why) : HTTP_MORE;
}

/* Decodes what has come of a chunked body. A chunk is moved to the others when it is whole. */
static int read_chunks(HttpRequest *request, Buffer *in, const char **ret_why) {
  char *body = (char *)in->data + request->head_size;

  for (;;) {
    Text raw = {body + request->raw_size, in->size - request->head_size - request->raw_size};
    size_t size = 0, line = 0;
    int r = read_chunk_size(raw, &size, &line, ret_why);

    if (r)
      return r;
    if (size > HTTP_BODY_MAX || request->content_size + size > HTTP_BODY_MAX)
      return refuse(413, "the body is larger than 16 MiB", ret_why);
    if (!size) {
      r = read_trailer(text_from(raw, line), &size, ret_why);
      request->raw_size += r ? 0 : line + size;
      return r;
    }
    if (raw.size < line + size + 2)
      return HTTP_MORE;
    if (memcmp(raw.data + line + size, "\r\n", 2) != 0)
      return refuse(400, "a chunk is not as long as it says", ret_why);
    memmove(body + request->content_size, raw.data + line, size);
    request->content_size += size;
    request->raw_size += line + size + 2;
  }
}

/* Looks for the empty line; the texts of a whole head are set again when the buffer has moved. */
static int find_head(HttpRequest *request, const Buffer *in, const char **ret_why) {
  size_t from = request->scanned > 3 ? request->scanned - 3 : 0, content = request->content_size;
  const uint8_t *end;
  int r;

  if (!request->head_size) {
    end = in->size > from ? memmem(in->data + from, in->size - from, "\r\n\r\n", 4) : NULL;
    request->scanned = in->size;
    if (!end && in->size <= HTTP_HEAD_MAX)
      return in->size && memmem(in->data, in->size, "\n\n", 2) ? refuse(400, "a line ends without CR", ret_why)
                                                               : HTTP_MORE;
    if (!end || (size_t)(end - in->data) > HTTP_HEAD_MAX)
      return refuse(431, "the head is larger than 64 KiB", ret_why);
    request->head_size = (size_t)(end - in->data) + 4;
    content = 0;
  } else if (request->base == in->data) {
    return HTTP_DONE;
  }
  request->base = in->data;
  r = read_head(request, (Text){(const char *)in->data, request->head_size}, ret_why);
  if (request->chunked)
    request->content_size = content;
  return r;
}

int http_step(HttpRequest *request, Buffer *in, size_t *ret_size, const char **ret_why) {
  int r = find_head(request, in, ret_why);

  if (r)
    return r;
  if (in->size - request->head_size > 2 * (size_t)HTTP_BODY_MAX &&
      in->size - request->head_size > request->content_size)
    return refuse(413, "more bytes than a body of 16 MiB needs", ret_why);
  if (request->chunked) {
    r = read_chunks(request, in, ret_why);
    if (r)
      return r;
  } else if (in->size - request->head_size < request->content_size) {
    return HTTP_MORE;
  } else {
    request->raw_size = request->content_size;
  }
  request->body = (Text){(const char *)in->data + request->head_size, request->content_size};
  *ret_size = request->head_size + request->raw_size;
  return HTTP_DONE;
}
