// What Google's official SDK makes of the mock provider: sdk.mjs SCENARIO BASE_URL KEY. Prints one line of JSON.
import { GoogleGenAI, FunctionCallingConfigMode, Type } from "@google/genai";

const [scenario, baseUrl, apiKey] = process.argv.slice(2);
const client = (knobs = "", key = apiKey) =>
  new GoogleGenAI({ apiKey: key, httpOptions: { baseUrl: knobs ? `${baseUrl}/mock/${knobs}` : baseUrl, retryOptions: { attempts: 1 } } });
const contents = [{ role: "user", parts: [{ text: "one two three" }] }];
const weather = {
  name: "weather", description: "tells the weather",
  parameters: { type: Type.OBJECT, properties: { place: { type: Type.STRING } }, required: ["place"] },
};
const tools = [{ functionDeclarations: [weather] }];
const failure = (error) => {
  let body = {};
  try {
    body = JSON.parse(error.message).error;
  } catch {
    body = { message: error.message };
  }
  return { class: error.constructor.name, status: error.status, ...body };
};

async function read(stream) {
  const seen = { text: "", thoughts: 0, calls: [], finish: [], usage: null };
  for await (const chunk of stream) {
    for (const part of chunk.candidates?.[0]?.content?.parts ?? []) {
      if (part.thought) seen.thoughts += 1;
      else if (part.functionCall) seen.calls.push({ ...part.functionCall, signature: part.thoughtSignature });
      else seen.text += part.text ?? "";
    }
    if (chunk.candidates?.[0]?.finishReason) seen.finish.push(chunk.candidates[0].finishReason);
    if (chunk.promptFeedback) seen.block = chunk.promptFeedback.blockReason;
    seen.usage = chunk.usageMetadata ?? seen.usage;
  }
  return seen;
}

const scenarios = {
  plain: async () => {
    const answer = await client("tokens=3").models.generateContent({
      model: "good", contents,
      config: { systemInstruction: "be brief", temperature: 0.5, maxOutputTokens: 100, stopSequences: ["x"],
                thinkingConfig: { includeThoughts: true, thinkingBudget: 100 } },
    });
    return { text: answer.text, finish: answer.candidates[0].finishReason, usage: answer.usageMetadata };
  },
  stream: async () => read(await client("tokens=3,thoughts=2").models.generateContentStream({ model: "good", contents })),
  image: async () => {
    const answer = await client().models.generateContent({
      model: "good",
      contents: [{ role: "user", parts: [{ inlineData: { mimeType: "image/png", data: "iVBORw0KGgo=" } }, { text: "what" }] }],
    });
    return { text: answer.text };
  },
  tools: async () => {
    const model = "gemini-3-flash";
    const config = { tools, toolConfig: { functionCallingConfig: { mode: FunctionCallingConfigMode.ANY, allowedFunctionNames: ["weather"] } } };
    const first = await client("calls=2,tokens=0").models.generateContent({ model, contents, config });
    const turn = first.candidates[0].content;
    const told = first.functionCalls.map(({ id, name }) => ({ functionResponse: { id, name, response: { output: "mild" } } }));
    const second = await client("tokens=2").models.generateContent({
      model, contents: [...contents, turn, { role: "user", parts: told }], config: { tools },
    });
    return { calls: first.functionCalls, signature: turn.parts[0].thoughtSignature, text: second.text };
  },
  schema: async () => {
    const answer = await client().models.generateContent({
      model: "good", contents,
      config: { responseMimeType: "application/json", responseSchema: { type: Type.OBJECT, properties: { a: { type: Type.INTEGER } } } },
    });
    return { text: answer.text };
  },
  blocked: async () => read(await client("block=SAFETY").models.generateContentStream({ model: "good", contents })),
  limited: async () => client("code=rate_limit_exceeded,retry_after=7").models.generateContent({ model: "good", contents }).then(() => ({}), failure),
  wrong_key: async () => client("", "wrong").models.generateContent({ model: "good", contents }).then(() => ({}), failure),
  broken: async () => client("error_in_stream=1,status=503").models.generateContentStream({ model: "good", contents }).then(read).then(() => ({}), failure),
  embeddings: async () => {
    const answer = await client().models.embedContent({ model: "good", contents: ["a", "b"], config: { outputDimensionality: 4 } });
    return { sizes: answer.embeddings.map((one) => one.values.length) };
  },
  models: async () => {
    const names = [];
    for await (const model of await client().models.list()) names.push(model.name);
    return { names };
  },
};

console.log(JSON.stringify(await scenarios[scenario]()));
