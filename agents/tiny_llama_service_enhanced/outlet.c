#include "agents/tiny_llama_service_enhanced/outlet.h"

/* Where the earliest stop string begins in the held bytes; their size when there is none. */
static size_t find_stop(const Outlet *outlet) {
  size_t first = outlet->held.size;

  for (size_t i = 0; i < outlet->stops_count && outlet->held.size; i++) {
    const Text *stop = &outlet->stops[i];
    const uint8_t *at = memmem(outlet->held.data, outlet->held.size, stop->data, stop->size);

    if (at)
      first = (size_t)min_u64(first, (size_t)(at - outlet->held.data));
  }
  return first;
}

/* How many bytes at the end are the beginning of this stop string. */
static size_t begun(const Buffer *held, Text stop) {
  size_t size = (size_t)min_u64(held->size, stop.size - 1);

  while (size > 0 && memcmp(held->data + held->size - size, stop.data, size) != 0)
    size--;
  return size;
}

/* How many bytes at the end of size bytes are the beginning of a UTF-8 sequence whose rest is missing. */
static size_t cut_short(const uint8_t *data, size_t size) {
  for (size_t back = 1; back <= 3 && back <= size; back++) {
    uint8_t byte = data[size - back];

    if (byte >= 0xc2 && byte <= 0xf4)
      return (byte >= 0xf0 ? 4u : byte >= 0xe0 ? 3u : 2u) > back ? back : 0;
    if (byte < 0x80 || byte > 0xbf)
      return 0;
  }
  return 0;
}

static size_t showable(const Outlet *outlet) {
  size_t back = 0;
  size_t size;

  for (size_t i = 0; i < outlet->stops_count; i++)
    back = (size_t)max_u64(back, begun(&outlet->held, outlet->stops[i]));
  size = outlet->held.size - back;
  return size - cut_short(outlet->held.data, size);
}

static void show(Outlet *outlet, size_t size, Buffer *ret) {
  if (size == 0)
    return;
  buffer_append(ret, outlet->held.data, size);
  memmove(outlet->held.data, outlet->held.data + size, outlet->held.size - size);
  outlet->held.size -= size;
}

bool outlet_push(Outlet *outlet, Bytes bytes, Buffer *ret) {
  size_t stop;

  if (outlet->is_stopped)
    return false;
  buffer_append(&outlet->held, bytes.data, bytes.size);
  stop = find_stop(outlet);
  if (stop < outlet->held.size) {
    show(outlet, stop, ret);
    outlet->is_stopped = true;
    return false;
  }
  show(outlet, showable(outlet), ret);
  return true;
}

void outlet_end(Outlet *outlet, Buffer *ret) {
  if (!outlet->is_stopped)
    show(outlet, outlet->held.size, ret);
}

void outlet_done(Outlet *outlet) {
  buffer_done(&outlet->held);
}
