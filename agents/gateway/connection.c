/* A client's connection. libmicrohttpd reads and writes it; what is ours is what libmicrohttpd does not do: to see a client
   hang up while its request is on the bus, and to bound how long a request may take to come. */
#include <inttypes.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "agents/gateway/gateway-internal.h"

/* EPOLLRDHUP comes with the client's FIN, whatever is unread before it: pipelined requests are no hang-up. */
static void on_hang_up(void *userdata, int fd, uint32_t events) {
  HttpConnection *connection = userdata;

  (void)fd;
  (void)events;
  connection->is_gone = true;
  if (connection->request && connection->request->is_answered)
    request_drop(connection->request);
}

static void on_timer(void *userdata, uint64_t now_us) {
  HttpConnection *connection = userdata;
  HttpRequest *request = connection->request;

  (void)now_us;
  if (request && request->is_answered) {
    stream_keep_alive(request);
    return;
  }
  if (request || !connection->gateway->is_draining)
    metrics_add(&connection->gateway->metrics, METRIC_LATE, 0, 0, 1);
  if (request)
    connection_refuse(connection, &(HttpFault){.http_status = 408,
                                               .message = TEXT("the request did not come in time"),
                                               .code = TEXT("request_timeout")});
  connection_shut(connection);
}

void connection_expect(HttpConnection *connection, uint64_t within_ms) {
  loop_timer_set(connection->timer, loop_now_us(connection->gateway->loop) + within_ms * US_PER_MS);
}

static void destroy(HttpConnection *connection) {
  Gateway *gateway = connection->gateway;

  loop_fd_destroy(&connection->watch);
  loop_timer_destroy(&connection->timer);
  list_remove(&connection->in_gateway);
  free(connection);
  gateway->connections_count--;
  metrics_add(&gateway->metrics, METRIC_CONNECTIONS, 0, 0, -1);
  if (gateway->is_held && gateway->connections_count == 0) {
    gateway->is_held = false;
    runtime_end_work(gateway->runtime);
  }
}

static HttpConnection *begin(Listener *listener, struct MHD_Connection *mhd) {
  Gateway *gateway = listener->gateway;
  HttpConnection *connection = calloc(1, sizeof *connection);
  const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
  int r;

  if (!connection)
    abort();
  connection->gateway = gateway;
  connection->listener = listener;
  connection->mhd = mhd;
  connection->fd = info->connect_fd;
  list_push(&gateway->connections, &connection->in_gateway);
  gateway->connections_count++;
  metrics_add(&gateway->metrics, METRIC_CONNECTIONS, 0, 0, 1);
  metrics_add(&gateway->metrics, METRIC_CONNECTIONS_TOTAL, 0, 0, 1);
  r = loop_timer_new(gateway->loop, on_timer, connection, &connection->timer);
  if (r == 0)
    r = loop_watch_fd(gateway->loop, connection->fd, EPOLLRDHUP | EPOLLET, on_hang_up, connection, &connection->watch);
  if (r < 0) {
    destroy(connection);
    return NULL;
  }
  connection_expect(connection, gateway->config->gateway.idle_ms);
  return connection;
}

/* libmicrohttpd 0.9.75 tells nobody of the end of a request whose arguments its memory does not hold. */
static void end_request(HttpConnection *connection, struct MHD_Connection *mhd) {
  void *request = connection->request;

  request_on_done(connection->gateway, mhd, &request, MHD_REQUEST_TERMINATED_WITH_ERROR);
}

void connection_on_change(void *listener, struct MHD_Connection *mhd, void **connection,
                          enum MHD_ConnectionNotificationCode code) {
  if (code == MHD_CONNECTION_NOTIFY_STARTED) {
    *connection = begin(listener, mhd);
  } else if (*connection) {
    end_request(*connection, mhd);
    destroy(*connection);
    *connection = NULL;
  }
}

void connection_refuse(HttpConnection *connection, const HttpFault *fault) {
  _cleanup_(buffer_done) Buffer json = {0};
  _cleanup_(buffer_done) Buffer all = {0};
  const HttpRequest *request = connection->request;

  fault_json(fault, &json);
  buffer_append(&json, "\n", 1);
  buffer_printf(&all,
                "HTTP/1.1 %u %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\nConnection: close\r\n",
                fault->http_status, MHD_get_reason_phrase_for(fault->http_status), json.size);
  if (fault->retry_after_us)
    buffer_printf(&all, "Retry-After: %" PRIu64 "\r\nretry-after-ms: %" PRIu64 "\r\n",
                  fault_retry_seconds(fault->retry_after_us), fault_retry_ms(fault->retry_after_us));
  if (request && request->origin)
    buffer_printf(&all, "Vary: Origin\r\nAccess-Control-Allow-Origin: %s\r\n", request->origin);
  buffer_append(&all, "\r\n", 2);
  buffer_append(&all, json.data, json.size);
  /* Nothing was sent on this connection since its last answer, so the socket has room; when not, the client gets none. */
  send(connection->fd, all.data, all.size, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void connection_shut(HttpConnection *connection) {
  shutdown(connection->fd, SHUT_RDWR);
}
