// What Anthropic's official SDK makes of the mock provider: sdk.mjs SCENARIO BASE_URL KEY, bodies for "send" on standard input.
// Prints one line of JSON.
import Anthropic from "@anthropic-ai/sdk";
import { readFileSync } from "node:fs";

const [scenario, baseUrl, apiKey] = process.argv.slice(2);
const client = (knobs = "", key = apiKey) =>
  new Anthropic({ apiKey: key, baseURL: knobs ? `${baseUrl}/mock/${knobs}` : baseUrl, maxRetries: 0 });
const base = { model: "claude-opus-5", max_tokens: 100, messages: [{ role: "user", content: "one two three" }] };
const weather = {
  name: "weather", description: "tells the weather",
  input_schema: { type: "object", properties: { place: { type: "string" } }, required: ["place"] },
};
const clock = { name: "clock", input_schema: { type: "object", properties: {} } };
const failure = (error) => ({ class: error.constructor.name, status: error.status, type: error.type, id: error.requestID, message: error.message });

async function stream(knobs, params) {
  const events = [];
  const made = client(knobs).messages.stream({ ...base, ...params });
  made.on("streamEvent", (event) => events.push(event.type));
  return { message: await made.finalMessage(), events };
}

const scenarios = {
  plain: () => client("tokens=3,cached=1").messages.create({ ...base, system: "be brief" }),
  stream: () => stream("tokens=3", {}),
  tools: () => client("calls=2,tokens=0").messages.create({ ...base, tools: [weather, clock], tool_choice: { type: "any" } }),
  tools_stream: () => stream("calls=2,tokens=2,thoughts=2", { tools: [weather, clock], thinking: { type: "adaptive" } }),
  turn: async () => {
    const params = { ...base, tools: [weather, clock], thinking: { type: "adaptive" } };
    const first = await client("calls=2,tokens=0,thoughts=3").messages.create(params);
    const told = first.content.filter((block) => block.type === "tool_use")
      .map((block) => ({ type: "tool_result", tool_use_id: block.id, content: "mild" }));
    return client("tokens=2").messages.create({
      ...params, messages: [...base.messages, { role: "assistant", content: first.content }, { role: "user", content: told }],
    });
  },
  image: () => client().messages.create({
    ...base,
    messages: [{ role: "user", content: [{ type: "image", source: { type: "base64", media_type: "image/png", data: "iVBORw0KGgo=" } },
                                         { type: "text", text: "what" }] }],
  }),
  count: () => client().messages.countTokens({ model: base.model, messages: base.messages }),
  limited: () => client("status=429,retry_after=7").messages.create(base).then(() => ({}), failure),
  overloaded: () => client("status=529").messages.create(base).then(() => ({}), failure),
  wrong_key: () => client("", "wrong").messages.create(base).then(() => ({}), failure),
  broken: () => stream("error_in_stream=1", {}).then(() => ({}), failure),
  send: async () => {
    const seen = [];
    for (const body of JSON.parse(readFileSync(0, "utf8"))) {
      const answer = await client().messages.create(body);
      let type = answer.type;
      if (body.stream) for await (const event of answer) type = event.type;
      seen.push([type, (await (await fetch(`${baseUrl}/mock/stats`)).json()).last_request]);
    }
    return seen;
  },
};

console.log(JSON.stringify(await scenarios[scenario]()));
