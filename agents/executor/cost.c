/* What counts is what the provider counted, each kind of token at its own price. One kind that was used and whose price nobody
   wrote down makes the whole unknown: a sum without it would be a lie. */
#include "agents/executor/cost.h"

/* What a request is charged by. */
typedef struct Rates {
  const char *input;
  const char *cached;
  const char *cache_write;
  const char *cache_write_hour;
  const char *output;
} Rates;

/* The row's own, or those of its last tier whose bound the prompt is above. */
static Rates rates_of(const ConfigModel *model, uint64_t input_tokens) {
  Rates rates = {model->input_usd, model->cached_usd, model->cache_write_usd, model->cache_write_hour_usd,
                 model->output_usd};

  for (uint32_t i = 0; i < model->tiers_count && input_tokens > model->tiers[i].above_tokens; i++) {
    const ConfigTier *tier = &model->tiers[i];

    rates =
        (Rates){tier->input_usd, tier->cached_usd, tier->cache_write_usd, tier->cache_write_hour_usd, tier->output_usd};
  }
  if (!rates.cached)
    rates.cached = rates.input;
  return rates;
}

/* Adds the price of so many tokens to a sum of pico USD. Returns false when it is not known. */
static bool add(uint64_t tokens, const char *usd, uint64_t *sum) {
  uint64_t price;
  uint64_t part;

  if (tokens == 0)
    return true;
  if (config_price_pico(usd, &price) != 0)
    return false;
  if (__builtin_mul_overflow(tokens, price, &part) || __builtin_add_overflow(*sum, part, sum))
    *sum = UINT64_MAX;
  return true;
}

/* Takes at most *left of tokens out of it, if they were counted at all. */
static uint64_t take(bool has, uint64_t tokens, uint64_t *left) {
  uint64_t taken = has ? min_u64(tokens, *left) : 0;

  *left -= taken;
  return taken;
}

static bool add_input(const ConfigModel *model, const Rates *rates, const ChatUsage *usage, uint64_t *sum) {
  uint64_t text = usage->input_tokens;
  uint64_t cached = take(usage->has_cached_tokens, usage->cached_tokens, &text);
  uint64_t written = take(usage->has_cache_write_tokens, usage->cache_write_tokens, &text);
  uint64_t hour = take(usage->has_cache_write_hour_tokens, usage->cache_write_hour_tokens, &written);
  uint64_t audio = take(usage->has_input_audio_tokens, usage->input_audio_tokens, &text);

  return add(text, rates->input, sum) && add(cached, rates->cached, sum) && add(written, rates->cache_write, sum) &&
         add(hour, rates->cache_write_hour, sum) && add(audio, model->input_audio_usd, sum);
}

static bool add_output(const ConfigModel *model, const Rates *rates, const ChatUsage *usage, uint64_t *sum) {
  uint64_t text = usage->output_tokens;
  uint64_t audio = take(usage->has_output_audio_tokens, usage->output_audio_tokens, &text);

  return add(text, rates->output, sum) && add(audio, model->output_audio_usd, sum);
}

bool cost_of(const ConfigModel *model, const ChatUsage *usage, uint64_t *ret) {
  bool is_embedding = model && strcmp(model->kind, "embedding") == 0;
  bool by_time = usage->has_audio_ms && !usage->has_input_tokens;
  uint64_t sum = 0;
  uint64_t minute;
  Rates rates;

  if (!model || (!by_time && (!usage->has_input_tokens || (!usage->has_output_tokens && !is_embedding))))
    return false;
  if (by_time) {
    if (config_price_pico(model->minute_usd, &minute) != 0 || minute > UINT64_MAX / UINT32_MAX)
      return false;
    *ret =
        minute * usage->audio_ms / 60; /* minute is millionths of a USD, so one ms is minute * 1e9 / 60,000 pico USD */
    return true;
  }
  rates = rates_of(model, usage->input_tokens);
  if (!add_input(model, &rates, usage, &sum) || (!is_embedding && !add_output(model, &rates, usage, &sum)))
    return false;
  *ret = sum == UINT64_MAX ? sum : sum / 1000;
  return true;
}
