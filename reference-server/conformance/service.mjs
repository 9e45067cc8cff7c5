// The solution's back end, by Microsoft's Node service SDK, for devices that want to be spoken to:
// a little HTTP server on loopback, so that devices in any language can ask it. Started with the
// path of { hubs, key, control }; prints its address.
//
//     POST /twin     { hub, deviceId, desired }        desired properties are patched
//     POST /method   { hub, deviceId, name, payload }  the device's answer: { status, payload }
//     POST /message  { hub, deviceId, body }           a message to the device
//     POST /received { hub, deviceId }                 its last message: { body, properties, id, content }
//
// That SDK sends messages over AMQP (hub_service.mjs does), and Event Hubs' reads them (hub_service.py does);
// here both go by the server's control endpoint.

import { readFileSync } from "node:fs";
import http from "node:http";
import { createRequire } from "node:module";
import { text } from "node:stream/consumers";

const require = createRequire(import.meta.url);
const { Client, Registry } = require("azure-iothub");

/// How long a device may take to subscribe and to answer, seconds.
const PATIENCE = 15;

const { hubs, key, control } = JSON.parse(readFileSync(process.argv[2], "utf8"));
const named = (hub) => `HostName=${hub};SharedAccessKeyName=iothubowner;SharedAccessKey=${key}`;
const registries = new Map(hubs.map((hub) => [hub, Registry.fromConnectionString(named(hub))]));
const clients = new Map(hubs.map((hub) => [hub, Client.fromConnectionString(named(hub))]));

const operations = {
  async "/twin"({ hub, deviceId, desired }) {
    const { responseBody } = await registries.get(hub).updateTwin(deviceId, { properties: { desired } }, "*");
    return { version: responseBody.properties.desired.$version };
  },
  async "/method"({ hub, deviceId, name, payload }) {
    const { result } = await clients.get(hub).invokeDeviceMethod(deviceId, {
      methodName: name,
      payload,
      connectTimeoutInSeconds: PATIENCE,
      responseTimeoutInSeconds: PATIENCE,
    });
    return result;
  },
  async "/message"({ hub, deviceId, body }) {
    const place = `http://${control}/hubs/${hub}/devices/${deviceId}/messages/devicebound`;
    const headers = { "iothub-messageid": "from-the-service", "iothub-app-kind": "a & b = c" };
    const sent = await fetch(place, { method: "POST", headers, body });
    if (!sent.ok) throw new Error(`${sent.status} ${await sent.text()}`);
    return sent.json();
  },
  async "/received"({ hub, deviceId }) {
    const received = await (await fetch(`http://${control}/hubs/${hub}/messages/events`)).json();
    const message = received.findLast((one) => one.deviceId === deviceId);
    if (!message) throw new Error("nothing received");
    const { body, properties, systemProperties: system } = message;
    const content = [system["iothub-contenttype"], system["iothub-contentencoding"]];
    return { body, properties, id: system["iothub-messageid"], content };
  },
};

const server = http.createServer(async (request, response) => {
  try {
    const answer = await operations[request.url](JSON.parse(await text(request)));
    response.end(JSON.stringify(answer));
  } catch (error) {
    response.writeHead(500).end(`${error.name}: ${error.message}`);
  }
});
server.listen(0, "127.0.0.1", () => console.log(`127.0.0.1:${server.address().port}`));
