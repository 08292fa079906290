/* Models are listed by Bedrock's other host, whole; inference profiles, by which many of them are called, in pages behind. */
#include "adapters/bedrock/bedrock-internal.h"

static const char profiles[] = "profiles:"; /* in DialectModels.next, before the token of their page */

/* bedrock-runtime.REGION.… runs models, bedrock.REGION.… tells of them; a proxy or an endpoint of one's own is both. */
static void put_base(const char *base_url, Buffer *out) {
  static const char runtime[] = "-runtime";
  const char *found = strstr(base_url, "bedrock-runtime");
  const char *at = found ? found + sizeof "bedrock" - 1 : base_url;

  buffer_append(out, base_url, (size_t)(at - base_url));
  buffer_append(out, found ? at + sizeof runtime - 1 : at, strlen(found ? at + sizeof runtime - 1 : at) + 1);
}

int bedrock_encode_models(const DialectModels *models, DialectRequest *ret, DialectFault *ret_fault) {
  Text next = {(const char *)models->next.data, models->next.size};
  size_t mark = sizeof profiles - 1;

  (void)ret_fault;
  put_base(ret->asked.settings->base_url, &ret->base_url);
  if (next.size == 0) {
    buffer_printf(&ret->path, "/foundation-models");
    return 0;
  }
  buffer_printf(&ret->path, "/inference-profiles?maxResults=1000");
  if (next.size == mark)
    return 0;
  buffer_printf(&ret->path, "&nextToken=");
  dialect_put_segment(&ret->path, (Text){next.data + mark, next.size - mark});
  return 0;
}

int bedrock_decode_models(Text body, DialectModels *ret, DialectFault *ret_fault) {
  Json answer = {TEXT_NONE}, list, token;

  json_check(body, &answer, NULL);
  list = json_find(answer, "modelSummaries");
  token = json_find(answer, "nextToken");
  if (json_type(list) == JSON_ARRAY) {
    buffer_printf(&ret->next, "%s", profiles);
    return dialect_read_names(list, "modelId", "", &ret->names, ret_fault);
  }
  if (json_type(token) == JSON_STRING) {
    buffer_printf(&ret->next, "%s", profiles);
    json_get_string(token, &ret->next);
  }
  return dialect_read_names(json_find(answer, "inferenceProfileSummaries"), "inferenceProfileId", "", &ret->names,
                            ret_fault);
}
