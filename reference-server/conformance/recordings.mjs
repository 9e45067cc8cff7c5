// What the server recorded (its `--record` folder), as conversations to compare: per device and
// per side that it spoke to, its messages in order.

import { readFileSync, readdirSync } from "node:fs";
import path from "node:path";
import * as amqp from "./wire/amqp.mjs";
import * as http from "./wire/http.mjs";
import * as mqtt from "./wire/mqtt.mjs";
import * as websocket from "./wire/websocket.mjs";

/// Reads a folder's connections: { port, serverName, at, bytes } of the device's side, by time.
function connections(folder) {
  return readdirSync(folder)
    .sort()
    .map((name) => {
      const lines = readFileSync(path.join(folder, name), "utf8").trimEnd().split("\n");
      const [head, ...events] = lines.map((line) => JSON.parse(line));
      const bytes = Buffer.concat(
        events.filter(({ device }) => device).map(({ device }) => Buffer.from(device, "base64")),
      );
      return { port: head.port, serverName: head.server_name, at: Date.parse(head.at) / 1000, bytes };
    })
    .filter(({ bytes }) => bytes.length > 0);
}

/// The messages that `device` ({ id, deviceId }) sent, by side: { dps: [{ kind, fields }], hub }.
/// `where` names the server: { endpoint, hubs, idScope }. A connection is a device's when its bytes
/// have the device's name in them.
export function conversations(folder, device, where) {
  const sides = { dps: [], hub: [] };
  for (const { serverName, at, bytes } of connections(folder)) {
    const unwrapped = websocket.unwrap(bytes);
    const payload = unwrapped?.payload ?? bytes;
    if (!payload.includes(device.id) && !payload.includes(device.deviceId)) continue;
    const side = serverName === where.endpoint ? "dps" : "hub";
    const known = { ...where, ...device, side, at };
    if (unwrapped) sides[side].push(websocket.upgrade(unwrapped, known));
    sides[side].push(...messages(payload, known));
  }
  return sides;
}

function messages(bytes, known) {
  if (bytes.toString("latin1", 0, 4) === "AMQP") return amqp.messages(bytes, known);
  // An MQTT conversation begins with CONNECT; a request of HTTP with a method's letter.
  return bytes[0] === 0x10 ? mqtt.messages(bytes, known) : http.messages(bytes, known);
}
