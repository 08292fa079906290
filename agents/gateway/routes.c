#include "agents/gateway/routes.h"

#define WITH_HEAD(methods) ((methods) | HTTP_OPTIONS | ((methods)&HTTP_GET ? HTTP_HEAD : 0))

static const Route routes[] = {
#define ROUTE(kind, path, methods, public_, about) {ROUTE_##kind, #kind, path, WITH_HEAD(methods), public_},
#include "agents/gateway/routes.def"
#undef ROUTE
};

/* Whether path is what the row says; a row with * wants something in its place. */
static bool fits(const char *pattern, Text path, Text *ret_rest) {
  size_t size = strlen(pattern);

  if (pattern[size - 1] != '*') {
    if (!text_is(path, pattern))
      return false;
    *ret_rest = TEXT_NONE;
    return true;
  }
  size--;
  if (path.size <= size || memcmp(path.data, pattern, size) != 0)
    return false;
  *ret_rest = (Text){path.data + size, path.size - size};
  return true;
}

const Route *route_find(Text path, Text *ret_rest) {
  for (size_t i = 0; i < ELEMENTS(routes); i++)
    if (fits(routes[i].path, path, ret_rest))
      return &routes[i];
  return NULL;
}

static const Foreign foreign[] = {
#define FOREIGN(path, instead, whose) {path, instead, whose},
#include "agents/gateway/foreign.def"
#undef FOREIGN
};

static bool is_without_version(Text path, const char *row) {
  static const char version[] = "/v1";
  size_t size = sizeof version - 1;

  return strncmp(row, version, size) == 0 && text_is(path, row + size);
}

const Foreign *route_find_foreign(Text path) {
  while (path.size > 0 && path.data[path.size - 1] == '/')
    path.size--;
  for (size_t i = 0; i < ELEMENTS(foreign); i++)
    if (text_is(path, foreign[i].path) || is_without_version(path, foreign[i].path))
      return &foreign[i];
  return NULL;
}

const char *route_name(RouteKind kind) {
  return kind < ROUTE_NONE ? routes[kind].name : "none";
}

static const struct {
  HttpMethod method;
  const char *name;
} methods[] = {{HTTP_GET, "GET"}, {HTTP_HEAD, "HEAD"}, {HTTP_POST, "POST"}, {HTTP_OPTIONS, "OPTIONS"}};

HttpMethod route_method(Text name) {
  for (size_t i = 0; i < ELEMENTS(methods); i++)
    if (text_is(name, methods[i].name))
      return methods[i].method;
  return HTTP_NONE;
}

void route_allow(const Route *route, Buffer *ret) {
  const char *comma = "";

  for (size_t i = 0; i < ELEMENTS(methods); i++) {
    if (!(route->methods & methods[i].method))
      continue;
    buffer_printf(ret, "%s%s", comma, methods[i].name);
    comma = ", ";
  }
}
