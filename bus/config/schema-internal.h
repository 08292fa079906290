/* What:      the table of keys.def as data: each mapping's keys beside its libcyaml fields, in the same order.
 * Owns:      nothing; all of it is constant.
 * May use:   base, libcyaml.
 * Threading: any.
 * Spec:      bus/config/keys.def */
#ifndef PONS_CONFIG_SCHEMA_INTERNAL_H
#define PONS_CONFIG_SCHEMA_INTERNAL_H

#include <cyaml/cyaml.h>

#include "bus/base/buffer.h"
#include "bus/base/types.h"

typedef enum KeyKind {
  KEY_STRING,  /* char * */
  KEY_WORD,    /* char *, one of few */
  KEY_NUMBER,  /* uint32_t or uint64_t */
  KEY_RATIO,   /* double */
  KEY_SWITCH,  /* bool */
  KEY_STRINGS, /* char ** and a count */
  KEY_GROUP,   /* a struct inside */
  KEY_ENTRIES, /* an array of structs and a count */
  KEY_SECRET,  /* ConfigSecret */
} KeyKind;

typedef enum KeyRule {
  RULE_ANY,
  RULE_NAME,
  RULE_SERVICE,
  RULE_VERSION,
  RULE_ENDPOINT,
  RULE_PATH,
  RULE_FILE,
  RULE_VARIABLE,
  RULE_AGENT,
  RULE_MODEL,
  RULE_PRICE,
  RULE_URL,
  RULE_ROUTE,
  RULE_HEADER,
  RULE_ORIGIN,
  RULE_HOST,
  RULE_DOMAIN,
  RULE_DATE,
  RULE_KEY,
  RULE_RIGHT,
} KeyRule;

typedef struct Mapping Mapping;

/* What libcyaml 1.3 has no place for. */
typedef struct Key {
  const char *name;
  KeyKind kind;
  KeyRule rule;
  bool required;
  const char *standard;  /* the default as text, strings of a list with commas; NULL: none, or worked out */
  const char *otherwise; /* the default in words when standard is NULL */
  const char *words;     /* KEY_WORD: what is allowed, with spaces */
  double least;
  double most; /* of a number; of a list, its length */
  const Mapping *inside;
  const char *about;
} Key;

struct Mapping {
  const Key *keys;
  const cyaml_schema_field_t *fields; /* fields[i] is where keys[i] goes */
  uint32_t count;
  uint32_t size_bytes; /* of the struct */
};

#define KEY_PATH_SIZE 160     /* "agents[1023].environment[63].secret.file" and room to spare */
#define KEY_VARIABLE_SIZE 160 /* "PONS_" and a path */
#define KEY_STANDARD_SIZE 128
#define STRING_MAX_BYTES 4096 /* of any string in the file */

/* The mapping at the top of pons.yaml, and the same for cyaml_load_data. */
extern const Mapping *const mapping_top;
/* The same of a price list. */
extern const Mapping *const mapping_price_list;
extern const cyaml_schema_value_t *const schema_price_list;
/* That at the top of keys.yaml. */
extern const Mapping *const mapping_keyring;
extern const cyaml_schema_value_t *const schema_keyring;
/* That of a secret: its values are references, and a literal in its place is never repeated. */
extern const Mapping *const mapping_secret;
extern const cyaml_schema_value_t *const schema_top;

/* Writes path and then "." and name, or name alone when path is empty. Returns ret. */
const char *key_path(char ret[KEY_PATH_SIZE], const char *path, const char *name);
/* Writes the variable that overrides the key at path: "broker.listen" is PONS_BROKER_LISTEN. Returns ret. */
const char *key_variable(char ret[KEY_VARIABLE_SIZE], const char *path);

/* Writes the default of key with the ports in it as numbers. Returns ret, or NULL when there is none. */
const char *key_standard(const Key *key, char ret[KEY_STANDARD_SIZE]);
/* Whether text can be a value of key, or for KEY_STRINGS one string of it. When not, appends to ret what is wrong and
   what to write instead, as in "is 'x', must be true or false". */
bool key_check(const Key *key, Text text, Buffer *ret);
/* Appends what key allows, as in "a whole number from 1 to 9". */
void key_bounds(const Key *key, Buffer *ret);
/* Sets the member of base for key from text, which key_check has passed (for KEY_STRINGS the strings with commas
   between); what was there before is freed. Not for lists of mappings, groups and secrets. */
void key_set(const Key *key, const cyaml_schema_field_t *field, void *base, const char *text);

/* Called for each key that keys_visit meets: at is the struct that holds it, or NULL when base was. */
typedef void KeyVisitor(const char *path, const Key *key, const cyaml_schema_field_t *field, void *at, void *context);
/* Calls visitor for each key of mapping that holds a value, in groups too; in lists only when entries is set, then once
   for their entries with "[]" in the path and at NULL. */
void keys_visit(const Mapping *mapping, const char *path, void *base, bool entries, KeyVisitor *visitor, void *context);

#endif
