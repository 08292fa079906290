#include <stdio.h>

#include "bus/base/spelling.h"
#include "bus/config/check-internal.h"

#define KEYS_MAX 32 /* of one mapping */

static void check_mapping(Report *report, const Mapping *mapping, const Node *node, const char *path);

static void unknown_key(Report *report, const Mapping *mapping, const Node *node, const char *path) {
  _cleanup_(buffer_done) Buffer names = {0};
  char key[64];

  snprintf(key, sizeof key, "%.*s", TEXT_ARG(node->key));
  for (char *c = key; *c; c++)
    if ((unsigned char)*c < ' ' || *c == 127)
      *c = '?';
  for (uint32_t i = 0; i < mapping->count; i++)
    if (spelling_is_near(node->key, text_of(mapping->keys[i].name))) {
      report_line(report, node->key_line, node->key_column, path, "unknown key '%s'; did you mean '%s'?", key,
                  mapping->keys[i].name);
      return;
    }
  for (uint32_t i = 0; i < mapping->count; i++)
    buffer_printf(&names, "%s%s", i ? ", " : "", mapping->keys[i].name);
  report_line(report, node->key_line, node->key_column, path, "unknown key '%s'; the keys here are: %.*s", key,
              (int)names.size, (const char *)names.data);
}

static void check_text(Report *report, const Key *key, const Node *node, const char *path) {
  _cleanup_(buffer_done) Buffer wrong = {0};

  if (node->kind != NODE_SCALAR)
    report_line(report, node->line, node->column, path, "is a %s, must be one value; write `%s: VALUE`",
                node->kind == NODE_MAPPING ? "mapping" : "list", key->name);
  else if (!key_check(key, node->text, &wrong))
    report_line(report, node->line, node->column, path, "%.*s", (int)wrong.size, (const char *)wrong.data);
}

/* A literal must not come into a message, be it only the one that refuses it. */
static void check_secret(Report *report, const Key *key, const Node *node, const char *path) {
  unsigned references = 0;

  if (node->kind != NODE_MAPPING) {
    if (key->kind == KEY_ENTRIES)
      report_line(report, node->line, node->column, path,
                  "a secret must not stand in the file; write {file: PATH} or {env: NAME} in its place");
    else
      report_line(report, node->line, node->column, path,
                  "a secret must not stand in the file; write `%s: {file: PATH}` or `%s: {env: NAME}`", key->name,
                  key->name);
    return;
  }
  for (const Node *child = node->first; child; child = child->next) {
    if (!text_is(child->key, "file") && !text_is(child->key, "env") && !text_is(child->key, "credential")) {
      report_line(report, child->key_line, child->key_column, path,
                  "has a key that is neither file nor env nor credential; use one of the three");
      return;
    }
    references++;
  }
  check_mapping(report, mapping_secret, node, path);
  if (references != 1)
    report_line(report, node->line, node->column, path, "must have file, env or credential, one of the three");
}

static void check_list(Report *report, const Key *key, const Node *node, const char *path) {
  uint32_t index = 0;

  if (node->kind != NODE_SEQUENCE) {
    report_line(report, node->line, node->column, path,
                key->kind == KEY_STRINGS ? "must be a list; write `%s: [ONE, TWO]`"
                                         : "must be a list; begin each entry of `%s:` with \"- \" in a line of its own",
                key->name);
    return;
  }
  if (node->children > key->most)
    report_line(report, node->line, node->column, path, "has %u entries, at most %.0f are allowed", node->children,
                key->most);
  for (const Node *child = node->first; child; child = child->next, index++) {
    char here[KEY_PATH_SIZE];

    snprintf(here, sizeof here, "%.*s[%u]", KEY_PATH_SIZE - 16, path, index);
    if (key->kind == KEY_STRINGS)
      check_text(report, key, child, here);
    else if (key->inside == mapping_secret)
      check_secret(report, key, child, here);
    else
      check_mapping(report, key->inside, child, here);
  }
}

static void check_value(Report *report, const Key *key, const Node *node, const char *path) {
  bool empty = node->kind == NODE_SCALAR && node->text.size == 0 && !node->quoted;

  if (empty) {
    report_line(report, node->key_line, node->key_column, path,
                "has no value; write one behind the colon, or remove the line to take the default");
    return;
  }
  switch (key->kind) {
  case KEY_GROUP:
    check_mapping(report, key->inside, node, path);
    break;
  case KEY_SECRET:
    check_secret(report, key, node, path);
    break;
  case KEY_STRINGS:
  case KEY_ENTRIES:
    check_list(report, key, node, path);
    break;
  default:
    check_text(report, key, node, path);
  }
}

static void check_mapping(Report *report, const Mapping *mapping, const Node *node, const char *path) {
  const Node *seen[KEYS_MAX] = {NULL};

  if (node->kind != NODE_MAPPING) {
    report_line(report, node->line, node->column, path, "must be a mapping; write `%s: VALUE`, one key in a line",
                mapping->keys[0].name);
    return;
  }
  for (const Node *child = node->first; child; child = child->next) {
    char here[KEY_PATH_SIZE];
    uint32_t i = 0;

    while (i < mapping->count && !text_is(child->key, mapping->keys[i].name))
      i++;
    if (i == mapping->count) {
      unknown_key(report, mapping, child, path);
      continue;
    }
    key_path(here, path, mapping->keys[i].name);
    if (seen[i])
      report_line(report, child->key_line, child->key_column, here,
                  "stands here a second time; line %u has it already, keep one", seen[i]->key_line);
    seen[i] = child;
    check_value(report, &mapping->keys[i], child, here);
  }
  for (uint32_t i = 0; i < mapping->count; i++)
    if (mapping->keys[i].required && !seen[i])
      report_line(report, node->line, node->column, path, "has no %s; add `%s: VALUE` (%s)", mapping->keys[i].name,
                  mapping->keys[i].name, mapping->keys[i].about);
}

void check_keys(Report *report, const Tree *tree, const Mapping *mapping) {
  const Node *root = tree_root(tree);

  if (root)
    check_mapping(report, mapping, root, "");
}
