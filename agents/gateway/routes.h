/* What:      which route a path is, which methods it takes, and what a path of other APIs is called here.
 * Owns:      nothing; routes.def and foreign.def are const.
 * May use:   base.
 * Threading: any; pure.
 * Spec:      docs/gateway.md; RFC 9110 sections 9 and 15.5.6 */
#ifndef PONS_GATEWAY_ROUTES_H
#define PONS_GATEWAY_ROUTES_H

#include "bus/base/buffer.h"
#include "bus/base/types.h"

typedef enum HttpMethod { HTTP_NONE = 0, HTTP_GET = 1, HTTP_HEAD = 2, HTTP_POST = 4, HTTP_OPTIONS = 8 } HttpMethod;

typedef enum RouteKind {
#define ROUTE(kind, path, methods, public_, about) ROUTE_##kind,
#include "agents/gateway/routes.def"
#undef ROUTE
  ROUTE_NONE, /* of a path that is none of them */
  ROUTE_KINDS
} RouteKind;

typedef struct Route {
  RouteKind kind;
  const char *name;
  const char *path;
  unsigned methods; /* HttpMethod; HEAD goes with GET, OPTIONS with all */
  bool is_public;
} Route;

/* The route of a path (unescaped, without its query), and what stands in the place of its *. NULL when there is none; then
   *ret_rest is left alone. */
const Route *route_find(Text path, Text *ret_rest);
/* A path of another API. */
typedef struct Foreign {
  const char *path;
  const char *instead; /* a path of ours */
  const char *whose;
} Foreign;

/* The row of foreign.def for a path, also one with slashes behind it, or NULL. */
const Foreign *route_find_foreign(Text path);
/* The name of a kind; "none" for ROUTE_NONE. */
const char *route_name(RouteKind kind);
/* The method of that name, HTTP_NONE for any other. Methods are case-sensitive. */
HttpMethod route_method(Text name);
/* Appends what a route takes, as the header Allow has it: "GET, HEAD, OPTIONS". */
void route_allow(const Route *route, Buffer *ret);

#endif
