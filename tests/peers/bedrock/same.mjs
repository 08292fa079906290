// The calls of same.json with AWS's official SDK: same.mjs BASE_URL ID:SECRET:TOKEN. A call is the name of an operation.
import * as control from "@aws-sdk/client-bedrock";
import * as runtime from "@aws-sdk/client-bedrock-runtime";
import { NodeHttpHandler } from "@smithy/node-http-handler";
import { calls } from "./calls.mjs";

await calls((provider, endpoint, key) => {
  const [accessKeyId, secretAccessKey, sessionToken] = key.split(":");
  const settings = {
    region: "eu-central-1", endpoint, maxAttempts: 1, credentials: { accessKeyId, secretAccessKey, sessionToken },
    requestHandler: new NodeHttpHandler(), // its own choice is HTTP/2, which the mock does not speak
  };
  const clients = [[runtime, new runtime.BedrockRuntimeClient(settings)], [control, new control.BedrockClient(settings)]];
  return new Proxy({}, {
    get: (target, operation) => (input) => {
      const [sdk, client] = clients.find(([one]) => one[`${operation}Command`]);
      return client.send(new sdk[`${operation}Command`](input));
    },
  });
});
