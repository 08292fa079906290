// AWS's SDK at the mock provider: sdk.mjs SCENARIO BASE_URL ID:SECRET[:TOKEN]. Prints what it was told as JSON. The scenarios
// are those of sdk_cases.json, each an operation with its input.
import { readFileSync } from "node:fs";
import * as bedrock from "@aws-sdk/client-bedrock-runtime";
import { NodeHttpHandler } from "@smithy/node-http-handler";

const [scenario, base, key] = process.argv.slice(2);
const [accessKeyId, secretAccessKey, sessionToken] = key.split(":");
const { knobs, operation, input } = JSON.parse(readFileSync("sdk_cases.json", "utf8"), (name, value) =>
  name === "bytes" ? Buffer.from(value, "base64") : value)[scenario];
const client = new bedrock.BedrockRuntimeClient({
  region: "eu-central-1", endpoint: `${base}${knobs ? `/mock/${knobs}` : ""}`, maxAttempts: 1,
  requestHandler: new NodeHttpHandler(), // its own choice is HTTP/2, which the mock does not speak
  credentials: { accessKeyId, secretAccessKey, sessionToken } });

async function tell() {
  const answer = await client.send(new bedrock[`${operation}Command`](input));
  if (operation === "InvokeModel")
    return { body: JSON.parse(Buffer.from(answer.body).toString()) };
  if (operation === "Converse")
    return { content: answer.output.message.content, stop: answer.stopReason, usage: answer.usage };
  const told = { events: [], text: "", inputs: {}, thought: "" };
  for await (const event of answer.stream) {
    const [[type, value]] = Object.entries(event);
    told.events.push(type);
    told.text += value.delta?.text ?? "";
    told.thought += value.delta?.reasoningContent?.text ?? "";
    if (value.delta?.toolUse)
      told.inputs[value.contentBlockIndex] = (told.inputs[value.contentBlockIndex] ?? "") + value.delta.toolUse.input;
    told.stop = value.stopReason ?? told.stop;
    told.usage = value.usage ?? told.usage;
  }
  return told;
}

console.log(JSON.stringify(await tell().catch((error) => (
  { error: error.name, message: error.message, status: error.$metadata?.httpStatusCode }))));
