/* Each schema becomes an expression where it stands, each definition a rule. The form of a schema, which is the set of what
   its values may be, decides which keywords have a meaning in it; every other one is refused, since an answer that ignores
   it would look as if it kept to it. */
#include "agents/tiny_llama_service_enhanced/schema_grammar.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

/* --- rules that all grammars have --- */

static const char common_rules[] =
    "ws ::= (\" \" | \"\\n\")?\n"
    "char ::= [^\"\\\\\\x7F\\x00-\\x1F] | \"\\\\\" ([\"\\\\bfnrt/] | \"u\" [0-9a-fA-F]{4})\n"
    "string ::= \"\\\"\" char* \"\\\"\"\n"
    "natural ::= \"0\" | [1-9] [0-9]{0,15}\n"
    "integer ::= \"-\"? natural\n"
    "number ::= integer (\".\" [0-9]{1,16})? ([eE] [-+]? [0-9]{1,3})?\n"
    "two ::= [0-5] [0-9]\n"
    "date ::= [0-9]{4} \"-\" (\"0\" [1-9] | \"1\" [0-2]) \"-\" (\"0\" [1-9] | [12] [0-9] | \"3\" [01])\n"
    "hour ::= [01] [0-9] | \"2\" [0-3]\n"
    "time ::= hour \":\" two \":\" two (\".\" [0-9]{1,9})? (\"Z\" | [+-] hour \":\" two)\n"
    "date-time ::= date \"T\" time\n"
    "count ::= [0-9]{1,6}\n"
    "clock ::= count \"H\" (count \"M\")? (count \"S\")? | count \"M\" (count \"S\")? | count \"S\"\n"
    "duration ::= \"P\" (count \"W\" | count \"D\" (\"T\" clock)? | \"T\" clock)\n"
    "word ::= [a-zA-Z0-9]{1,32}\n"
    "label ::= word (\"-\" word)?\n"
    "hostname ::= label (\".\" label)*\n"
    "email ::= word ([._+-] word)* \"@\" hostname\n"
    "octet ::= \"25\" [0-5] | \"2\" [0-4] [0-9] | \"1\" [0-9] [0-9] | [1-9]? [0-9]\n"
    "ipv4 ::= octet \".\" octet \".\" octet \".\" octet\n"
    "ipv6 ::= [0-9a-f]{1,4} (\":\" [0-9a-f]{1,4}){7}\n"
    "uuid ::= [0-9a-f]{8} (\"-\" [0-9a-f]{4}){3} \"-\" [0-9a-f]{12}\n";

static const char *const formats[] = {"date",     "time", "date-time", "duration", "email",
                                      "hostname", "ipv4", "ipv6",      "uuid"};

/* --- forms and keywords --- */

enum {
  FORM_STRING = 1,
  FORM_INTEGER = 2,
  FORM_NUMBER = 4,
  FORM_BOOLEAN = 8,
  FORM_NULL = 16,
  FORM_OBJECT = 32,
  FORM_ARRAY = 64,
  FORM_VALUES = 128, /* enum or const */
  FORM_CHOICE = 256, /* anyOf */
  FORM_REF = 512,
  FORM_ALL = 1023,
};

static const struct {
  const char *name;
  unsigned form;
} types[] = {{"string", FORM_STRING}, {"integer", FORM_INTEGER}, {"number", FORM_NUMBER}, {"boolean", FORM_BOOLEAN},
             {"null", FORM_NULL},     {"object", FORM_OBJECT},   {"array", FORM_ARRAY}};

/* In which forms a keyword is followed. What only explains is taken everywhere. */
static const struct {
  const char *name;
  unsigned forms;
} keywords[] = {
    {"title", FORM_ALL},
    {"description", FORM_ALL},
    {"default", FORM_ALL},
    {"examples", FORM_ALL},
    {"deprecated", FORM_ALL},
    {"$schema", FORM_ALL},
    {"$comment", FORM_ALL},
    {"$defs", FORM_ALL},
    {"definitions", FORM_ALL},
    {"type", FORM_ALL & ~(unsigned)(FORM_CHOICE | FORM_REF)},
    {"enum", FORM_VALUES},
    {"const", FORM_VALUES},
    {"anyOf", FORM_CHOICE},
    {"$ref", FORM_REF},
    {"properties", FORM_OBJECT},
    {"required", FORM_OBJECT},
    {"additionalProperties", FORM_OBJECT},
    {"items", FORM_ARRAY},
    {"minItems", FORM_ARRAY},
    {"maxItems", FORM_ARRAY},
    {"format", FORM_STRING},
    {"minimum", FORM_INTEGER},
    {"maximum", FORM_INTEGER},
};

/* Where a schema stands, for faults. */
typedef struct Place {
  const struct Place *outer;
  Text key;  /* "properties" */
  Text name; /* of the property, or empty */
  size_t index;
} Place;

typedef struct Maker {
  Json whole;
  Buffer *out;
  SchemaFault *fault;
  uint64_t repeats;
  Buffer items; /* a rule for what each list has */
  size_t items_count;
} Maker;

static void put_path(const Place *place, char *ret, size_t size) {
  size_t at;

  if (!place)
    return;
  put_path(place->outer, ret, size);
  at = strlen(ret);
  if (place->name.size)
    snprintf(ret + at, size - at, "%s%.*s.%.*s", at ? "." : "", TEXT_ARG(place->key), TEXT_ARG(place->name));
  else if (place->index)
    snprintf(ret + at, size - at, "%s%.*s[%zu]", at ? "." : "", TEXT_ARG(place->key), place->index - 1);
  else
    snprintf(ret + at, size - at, "%s%.*s", at ? "." : "", TEXT_ARG(place->key));
}

_printf_(3, 4) static int refuse(Maker *maker, const Place *place, const char *format, ...) {
  SchemaFault *fault = maker->fault;
  va_list arguments;

  fault->path[0] = '\0';
  put_path(place, fault->path, sizeof fault->path);
  va_start(arguments, format);
  vsnprintf(fault->message, sizeof fault->message, format, arguments);
  va_end(arguments);
  return SCHEMA_E_REFUSED;
}

static int too_large(Maker *maker, const Place *place) {
  return refuse(maker, place, "the grammar of the schema is over %d bytes", SCHEMA_GRAMMAR_BYTES);
}

/* --- values as they are --- */

/* JSON text as a literal of GBNF. */
static void put_literal(Maker *maker, Text json) {
  buffer_append(maker->out, "\"", 1);
  for (size_t i = 0; i < json.size; i++) {
    buffer_append(maker->out, "\\", json.data[i] == '"' || json.data[i] == '\\');
    buffer_append(maker->out, &json.data[i], 1);
  }
  buffer_append(maker->out, "\"", 1);
}

/* A string in the one spelling that we write; numbers and words as they stand. */
static void put_scalar(Maker *maker, Json value) {
  _cleanup_(buffer_done) Buffer plain = {0};
  _cleanup_(buffer_done) Buffer quoted = {0};

  if (json_get_string(value, &plain) != 0) {
    put_literal(maker, value.text);
    return;
  }
  json_put_string(&quoted, (Text){(const char *)plain.data, plain.size});
  put_literal(maker, (Text){(const char *)quoted.data, quoted.size});
}

static int put_value(Maker *maker, const Place *place, Json value) {
  if (json_type(value) == JSON_OBJECT || json_type(value) == JSON_ARRAY || json_is_none(value))
    return refuse(maker, place, "values must be texts, numbers, true, false or null");
  put_scalar(maker, value);
  return 0;
}

static int put_values(Maker *maker, const Place *place, Json schema) {
  Json values = json_find(schema, "enum");
  JsonWalk walk = json_walk(values);
  const char *bar = "";
  int r = 0;

  if (!json_is_none(json_find(schema, "const")))
    return put_value(maker, &(Place){.outer = place, .key = TEXT("const")}, json_find(schema, "const"));
  if (json_type(values) != JSON_ARRAY)
    return refuse(maker, place, "'enum' must be a list");
  for (Json value; r == 0 && json_next_element(&walk, &value); bar = " | ") {
    buffer_printf(maker->out, "%s", bar);
    r = put_value(maker, &(Place){.outer = place, .key = TEXT("enum")}, value);
  }
  return r == 0 && !*bar ? refuse(maker, place, "'enum' must have a value") : r;
}

/* --- references --- */

static const char *const shelves[] = {"$defs", "definitions"};

/* The rule that a reference means: shelf and index, or root with index SIZE_MAX. */
typedef struct Target {
  size_t shelf;
  size_t index;
  Json schema;
} Target;

static bool find_definition(Json whole, Text name, size_t shelf, Target *ret) {
  JsonWalk walk = json_walk(json_find(whole, shelves[shelf]));
  size_t index = 0;
  Json key;
  Json value;

  for (; json_next_member(&walk, &key, &value); index++) {
    _cleanup_(buffer_done) Buffer text = {0};

    json_get_string(key, &text);
    if (text_equal((Text){(const char *)text.data, text.size}, name)) {
      *ret = (Target){shelf, index, value};
      return true;
    }
  }
  return false;
}

static bool find_target(const Maker *maker, Json ref, Target *ret) {
  _cleanup_(buffer_done) Buffer text = {0};

  if (json_get_string(ref, &text) != 0)
    return false;
  if (text.size == 1 && text.data[0] == '#') {
    *ret = (Target){0, SIZE_MAX, maker->whole};
    return true;
  }
  for (size_t i = 0; i < ELEMENTS(shelves); i++) {
    size_t skip = strlen(shelves[i]) + 3;

    if (text.size > skip && memcmp(text.data, "#/", 2) == 0 && memcmp(text.data + 2, shelves[i], skip - 3) == 0 &&
        text.data[skip - 1] == '/')
      return find_definition(maker->whole, (Text){(const char *)text.data + skip, text.size - skip}, i, ret);
  }
  return false;
}

static void put_rule_name(Maker *maker, const Target *target) {
  if (target->index == SIZE_MAX)
    buffer_printf(maker->out, "root");
  else
    buffer_printf(maker->out, "%c%zu", target->shelf == 0 ? 'd' : 'e', target->index);
}

static int put_ref(Maker *maker, const Place *place, Json schema) {
  Target target;

  if (!find_target(maker, json_find(schema, "$ref"), &target))
    return refuse(maker, place, "'$ref' must be \"#\" or \"#/$defs/NAME\" with a NAME that is there");
  put_rule_name(maker, &target);
  return 0;
}

/* --- numbers --- */

static bool read_whole(Json schema, const char *name, int64_t otherwise, int64_t *ret) {
  Json value = json_find(schema, name);
  double real;

  *ret = otherwise;
  if (json_is_none(value))
    return true;
  if (json_get_real(value, &real) != 0 || !(fabs(real) < 1e15) || real != trunc(real))
    return false;
  *ret = (int64_t)real;
  return true;
}

static int spend(Maker *maker, const Place *place, uint64_t repeats) {
  maker->repeats += repeats;
  return maker->repeats <= SCHEMA_REPEATS
             ? 0
             : refuse(maker, place, "the sum of all bounds of lists and whole numbers is over %d", SCHEMA_REPEATS);
}

/* From 0 or 1 on without an end, or a range that can be written out. */
static int put_integer(Maker *maker, const Place *place, Json schema) {
  int64_t least, most;
  int r;

  if (!read_whole(schema, "minimum", INT64_MIN, &least) || !read_whole(schema, "maximum", INT64_MAX, &most))
    return refuse(maker, place, "'minimum' and 'maximum' must be whole numbers");
  if (least > most)
    return refuse(maker, place, "'minimum' is above 'maximum'");
  if (most == INT64_MAX && (least == INT64_MIN || least == 0 || least == 1)) {
    buffer_printf(maker->out, "%s", least == 0 ? "natural" : least == 1 ? "[1-9] [0-9]{0,15}" : "integer");
    return 0;
  }
  if (least == INT64_MIN || most == INT64_MAX)
    return refuse(maker, place, "give both 'minimum' and 'maximum', or a 'minimum' of 0 or 1 alone");
  r = spend(maker, place, (uint64_t)(most - least) + 1);
  for (int64_t n = least; r == 0 && n <= most; n++)
    buffer_printf(maker->out, "%s\"%" PRId64 "\"", n > least ? " | " : "", n);
  return r;
}

/* --- strings --- */

static int put_string(Maker *maker, const Place *place, Json schema) {
  Json format = json_find(schema, "format");

  if (json_is_none(format)) {
    buffer_printf(maker->out, "string");
    return 0;
  }
  for (size_t i = 0; i < ELEMENTS(formats); i++)
    if (json_string_is(format, formats[i])) {
      buffer_printf(maker->out, "\"\\\"\" %s \"\\\"\"", formats[i]);
      return 0;
    }
  return refuse(maker, place, "'format' must be date, time, date-time, duration, email, hostname, ipv4, ipv6 or uuid");
}

/* --- lists --- */

static int put_schema(Maker *maker, const Place *place, unsigned depth, Json schema);

/* What a list has, as a rule: it stands twice in the list's. */
static int put_items(Maker *maker, const Place *place, unsigned depth, Json items, size_t *ret_number) {
  const Place inside = {.outer = place, .key = TEXT("items")};
  _cleanup_(buffer_done) Buffer rule = {0};
  Buffer *outer = maker->out;
  int r;

  *ret_number = maker->items_count++;
  maker->out = &rule;
  r = put_schema(maker, &inside, depth + 1, items);
  maker->out = outer;
  buffer_printf(&maker->items, "i%zu ::= ", *ret_number);
  buffer_append(&maker->items, rule.data, rule.size);
  buffer_printf(&maker->items, "\n");
  return r;
}

static int read_bounds(Maker *maker, const Place *place, Json schema, int64_t *least, int64_t *most) {
  if (!read_whole(schema, "minItems", 0, least) || !read_whole(schema, "maxItems", INT64_MAX, most) || *least < 0 ||
      *most < *least)
    return refuse(maker, place, "'minItems' and 'maxItems' must be whole numbers, the second not below the first");
  return spend(maker, place, (uint64_t)(*most == INT64_MAX ? *least : *most));
}

/* ( item ( "," item ){…} )?, where a list has a comma less than it has items. */
static void put_list(Maker *maker, size_t item, int64_t least, int64_t most) {
  buffer_printf(maker->out, "( i%zu ws ", item);
  if (most > 1)
    buffer_printf(maker->out, "( \",\" ws i%zu ws ){%" PRId64 ",", item, least > 0 ? least - 1 : 0);
  if (most > 1 && most != INT64_MAX)
    buffer_printf(maker->out, "%" PRId64, most - 1);
  buffer_printf(maker->out, "%s )%s ", most > 1 ? "}" : "", least > 0 ? "" : "?");
}

static int put_array(Maker *maker, const Place *place, unsigned depth, Json schema) {
  int64_t least = 0, most = 0;
  size_t item = 0;
  int r = read_bounds(maker, place, schema, &least, &most);

  if (r == 0)
    r = put_items(maker, place, depth, json_find(schema, "items"), &item);
  buffer_printf(maker->out, "\"[\" ws ");
  if (most > 0)
    put_list(maker, item, least, most);
  buffer_printf(maker->out, "\"]\"");
  return r;
}

/* --- objects --- */

static bool is_required(Json required, Text name) {
  JsonWalk walk = json_walk(required);
  Json one;

  while (json_type(required) == JSON_ARRAY && json_next_element(&walk, &one)) {
    _cleanup_(buffer_done) Buffer text = {0};

    if (json_get_string(one, &text) == 0 && text_equal((Text){(const char *)text.data, text.size}, name))
      return true;
  }
  return false;
}

static int put_property(Maker *maker, const Place *place, unsigned depth, Json key, Json value) {
  int r;

  put_scalar(maker, key);
  buffer_printf(maker->out, " \":\" ws ( ");
  r = put_schema(maker, place, depth + 1, value);
  buffer_printf(maker->out, " ) ws ");
  return r;
}

static int check_object(Maker *maker, const Place *place, Json schema) {
  Json more = json_find(schema, "additionalProperties");
  Json properties = json_find(schema, "properties");
  bool allowed = false;

  if (!json_is_none(more) && (json_get_bool(more, &allowed) != 0 || allowed))
    return refuse(maker, place, "'additionalProperties' must be false");
  if (!json_is_none(properties) && json_type(properties) != JSON_OBJECT)
    return refuse(maker, place, "'properties' must be an object");
  return 0;
}

/* All properties in their order. One that may be absent has null among its types, as in OpenAI's strict mode. */
static int put_object(Maker *maker, const Place *place, unsigned depth, Json schema) {
  JsonWalk walk = json_walk(json_find(schema, "properties"));
  const char *comma = "";
  int r = check_object(maker, place, schema);
  Json key;
  Json value;

  buffer_printf(maker->out, "\"{\" ws ");
  for (; r == 0 && json_next_member(&walk, &key, &value); comma = "\",\" ws ") {
    _cleanup_(buffer_done) Buffer name = {0};
    Place inside = {.outer = place, .key = TEXT("properties")};

    json_get_string(key, &name);
    inside.name = (Text){(const char *)name.data, name.size};
    if (!is_required(json_find(schema, "required"), inside.name))
      return refuse(maker, &inside, "'required' must list every property; one that may be absent is null as well");
    buffer_printf(maker->out, "%s", comma);
    r = put_property(maker, &inside, depth, key, value);
  }
  buffer_printf(maker->out, "\"}\"");
  return r;
}

/* --- any schema --- */

static int put_choice(Maker *maker, const Place *place, unsigned depth, Json schema) {
  JsonWalk walk = json_walk(json_find(schema, "anyOf"));
  Place inside = {.outer = place, .key = TEXT("anyOf")};
  int r = 0;
  Json value;

  if (json_type(json_find(schema, "anyOf")) != JSON_ARRAY)
    return refuse(maker, place, "'anyOf' must be a list");
  while (r == 0 && json_next_element(&walk, &value)) {
    buffer_printf(maker->out, "%s( ", inside.index++ ? " | " : "");
    r = put_schema(maker, &inside, depth + 1, value);
    buffer_printf(maker->out, " )");
  }
  return r == 0 && inside.index == 0 ? refuse(maker, place, "'anyOf' must have a schema") : r;
}

static int put_type(Maker *maker, const Place *place, unsigned depth, Json schema, unsigned form) {
  switch (form) {
  case FORM_STRING:
    return put_string(maker, place, schema);
  case FORM_INTEGER:
    return put_integer(maker, place, schema);
  case FORM_NUMBER:
    buffer_printf(maker->out, "number");
    return 0;
  case FORM_BOOLEAN:
    buffer_printf(maker->out, "\"true\" | \"false\"");
    return 0;
  case FORM_NULL:
    buffer_printf(maker->out, "\"null\"");
    return 0;
  case FORM_OBJECT:
    return put_object(maker, place, depth, schema);
  case FORM_ARRAY:
  default:
    return put_array(maker, place, depth, schema);
  }
}

static int add_type(Maker *maker, const Place *place, Json type, unsigned *form) {
  for (size_t i = 0; i < ELEMENTS(types); i++)
    if (json_string_is(type, types[i].name)) {
      *form |= types[i].form;
      return 0;
    }
  return refuse(maker, place, "'type' must be string, number, integer, boolean, null, object or array");
}

static int find_form(Maker *maker, const Place *place, Json schema, unsigned *ret) {
  Json type = json_find(schema, "type");
  JsonWalk walk = json_walk(type);
  int r = 0;

  *ret = !json_is_none(json_find(schema, "$ref"))                                                ? FORM_REF
         : !json_is_none(json_find(schema, "anyOf"))                                             ? FORM_CHOICE
         : !json_is_none(json_find(schema, "enum")) || !json_is_none(json_find(schema, "const")) ? FORM_VALUES
                                                                                                 : 0;
  if (*ret)
    return 0;
  if (json_type(type) != JSON_ARRAY)
    return add_type(maker, place, type, ret);
  for (Json one; r == 0 && json_next_element(&walk, &one);)
    r = add_type(maker, place, one, ret);
  return r == 0 && !*ret ? refuse(maker, place, "'type' must name a type") : r;
}

static int check_keywords(Maker *maker, const Place *place, Json schema, unsigned form) {
  JsonWalk walk = json_walk(schema);
  Json key;
  Json value;

  while (json_next_member(&walk, &key, &value)) {
    bool known = false;

    for (size_t i = 0; i < ELEMENTS(keywords) && !known; i++)
      known = (keywords[i].forms & form) && json_string_is(key, keywords[i].name);
    if (!known)
      return refuse(maker, place, "%.*s can't be kept to here; leave it out", (int)min_u64(key.text.size, 64),
                    key.text.data);
  }
  return 0;
}

static int put_form(Maker *maker, const Place *place, unsigned depth, Json schema, unsigned form) {
  const char *bar = "";
  int r = 0;

  if (form == FORM_REF)
    return put_ref(maker, place, schema);
  if (form == FORM_CHOICE)
    return put_choice(maker, place, depth, schema);
  if (form == FORM_VALUES)
    return put_values(maker, place, schema);
  for (size_t i = 0; i < ELEMENTS(types) && r == 0; i++)
    if (form & types[i].form) {
      buffer_printf(maker->out, "%s", bar);
      r = put_type(maker, place, depth, schema, types[i].form);
      bar = " | ";
    }
  return r;
}

static int put_schema(Maker *maker, const Place *place, unsigned depth, Json schema) {
  unsigned form;
  int r;

  if (json_type(schema) != JSON_OBJECT)
    return refuse(maker, place, "a schema must be an object");
  if (depth > SCHEMA_DEPTH)
    return refuse(maker, place, "schemas are nested more than %d deep", SCHEMA_DEPTH);
  if (maker->out->size + maker->items.size > SCHEMA_GRAMMAR_BYTES)
    return too_large(maker, place);
  r = find_form(maker, place, schema, &form);
  if (r == 0)
    r = check_keywords(maker, place, schema, form);
  return r == 0 ? put_form(maker, place, depth, schema, form) : r;
}

/* --- rules --- */

/* What has been found of each rule while loops are looked for: 0 = not seen, 1 = on the way, 2 = done. */
typedef struct Trail {
  uint8_t root;
  uint8_t shelf[ELEMENTS(shelves)][SCHEMA_DEFINITIONS];
} Trail;

enum { LEAD_DEPTH = 256 };

static int check_rule(Maker *maker, const Place *place, Trail *trail, unsigned depth, const Target *target);

/* Follows what a schema may begin with. */
static int check_lead(Maker *maker, const Place *place, Trail *trail, unsigned depth, Json schema) {
  JsonWalk walk = json_walk(json_find(schema, "anyOf"));
  int r = 0;
  Target target;

  if (depth > LEAD_DEPTH)
    return refuse(maker, place, "'$ref' and 'anyOf' lead through more than %d schemas", LEAD_DEPTH);
  for (Json one; r == 0 && json_next_element(&walk, &one);)
    r = check_lead(maker, place, trail, depth + 1, one);
  if (r == 0 && find_target(maker, json_find(schema, "$ref"), &target))
    r = check_rule(maker, place, trail, depth + 1, &target);
  return r;
}

/* A rule that leads back to itself before anything is written would have no end. */
static int check_rule(Maker *maker, const Place *place, Trail *trail, unsigned depth, const Target *target) {
  uint8_t *state = target->index == SIZE_MAX ? &trail->root : &trail->shelf[target->shelf][target->index];
  int r;

  if (*state == 1)
    return refuse(maker, place, "'$ref' leads to itself");
  if (*state == 2)
    return 0;
  *state = 1;
  r = check_lead(maker, place, trail, depth, target->schema);
  *state = 2;
  return r;
}

static int put_rule(Maker *maker, const Place *place, Trail *trail, const Target *target) {
  int r = check_rule(maker, place, trail, 0, target);

  put_rule_name(maker, target);
  buffer_printf(maker->out, " ::= ");
  if (r == 0)
    r = put_schema(maker, place, 0, target->schema);
  buffer_printf(maker->out, "\n");
  return r;
}

/* One shelf's definitions, each a rule. */
static int put_definitions(Maker *maker, Trail *trail, size_t shelf) {
  JsonWalk walk = json_walk(json_find(maker->whole, shelves[shelf]));
  Target target = {.shelf = shelf, .index = 0};
  int r = 0;

  for (Json key; r == 0 && json_next_member(&walk, &key, &target.schema); target.index++) {
    _cleanup_(buffer_done) Buffer name = {0};
    Place place = {.key = text_of(shelves[shelf])};

    json_get_string(key, &name);
    place.name = (Text){(const char *)name.data, name.size};
    r = put_rule(maker, &place, trail, &target);
  }
  return r;
}

static bool has_too_many(Json whole, size_t shelf) {
  JsonWalk walk = json_walk(json_find(whole, shelves[shelf]));
  size_t count = 0;

  for (Json key, value; count <= SCHEMA_DEFINITIONS && json_next_member(&walk, &key, &value);)
    count++;
  return count > SCHEMA_DEFINITIONS;
}

int schema_grammar(Json schema, Buffer *ret, SchemaFault *fault) {
  Maker maker = {.whole = schema, .out = ret, .fault = fault};
  Trail trail = {.root = 0};
  int r;

  for (size_t i = 0; i < ELEMENTS(shelves); i++)
    if (has_too_many(schema, i))
      return refuse(&maker, NULL, "there may be at most %d definitions", SCHEMA_DEFINITIONS);
  r = put_rule(&maker, NULL, &trail, &(Target){0, SIZE_MAX, schema});
  for (size_t i = 0; r == 0 && i < ELEMENTS(shelves); i++)
    r = put_definitions(&maker, &trail, i);
  buffer_append(ret, maker.items.data, maker.items.size);
  buffer_append(ret, common_rules, sizeof common_rules - 1);
  buffer_done(&maker.items);
  if (r == 0 && ret->size > SCHEMA_GRAMMAR_BYTES)
    r = too_large(&maker, NULL);
  return r;
}
