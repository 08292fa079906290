#include "agents/executor/cost.h"

static bool add(uint64_t tokens, const char *usd, uint64_t *sum) {
  uint64_t price;
  uint64_t part;

  if (tokens == 0)
    return true;
  if (config_price(usd, &price) != 0)
    return false;
  if (__builtin_mul_overflow(tokens, price, &part) || __builtin_add_overflow(*sum, part, sum))
    *sum = UINT64_MAX;
  return true;
}

bool cost_of(const ConfigModel *model, const ChatUsage *usage, uint64_t *ret) {
  bool is_embedding = model && strcmp(model->kind, "embedding") == 0;
  uint64_t cached = usage->has_cached_tokens ? min_u64(usage->cached_tokens, usage->input_tokens) : 0;
  uint64_t sum = 0;

  if (!model || !usage->has_input_tokens || (!usage->has_output_tokens && !is_embedding))
    return false;
  if (!add(usage->input_tokens - cached, model->input_usd, &sum) ||
      !add(cached, model->cached_usd ? model->cached_usd : model->input_usd, &sum) ||
      !add(is_embedding ? 0 : usage->output_tokens, model->output_usd, &sum))
    return false;
  *ret = sum;
  return true;
}
