/* Responses of libmicrohttpd from ours: status, headers, body. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "agents/gateway/gateway-internal.h"

/* A buffer that each stream's response has and only HTTP/1.0 uses: chunks are read into the connection's own memory. */
enum { BLOCK_BYTES = 1024 };

void respond_header(HttpRequest *request, const char *name, const char *value) {
  MHD_add_response_header(request->response, name, value);
}

/* Caches must know that the answer to another page is another one. */
static void tell_origin(HttpRequest *request) {
  if (request->gateway->config->gateway.cors_origins_count)
    respond_header(request, "Vary", "Origin");
  if (!request->origin)
    return;
  respond_header(request, "Access-Control-Allow-Origin", request->origin);
  respond_header(request, "Access-Control-Expose-Headers", EXPOSED_HEADERS);
}

static void give(HttpRequest *request, unsigned status, const char *type, struct MHD_Response *response) {
  char id[REQUEST_ID_TEXT_SIZE];

  if (!response)
    abort(); /* memory is out */
  request->status = status;
  request->response = response;
  if (type)
    respond_header(request, "Content-Type", type);
  if (!request_id_is_none(request->id))
    respond_header(request, "x-request-id", request_id_format(request->id, id));
  tell_origin(request);
  if (request->gateway->is_draining)
    respond_header(request, "Connection", "close");
  request_resume(request);
}

void respond_text(HttpRequest *request, unsigned status, const char *type, Buffer *text) {
  struct MHD_Response *response = text->size
                                      ? MHD_create_response_from_buffer_with_free_callback(text->size, text->data, free)
                                      : MHD_create_response_from_buffer(0, (char[1]){0}, MHD_RESPMEM_MUST_COPY);

  if (!text->size)
    buffer_done(text);
  *text = (Buffer){.data = NULL};
  give(request, status, type, response);
}

void respond_json(HttpRequest *request, unsigned status, Buffer *json) {
  respond_text(request, status, "application/json", json);
}

void respond_fault(HttpRequest *request, const HttpFault *fault) {
  Buffer json = {0};
  char text[24];

  fault_json(fault, &json);
  buffer_append(&json, "\n", 1);
  respond_json(request, fault->http_status, &json);
  if (fault->retry_after_us) {
    snprintf(text, sizeof text, "%" PRIu64, fault_retry_seconds(fault->retry_after_us));
    respond_header(request, "Retry-After", text);
    snprintf(text, sizeof text, "%" PRIu64, fault_retry_ms(fault->retry_after_us));
    respond_header(request, "retry-after-ms", text);
  }
  if (fault->is_final)
    respond_header(request, "x-should-retry", "false");
}

void respond_error(HttpRequest *request, unsigned status, const char *code, const char *param, const char *format,
                   ...) {
  char message[512];
  va_list arguments;

  va_start(arguments, format);
  vsnprintf(message, sizeof message, format, arguments);
  va_end(arguments);
  respond_fault(
      request,
      &(HttpFault){.http_status = status, .message = text_of(message), .code = text_of(code), .param = text_of(param)});
}

static void on_block_sent(void *userdata) {
  Block *block = userdata;

  block_unref(&block);
}

void respond_block(HttpRequest *request, Text json, Block *block) {
  struct MHD_Response *response =
      block ? MHD_create_response_from_buffer_with_free_callback_cls(json.size, (void *)(uintptr_t)json.data,
                                                                     on_block_sent, block_ref(block))
            : MHD_create_response_from_buffer(json.size, (void *)(uintptr_t)json.data, MHD_RESPMEM_MUST_COPY);

  request_hold(request, json.size);
  give(request, 200, "application/json", response);
}

void respond_stream(HttpRequest *request) {
  struct MHD_Response *response =
      MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK_BYTES, stream_read, request, NULL);

  give(request, 200, "text/event-stream", response);
  respond_header(request, "Cache-Control", "no-cache");
  respond_header(request, "X-Accel-Buffering", "no"); /* an nginx in front passes each event on at once */
}
