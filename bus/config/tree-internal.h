/* What:      a YAML file as a tree of nodes that know their line and column.
 * Owns:      a Tree owns its nodes and their text.
 * May use:   base, libyaml (which libcyaml stands on).
 * Threading: one thread.
 * Spec:      YAML 1.1 as libyaml reads it, without anchors, aliases and tags; one document */
#ifndef PONS_CONFIG_TREE_INTERNAL_H
#define PONS_CONFIG_TREE_INTERNAL_H

#include "bus/base/buffer.h"
#include "bus/base/types.h"

typedef enum NodeKind { NODE_SCALAR, NODE_SEQUENCE, NODE_MAPPING } NodeKind;

typedef struct Node Node;
struct Node {
  NodeKind kind;
  uint32_t line;   /* from 1 */
  uint32_t column; /* from 1 */
  Text key;        /* in a mapping: its key, and where that stands */
  uint32_t key_line;
  uint32_t key_column;
  Text text;   /* of a scalar; a NUL follows */
  bool quoted; /* the scalar had quotes */
  Node *parent;
  Node *first; /* children, in the file's order */
  Node *last;
  Node *next;
  uint32_t children;
};

typedef struct Tree Tree;

#define TREE_MAX_BYTES (1024 * 1024)
#define TREE_MAX_NODES 65536
#define TREE_MAX_DEPTH 16

/* Reads bytes as one YAML document. Returns 0 and gives the caller *ret; its root is NULL when the file says nothing.
   CONFIG_E_INVALID: bytes are no YAML, or have what a configuration must not have; appends "FILE:LINE:COLUMN: ..." to
   errors and leaves *ret alone. */
int tree_new(Tree **ret, const char *file, Bytes bytes, Buffer *errors);
/* Frees a tree and nulls the pointer; takes NULL. Usable as _cleanup_. */
void tree_destroy(Tree **tree);
/* The node at the top, borrowed, or NULL. */
const Node *tree_root(const Tree *tree);
/* The child of a mapping under that key, borrowed, or NULL; takes NULL for node. */
const Node *node_find(const Node *node, const char *key);
/* The node at a path such as "agents[3].name", borrowed, or NULL. */
const Node *tree_find(const Tree *tree, const char *path);

#endif
