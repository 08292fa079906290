// The calls of same.json with Anthropic's official SDK: same.mjs BASE_URL KEY.
import Anthropic from "@anthropic-ai/sdk";
import { calls } from "./calls.mjs";

await calls((provider, baseURL, apiKey) => new Anthropic({ apiKey, baseURL, maxRetries: 0 }));
