/* A schema is looked at through a view: itself, what it refers to, and what it wraps, outermost first. A keyword is that of the
   outermost layer which has it, so that a description beside a reference is kept. That is how pydantic and zod write optional
   and shared types, and it needs no tree to be built. Each layer is walked once for all its keywords. */
#include "adapters/gemini/schema.h"

enum { LAYERS_MAX = 8, DEPTH_MAX = 32, GROWTH = 8, GROWTH_BYTES = 65536 };
/* Of what is walked over again and again: references can lead to the same long place from very many. */
enum { WORK = 256, WORK_BYTES = 1 << 20, WORK_MOST_BYTES = 64 << 20 };

typedef struct Writer {
  Json root;
  Buffer *out;
  size_t most_bytes; /* references can say a short schema very often */
  size_t work_bytes; /* that may still be walked over */
  unsigned depth;
} Writer;

/* All keywords that anything here looks at. */
typedef enum Keyword {
  TYPE,
  TITLE,
  DESCRIPTION,
  DEFAULT,
  MIN_ITEMS,
  MAX_ITEMS,
  MIN_PROPERTIES,
  MAX_PROPERTIES,
  MIN_LENGTH,
  MAX_LENGTH,
  MINIMUM,
  MAXIMUM,
  PATTERN,
  FORMAT,
  ENUM,
  CONST,
  PROPERTIES,
  REQUIRED,
  ITEMS,
  NULLABLE,
  ADDITIONAL,
  REF,
  ANY_OF,
  ONE_OF,
  ALL_OF,
  NOT,
  IF,
  PATTERN_PROPERTIES,
  PREFIX_ITEMS,
  DEPENDENT_SCHEMAS,
  DYNAMIC_REF,
  KEYWORDS
} Keyword;

static const char *const keywords[KEYWORDS] = {
    [TYPE] = "type",
    [TITLE] = "title",
    [DESCRIPTION] = "description",
    [DEFAULT] = "default",
    [MIN_ITEMS] = "minItems",
    [MAX_ITEMS] = "maxItems",
    [MIN_PROPERTIES] = "minProperties",
    [MAX_PROPERTIES] = "maxProperties",
    [MIN_LENGTH] = "minLength",
    [MAX_LENGTH] = "maxLength",
    [MINIMUM] = "minimum",
    [MAXIMUM] = "maximum",
    [PATTERN] = "pattern",
    [FORMAT] = "format",
    [ENUM] = "enum",
    [CONST] = "const",
    [PROPERTIES] = "properties",
    [REQUIRED] = "required",
    [ITEMS] = "items",
    [NULLABLE] = "nullable",
    [ADDITIONAL] = "additionalProperties",
    [REF] = "$ref",
    [ANY_OF] = "anyOf",
    [ONE_OF] = "oneOf",
    [ALL_OF] = "allOf",
    [NOT] = "not",
    [IF] = "if",
    [PATTERN_PROPERTIES] = "patternProperties",
    [PREFIX_ITEMS] = "prefixItems",
    [DEPENDENT_SCHEMAS] = "dependentSchemas",
    [DYNAMIC_REF] = "$dynamicRef",
};

typedef struct View {
  Json at[KEYWORDS]; /* of the outermost layer that has it */
  bool nullable;
  Json choices; /* of anyOf, when more than one is left */
} View;

static bool put_schema(Writer *writer, Json schema);

/* Takes a walk over so much of the schema; false when there was enough of it. */
static bool spend(Writer *writer, Json over) {
  bool enough = over.text.size > writer->work_bytes;

  writer->work_bytes -= enough ? writer->work_bytes : over.text.size;
  return !enough;
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
static bool is_beyond_words(const Json *layer) {
  static const Keyword all[] = {NOT, IF, PATTERN_PROPERTIES, PREFIX_ITEMS, DEPENDENT_SCHEMAS, DYNAMIC_REF};

  for (size_t i = 0; i < ELEMENTS(all); i++)
    if (!json_is_none(layer[all[i]]))
      return true;
  return json_type(layer[ADDITIONAL]) == JSON_OBJECT;
}

/* What a layer wraps: by reference, as the one choice, or as the one of all. *ret_next is none when it wraps nothing. */
static bool look_through(Writer *writer, const Json *layer, View *view, Json *ret_next) {
  static const Keyword all[] = {REF, ANY_OF, ONE_OF, ALL_OF};
  Json none = {TEXT_NONE};
  unsigned wraps = 0;
  bool ignored = false;

  for (size_t i = 0; i < ELEMENTS(all); i++)
    wraps += !json_is_none(layer[all[i]]);
  *ret_next = none;
  if (wraps != 1)
    return wraps == 0;
  if (!json_is_none(layer[REF])) {
    *ret_next = resolve(writer->root, layer[REF]);
    return !json_is_none(*ret_next) && spend(writer, writer->root);
  }
  if (!json_is_none(layer[ALL_OF]))
    return open_choices(layer[ALL_OF], &ignored, ret_next, &none) && json_is_none(none);
  return open_choices(json_is_none(layer[ANY_OF]) ? layer[ONE_OF] : layer[ANY_OF], &view->nullable, ret_next,
                      &view->choices);
}

static void add_layer(View *view, const Json *layer) {
  for (Keyword i = 0; i < KEYWORDS; i++)
    if (json_is_none(view->at[i]))
      view->at[i] = layer[i];
}

static bool open_view(Writer *writer, Json schema, View *ret) {
  Json layer[KEYWORDS];
  Json next = schema;
  bool flag = false;

  *ret = (View){.nullable = false};
  for (unsigned layers = 0; !json_is_none(next); layers++) {
    schema = next;
    if (json_type(schema) != JSON_OBJECT || layers == LAYERS_MAX || !spend(writer, schema))
      return false;
    json_find_each(schema, keywords, KEYWORDS, layer);
    if (is_beyond_words(layer) || !look_through(writer, layer, ret, &next))
      return false;
    add_layer(ret, layer);
  }
  ret->nullable |= json_get_bool(ret->at[NULLABLE], &flag) == 0 && flag;
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
  if (!json_is_none(view->at[PROPERTIES]))
    return "OBJECT";
  if (!json_is_none(view->at[ITEMS]))
    return "ARRAY";
  if (json_type(view->at[CONST]) == JSON_STRING || json_type(view->at[ENUM]) == JSON_ARRAY)
    return "STRING";
  return NULL;
}

/* Gemini's word for the type; NULL: there is none. ["string", "null"] is a string that may be null. */
static const char *read_type(View *view) {
  Json type = view->at[TYPE], one = type;
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

/* The keywords that are the same in both. */
static void put_plain(const View *view, Buffer *out) {
  static const struct {
    Keyword keyword;
    JsonType type; /* JSON_NONE: any */
  } rows[] = {
      {TITLE, JSON_STRING},          {DESCRIPTION, JSON_STRING}, {DEFAULT, JSON_NONE},
      {MIN_ITEMS, JSON_NUMBER},      {MAX_ITEMS, JSON_NUMBER},   {MIN_PROPERTIES, JSON_NUMBER},
      {MAX_PROPERTIES, JSON_NUMBER}, {MIN_LENGTH, JSON_NUMBER},  {MAX_LENGTH, JSON_NUMBER},
      {MINIMUM, JSON_NUMBER},        {MAXIMUM, JSON_NUMBER},     {PATTERN, JSON_STRING},
  };

  for (size_t i = 0; i < ELEMENTS(rows); i++) {
    Json value = view->at[rows[i].keyword];

    if (rows[i].type == JSON_NONE || json_type(value) == rows[i].type)
      json_put_member(out, keywords[rows[i].keyword], value);
  }
}

/* Other formats are only told to who reads the schema. */
static void put_format(const View *view, const char *type, Buffer *out) {
  static const struct {
    const char *type;
    const char *name;
  } rows[] = {
      {"STRING", "date-time"}, {"NUMBER", "float"}, {"NUMBER", "double"}, {"INTEGER", "int32"}, {"INTEGER", "int64"}};
  Json format = view->at[FORMAT];

  for (size_t i = 0; i < ELEMENTS(rows); i++)
    if (strcmp(rows[i].type, type) == 0 && json_string_is(format, rows[i].name))
      json_put_member(out, "format", format);
}

/* Only texts that are not empty can be listed. */
static bool put_enum(View *view, const char *type, Buffer *out) {
  Json list = view->at[ENUM], one = view->at[CONST];
  JsonWalk walk = json_walk(list);
  size_t begun;

  if (json_type(list) != JSON_ARRAY && json_is_none(one))
    return true;
  if (strcmp(type, "STRING") != 0 || (!json_is_none(one) && json_type(one) != JSON_STRING))
    return false;
  buffer_put(out, TEXT(",\"format\":\"enum\",\"enum\":["));
  begun = out->size;
  buffer_put(out, one.text);
  while (json_is_none(one) && json_next_element(&walk, &list)) {
    if (json_type(list) == JSON_NULL) {
      view->nullable = true;
      continue;
    }
    if (json_type(list) != JSON_STRING || list.text.size == 2)
      return false;
    json_put_comma(out);
    buffer_put(out, list.text);
  }
  buffer_put(out, TEXT("]"));
  return out->size > begun + 1;
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
static bool put_required(Writer *writer, Json required, Json properties) {
  JsonWalk walk = json_walk(required);
  Buffer *out = writer->out;
  size_t before = out->size, begun;
  Json name;

  if (json_type(required) != JSON_ARRAY)
    return true;
  buffer_put(out, TEXT(",\"required\":["));
  begun = out->size;
  while (json_next_element(&walk, &name)) {
    if (!spend(writer, properties))
      return false;
    if (!has_key(properties, name))
      continue;
    json_put_comma(out);
    buffer_put(out, name.text);
  }
  if (out->size > begun)
    buffer_put(out, TEXT("]"));
  else
    out->size = before;
  return true;
}

/* Gemini makes members in the alphabet's order unless it is told another one. */
static void put_order(Json properties, Buffer *out) {
  JsonWalk walk = json_walk(properties);
  Json key, value;

  buffer_put(out, TEXT(",\"propertyOrdering\":["));
  while (json_next_member(&walk, &key, &value)) {
    json_put_comma(out);
    buffer_put(out, key.text);
  }
  buffer_put(out, TEXT("]"));
}

static bool put_object(Writer *writer, const View *view) {
  Json properties = view->at[PROPERTIES], key, value;
  JsonWalk walk = json_walk(properties);
  size_t begun;

  if (json_type(properties) != JSON_OBJECT)
    return false;
  buffer_put(writer->out, TEXT(",\"properties\":{"));
  begun = writer->out->size;
  while (json_next_member(&walk, &key, &value)) {
    json_put_comma(writer->out);
    buffer_put(writer->out, key.text);
    buffer_put(writer->out, TEXT(":"));
    if (!put_schema(writer, value))
      return false;
  }
  if (writer->out->size == begun)
    return false; /* any object: Gemini wants at least one member */
  buffer_put(writer->out, TEXT("}"));
  if (!put_required(writer, view->at[REQUIRED], properties))
    return false;
  put_order(properties, writer->out);
  return true;
}

static bool put_array(Writer *writer, const View *view) {
  if (json_type(view->at[ITEMS]) != JSON_OBJECT)
    return false;
  buffer_put(writer->out, TEXT(",\"items\":"));
  return put_schema(writer, view->at[ITEMS]);
}

static bool put_choices(Writer *writer, Json choices) {
  JsonWalk walk = json_walk(choices);
  Json one;

  buffer_put(writer->out, TEXT("\"anyOf\":["));
  while (json_next_element(&walk, &one)) {
    if (is_null_type(one))
      continue;
    json_put_comma(writer->out);
    if (!put_schema(writer, one))
      return false;
  }
  buffer_put(writer->out, TEXT("]"));
  return true;
}

static bool put_typed(Writer *writer, View *view, const char *type) {
  buffer_put(writer->out, TEXT("\"type\":\""));
  buffer_put(writer->out, text_of(type));
  buffer_put(writer->out, TEXT("\""));
  put_plain(view, writer->out);
  if (json_is_none(view->at[ENUM]))
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
  buffer_put(writer->out, TEXT("{"));
  written = put_view(writer, &view);
  if (view.nullable)
    json_put_member(writer->out, "nullable", (Json){TEXT("true")});
  buffer_put(writer->out, TEXT("}"));
  writer->depth--;
  return written;
}

bool gemini_put_schema(Json schema, Buffer *out) {
  size_t before = out->size, size = schema.text.size;
  Writer writer = {.root = schema,
                   .out = out,
                   .most_bytes = before + GROWTH * size + GROWTH_BYTES,
                   .work_bytes = min_u64(WORK * size + WORK_BYTES, WORK_MOST_BYTES)};

  if (put_schema(&writer, schema))
    return true;
  out->size = before;
  return false;
}
