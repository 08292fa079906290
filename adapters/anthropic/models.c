/* The list of models comes in pages; the last id of one is where the next begins. */
#include "adapters/anthropic/anthropic-internal.h"

int anthropic_encode_models(const DialectModels *models, DialectRequest *ret, DialectFault *ret_fault) {
  (void)ret_fault;
  dialect_put_header(&ret->headers, "anthropic-version", TEXT(ANTHROPIC_VERSION));
  buffer_printf(&ret->path, "/models?limit=1000");
  if (models->next.size == 0)
    return 0;
  buffer_printf(&ret->path, "&after_id=");
  dialect_put_segment(&ret->path, (Text){(const char *)models->next.data, models->next.size});
  return 0;
}

int anthropic_decode_models(Text body, DialectModels *ret, DialectFault *ret_fault) {
  Json answer = {TEXT_NONE};
  bool has_more = false;
  int r;

  json_check(body, &answer, NULL);
  r = dialect_read_names(json_find(answer, "data"), "id", "", &ret->names, ret_fault);
  json_get_bool(json_find(answer, "has_more"), &has_more);
  if (r == 0 && has_more)
    json_get_string(json_find(answer, "last_id"), &ret->next);
  return r;
}
