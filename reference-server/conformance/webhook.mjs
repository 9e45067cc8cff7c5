// A custom allocation webhook, as an operator would write one.

import { createServer } from "node:http";

/// Starts one; `decide` makes the answer of a request's body: what is sent as JSON, or a number, which is
/// sent as the status. Returns { definition, stop }, the first for an enrollment.
export async function startWebhook(decide) {
  const server = createServer(async (request, response) => {
    let text = "";
    for await (const part of request) text += part;
    const answer = decide(JSON.parse(text));
    response.writeHead(typeof answer === "number" ? answer : 200, { "content-type": "application/json" });
    response.end(typeof answer === "number" ? "" : JSON.stringify(answer));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const webhookUrl = `http://127.0.0.1:${server.address().port}/api/allocate?code=secret`;
  const stop = () => {
    server.close();
    server.closeAllConnections();
  };
  return { definition: { webhookUrl, apiVersion: "2021-10-01" }, stop };
}
