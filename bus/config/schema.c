/* keys.def is expanded twice: once into what libcyaml 1.3 understands, once into what it has no place for (defaults,
   bounds, rules, meanings). Both tables have one line per key, so an index serves for both. */
#include "bus/config/schema-internal.h"

#include <ctype.h>
#include <stdio.h>

#include "bus/config/keyring.h"

static const cyaml_schema_value_t string_entry = {CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 0, STRING_MAX_BYTES)};

#define MAPPING(type, mapping) static const cyaml_schema_field_t fields_##mapping[] = {
#define END(type, mapping)                                                                                             \
  CYAML_FIELD_END                                                                                                      \
  }                                                                                                                    \
  ;                                                                                                                    \
  static const cyaml_schema_value_t _unused_ entry_##mapping = {                                                       \
      CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, type, fields_##mapping)};
#define TEXT_FIELD(type, key, flags)                                                                                   \
  CYAML_FIELD_STRING_PTR(#key, CYAML_FLAG_POINTER | (flags), type, key, 0, STRING_MAX_BYTES),
#define STRING(type, key, rule, standard, otherwise, about) TEXT_FIELD(type, key, CYAML_FLAG_OPTIONAL)
#define REQUIRED(type, key, rule, about) TEXT_FIELD(type, key, CYAML_FLAG_DEFAULT)
#define WORD(type, key, standard, words, otherwise, about) TEXT_FIELD(type, key, CYAML_FLAG_OPTIONAL)
#define NUMBER(type, key, standard, least, most, about) CYAML_FIELD_UINT(#key, CYAML_FLAG_OPTIONAL, type, key),
#define RATIO(type, key, standard, least, most, about) CYAML_FIELD_FLOAT(#key, CYAML_FLAG_OPTIONAL, type, key),
#define SWITCH(type, key, standard, about) CYAML_FIELD_BOOL(#key, CYAML_FLAG_OPTIONAL, type, key),
#define STRINGS(type, key, rule, standard, otherwise, most, about)                                                     \
  CYAML_FIELD_SEQUENCE(#key, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, type, key, &string_entry, 0, most),
#define GROUP(type, key, mapping) CYAML_FIELD_MAPPING(#key, CYAML_FLAG_OPTIONAL, type, key, fields_##mapping),
#define ENTRIES(type, key, mapping, entry, most, otherwise, about)                                                     \
  CYAML_FIELD_SEQUENCE(#key, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, type, key, &entry_##mapping, 0, most),
#define SECRET(type, key, about) CYAML_FIELD_MAPPING(#key, CYAML_FLAG_OPTIONAL, type, key, fields_secret),
#include "bus/config/keys.def"
#undef MAPPING
#undef END
#undef STRING
#undef REQUIRED
#undef WORD
#undef NUMBER
#undef RATIO
#undef SWITCH
#undef STRINGS
#undef GROUP
#undef ENTRIES
#undef SECRET

#define MAPPING(type, mapping) static const Key keys_##mapping[] = {
#define END(type, mapping)                                                                                             \
  }                                                                                                                    \
  ;                                                                                                                    \
  _Static_assert(ELEMENTS(keys_##mapping) + 1 == ELEMENTS(fields_##mapping), "one key, one field");                    \
  static const Mapping inside_##mapping = {keys_##mapping, fields_##mapping, ELEMENTS(keys_##mapping), sizeof(type)};
#define STRING(type, key, rule_, standard_, otherwise_, about_)                                                        \
  {.name = #key,                                                                                                       \
   .kind = KEY_STRING,                                                                                                 \
   .rule = RULE_##rule_,                                                                                               \
   .standard = standard_,                                                                                              \
   .otherwise = otherwise_,                                                                                            \
   .about = about_},
#define REQUIRED(type, key, rule_, about_)                                                                             \
  {.name = #key,                                                                                                       \
   .kind = KEY_STRING,                                                                                                 \
   .rule = RULE_##rule_,                                                                                               \
   .required = true,                                                                                                   \
   .otherwise = "must be given",                                                                                       \
   .about = about_},
#define WORD(type, key, standard_, words_, otherwise_, about_)                                                         \
  {.name = #key, .kind = KEY_WORD, .standard = standard_, .otherwise = otherwise_, .words = words_, .about = about_},
#define NUMBER(type, key, standard_, least_, most_, about_)                                                            \
  {.name = #key, .kind = KEY_NUMBER, .standard = standard_, .least = least_, .most = most_, .about = about_},
#define RATIO(type, key, standard_, least_, most_, about_)                                                             \
  {.name = #key, .kind = KEY_RATIO, .standard = standard_, .least = least_, .most = most_, .about = about_},
#define SWITCH(type, key, standard_, about_) {.name = #key, .kind = KEY_SWITCH, .standard = standard_, .about = about_},
#define STRINGS(type, key, rule_, standard_, otherwise_, most_, about_)                                                \
  {.name = #key,                                                                                                       \
   .kind = KEY_STRINGS,                                                                                                \
   .rule = RULE_##rule_,                                                                                               \
   .standard = standard_,                                                                                              \
   .otherwise = otherwise_,                                                                                            \
   .most = most_,                                                                                                      \
   .about = about_},
#define GROUP(type, key, mapping) {.name = #key, .kind = KEY_GROUP, .inside = &inside_##mapping},
#define ENTRIES(type, key, mapping, entry, most_, otherwise_, about_)                                                  \
  {.name = #key,                                                                                                       \
   .kind = KEY_ENTRIES,                                                                                                \
   .otherwise = otherwise_,                                                                                            \
   .most = most_,                                                                                                      \
   .inside = &inside_##mapping,                                                                                        \
   .about = about_},
#define SECRET(type, key, about_)                                                                                      \
  {.name = #key, .kind = KEY_SECRET, .otherwise = "none", .inside = &inside_secret, .about = about_},
#include "bus/config/keys.def"

const Mapping *const mapping_top = &inside_top;
const Mapping *const mapping_price_list = &inside_price_list;
const Mapping *const mapping_keyring = &inside_keyring;
const Mapping *const mapping_secret = &inside_secret;

static const cyaml_schema_value_t top_value = {CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, Config, fields_top)};
const cyaml_schema_value_t *const schema_top = &top_value;
static const cyaml_schema_value_t keyring_value = {CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, Keyring, fields_keyring)};
const cyaml_schema_value_t *const schema_keyring = &keyring_value;

static const cyaml_schema_value_t price_list_value = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, ConfigPriceList, fields_price_list)};
const cyaml_schema_value_t *const schema_price_list = &price_list_value;

const char *key_path(char ret[KEY_PATH_SIZE], const char *path, const char *name) {
  snprintf(ret, KEY_PATH_SIZE, "%s%s%s", path, *path ? "." : "", name);
  return ret;
}

const char *key_variable(char ret[KEY_VARIABLE_SIZE], const char *path) {
  snprintf(ret, KEY_VARIABLE_SIZE, "PONS_%s", path);
  for (char *c = ret; *c; c++)
    *c = *c == '.' ? '_' : (char)toupper((unsigned char)*c);
  return ret;
}

static const struct {
  const char *name;
  unsigned number;
} ports[] = {
#define PORT(name, number, program, about) {"{" #name "}", number},
#include "bus/config/ports.def"
#undef PORT
};

const char *key_standard(const Key *key, char ret[KEY_STANDARD_SIZE]) {
  if (!key->standard)
    return NULL;
  snprintf(ret, KEY_STANDARD_SIZE, "%s", key->standard);
  for (size_t i = 0; i < ELEMENTS(ports); i++) {
    const char *at = strstr(key->standard, ports[i].name);

    if (at)
      snprintf(ret, KEY_STANDARD_SIZE, "%.*s%u%s", (int)(at - key->standard), key->standard, ports[i].number,
               at + strlen(ports[i].name));
  }
  return ret;
}

void keys_visit(const Mapping *mapping, const char *path, void *base, bool entries, KeyVisitor *visitor,
                void *context) {
  for (uint32_t i = 0; i < mapping->count; i++) {
    const Key *key = &mapping->keys[i];
    const cyaml_schema_field_t *field = &mapping->fields[i];
    void *inside = base ? (char *)base + field->data_offset : NULL;
    char here[KEY_PATH_SIZE];
    char each[KEY_PATH_SIZE];

    key_path(here, path, key->name);
    if (key->kind == KEY_GROUP) {
      keys_visit(key->inside, here, inside, entries, visitor, context);
      continue;
    }
    visitor(here, key, field, base, context);
    if (!entries || (key->kind != KEY_ENTRIES && key->kind != KEY_SECRET))
      continue;
    snprintf(each, sizeof each, "%.*s%s", KEY_PATH_SIZE - 3, here, key->kind == KEY_ENTRIES ? "[]" : "");
    keys_visit(key->inside, each, NULL, entries, visitor, context);
  }
}
