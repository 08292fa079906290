#include "bus/ctl/question.h"

#include <stdio.h>
#include <stdlib.h>

#include "agents/contracts/contracts.h"
#include "bus/ctl/contract-json.h"

enum { INPUT_MAX_BYTES = LIMIT_REQUEST_BYTES };

static int split(Question *question, Buffer *errors) {
  char *dot = strrchr(question->target, '.');
  const char *at = strchr(question->target, '@');
  Text plain;

  if (!dot || dot == question->target || dot[1] == '\0') {
    buffer_printf(errors, "'%s' is not SERVICE.METHOD, such as echo.say; `pons contract list` has them\n",
                  question->target);
    return QUESTION_E_TARGET;
  }
  question->ask.service = (Text){question->target, (size_t)(dot - question->target)};
  question->ask.method = text_of(dot + 1);
  plain = question->ask.service;
  if (at && at < dot)
    plain.size = (size_t)(at - question->target);
  question->contract = contract_find(plain, question->ask.method);
  return 0;
}

static int read_input(Buffer *ret, Buffer *errors) {
  size_t size;

  do {
    size = fread(buffer_reserve(ret, 65536), 1, 65536, stdin);
    ret->size += size;
  } while (size && ret->size <= INPUT_MAX_BYTES);
  if (!ferror(stdin) && ret->size <= INPUT_MAX_BYTES)
    return 0;
  buffer_printf(errors, "standard input %s\n", ferror(stdin) ? "can't be read" : "is larger than 16 MiB");
  return QUESTION_E_JSON;
}

static int make_body(Question *question, Text json, Buffer *errors, ContractFault *ret_fault) {
  const Contract *contract = question->contract ? question->contract->request : NULL;
  ContractFault fault = {0};
  int r = contract_json_to_body(contract, json, &question->body, &fault);

  if (r == 0)
    return 0;
  if (r == CONTRACT_JSON_E_SYNTAX) {
    buffer_printf(errors, "the message is no JSON: %s\n", fault.message);
    return QUESTION_E_JSON;
  }
  buffer_printf(errors, "INVALID: %s%s%s; `pons contract show %s` has the contract\n", fault.path,
                *fault.path ? ": " : "", fault.message, question->target);
  if (ret_fault)
    *ret_fault = fault;
  return QUESTION_E_CONTRACT;
}

/* What json is, or what is on standard input when it is "-". */
static int read_text(const char *json, Buffer *input, Text *ret, Buffer *errors) {
  int r = 0;

  *ret = text_of(json);
  if (strcmp(json, "-") == 0) {
    r = read_input(input, errors);
    *ret = (Text){(const char *)input->data, input->size};
  }
  return r;
}

int question_read(const char *json, Buffer *ret_body, Buffer *errors) {
  _cleanup_(buffer_done) Buffer input = {0};
  ContractFault fault = {0};
  Text text;
  int r = json ? read_text(json, &input, &text, errors) : 0;

  if (r != 0 || !json || contract_json_to_body(NULL, text, ret_body, &fault) == 0)
    return r;
  buffer_printf(errors, "the message is no JSON: %s\n", fault.message);
  return QUESTION_E_JSON;
}

static int fill(Question *question, const char *json, Buffer *errors, ContractFault *ret_fault) {
  _cleanup_(buffer_done) Buffer input = {0};
  Text text;
  int r = split(question, errors);

  if (r == 0)
    r = read_text(json ? json : "{}", &input, &text, errors);
  /* An untyped method that is asked without a message gets an empty body. */
  if (r == 0 && (json || question->contract))
    r = make_body(question, text, errors, ret_fault);
  question->ask.body = buffer_bytes(&question->body);
  question->ask.idempotent = question->contract && question->contract->flags & METHOD_IDEMPOTENT;
  return r;
}

int question_init(Question *ret, const char *target, const char *json, Buffer *errors, ContractFault *ret_fault) {
  Question question = {.target = strdup(target)};
  int r;

  if (!question.target)
    abort(); /* memory is out */
  r = fill(&question, json, errors, ret_fault);
  if (r)
    question_done(&question);
  else
    *ret = question;
  return r;
}

void question_done(Question *question) {
  free(question->target);
  buffer_done(&question->body);
  *question = (Question){0};
}
