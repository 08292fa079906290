#include <inttypes.h>
#include <stdio.h>

#include "bus/config/check-internal.h"

static void print_mapping(Buffer *ret, const Mapping *mapping, const void *base, uint32_t indent, bool in_entry);

/* Names and words as they are, everything else in double quotes, as YAML 1.1 5.7 escapes. */
static void print_text(Buffer *ret, const char *text) {
  size_t plain = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_-");

  if (*text >= 'a' && *text <= 'z' && !text[plain]) {
    buffer_printf(ret, "%s", text);
    return;
  }
  buffer_append(ret, "\"", 1);
  for (const char *c = text; *c; c++) {
    if (*c == '"' || *c == '\\')
      buffer_printf(ret, "\\%c", *c);
    else if ((unsigned char)*c < ' ' || *c == 127)
      buffer_printf(ret, "\\x%02x", (unsigned)*c);
    else
      buffer_append(ret, c, 1);
  }
  buffer_append(ret, "\"", 1);
}

static void print_strings(Buffer *ret, char *const *strings, uint32_t count) {
  buffer_append(ret, "[", 1);
  for (uint32_t i = 0; i < count; i++) {
    buffer_printf(ret, "%s", i ? ", " : "");
    print_text(ret, strings[i]);
  }
  buffer_append(ret, "]", 1);
}

static void print_secret(Buffer *ret, const ConfigSecret *secret) {
  const char *key = secret->file ? "file" : secret->env ? "env" : "credential";
  const char *value = secret->file ? secret->file : secret->env ? secret->env : secret->credential;

  buffer_printf(ret, "{%s: ", key);
  print_text(ret, value);
  buffer_printf(ret, "} # <secret from %s ", secret->env ? "environment" : key);
  for (const char *c = value; *c; c++)
    buffer_append(ret, (unsigned char)*c < ' ' ? "?" : c, 1);
  buffer_append(ret, ">", 1);
}

static bool has_value(const Key *key, const cyaml_schema_field_t *field, const void *base) {
  const char *at = (const char *)base + field->data_offset;
  const ConfigSecret *secret = (const ConfigSecret *)(const void *)at;

  switch (key->kind) {
  case KEY_STRING:
  case KEY_WORD:
    return *(char *const *)(const void *)at != NULL;
  case KEY_STRINGS:
  case KEY_ENTRIES:
    return *(const uint32_t *)(const void *)((const char *)base + field->count_offset) > 0;
  case KEY_SECRET:
    return config_secret_is_set(secret);
  case KEY_GROUP:
    for (uint32_t i = 0; i < key->inside->count; i++)
      if (has_value(&key->inside->keys[i], &key->inside->fields[i], at))
        return true;
    return false;
  default:
    return true;
  }
}

static void print_entries(Buffer *ret, const Key *key, const char *entries, uint32_t count, uint32_t indent) {
  buffer_append(ret, "\n", 1);
  for (uint32_t i = 0; i < count; i++) {
    buffer_printf(ret, "%*s- ", (int)indent, "");
    if (key->inside == mapping_secret) {
      print_secret(ret, (const ConfigSecret *)(const void *)(entries + i * sizeof(ConfigSecret)));
      buffer_append(ret, "\n", 1);
      continue;
    }
    print_mapping(ret, key->inside, entries + i * key->inside->size_bytes, indent + 2, true);
  }
}

static void print_value(Buffer *ret, const Key *key, const cyaml_schema_field_t *field, const void *base,
                        uint32_t indent) {
  const void *at = (const char *)base + field->data_offset;
  const void *count = (const char *)base + field->count_offset;

  switch (key->kind) {
  case KEY_GROUP:
    buffer_append(ret, "\n", 1);
    print_mapping(ret, key->inside, at, indent + 2, false);
    return;
  case KEY_ENTRIES:
    print_entries(ret, key, *(char *const *)at, *(const uint32_t *)count, indent + 2);
    return;
  case KEY_STRINGS:
    print_strings(ret, *(char **const *)at, *(const uint32_t *)count);
    break;
  case KEY_SECRET:
    print_secret(ret, at);
    break;
  case KEY_NUMBER:
    buffer_printf(ret, "%" PRIu64,
                  field->value.data_size == sizeof(uint64_t) ? *(const uint64_t *)at : *(const uint32_t *)at);
    break;
  case KEY_RATIO:
    buffer_printf(ret, "%.9g", *(const double *)at);
    break;
  case KEY_SWITCH:
    buffer_printf(ret, "%s", *(const bool *)at ? "true" : "false");
    break;
  default:
    print_text(ret, *(char *const *)at);
  }
  buffer_append(ret, "\n", 1);
}

static void print_mapping(Buffer *ret, const Mapping *mapping, const void *base, uint32_t indent, bool in_entry) {
  bool first = in_entry;

  for (uint32_t i = 0; i < mapping->count; i++) {
    if (!has_value(&mapping->keys[i], &mapping->fields[i], base))
      continue;
    buffer_printf(ret, "%*s%s:", first ? 0 : (int)indent, "", mapping->keys[i].name);
    if (mapping->keys[i].kind != KEY_GROUP && mapping->keys[i].kind != KEY_ENTRIES)
      buffer_append(ret, " ", 1);
    first = false;
    print_value(ret, &mapping->keys[i], &mapping->fields[i], base, indent);
  }
}

void mapping_print(Buffer *ret, const Mapping *mapping, const void *base) {
  print_mapping(ret, mapping, base, 0, false);
}

void config_print(const Config *config, Buffer *ret) {
  buffer_printf(ret, "# The configuration in effect, from ");
  for (const char *c = config->source; *c; c++)
    buffer_append(ret, (unsigned char)*c < ' ' ? "?" : c, 1);
  buffer_append(ret, "\n", 1);
  print_mapping(ret, mapping_top, config, 0, false);
}

static const char *kind_name(KeyKind kind) {
  static const char *const names[] = {
      [KEY_STRING] = "text",   [KEY_WORD] = "word",
      [KEY_NUMBER] = "number", [KEY_RATIO] = "number",
      [KEY_SWITCH] = "switch", [KEY_STRINGS] = "list of texts",
      [KEY_GROUP] = "mapping", [KEY_ENTRIES] = "list of mappings",
      [KEY_SECRET] = "secret",
  };

  return names[kind];
}

static void on_row(const char *path, const Key *key, const cyaml_schema_field_t *field, void *at, void *context) {
  Buffer *ret = context;
  char variable[KEY_VARIABLE_SIZE] = "";
  char standard[KEY_STANDARD_SIZE];

  (void)field;
  (void)at;
  if (key->kind != KEY_ENTRIES && key->kind != KEY_SECRET && !strstr(path, "[]"))
    key_variable(variable, path);
  buffer_printf(ret, "| `%s` | %s | ", path, kind_name(key->kind));
  if (key_standard(key, standard))
    buffer_printf(ret, "`%s` | ", standard);
  else
    buffer_printf(ret, "%s | ", key->otherwise ? key->otherwise : "none");
  if (key->kind == KEY_STRINGS || key->kind == KEY_ENTRIES)
    buffer_printf(ret, "at most %.0f%s", key->most, key->kind == KEY_STRINGS ? ", each " : "");
  if (key->kind == KEY_SECRET)
    buffer_printf(ret, "`{file: PATH}` or `{env: NAME}`");
  else if (key->kind != KEY_ENTRIES)
    key_bounds(key, ret);
  buffer_printf(ret, " | %s%s%s | %s |\n", *variable ? "`" : "", variable, *variable ? "`" : "", key->about);
}

static void print_table(const Mapping *mapping, Buffer *ret) {
  buffer_printf(ret, "| key | type | default | bounds | variable | meaning |\n|---|---|---|---|---|---|\n");
  keys_visit(mapping, "", NULL, true, on_row, ret);
}

void config_schema_print(Buffer *ret) {
  print_table(mapping_top, ret);
}

void config_price_list_print(Buffer *ret) {
  print_table(mapping_price_list, ret);
}
