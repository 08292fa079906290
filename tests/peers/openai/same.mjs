// The calls of same.json with OpenAI's official SDK, at OpenAI and at Azure: same.mjs BASE_URL KEY.
import OpenAI, { AzureOpenAI } from "openai";
import { calls } from "./calls.mjs";

const clients = {
  openai: (base, apiKey) => new OpenAI({ baseURL: `${base}/v1`, apiKey, maxRetries: 0 }),
  azure: (base, apiKey) => new AzureOpenAI({ endpoint: base, apiKey, apiVersion: "2024-10-21", maxRetries: 0 }),
  // The SDK sends its key as a bearer's, which Azure takes as well as a header of its own.
  "azure-v1": (base, apiKey) =>
    new OpenAI({ baseURL: `${base}/openai/v1`, apiKey, maxRetries: 0, defaultHeaders: { Authorization: null, "api-key": apiKey } }),
};

await calls((provider, base, key) => clients[provider](base, key));
