/* A schema is looked at through a view: itself, what it refers to, and what it wraps, outermost first. A keyword is that of the
   outermost layer which has it, so that a description beside a reference is kept. That is how pydantic and zod write optional
   and shared types, and it needs no tree to be built. */
#include "adapters/gemini/schema.h"

enum { LAYERS_MAX = 8, DEPTH_MAX = 32, GROWTH = 8, GROWTH_BYTES = 65536 };

typedef struct Writer {
  Json root;
  Buffer *out;
  size_t most_bytes; /* references can say a short schema very often */
  unsigned depth;
} Writer;

typedef struct View {
  Json layers[LAYERS_MAX];
  unsigned count;
  bool nullable;
  Json choices; /* of anyOf, when more than one is left */
} View;

static bool put_schema(Writer *writer, Json schema);

static Json find(const View *view, const char *name) {
  Json found = {TEXT_NONE};

  for (unsigned i = 0; i < view->count && json_is_none(found); i++)
    found = json_find(view->layers[i], name);
  return found;
}

/* --- references --- */

/* Whether a step of a JSON pointer is the name of a member; names that need escapes are nobody's. */
static Json step_down(Json object, Text step) {
  JsonWalk walk = json_walk(object);
  Json key, value;
  Text name;

  while (json_type(object) == JSON_OBJECT && json_next_member(&walk, &key, &value))
    if (json_get_plain(key, &name) == 0 && text_equal(name, step))
      return value;
  return (Json){TEXT_NONE};
}

/* What "#/$defs/Name" is in root; none for anything that is not inside it. */
static Json resolve(Json root, Json reference) {
  Json at = root;
  Text path;

  if (json_get_plain(reference, &path) != 0 || path.size == 0 || path.data[0] != '#')
    return (Json){TEXT_NONE};
  path = (Text){path.data + 1, path.size - 1};
  while (path.size > 0 && path.data[0] == '/') {
    const char *end = memchr(path.data + 1, '/', path.size - 1);
    Text step = {path.data + 1, (end ? (size_t)(end - path.data) : path.size) - 1};

    at = step_down(at, step);
    path = (Text){step.data + step.size, path.size - step.size - 1};
  }
  return path.size == 0 ? at : (Json){TEXT_NONE};
}

/* --- views --- */

static bool is_null_type(Json schema) {
  return json_string_is(json_find(schema, "type"), "null") || json_type(json_find(schema, "const")) == JSON_NULL;
}

/* Looks through a list of choices: the one that is left beside null, or the list itself in *ret_choices. */
static bool open_choices(Json list, bool *ret_nullable, Json *ret_one, Json *ret_choices) {
  JsonWalk walk = json_walk(list);
  unsigned count = 0;
  Json one;

  while (json_next_element(&walk, &one)) {
    if (is_null_type(one)) {
      *ret_nullable = true;
      continue;
    }
    *ret_one = one;
    count++;
  }
  if (count > 1)
    *ret_choices = list;
  if (count != 1)
    *ret_one = (Json){TEXT_NONE};
  return count > 0;
}

/* Keywords that have no word at Gemini and do more than narrow. */
static bool is_beyond_words(Json schema) {
  static const char *const names[] = {"not",        "if", "patternProperties", "prefixItems", "dependentSchemas",
                                      "$dynamicRef"};

  for (size_t i = 0; i < ELEMENTS(names); i++)
    if (!json_is_none(json_find(schema, names[i])))
      return true;
  return json_type(json_find(schema, "additionalProperties")) == JSON_OBJECT;
}

/* What a layer wraps: by reference, as the one choice, or as the one of all. *ret_next is none when it wraps nothing. */
static bool look_through(const Writer *writer, Json schema, View *view, Json *ret_next) {
  Json reference = json_find(schema, "$ref"), any = json_find(schema, "anyOf"), one = json_find(schema, "oneOf");
  Json all = json_find(schema, "allOf"), none = {TEXT_NONE};
  int wraps = !json_is_none(reference) + !json_is_none(any) + !json_is_none(one) + !json_is_none(all);
  bool ignored = false;

  *ret_next = none;
  if (wraps == 0)
    return true;
  if (wraps > 1)
    return false;
  if (!json_is_none(reference)) {
    *ret_next = resolve(writer->root, reference);
    return !json_is_none(*ret_next);
  }
  if (!json_is_none(all))
    return open_choices(all, &ignored, ret_next, &none) && json_is_none(none);
  return open_choices(json_is_none(any) ? one : any, &view->nullable, ret_next, &view->choices);
}

static bool open_view(const Writer *writer, Json schema, View *ret) {
  Json next = schema;
  bool flag = false;

  *ret = (View){.count = 0};
  while (!json_is_none(next)) {
    schema = next;
    if (json_type(schema) != JSON_OBJECT || ret->count == LAYERS_MAX || is_beyond_words(schema))
      return false;
    ret->layers[ret->count++] = schema;
    if (!look_through(writer, schema, ret, &next))
      return false;
  }
  ret->nullable |= json_get_bool(find(ret, "nullable"), &flag) == 0 && flag;
  return true;
}

/* --- types --- */

static const struct {
  const char *name;
  const char *word;
} types[] = {{"string", "STRING"},   {"number", "NUMBER"}, {"integer", "INTEGER"},
             {"boolean", "BOOLEAN"}, {"array", "ARRAY"},   {"object", "OBJECT"}};

/* What a schema is that does not say so. */
static const char *guess_type(const View *view) {
  if (!json_is_none(find(view, "properties")))
    return "OBJECT";
  if (!json_is_none(find(view, "items")))
    return "ARRAY";
  if (json_type(find(view, "const")) == JSON_STRING || json_type(find(view, "enum")) == JSON_ARRAY)
    return "STRING";
  return NULL;
}

/* Gemini's word for the type; NULL: there is none. ["string", "null"] is a string that may be null. */
static const char *read_type(View *view) {
  Json type = find(view, "type"), one = type;
  JsonWalk walk = json_walk(type);
  unsigned count = 0;

  if (json_is_none(type))
    return guess_type(view);
  for (Json each; json_type(type) == JSON_ARRAY && json_next_element(&walk, &each);) {
    if (json_string_is(each, "null")) {
      view->nullable = true;
    } else {
      one = each;
      count++;
    }
  }
  for (size_t i = 0; count < 2 && i < ELEMENTS(types); i++)
    if (json_string_is(one, types[i].name))
      return types[i].word;
  return NULL;
}

/* --- writing --- */

static void put_member(Buffer *out, const char *name, Text value) {
  buffer_printf(out, ",\"%s\":", name);
  buffer_append(out, value.data, value.size);
}

/* The keywords that are the same in both. */
static void put_plain(const View *view, Buffer *out) {
  static const struct {
    const char *name;
    JsonType type; /* JSON_NONE: any */
  } rows[] = {
      {"title", JSON_STRING},         {"description", JSON_STRING}, {"default", JSON_NONE},
      {"minItems", JSON_NUMBER},      {"maxItems", JSON_NUMBER},    {"minProperties", JSON_NUMBER},
      {"maxProperties", JSON_NUMBER}, {"minLength", JSON_NUMBER},   {"maxLength", JSON_NUMBER},
      {"minimum", JSON_NUMBER},       {"maximum", JSON_NUMBER},     {"pattern", JSON_STRING},
  };

  for (size_t i = 0; i < ELEMENTS(rows); i++) {
    Json value = find(view, rows[i].name);

    if (!json_is_none(value) && (rows[i].type == JSON_NONE || json_type(value) == rows[i].type))
      put_member(out, rows[i].name, value.text);
  }
}

/* Other formats are only told to who reads the schema. */
static void put_format(const View *view, const char *type, Buffer *out) {
  static const struct {
    const char *type;
    const char *name;
  } rows[] = {
      {"STRING", "date-time"}, {"NUMBER", "float"}, {"NUMBER", "double"}, {"INTEGER", "int32"}, {"INTEGER", "int64"}};
  Json format = find(view, "format");

  for (size_t i = 0; i < ELEMENTS(rows); i++)
    if (strcmp(rows[i].type, type) == 0 && json_string_is(format, rows[i].name))
      put_member(out, "format", format.text);
}

/* Only texts that are not empty can be listed. */
static bool put_enum(View *view, const char *type, Buffer *out) {
  Json list = find(view, "enum"), one = find(view, "const");
  JsonWalk walk = json_walk(list);
  bool first = true;

  if (json_type(list) != JSON_ARRAY && json_is_none(one))
    return true;
  if (strcmp(type, "STRING") != 0)
    return false;
  buffer_printf(out, ",\"format\":\"enum\",\"enum\":[");
  if (!json_is_none(one) && json_type(one) != JSON_STRING)
    return false;
  buffer_append(out, one.text.data, one.text.size);
  while (json_is_none(one) && json_next_element(&walk, &list)) {
    if (json_type(list) == JSON_NULL) {
      view->nullable = true;
      continue;
    }
    if (json_type(list) != JSON_STRING || list.text.size == 2)
      return false;
    buffer_append(out, ",", first ? 0 : 1);
    buffer_append(out, list.text.data, list.text.size);
    first = false;
  }
  buffer_append(out, "]", 1);
  return !first || !json_is_none(one);
}

static bool has_key(Json object, Json name) {
  JsonWalk walk = json_walk(object);
  Json key, value;

  while (json_next_member(&walk, &key, &value))
    if (text_equal(key.text, name.text))
      return true;
  return false;
}

/* A required member that is nowhere described would be refused. */
static void put_required(Json required, Json properties, Buffer *out) {
  JsonWalk walk = json_walk(required);
  bool first = true;
  Json name;

  while (json_type(required) == JSON_ARRAY && json_next_element(&walk, &name)) {
    if (!has_key(properties, name))
      continue;
    buffer_printf(out, first ? ",\"required\":[" : ",");
    buffer_append(out, name.text.data, name.text.size);
    first = false;
  }
  buffer_append(out, "]", first ? 0 : 1);
}

/* Gemini makes members in the alphabet's order unless it is told another one. */
static void put_order(Json properties, Buffer *out) {
  JsonWalk walk = json_walk(properties);
  bool first = true;
  Json key, value;

  buffer_printf(out, ",\"propertyOrdering\":[");
  for (; json_next_member(&walk, &key, &value); first = false) {
    buffer_append(out, ",", first ? 0 : 1);
    buffer_append(out, key.text.data, key.text.size);
  }
  buffer_append(out, "]", 1);
}

static bool put_object(Writer *writer, const View *view) {
  Json properties = find(view, "properties"), key, value;
  JsonWalk walk = json_walk(properties);
  bool first = true;

  if (json_type(properties) != JSON_OBJECT)
    return false;
  for (; json_next_member(&walk, &key, &value); first = false) {
    buffer_printf(writer->out, first ? ",\"properties\":{" : ",");
    buffer_append(writer->out, key.text.data, key.text.size);
    buffer_append(writer->out, ":", 1);
    if (!put_schema(writer, value))
      return false;
  }
  if (first)
    return false; /* any object: Gemini wants at least one member */
  buffer_append(writer->out, "}", 1);
  put_required(find(view, "required"), properties, writer->out);
  put_order(properties, writer->out);
  return true;
}

static bool put_array(Writer *writer, const View *view) {
  Json items = find(view, "items");

  if (json_type(items) != JSON_OBJECT)
    return false;
  buffer_printf(writer->out, ",\"items\":");
  return put_schema(writer, items);
}

static bool put_choices(Writer *writer, Json choices) {
  JsonWalk walk = json_walk(choices);
  bool first = true;
  Json one;

  buffer_printf(writer->out, "\"anyOf\":[");
  while (json_next_element(&walk, &one)) {
    if (is_null_type(one))
      continue;
    buffer_append(writer->out, ",", first ? 0 : 1);
    first = false;
    if (!put_schema(writer, one))
      return false;
  }
  buffer_append(writer->out, "]", 1);
  return true;
}

static bool put_typed(Writer *writer, View *view, const char *type) {
  buffer_printf(writer->out, "\"type\":\"%s\"", type);
  put_plain(view, writer->out);
  if (json_is_none(find(view, "enum")))
    put_format(view, type, writer->out);
  if (!put_enum(view, type, writer->out))
    return false;
  if (strcmp(type, "OBJECT") == 0)
    return put_object(writer, view);
  return strcmp(type, "ARRAY") != 0 || put_array(writer, view);
}

/* Choices stand beside no type, but for one that says the same for all of them, and that each has to say itself. */
static bool put_view(Writer *writer, View *view) {
  const char *type;

  if (!json_is_none(view->choices)) {
    if (!put_choices(writer, view->choices))
      return false;
    put_plain(view, writer->out);
    return true;
  }
  type = read_type(view);
  return type && put_typed(writer, view, type);
}

static bool put_schema(Writer *writer, Json schema) {
  View view;
  bool written;

  if (writer->depth == DEPTH_MAX || writer->out->size > writer->most_bytes || !open_view(writer, schema, &view))
    return false;
  writer->depth++;
  buffer_append(writer->out, "{", 1);
  written = put_view(writer, &view);
  if (view.nullable)
    put_member(writer->out, "nullable", TEXT("true"));
  buffer_append(writer->out, "}", 1);
  writer->depth--;
  return written;
}

bool gemini_put_schema(Json schema, Buffer *out) {
  size_t before = out->size;
  Writer writer = {
      .root = schema, .out = out, .most_bytes = before + (size_t)GROWTH * schema.text.size + (size_t)GROWTH_BYTES};

  if (put_schema(&writer, schema))
    return true;
  out->size = before;
  return false;
}
