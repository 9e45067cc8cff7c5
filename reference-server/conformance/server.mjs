// The server under test, as a process of its own on the standard ports.

import { randomBytes } from "node:crypto";
import { createInterface } from "node:readline";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { start } from "./child.mjs";

/// Names that the private hosts file lets resolve.
export const endpoint = "global.conformance.test";
export const hubs = ["hub-1.conformance.test", "hub-2.conformance.test", "hub-3.conformance.test"];
export const serviceEndpoint = "dps.conformance.test";
export const idScope = "0ne00C0FFEE";

/// Who signs certificates for devices that ask.
export const credentialPolicy = "conformance-factory";

/// Where in the world the hubs are, each in the region of its place, by source addresses. Devices are
/// mostly in the second, at 127.0.0.1.
const regions = [
  { name: "north", prefix: "127.1.0.0/16", latency: { home: "30ms", south: "90ms" } },
  { name: "home", prefix: "127.0.0.0/8", latency: { north: "30ms", south: "60ms" } },
  { name: "south", prefix: "127.2.0.0/16", latency: { home: "60ms", north: "90ms" } },
];

/// Key of the hubs' service API.
export const serviceKey = randomBytes(32).toString("base64");

/// Work of a server at ease.
const processing = ["processing-p50-us = 300_000", "processing-p99-us = 1_500_000"];
/// Work of one that takes so long that every SDK polls more often than it may.
const slow = ["processing-p50-us = 5_000_000", "processing-p99-us = 5_000_000"];
const throttle = ["throttle = { polls-per-ten-seconds = 1 }"];

/// Starts `binary` with an enrollment list; returns once it listens. `record` is a folder for what
/// devices say, if that is asked for; `throttles` makes it refuse polls.
export async function startServer(binary, folder, enrollments, { record, throttles } = {}) {
  const file = (name, text) => {
    const at = path.join(folder, name);
    if (text !== undefined) writeFileSync(at, text);
    return at;
  };
  const config = file(
    "server.toml",
    [
      `global-endpoint = ${JSON.stringify(endpoint)}`,
      "kept-messages = 1000",
      // SDKs hard-code these.
      "https-port = 443",
      "mqtt-port = 8883",
      "amqp-port = 5671",
      ...regions.flatMap(({ name, prefix, latency }) => [
        "[[region]]",
        `name = ${JSON.stringify(name)}`,
        `prefixes = [${JSON.stringify(prefix)}]`,
        ...Object.entries(latency).map(([far, time]) => `latency.${far} = ${JSON.stringify(time)}`),
      ]),
      ...hubs.flatMap((hub, place) => [
        "[[hub]]",
        `host-name = ${JSON.stringify(hub)}`,
        `region = ${JSON.stringify(regions[place].name)}`,
        `service-key = ${JSON.stringify(serviceKey)}`,
      ]),
      "[[instance]]",
      `name = ${JSON.stringify(serviceEndpoint)}`,
      `id-scope = ${JSON.stringify(idScope)}`,
      // SDKs poll at this pace; the first poll of some comes too soon, as it should now and then.
      "retry-after-seconds = 1",
      ...(throttles ? [...slow, ...throttle] : processing),
      "[[instance.credential-policy]]",
      `name = ${JSON.stringify(credentialPolicy)}`,
    ].join("\n"),
  );
  const caFile = file("ca.pem");
  const list = file("enrollments.jsonl", enrollments);
  const child = start(
    binary,
    ["serve", "--config", config, "--enrollments", list, "--ca-out", caFile, "--announce", "json"].concat(
      record ? ["--record", record] : [],
    ),
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  const lines = createInterface({ input: child.stdout });
  const announced = await Promise.race([
    new Promise((resolve) => lines.once("line", resolve)),
    new Promise((_, reject) => {
      child.once("error", reject);
      child.once("exit", (code) => reject(new Error(`${binary} ended with ${code}`)));
    }),
  ]);
  const { control, instances } = JSON.parse(announced);
  const connectionString = instances[0].connection_string;
  const ended = new Promise((resolve) => child.once("exit", resolve));
  const stop = () => {
    child.kill();
    return ended;
  };
  return { caFile, control, connectionString, stop, running: () => child.exitCode === null };
}
