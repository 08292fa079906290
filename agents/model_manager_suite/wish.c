#include "agents/model_manager_suite/wish.h"

#include <stdarg.h>
#include <stdio.h>

static int refuse(WishFault *fault, const char *path, const char *format, ...) _printf_(3, 4);
static int refuse(WishFault *fault, const char *path, const char *format, ...) {
  va_list arguments;

  va_start(arguments, format);
  vsnprintf(fault->message, sizeof fault->message, format, arguments);
  va_end(arguments);
  fault->path = path;
  return WISH_E_INVALID;
}

/* A name of the model table has no escapes; what is written with one is none. */
static int read_name(Json value, const char *path, Text *ret, WishFault *fault) {
  if (json_get_plain(value, ret) == 0 && ret->size <= 128)
    return 0;
  return refuse(fault, path, "%s must be the name of a model, a string of at most 128 bytes without escapes", path);
}

static int read_fallbacks(Json value, Wish *ret, WishFault *fault) {
  JsonWalk walk = json_walk(value);
  Json element;
  int r = 0;

  if (json_type(value) != JSON_ARRAY)
    return refuse(fault, "fallbacks", "fallbacks must be a list of names of models");
  while (r == 0 && json_next_element(&walk, &element)) {
    if (ret->fallbacks_count == CANDIDATES_FALLBACKS)
      return refuse(fault, "fallbacks", "fallbacks has more than %d names", CANDIDATES_FALLBACKS);
    r = read_name(element, "fallbacks", &ret->fallbacks[ret->fallbacks_count++], fault);
  }
  return r;
}

int wish_read(Text request, Wish *ret, WishFault *fault) {
  JsonFault where;
  JsonWalk walk;
  Json object;
  Json key;
  Json value;
  int r = 0;

  if (json_check(request, &object, &where) != 0)
    return refuse(fault, "request", "the request is no JSON, line %u, column %u: %s", where.line, where.column,
                  where.message);
  if (json_type(object) != JSON_OBJECT)
    return refuse(fault, "request", "the request is no JSON object; write {\"messages\": [...]}");
  ret->model = TEXT_NONE;
  ret->fallbacks_count = 0;
  walk = json_walk(object);
  while (r == 0 && json_next_member(&walk, &key, &value)) {
    if (json_type(value) == JSON_NULL)
      continue;
    if (json_string_is(key, "model"))
      r = read_name(value, "model", &ret->model, fault);
    else if (json_string_is(key, "fallbacks"))
      r = read_fallbacks(value, ret, fault);
  }
  return r;
}
