// Calls made with an SDK, one after the other: calls(clientOf) reads same.json's cases from standard input, and prints what the
// provider has seen of each as one line of JSON.
import { readFileSync } from "node:fs";

function revive(name, value) {
  if (value?.$bytes !== undefined) return Buffer.from(value.$bytes, value.encoding);
  if (value?.$file !== undefined) return new File([value.$file], value.name, { type: value.type });
  return value;
}

async function drain(answer) {
  if (answer instanceof Response) return answer.arrayBuffer();
  for (const part of [answer, answer?.stream, answer?.body])
    if (part?.[Symbol.asyncIterator]) for await (const event of part) event;
}

export async function calls(clientOf) {
  const [base, key] = process.argv.slice(2);
  const seen = [];
  for (const { provider, call, args } of JSON.parse(readFileSync(0, "utf8"), revive)) {
    const names = call.split(".");
    const verb = names.pop();
    const owner = names.reduce((at, name) => at[name], clientOf(provider, base, key));
    await drain(await owner[verb](...args));
    seen.push((await (await fetch(`${base}/mock/stats`)).json()).last_request);
  }
  console.log(JSON.stringify(seen));
}
