/* What goes to Gemini, and what its answers, streams and errors mean. In the texts here ' stands for ". */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "adapters/gemini/gemini.h"

enum { NOW_S = 1700000000 };

static Buffer quoted[8]; /* the last texts that quote made */
static unsigned quotes;

static Text quote(const char *text) {
  Buffer *to = &quoted[quotes++ % ELEMENTS(quoted)];

  buffer_clear(to);
  buffer_append(to, text, strlen(text));
  for (size_t i = 0; i < to->size; i++)
    to->data[i] = to->data[i] == '\'' ? '"' : to->data[i];
  return (Text){(const char *)to->data, to->size};
}

static int forget_quotes(void **state) {
  (void)state;
  for (size_t i = 0; i < ELEMENTS(quoted); i++)
    buffer_done(&quoted[i]);
  return 0;
}

static Json checked(const char *text) {
  Json value = {TEXT_NONE};

  if (json_check(quote(text), &value, NULL) != 0)
    fail_msg("not JSON: %s", text);
  return value;
}

static Text of(const Buffer *buffer) {
  return (Text){(const char *)buffer->data, buffer->size};
}

static void assert_text(Text got, const char *expected) {
  Text wanted = quote(expected);

  if (!text_equal(got, wanted))
    fail_msg("wanted %.*s\n   got %.*s", TEXT_ARG(wanted), TEXT_ARG(got));
}

static int encode(const char *model, const char *request, DialectRequest *ret, DialectFault *ret_fault) {
  ret->asked.model = text_of(model);
  ret->asked.now_s = NOW_S;
  return gemini_dialect.encode_chat(checked(request), ret, ret_fault);
}

/* --- requests --- */

static const char HELLO[] = "'contents':[{'role':'user','parts':[{'text':'a'}]}]";
#define USER_A "'messages':[{'role':'user','content':'a'}]"

static const struct {
  const char *model;
  const char *request; /* without the braces */
  const char *body;    /* behind HELLO, or all of it */
} REQUESTS[] = {
    {"m", USER_A, ""},
    {"m", USER_A ",'user':'u','metadata':{},'store':true,'service_tier':'flex','n':1,'fallbacks':['x']", ""},
    {"m",
     USER_A ",'temperature':0.50,'top_p':1,'presence_penalty':-1,'frequency_penalty':0,'max_tokens':9,"
            "'max_completion_tokens':7,'seed':4294967297,'stop':'x'",
     ",'generationConfig':{'temperature':0.50,'topP':1,'presencePenalty':-1,'frequencyPenalty':0,'maxOutputTokens':7,"
     "'seed':1,'stopSequences':['x']}"},
    {"m", USER_A ",'seed':-3,'stop':['x','y']", ",'generationConfig':{'seed':-3,'stopSequences':['x','y']}"},
    {"gemini-2.5-flash", USER_A ",'reasoning_effort':'none'",
     ",'generationConfig':{'thinkingConfig':{'thinkingBudget':0}}"},
    {"gemini-2.5-flash", USER_A ",'reasoning_effort':'medium'",
     ",'generationConfig':{'thinkingConfig':{'thinkingBudget':8192,'includeThoughts':true}}"},
    {"gemini-3-pro", USER_A ",'reasoning_effort':'xhigh'",
     ",'generationConfig':{'thinkingConfig':{'thinkingLevel':'HIGH','includeThoughts':true}}"},
    {"m", USER_A ",'response_format':{'type':'json_object'}",
     ",'generationConfig':{'responseMimeType':'application/json'}"},
    {"m",
     USER_A ",'response_format':{'type':'json_schema','json_schema':{'name':'s','schema':{'type':'object','properties':"
            "{'a':{'type':'integer'}},'required':['a'],'additionalProperties':false}}}",
     ",'generationConfig':{'responseMimeType':'application/json','responseSchema':{'type':'OBJECT','properties':{'a':"
     "{'type':'INTEGER'}},'required':['a'],'propertyOrdering':['a']}}"},
    {"m", USER_A ",'response_format':{'type':'json_schema','json_schema':{'name':'s','schema':{'type':'object'}}}",
     ",'generationConfig':{'responseMimeType':'application/json','responseJsonSchema':{'type':'object'}}"},
    {"m",
     USER_A ",'tools':[{'type':'function','function':{'name':'f','description':'does','parameters':{'type':'object',"
            "'properties':{'a':{'type':'string'}}}}},{'type':'function','function':{'name':'g','parameters':{'type':"
            "'object','properties':{},'additionalProperties':false}}},{'type':'function','function':{'name':'h',"
            "'parameters':{'type':'object','additionalProperties':{'type':'string'}}}}]",
     ",'tools':[{'functionDeclarations':[{'name':'f','description':'does','parameters':{'type':'OBJECT','properties':"
     "{'a':{'type':'STRING'}},'propertyOrdering':['a']}},{'name':'g'},{'name':'h','parametersJsonSchema':{'type':"
     "'object','additionalProperties':{'type':'string'}}}]}]"},
    {"m",
     USER_A
     ",'tools':[{'type':'function','function':{'name':'f'}}],'tool_choice':{'type':'function','function':{'name':"
     "'f'}}",
     ",'tools':[{'functionDeclarations':[{'name':'f'}]}],'toolConfig':{'functionCallingConfig':{'mode':'ANY',"
     "'allowedFunctionNames':['f']}}"},
    {"m", USER_A ",'tools':[{'type':'function','function':{'name':'f'}}],'tool_choice':'none'",
     ",'tools':[{'functionDeclarations':[{'name':'f'}]}],'toolConfig':{'functionCallingConfig':{'mode':'NONE'}}"},
    {"m", USER_A ",'safetySettings':[{'category':'x'}]", ",'safetySettings':[{'category':'x'}]"},
    {"m",
     "'messages':[{'role':'system','content':'be "
     "\\u00e9'},{'role':'user','content':'a'},{'role':'developer','content':"
     "[{'type':'text','text':'brief'}]}]",
     ",'systemInstruction':{'parts':[{'text':'be \\u00e9'},{'text':'brief'}]}"},
};

static void requests_are_said_in_its_words(void **state) {
  (void)state;
  for (size_t i = 0; i < ELEMENTS(REQUESTS); i++) {
    _cleanup_(dialect_request_done) DialectRequest request = {.asked.streams = false};
    _cleanup_(dialect_fault_done) DialectFault fault = {0};
    char text[2048];

    snprintf(text, sizeof text, "{%s}", REQUESTS[i].request);
    assert_int_equal(encode(REQUESTS[i].model, text, &request, &fault), 0);
    snprintf(text, sizeof text, "{%s%s}", HELLO, REQUESTS[i].body);
    assert_text(of(&request.body), text);
  }
}

static const struct {
  const char *model;
  const char *messages;
  const char *contents;
} MESSAGES[] = {
    {"m",
     "{'role':'user','content':'a'},{'role':'user','content':[{'type':'text','text':'b'},{'type':'image_url','image_"
     "url':"
     "{'url':'data:image/png;base64,QUJD'}},{'type':'image_url','image_url':{'url':'https://h/i.JPG?x'}},{'type':"
     "'image_url','image_url':{'url':'https://h/"
     "i'}},{'type':'input_audio','input_audio':{'data':'QUJD','format':'wav'}},"
     "{'type':'file','file':{'file_data':'data:application/pdf;base64,QUJD'}}]}",
     "{'role':'user','parts':[{'text':'a'},{'text':'b'},{'inlineData':{'mimeType':'image/png','data':'QUJD'}},"
     "{'fileData':{'mimeType':'image/jpeg','fileUri':'https://h/i.JPG?x'}},{'fileData':{'fileUri':'https://h/i'}},"
     "{'inlineData':{'mimeType':'audio/wav','data':'QUJD'}},{'inlineData':{'mimeType':'application/"
     "pdf','data':'QUJD'}}"
     "]}"},
    {"m",
     "{'role':'user','content':'a'},{'role':'assistant','content':'b'},{'role':'assistant','content':null,'tool_"
     "calls':["
     "{'id':'c1','type':'function','function':{'name':'f','arguments':'{\\'x\\':1}'}},{'id':'call_g_r_1','type':"
     "'function','function':{'name':'g','arguments':''}}]},{'role':'tool','tool_call_id':'call_g_r_1','content':'two'"
     "},"
     "{'role':'tool','tool_call_id':'c1','content':'{\\'y\\':[2]}'},{'role':'user','content':'z'}",
     "{'role':'user','parts':[{'text':'a'}]},{'role':'model','parts':[{'text':'b'},{'functionCall':{'id':'c1','name':"
     "'f',"
     "'args':{'x':1}}},{'functionCall':{'name':'g','args':{}}}]},{'role':'user','parts':[{'functionResponse':{'id':'"
     "c1',"
     "'name':'f','response':{'y':[2]}}},{'functionResponse':{'name':'g','response':{'output':'two'}}}]},{'role':'"
     "user',"
     "'parts':[{'text':'z'}]}"},
    /* what a model of the third generation signed comes back; what another one said has none */
    {"gemini-3-pro",
     "{'role':'user','content':'a'},{'role':'assistant','content':'t','extra_content':{'google':{'thought_signature':"
     "'U1'}},'tool_calls':[{'id':'1','type':'function','function':{'name':'f','arguments':'{}'},'extra_content':{'"
     "google':"
     "{'thought_signature':'U2'}}},{'id':'2','type':'function','function':{'name':'f','arguments':'{}'}}]},{'role':'"
     "tool',"
     "'tool_call_id':'1','content':'x'},{'role':'tool','tool_call_id':'2','content':[{'type':'text','text':'y'},{'"
     "type':"
     "'image_url','image_url':{'url':'data:image/"
     "png;base64,QQ=='}}]},{'role':'assistant','tool_calls':[{'id':'3','type':"
     "'function','function':{'name':'f','arguments':'{}'}}]},{'role':'tool','tool_call_id':'3','content':''},{'role':"
     "'assistant','content':'','extra_content':{'google':{'thought_signature':'U4'}}}",
     "{'role':'user','parts':[{'text':'a'}]},{'role':'model','parts':[{'text':'t','thoughtSignature':'U1'},{'"
     "functionCall':"
     "{'id':'1','name':'f','args':{}},'thoughtSignature':'U2'},{'functionCall':{'id':'2','name':'f','args':{}}}]},{'"
     "role':"
     "'user','parts':[{'functionResponse':{'id':'1','name':'f','response':{'output':'x'}}},{'functionResponse':{'id':"
     "'2',"
     "'name':'f','response':{'output':'y'}}}]},{'role':'user','parts':[{'inlineData':{'mimeType':'image/png','data':"
     "'QQ=='}}]},{'role':'model','parts':[{'functionCall':{'id':'3','name':'f','args':{}},'thoughtSignature':"
     "'skip_thought_signature_validator'}]},{'role':'user','parts':[{'functionResponse':{'id':'3','name':'f','"
     "response':"
     "{'output':''}}}]},{'role':'model','parts':[{'text':'','thoughtSignature':'U4'}]}"},
};

static void messages_become_turns(void **state) {
  (void)state;
  for (size_t i = 0; i < ELEMENTS(MESSAGES); i++) {
    _cleanup_(dialect_request_done) DialectRequest request = {.asked.streams = false};
    _cleanup_(dialect_fault_done) DialectFault fault = {0};
    char text[4096];

    /* Inside a string a quote needs its backslash, which stands in the MESSAGES. */
    snprintf(text, sizeof text, "{'messages':[%s]}", MESSAGES[i].messages);
    assert_int_equal(encode(MESSAGES[i].model, text, &request, &fault), 0);
    snprintf(text, sizeof text, "{'contents':[%s]}", MESSAGES[i].contents);
    assert_text(of(&request.body), text);
  }
}

static void the_path_has_the_model(void **state) {
  static const struct {
    const char *model;
    const char *request;
    const char *path;
    bool hides_usage;
  } rows[] = {
      {"gemini-2.5-flash", "{" USER_A "}", "/models/gemini-2.5-flash:generateContent", false},
      {"a/b c", "{" USER_A ",'stream':true}", "/models/a%2Fb%20c:streamGenerateContent?alt=sse", true},
      {"m", "{" USER_A ",'stream':true,'stream_options':{'include_usage':true}}",
       "/models/m:streamGenerateContent?alt=sse", false},
  };

  (void)state;
  for (size_t i = 0; i < ELEMENTS(rows); i++) {
    _cleanup_(dialect_request_done) DialectRequest request = {.asked.streams = false};
    _cleanup_(dialect_fault_done) DialectFault fault = {0};

    assert_int_equal(encode(rows[i].model, rows[i].request, &request, &fault), 0);
    assert_text(of(&request.path), rows[i].path);
    assert_int_equal(request.asked.hides_usage, rows[i].hides_usage);
  }
}

static void what_it_has_no_word_for_is_refused(void **state) {
  static const struct {
    const char *request;
    const char *param;
  } rows[] = {
      {"{" USER_A ",'n':2}", "n"},
      {"{" USER_A ",'logprobs':true}", "logprobs"},
      {"{" USER_A ",'parallel_tool_calls':false}", "parallel_tool_calls"},
      {"{" USER_A ",'wonder':1}", "wonder"},
      {"{'messages':[{'role':'system','content':'a'}]}", "messages"},
      {"{'messages':[{'role':'user','content':''}]}", "messages"},
  };

  (void)state;
  for (size_t i = 0; i < ELEMENTS(rows); i++) {
    _cleanup_(dialect_request_done) DialectRequest request = {.asked.streams = false};
    _cleanup_(dialect_fault_done) DialectFault fault = {0};

    assert_int_equal(encode("m", rows[i].request, &request, &fault), DIALECT_E_FAULT);
    assert_int_equal(fault.fault.cause, CAUSE_CALLER);
    assert_text(fault.fault.param, rows[i].param);
  }
}

/* --- answers --- */

static const DialectAsked PLAIN = {.model = {"m", 1}, .now_s = NOW_S};
static const DialectAsked STREAM = {.model = {"m", 1}, .now_s = NOW_S, .streams = true};
#define HEAD                                                                                                           \
  "{'id':'chatcmpl-r','object':'chat.completion','created':1700000000,'model':'v','choices':[{'index':0,'message':"

static void answers_are_told_in_openais_words(void **state) {
  static const struct {
    const char *body;
    const char *response;
  } rows[] = {
      {"{'candidates':[{'content':{'parts':[{'text':'mull \\u00e9','thought':true},{'text':'a'},{'text':'b'}],'role':"
       "'model'},'finishReason':'STOP'}],'usageMetadata':{'promptTokenCount':10,'candidatesTokenCount':3,"
       "'thoughtsTokenCount':4,'cachedContentTokenCount':2,'toolUsePromptTokenCount':5,'totalTokenCount':22},"
       "'modelVersion':'v','responseId':'r'}",
       HEAD "{'role':'assistant','content':'ab','reasoning_content':'mull \\u00e9','refusal':null},'logprobs':null,"
            "'finish_reason':'stop'}],'usage':{'prompt_tokens':15,'completion_tokens':7,'total_tokens':22,"
            "'prompt_tokens_details':{'cached_tokens':2},'completion_tokens_details':{'reasoning_tokens':4}}}"},
      {"{'candidates':[{'content':{'parts':[{'functionCall':{'id':'i','name':'f','args':{'x':'y'}},'thoughtSignature':"
       "'U1'},{'functionCall':{'name':'g'}},{'text':'','thoughtSignature':'U2'}]},'finishReason':'STOP'}],'"
       "modelVersion':"
       "'v','responseId':'r'}",
       HEAD "{'role':'assistant','content':null,'extra_content':{'google':{'thought_signature':'U2'}},'tool_calls':["
            "{'id':'i','extra_content':{'google':{'thought_signature':'U1'}},'type':'function','function':{'name':'f',"
            "'arguments':'{\\'x\\':\\'y\\'}'}},{'id':'call_g_r_1','type':'function','function':{'name':'g','arguments':"
            "'{}'}}],'refusal':null},'logprobs':null,'finish_reason':'tool_calls'}]}"},
      {"{'candidates':[{'finishReason':'MAX_TOKENS'}],'usageMetadata':{'promptTokenCount':1},'modelVersion':'v',"
       "'responseId':'r'}",
       HEAD "{'role':'assistant','content':'','refusal':null},'logprobs':null,'finish_reason':'length'}],'usage':"
            "{'prompt_tokens':1,'completion_tokens':0,'total_tokens':1}}"},
      {"{'candidates':[{'content':{'parts':[{'text':'a'}]},'finishReason':'RECITATION'}],'modelVersion':'v','"
       "responseId':"
       "'r'}",
       HEAD "{'role':'assistant','content':'a','refusal':null},'logprobs':null,'finish_reason':'content_filter'}]}"},
      {"{'candidates':[{'content':{'parts':[{'text':'a'}]},'finishReason':'NEW_REASON'}],'modelVersion':'v','"
       "responseId':"
       "'r'}",
       HEAD "{'role':'assistant','content':'a','refusal':null},'logprobs':null,'finish_reason':'stop'}]}"},
  };

  (void)state;
  for (size_t i = 0; i < ELEMENTS(rows); i++) {
    _cleanup_(buffer_done) Buffer response = {0};
    _cleanup_(dialect_fault_done) DialectFault fault = {0};
    ChatUsage usage = {.estimated = false};

    assert_int_equal(gemini_dialect.decode_chat(&PLAIN, quote(rows[i].body), &response, &usage, &fault), 0);
    assert_text(of(&response), rows[i].response);
  }
}

static void what_is_no_answer_is_a_fault(void **state) {
  static const struct {
    const char *body;
    Cause cause;
    const char *code;
  } rows[] = {
      {"", CAUSE_MALFORMED, ""},
      {"[]", CAUSE_MALFORMED, ""},
      {"{}", CAUSE_MALFORMED, ""},
      {"{'candidates':[]}", CAUSE_MALFORMED, ""},
      {"{'candidates':[{'content':{'parts':[{'text':'a'}]}}]}", CAUSE_MALFORMED, ""},
      {"{'candidates':[{'finishReason':'OTHER'}]}", CAUSE_MALFORMED, ""},
      {"{'candidates':[{'finishReason':'MALFORMED_FUNCTION_CALL','finishMessage':'what'}]}", CAUSE_MALFORMED, ""},
      {"{'promptFeedback':{'blockReason':'SAFETY','blockReasonMessage':'no'}}", CAUSE_POLICY, "content_filter"},
      {"{'error':{'code':503,'message':'later','status':'UNAVAILABLE'}}", CAUSE_OVERLOAD, "UNAVAILABLE"},
  };

  (void)state;
  for (size_t i = 0; i < ELEMENTS(rows); i++) {
    _cleanup_(buffer_done) Buffer response = {0};
    _cleanup_(dialect_fault_done) DialectFault fault = {0};
    ChatUsage usage = {.estimated = false};

    assert_int_equal(gemini_dialect.decode_chat(&PLAIN, quote(rows[i].body), &response, &usage, &fault),
                     DIALECT_E_FAULT);
    assert_string_equal(cause_name(fault.fault.cause), cause_name(rows[i].cause));
    assert_text(fault.fault.code, rows[i].code);
    assert_true(fault.fault.message.size > 0);
    assert_int_equal(response.size, 0);
  }
}

static int feed(DialectStream *stream, const char *data, DialectFault *fault) {
  return gemini_dialect.stream_event(stream, TEXT_NONE, quote(data), fault);
}

#define CHUNK                                                                                                          \
  "data: "                                                                                                             \
  "{'id':'chatcmpl-r','object':'chat.completion.chunk','created':1700000000,'model':'m','choices':[{'index':0,'delta'" \
  ":"
#define GOES_ON ",'finish_reason':null}]}\n\n"

static void streams_become_chunks(void **state) {
  _cleanup_(dialect_stream_done) DialectStream stream = {.done = false};
  _cleanup_(dialect_fault_done) DialectFault fault = {0};

  (void)state;
  dialect_stream_begin(&gemini_dialect, &STREAM, &stream);
  assert_int_equal(
      feed(&stream, "{'candidates':[{'content':{'parts':[{'text':'m','thought':true}]}}],'responseId':'r'}", &fault),
      0);
  assert_int_equal(feed(&stream, "{'candidates':[{'content':{'parts':[{'text':'a'}]}}],'responseId':'r'}", &fault), 0);
  assert_false(gemini_dialect.stream_is_whole(&stream));
  assert_int_equal(feed(&stream,
                        "{'candidates':[{'content':{'parts':[{'functionCall':{'name':'f','args':{'x':1}},"
                        "'thoughtSignature':'U1'},{'text':'','thoughtSignature':'U2'}]},'finishReason':'STOP'}],"
                        "'usageMetadata':{'promptTokenCount':2,'candidatesTokenCount':3},'responseId':'r'}",
                        &fault),
                   0);
  assert_true(gemini_dialect.stream_is_whole(&stream));
  assert_int_equal(feed(&stream, "{'usageMetadata':{'promptTokenCount':2,'candidatesTokenCount':4}}", &fault), 0);
  assert_text(of(&stream.events),
              CHUNK "{'role':'assistant','reasoning_content':'m'}" GOES_ON CHUNK "{'content':'a'}" GOES_ON CHUNK
                    "{'tool_calls':[{'index':0,'id':'call_g_r_0','extra_content':{'google':{'thought_signature':'U1'}},"
                    "'type':'function','function':{'name':'f','arguments':''}}]}" GOES_ON CHUNK
                    "{'tool_calls':[{'index':0,'function':{'arguments':'{\\'x\\':1}'}}]}" GOES_ON CHUNK
                    "{'extra_content':{'google':{'thought_signature':'U2'}}}" GOES_ON CHUNK
                    "{},'finish_reason':'tool_calls'}]}\n\ndata: {'id':'chatcmpl-r','object':'chat.completion.chunk',"
                    "'created':1700000000,'model':'m','choices':[],'usage':{'prompt_tokens':2,'completion_tokens':3,"
                    "'total_tokens':5}}\n\n");
  assert_int_equal(stream.usage.output_tokens, 4);
}

static void a_stream_can_go_wrong(void **state) {
  static const struct {
    const char *event;
    Cause cause;
  } rows[] = {
      {"{'candidates':[", CAUSE_MALFORMED},
      {"{'error':{'code':429,'status':'RESOURCE_EXHAUSTED','message':'m'}}", CAUSE_RATE_LIMIT},
      {"{'promptFeedback':{'blockReason':'OTHER'}}", CAUSE_POLICY},
      {"{'candidates':[{'finishReason':'UNEXPECTED_TOOL_CALL'}]}", CAUSE_MALFORMED},
  };

  (void)state;
  for (size_t i = 0; i < ELEMENTS(rows); i++) {
    _cleanup_(dialect_stream_done) DialectStream stream = {.done = false};
    _cleanup_(dialect_fault_done) DialectFault fault = {0};

    dialect_stream_begin(&gemini_dialect, &STREAM, &stream);
    assert_int_equal(feed(&stream, rows[i].event, &fault), DIALECT_E_FAULT);
    assert_string_equal(cause_name(fault.fault.cause), cause_name(rows[i].cause));
    assert_false(gemini_dialect.stream_is_whole(&stream));
  }
}

static void errors_are_classified(void **state) {
  static const struct {
    unsigned status;
    const char *error; /* its members behind the message */
    const char *message;
    Cause cause;
    const char *code;
    uint64_t retry_us;
  } rows[] = {
      {400, "'status':'INVALID_ARGUMENT'", "m", CAUSE_CALLER, "INVALID_ARGUMENT", 0},
      {400,
       "'status':'INVALID_ARGUMENT','details':[{'@type':'type.googleapis.com/google.rpc.ErrorInfo','reason':"
       "'API_KEY_INVALID'}]",
       "m", CAUSE_AUTH, "INVALID_ARGUMENT", 0},
      {400, "'status':'INVALID_ARGUMENT'",
       "The input token count (9) exceeds the maximum number of tokens allowed (8).", CAUSE_CONTEXT,
       "context_length_exceeded", 0},
      {400, "'status':'FAILED_PRECONDITION'", "m", CAUSE_AUTH, "FAILED_PRECONDITION", 0},
      {401, "'status':'UNAUTHENTICATED'", "m", CAUSE_AUTH, "UNAUTHENTICATED", 0},
      {403, "'status':'PERMISSION_DENIED'", "m", CAUSE_AUTH, "PERMISSION_DENIED", 0},
      {404, "'status':'NOT_FOUND'", "m", CAUSE_UNAVAILABLE, "NOT_FOUND", 0},
      {429,
       "'status':'RESOURCE_EXHAUSTED','details':[{'@type':'type.googleapis.com/google.rpc.QuotaFailure',"
       "'violations':[{'quotaId':'GenerateRequestsPerMinutePerProject'}]},{'@type':"
       "'type.googleapis.com/google.rpc.RetryInfo','retryDelay':'1.5s'}]",
       "m", CAUSE_RATE_LIMIT, "RESOURCE_EXHAUSTED", 1500000},
      {429,
       "'status':'RESOURCE_EXHAUSTED','details':[{'@type':'type.googleapis.com/google.rpc.QuotaFailure',"
       "'violations':[{'quotaId':'GenerateRequestsPerDayPerProject'}]}]",
       "m", CAUSE_QUOTA, "RESOURCE_EXHAUSTED", 2000000},
      {500, "'status':'INTERNAL'", "m", CAUSE_OVERLOAD, "INTERNAL", 2000000},
      {503, "'status':'UNAVAILABLE'", "m", CAUSE_OVERLOAD, "UNAVAILABLE", 2000000},
      {504, "'status':'DEADLINE_EXCEEDED'", "m", CAUSE_STALL, "DEADLINE_EXCEEDED", 2000000},
      {418, "'code':418", "m", CAUSE_CALLER, "", 2000000},
  };

  (void)state;
  for (size_t i = 0; i < ELEMENTS(rows); i++) {
    DialectHead head = {.status = rows[i].status, .retry_after = i < 7 ? TEXT_NONE : TEXT("2")};
    char body[1024];

    for (int list = 0; list < 2; list++) {
      _cleanup_(dialect_fault_done) DialectFault fault = {0};

      snprintf(body, sizeof body, "%s{'error':{'message':'%s',%s}}%s", list ? "[" : "", rows[i].message, rows[i].error,
               list ? "]" : "");
      gemini_dialect.decode_error(&head, quote(body), &fault);
      assert_string_equal(cause_name(fault.fault.cause), cause_name(rows[i].cause));
      assert_text(fault.fault.message, rows[i].message);
      assert_text(fault.fault.code, rows[i].code);
      assert_int_equal(fault.fault.http_status, rows[i].status);
      assert_int_equal(fault.fault.retry_after_us, rows[i].retry_us);
    }
  }
}

static void an_error_names_the_field_or_nothing(void **state) {
  _cleanup_(dialect_fault_done) DialectFault fault = {0};

  (void)state;
  gemini_dialect.decode_error(
      &(DialectHead){.status = 400},
      quote("{'error':{'status':'INVALID_ARGUMENT','message':'m','details':[{'@type':"
            "'type.googleapis.com/google.rpc.BadRequest','fieldViolations':[{'field':'tools[0]'}]}]}}"),
      &fault);
  assert_text(fault.fault.param, "tools[0]");
  gemini_dialect.decode_error(&(DialectHead){.status = 502}, TEXT("<html>"), &fault);
  assert_int_equal(fault.fault.cause, CAUSE_OVERLOAD);
  assert_text(fault.fault.message, "it answered with status 502 and no reason");
}

/* --- embeddings --- */

static void embeddings_go_there_and_back(void **state) {
  static const struct {
    const char *request;
    const char *path;
    const char *body;
    const char *answer;
    const char *data;
  } rows[] = {
      {"{'input':'a','dimensions':2,'user':'u'}", "/models/m:batchEmbedContents",
       "{'requests':[{'model':'models/m','content':{'parts':[{'text':'a'}]},'outputDimensionality':2}]}",
       "{'embeddings':[{'values':[0.5,-1e0]}],'usageMetadata':{'promptTokenCount':3}}",
       "{'object':'embedding','index':0,'embedding':[0.5,-1e0]}],'model':'m','usage':{'prompt_tokens':3,'total_tokens':"
       "3}}"},
      {"{'input':['a','b'],'encoding_format':'base64'}", "/models/m:batchEmbedContents",
       "{'requests':[{'model':'models/m','content':{'parts':[{'text':'a'}]}},{'model':'models/"
       "m','content':{'parts':[{'text':"
       "'b'}]}}]}",
       "{'embeddings':[{'values':[1.0]},{'values':[0.5,-2]}]}",
       "{'object':'embedding','index':0,'embedding':'AACAPw=='},{'object':'embedding','index':1,'embedding':'"
       "AAAAPwAAAMA='}"
       "],'model':'m'}"},
  };

  (void)state;
  for (size_t i = 0; i < ELEMENTS(rows); i++) {
    _cleanup_(dialect_request_done) DialectRequest request = {.asked = {.model = TEXT("m")}};
    _cleanup_(dialect_fault_done) DialectFault fault = {0};
    _cleanup_(buffer_done) Buffer response = {0};
    ChatUsage usage = {.estimated = false};
    char text[512];

    assert_int_equal(gemini_dialect.encode_embed(checked(rows[i].request), &request, &fault), 0);
    assert_text(of(&request.path), rows[i].path);
    assert_text(of(&request.body), rows[i].body);
    assert_int_equal(gemini_dialect.decode_embed(&request.asked, quote(rows[i].answer), &response, &usage, &fault), 0);
    snprintf(text, sizeof text, "{'object':'list','data':[%s", rows[i].data);
    assert_text(of(&response), text);
    assert_int_equal(usage.has_input_tokens, i == 0);
    assert_false(usage.has_output_tokens);
  }
}

static void embeddings_that_it_cannot_make(void **state) {
  static const struct {
    const char *request;
    const char *param;
  } rows[] = {{"{}", "input"},
              {"{'input':[]}", "input"},
              {"{'input':[1,2]}", "input"},
              {"{'input':'a','dimensions':0}", "dimensions"},
              {"{'input':'a','encoding_format':'hex'}", "encoding_format"},
              {"{'input':'a','wonder':1}", "wonder"}};
  static const char *const answers[] = {"",
                                        "{}",
                                        "{'embeddings':[]}",
                                        "{'embeddings':[{}]}",
                                        "{'embeddings':[{'values':1}]}",
                                        "{'embeddings':{'values':[1]}}"};

  (void)state;
  for (size_t i = 0; i < ELEMENTS(rows); i++) {
    _cleanup_(dialect_request_done) DialectRequest request = {.asked = {.model = TEXT("m")}};
    _cleanup_(dialect_fault_done) DialectFault fault = {0};

    assert_int_equal(gemini_dialect.encode_embed(checked(rows[i].request), &request, &fault), DIALECT_E_FAULT);
    assert_int_equal(fault.fault.cause, CAUSE_CALLER);
    assert_text(fault.fault.param, rows[i].param);
  }
  for (size_t i = 0; i < ELEMENTS(answers); i++) {
    _cleanup_(dialect_fault_done) DialectFault fault = {0};
    _cleanup_(buffer_done) Buffer response = {0};
    ChatUsage usage = {.estimated = false};

    assert_int_equal(gemini_dialect.decode_embed(&PLAIN, quote(answers[i]), &response, &usage, &fault),
                     DIALECT_E_FAULT);
    assert_int_equal(fault.fault.cause, CAUSE_MALFORMED);
    assert_int_equal(response.size, 0);
  }
}

static void names_of_models_are_read(void **state) {
  static const char *const none[] = {"", "[]", "{}", "{'models':{}}"};
  _cleanup_(dialect_fault_done) DialectFault fault = {0};
  _cleanup_(dialect_models_done) DialectModels models = {.next = {0}};

  (void)state;
  assert_int_equal(
      gemini_dialect.decode_models(
          quote("{'models':[{'name':'models/a'},{},{'name':'models/'},7,{'name':'b'},{'name':'x\\u0000y'}]}"), &models,
          &fault),
      0);
  assert_int_equal(models.names.size, 4);
  assert_memory_equal(models.names.data, "a\0b\0", 4);
  for (size_t i = 0; i < ELEMENTS(none); i++) {
    assert_int_equal(gemini_dialect.decode_models(quote(none[i]), &models, &fault), DIALECT_E_FAULT);
    assert_int_equal(fault.fault.cause, CAUSE_MALFORMED);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(requests_are_said_in_its_words),
      cmocka_unit_test(messages_become_turns),
      cmocka_unit_test(the_path_has_the_model),
      cmocka_unit_test(what_it_has_no_word_for_is_refused),
      cmocka_unit_test(answers_are_told_in_openais_words),
      cmocka_unit_test(what_is_no_answer_is_a_fault),
      cmocka_unit_test(streams_become_chunks),
      cmocka_unit_test(a_stream_can_go_wrong),
      cmocka_unit_test(errors_are_classified),
      cmocka_unit_test(an_error_names_the_field_or_nothing),
      cmocka_unit_test(embeddings_go_there_and_back),
      cmocka_unit_test(embeddings_that_it_cannot_make),
      cmocka_unit_test(names_of_models_are_read),
  };

  return cmocka_run_group_tests(tests, NULL, forget_quotes);
}
