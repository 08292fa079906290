// What OpenAI's official SDK makes of the gateway: sdk.mjs SCENARIO BASE_URL KEY [MODEL]. Prints one line of JSON.
import OpenAI from "openai";

const [scenario, baseURL, apiKey, model] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0 });
const messages = [{ role: "user", content: "one two three" }];
const properties = { place: { type: "string" }, days: { type: "integer" } };
const weather = { type: "function", function: { name: "weather", parameters: { type: "object", properties } } };
const clock = { type: "function", function: { name: "clock" } };
const ask = (model, more = {}) => client.chat.completions.create({ model, messages, ...more });

async function read(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return {
    text: chunks.map((chunk) => chunk.choices[0]?.delta?.content ?? "").join(""),
    finish: chunks.map((chunk) => chunk.choices[0]?.finish_reason).filter(Boolean),
    usage: chunks.map((chunk) => chunk.usage).filter(Boolean),
    choiceless: chunks.filter((chunk) => chunk.choices.length === 0).length,
  };
}

const failure = (error) => ({
  class: error.constructor.name, status: error.status, code: error.code, param: error.param, type: error.type,
  message: error.message, request: error.requestID,
});

const scenarios = {
  plain: async () => {
    const { data, response } = await ask("good").withResponse();
    return { text: data.choices[0].message.content, usage: data.usage, request: response.headers.get("x-request-id") };
  },
  tools: async () => {
    const picture = { type: "image_url", image_url: { url: "data:image/png;base64,iVBORw0KGgo=" } };
    const asked = [{ role: "system", content: "be brief" }, { role: "user", content: [{ type: "text", text: "what" }, picture] }];
    const params = { model, messages: asked, tools: [weather, clock] };
    const whole = (await client.chat.completions.create(params)).choices[0];
    const stream = client.chat.completions.stream({ ...params, stream_options: { include_usage: true } });
    const streamed = (await stream.finalChatCompletion()).choices[0];
    const told = whole.message.tool_calls.map(({ id }) => ({ role: "tool", tool_call_id: id, content: "mild" }));
    const next = await ask(model, { messages: [...asked, whole.message, ...told], tools: params.tools });
    const of = (choice) => ({ finish: choice.finish_reason, calls: choice.message.tool_calls.map(({ function: { name, arguments: text } }) =>
      [name, JSON.parse(text)]) });
    return { whole: of(whole), streamed: of(streamed), usage: (await stream.totalUsage()), next: next.choices[0].message.content };
  },
  counts: async () => (await ask("thinks")).usage,
  stream: async () => read(await ask("good", { stream: true })),
  usage: async () => read(await ask("good", { stream: true, stream_options: { include_usage: true } })),
  abort: async () => {
    const stream = await ask("slow", { stream: true });
    for await (const chunk of stream) {
      stream.controller.abort();
      break;
    }
    return { aborted: stream.controller.signal.aborted };
  },
  abort_before: async () => {
    const stop = new AbortController();
    setTimeout(() => stop.abort(), 300); // nothing of the answer has come by then: its provider waits for seconds
    return client.chat.completions.create({ model: "silent", messages }, { signal: stop.signal }).then(() => ({}), failure);
  },
  retried: async () => {
    const patient = new OpenAI({ baseURL, apiKey, maxRetries: 2 });
    const answer = await patient.chat.completions.create({ model: "flaky", messages });
    return { text: answer.choices[0].message.content };
  },
  wrong_key: async () => new OpenAI({ baseURL, apiKey: "sk-wrong", maxRetries: 0 }).models.list().then(() => ({}), failure),
  no_model: async () => ask("nobody").then(() => ({}), failure),
  bad_request: async () => client.chat.completions.create({ model: "good" }).then(() => ({}), failure),
  older: async () => client.completions.create({ model: "good", prompt: "x" }).then(() => ({}), failure),
  newer: async () => client.responses.create({ model: "good", input: "x" }).then(() => ({}), failure),
  limited: async () => ask("limited").then(() => ({}), failure),
  broken: async () => {
    try {
      return await read(await ask("cut", { stream: true }));
    } catch (error) {
      return failure(error);
    }
  },
  models: async () => ({ ids: (await client.models.list()).data.map((model) => model.id) }),
  embeddings: async () => {
    const answer = await client.embeddings.create({ model: "vectors", input: ["a", "b"] });
    return { count: answer.data.length, numbers: answer.data[0].embedding.length, first: typeof answer.data[0].embedding[0] };
  },
};

console.log(JSON.stringify(await scenarios[scenario]()));
