/* Why a tree beside libcyaml: libcyaml 1.3 stops at the first error, and its line for an unknown key or a duplicate one
   is that of the value before it (its backtrace has the position of the last value that it loaded). So the file is read
   once into this tree, all findings are made on it with their own places, and libcyaml gets only what has passed.
   Anchors and aliases are refused: a few lines of them can stand for gigabytes. */
#include "bus/config/tree-internal.h"

#include <errno.h>
#include <stdlib.h>
#include <yaml.h>

#include "bus/config/config.h"

struct Tree {
  Node *root;
  uint32_t nodes;
};

/* The state of one reading. */
typedef struct Reading {
  Tree *tree;
  const char *file;
  Buffer *errors;
  Node *open; /* the innermost mapping or sequence */
  uint32_t depth;
  Node key; /* the key that waits for its value: key, key_line, key_column */
  bool has_key;
  bool ended; /* the first document is over */
} Reading;

static int refuse(const Reading *reading, yaml_mark_t mark, const char *what) {
  buffer_printf(reading->errors, "%s:%zu:%zu: %s\n", reading->file, mark.line + 1, mark.column + 1, what);
  return CONFIG_E_INVALID;
}

static Text copy_of(const yaml_event_t *event) {
  size_t size = event->data.scalar.length;
  char *data = malloc(size + 1);

  if (!data)
    abort(); /* at most TREE_MAX_BYTES: a broken machine and not a large file */
  memcpy(data, event->data.scalar.value, size);
  data[size] = '\0';
  return (Text){data, size};
}

static void node_destroy(Node *node) {
  for (Node *child = node->first, *next; child; child = next) {
    next = child->next;
    node_destroy(child);
  }
  free((char *)node->key.data);
  free((char *)node->text.data);
  free(node);
}

static int add_node(Reading *reading, const yaml_event_t *event, NodeKind kind, Node **ret) {
  Node *node;

  if (reading->tree->nodes >= TREE_MAX_NODES)
    return refuse(reading, event->start_mark,
                  "the file has more than 65536 values; it can't be a configuration of pons");
  node = calloc(1, sizeof *node);
  if (!node)
    abort();
  reading->tree->nodes++;
  node->kind = kind;
  node->line = (uint32_t)event->start_mark.line + 1;
  node->column = (uint32_t)event->start_mark.column + 1;
  node->parent = reading->open;
  if (reading->has_key) {
    node->key = reading->key.key;
    node->key_line = reading->key.key_line;
    node->key_column = reading->key.key_column;
    reading->has_key = false;
  }
  if (!reading->open)
    reading->tree->root = node;
  else if (reading->open->last)
    reading->open->last->next = node;
  else
    reading->open->first = node;
  if (reading->open) {
    reading->open->last = node;
    reading->open->children++;
  }
  *ret = node;
  return 0;
}

static bool wants_key(const Reading *reading) {
  return reading->open && reading->open->kind == NODE_MAPPING && !reading->has_key;
}

static int on_scalar(Reading *reading, const yaml_event_t *event) {
  Node *node;
  int r;

  if (event->data.scalar.anchor || event->data.scalar.tag)
    return refuse(reading, event->start_mark, "anchors (&) and tags (!) are not used here; write the value itself");
  if (wants_key(reading)) {
    reading->key = (Node){.key = copy_of(event),
                          .key_line = (uint32_t)event->start_mark.line + 1,
                          .key_column = (uint32_t)event->start_mark.column + 1};
    reading->has_key = true;
    return 0;
  }
  r = add_node(reading, event, NODE_SCALAR, &node);
  if (r)
    return r;
  node->text = copy_of(event);
  node->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
  return 0;
}

static int on_start(Reading *reading, const yaml_event_t *event, NodeKind kind) {
  bool decorated = kind == NODE_MAPPING ? event->data.mapping_start.anchor || event->data.mapping_start.tag
                                        : event->data.sequence_start.anchor || event->data.sequence_start.tag;
  Node *node;
  int r;

  if (decorated)
    return refuse(reading, event->start_mark, "anchors (&) and tags (!) are not used here; write the value itself");
  if (wants_key(reading))
    return refuse(reading, event->start_mark,
                  "a key must be a plain word; if this is a list entry, begin it with \"- \"");
  if (reading->depth >= TREE_MAX_DEPTH)
    return refuse(reading, event->start_mark, "nested more than 16 deep; no key of pons lies so deep");
  r = add_node(reading, event, kind, &node);
  if (r)
    return r;
  reading->open = node;
  reading->depth++;
  return 0;
}

static int on_event(Reading *reading, const yaml_event_t *event) {
  switch (event->type) {
  case YAML_DOCUMENT_START_EVENT:
    if (reading->ended)
      return refuse(reading, event->start_mark, "a second document begins here; remove this --- or what is above it");
    return 0;
  case YAML_DOCUMENT_END_EVENT:
    reading->ended = true;
    return 0;
  case YAML_ALIAS_EVENT:
    return refuse(reading, event->start_mark,
                  "aliases (*) are not used here; write the value itself, text in \"quotes\"");
  case YAML_SCALAR_EVENT:
    return on_scalar(reading, event);
  case YAML_SEQUENCE_START_EVENT:
    return on_start(reading, event, NODE_SEQUENCE);
  case YAML_MAPPING_START_EVENT:
    return on_start(reading, event, NODE_MAPPING);
  case YAML_SEQUENCE_END_EVENT:
  case YAML_MAPPING_END_EVENT:
    if (reading->open) {
      reading->open = reading->open->parent;
      reading->depth--;
    }
    return 0;
  default:
    return 0;
  }
}

/* libyaml names what it stumbled over; those that people meet get their remedy too. */
static int on_syntax(const Reading *reading, const yaml_parser_t *parser) {
  const char *problem = parser->problem ? parser->problem : "can't be read";
  const char *remedy = "check indentation, quotes and brackets here and in the line above";
  yaml_mark_t mark = parser->problem_mark;

  if (parser->error == YAML_READER_ERROR) {
    remedy = "save the file as UTF-8 text";
    for (mark = (yaml_mark_t){0, 0, 0}; mark.index < parser->problem_offset; mark.index++)
      mark.line += parser->input.string.start[mark.index] == '\n';
  } else if (strstr(problem, "cannot start any token") || strstr(problem, "tab character")) {
    remedy = "indent with spaces, not tabs, and put text that begins with @, % or ` into quotes";
  } else if (strstr(problem, "alphabetic or numeric")) {
    remedy = "put text that begins with * or & into quotes";
  }
  buffer_printf(reading->errors, "%s:%zu:%zu: not YAML: %s; %s\n", reading->file, mark.line + 1, mark.column + 1,
                problem, remedy);
  return CONFIG_E_INVALID;
}

static int read_events(Reading *reading, yaml_parser_t *parser) {
  bool over = false;
  int r = 0;

  while (r == 0 && !over) {
    yaml_event_t event;

    if (!yaml_parser_parse(parser, &event))
      return on_syntax(reading, parser);
    r = on_event(reading, &event);
    over = event.type == YAML_STREAM_END_EVENT;
    yaml_event_delete(&event);
  }
  return r;
}

int tree_new(Tree **ret, const char *file, Bytes bytes, Buffer *errors) {
  Tree *tree = calloc(1, sizeof *tree);
  Reading reading = {.tree = tree, .file = file, .errors = errors};
  yaml_parser_t parser;
  int r;

  if (!tree || !yaml_parser_initialize(&parser)) {
    free(tree);
    return -ENOMEM;
  }
  yaml_parser_set_input_string(&parser, bytes.data ? bytes.data : (const uint8_t *)"", bytes.size);
  r = read_events(&reading, &parser);
  yaml_parser_delete(&parser);
  if (reading.has_key)
    free((char *)reading.key.key.data);
  if (r)
    tree_destroy(&tree);
  else
    *ret = tree;
  return r;
}

void tree_destroy(Tree **tree) {
  Tree *gone = TAKE(*tree);

  if (gone && gone->root)
    node_destroy(gone->root);
  free(gone);
}

const Node *tree_root(const Tree *tree) {
  return tree->root;
}

const Node *node_find(const Node *node, const char *key) {
  if (!node || node->kind != NODE_MAPPING)
    return NULL;
  for (const Node *child = node->first; child; child = child->next)
    if (text_is(child->key, key))
      return child;
  return NULL;
}

const Node *tree_find(const Tree *tree, const char *path) {
  const Node *node = tree->root;
  const char *rest = path;

  while (node && *rest) {
    size_t size = strcspn(rest, ".[");
    unsigned long index;
    char *end;
    char name[64];

    if (*rest == '[') {
      index = strtoul(rest + 1, &end, 10);
      for (node = node->first; node && index; index--)
        node = node->next;
      rest = end + 1;
    } else {
      if (size >= sizeof name)
        return NULL;
      memcpy(name, rest, size);
      name[size] = '\0';
      node = node_find(node, name);
      rest += size;
    }
    rest += *rest == '.';
  }
  return node;
}
