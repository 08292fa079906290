/* What:      the vocabulary of the self-test models: special tokens, all bytes, ASCII, and the words of one sentence.
 * Owns:      the static table of tokens.
 * May use:   the C library.
 * Threading: one thread.
 * Spec:      SentencePiece's: a word's space is U+2581 in front of it, and pieces merge pairwise */
#ifndef PONS_DEPLOY_SELFTEST_WORDS_H
#define PONS_DEPLOY_SELFTEST_WORDS_H

#include <stdint.h>

enum { WORDS_MAX = 512, WORD_BYTES = 24, WORDS_BOS = 1, WORDS_EOS = 2 };

typedef struct Words {
  char text[WORDS_MAX][WORD_BYTES];
  float score[WORDS_MAX];
  int32_t type[WORDS_MAX];
  uint32_t count;
} Words;

/* The one vocabulary; built by the first call. */
const Words *words_all(void);
/* The token of a word (a leading space is U+2581 there); ends the process when there is none. */
uint32_t words_get(const char *word);

#endif
