// The calls of same.json with OpenAI's official SDK, at OpenAI, at Azure and at servers like OpenAI's: same.mjs BASE_URL KEY.
import OpenAI, { AzureOpenAI } from "openai";
import { calls } from "./calls.mjs";

// Paths with the model in them, put in where the SDK's own client of Azure does.
class Templates extends OpenAI {
  buildRequest(options, more) {
    const model = options.body?.model ?? "all";
    const behind = { "/chat/completions": "chat", "/embeddings": "embed", "/models": "models" }[options.path];
    return super.buildRequest({ ...options, path: `/custom/${model}/${behind}` }, more);
  }
}

const clients = {
  openai: (base, apiKey) => new OpenAI({ baseURL: `${base}/v1`, apiKey, maxRetries: 0 }),
  azure: (base, apiKey) => new AzureOpenAI({ endpoint: base, apiKey, apiVersion: "2024-10-21", maxRetries: 0 }),
  // The SDK sends its key as a bearer's, which Azure takes as well as a header of its own.
  "azure-v1": (base, apiKey) =>
    new OpenAI({ baseURL: `${base}/openai/v1`, apiKey, maxRetries: 0, defaultHeaders: { Authorization: null, "api-key": apiKey } }),
  // As LM Studio, Ollama, vLLM and llama-server are asked.
  custom: (base, apiKey) => new OpenAI({ baseURL: `${base}/v1`, apiKey, maxRetries: 0, defaultHeaders: { "X-Team": "blue" } }),
  "custom-path": (base, apiKey) =>
    new Templates({ baseURL: base, apiKey, maxRetries: 0,
      defaultHeaders: { Authorization: null, "X-Custom-Key": `Token ${apiKey}`, "X-Team": "blue" } }),
};

await calls((provider, base, key) => clients[provider](base, key));
