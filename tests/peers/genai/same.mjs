// The calls of same.json with Google's official SDK: same.mjs BASE_URL KEY.
import { GoogleGenAI } from "@google/genai";
import { calls } from "./calls.mjs";

await calls((provider, baseUrl, apiKey) => new GoogleGenAI({ apiKey, httpOptions: { baseUrl, retryOptions: { attempts: 1 } } }));
