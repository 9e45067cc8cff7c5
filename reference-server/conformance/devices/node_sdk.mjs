// Devices that are Microsoft's Node SDK, unmodified. Started with the path of a job (see
// conformance.mjs); prints one line of JSON for each case as it ends.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { setTimeout as sleep } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import tls from "node:tls";

const require = createRequire(import.meta.url);
const { ProvisioningDeviceClient } = require("azure-iot-provisioning-device");
const { X509Security } = require("azure-iot-security-x509");
const { SymmetricKeySecurityClient } = require("azure-iot-security-symmetric-key");
const { TpmSecurityClient, TpmAuthenticationProvider } = require("azure-iot-security-tpm");
const { Client, Message } = require("azure-iot-device");
const { Tpm } = require("tss.js");

const provisioningTransports = transports("azure-iot-provisioning-device");
const hubTransports = transports("azure-iot-device");

/// Longest that a step may take, milliseconds.
const STEP_LIMIT = 30_000;
/// What devices report.
const reported = { firmware: "4.2.0", valve: { open: false, place: "Zürich ✓" } };
/// Cases under way at once.
const AT_ONCE = 8;

const job = JSON.parse(readFileSync(process.argv[2], "utf8"));
const spoken = watchTlsVersions();
const waiting = [...job.cases];
await Promise.all(
  Array.from({ length: AT_ONCE }, async () => {
    for (let one = waiting.shift(); one; one = waiting.shift()) await report(one);
  }),
);
// The SDK leaves timers and sockets behind that would keep the process alive.
process.exit(0);

/// The transports of a package's family, by our names.
function transports(family) {
  const [mqtt, amqp] = [require(`${family}-mqtt`), require(`${family}-amqp`)];
  return {
    https: require(`${family}-http`).Http,
    mqtt: mqtt.Mqtt,
    "mqtt-ws": mqtt.MqttWs,
    amqp: amqp.Amqp,
    "amqp-ws": amqp.AmqpWs,
  };
}

async function report(one) {
  const done = [];
  const answer = { id: one.case };
  const step = async (name, doing) => {
    try {
      const result = await within(STEP_LIMIT, doing);
      done.push(name);
      return result;
    } catch (error) {
      throw new Error(`${name}: ${error?.name}: ${error?.message}`);
    }
  };
  try {
    await drive(one, step);
  } catch (error) {
    answer.problem = error.message;
  }
  console.log(JSON.stringify({ ...answer, done }));
}

async function drive(one, step) {
  const security = securityOf(one);
  if (one.error) return step("refused", () => refusal(one, security));
  const { assignedHub, deviceId, payload } = await step("register", () => register(one, security));
  if (one.assigned) expect("assigned hub", assignedHub, one.assigned);
  if (one.answered) expect("the webhook's payload", payload, one.answered);
  if (deviceId !== one.deviceId) throw new Error(`register: the device id is ${deviceId}, not ${one.deviceId}`);
  const client = hubClient(one, security, assignedHub, deviceId);
  await step("hub", () => client.open());
  const asker = askingFor(assignedHub, deviceId);
  if (asked("twin", one)) await useTwin(client, step, asker);
  if (asked("method", one)) await answerMethod(client, step, asker);
  if (asked("cloud to device", one)) await takeMessage(client, one, step, asker);
  if (asked("telemetry", one)) await sendTelemetry(client, one, step, asker);
  await step("close", () => client.close());
  // One attestation suffices: to the hub, all keys are alike.
  if (asked("token renewed", one) && one.attestation === "symmetric-key-individual") {
    await outliveToken(hubClient(one, security, assignedHub, deviceId), step);
  }
  if (asked("register again", one)) {
    const again = await step("register again", () => register(one, security, { reason: "Zürich ✓" }));
    if (again.assignedHub !== assignedHub) throw new Error(`register again: moved to ${again.assignedHub}`);
  }
  await step("TLS version", () => spoken.check());
}

/// Whether the job wants a step. Over HTTPS a hub has messages and nothing else.
function asked(name, one) {
  return (
    job.steps.includes(name) &&
    (one.hub !== "https" || ["telemetry", "cloud to device", "register again"].includes(name))
  );
}

/// Asks the back end to speak to this device (see service.mjs).
function askingFor(hub, deviceId) {
  return async (what, request) => {
    const body = JSON.stringify({ hub, deviceId, ...request });
    const answer = await fetch(`http://${job.service}/${what}`, { method: "POST", body });
    if (!answer.ok) throw new Error(`the service: ${await answer.text()}`);
    return answer.json();
  };
}

async function answerMethod(client, step, ask) {
  const heard = new Promise((resolve) => {
    client.onDeviceMethod("blink", (request, response) => {
      resolve(request.payload);
      response.send(207, { blinked: request.payload.times }, () => {});
    });
  });
  await step("method", async () => {
    const answer = await ask("method", { name: "blink", payload: { times: 3 } });
    expect("payload", await heard, { times: 3 });
    expect("answer", answer, { status: 207, payload: { blinked: 3 } });
  });
}

async function takeMessage(client, one, step, ask) {
  await step("cloud to device", async () => {
    // Over MQTT there is no giving back.
    let back = !one.hub.startsWith("mqtt");
    const heard = new Promise((resolve, reject) => {
      client.on("message", (message) => {
        if (back) client.abandon(message).catch(reject);
        else resolve(message);
        back = false;
      });
    });
    await ask("message", { body: "Zürich ✓" });
    const message = await heard;
    // Over HTTPS the SDK leaves a property's name as the header's.
    const property = one.hub === "https" ? "iothub-app-kind" : "kind";
    expect("body", message.getData().toString(), "Zürich ✓");
    expect("properties", message.properties.getValue(property), "a & b = c");
    await client.complete(message);
  });
}

async function useTwin(client, step, ask) {
  const twin = await step("twin", () => client.getTwin());
  expect("twin", plain(twin.properties.desired), job.desired);
  if (!job.steps.includes("reported")) return;
  await step("reported", () => promised((done) => twin.properties.reported.update(reported, done)));
  await step("twin again", () => twin.get());
  expect("twin again", plain(twin.properties.reported), reported);
  if (!job.steps.includes("desired")) return;
  const changed = new Promise((resolve) => {
    twin.on("properties.desired", (change) => {
      if (change.interval === 9) resolve(change);
    });
  });
  // The listener subscribes behind its back; what is asked next comes after.
  await step("twin again", () => twin.get());
  await step("desired", async () => {
    const { version } = await ask("twin", { desired: { interval: 9, valve: { open: null } } });
    const { $version, ...change } = await changed;
    expect("change", { version: $version, ...change }, { version, interval: 9, valve: { open: null } });
  });
}

function expect(step, found, wanted) {
  if (!isDeepStrictEqual(found, wanted)) throw new Error(`${step}: ${JSON.stringify(found)}`);
}

/// The end of something that is told by a call back.
function promised(doing) {
  return new Promise((resolve, reject) => doing((error, result) => (error ? reject(error) : resolve(result))));
}

/// A message with all that a message may carry; the hub must have heard all of it.
async function sendTelemetry(client, one, step, ask) {
  const body = JSON.stringify({ temperature: 21.5, place: "Zürich ✓" });
  const message = new Message(body);
  message.contentType = "application/json";
  message.contentEncoding = "utf-8";
  message.messageId = `message of ${one.id}`;
  message.properties.add("kind", "a & b = c");
  await step("telemetry", () => client.sendEvent(message));
  // A comparison has no back end.
  if (!job.service) return;
  const heard = await ask("received", {});
  const content = [message.contentType, message.contentEncoding];
  expect("telemetry", heard, { body, properties: { kind: "a & b = c" }, id: message.messageId, content });
  // Of a hub's transports the SDK batches over one.
  if (one.hub !== "https") return;
  const last = new Message("last");
  last.properties.add("kind", "batched");
  await step("batch", () => client.sendEventBatch([new Message("first"), last]));
  const { body: lastBody, properties } = await ask("received", {});
  expect("batch", { body: lastBody, properties }, { body: "last", properties: { kind: "batched" } });
}

/// Stays connected beyond its first token, with the SDK's renewal, and is still heard.
async function outliveToken(client, step) {
  const [life, margin] = [5, 3];
  client.setOptions({ tokenRenewal: { tokenValidTimeInSeconds: life, tokenRenewalMarginInSeconds: margin } });
  await step("hub again", () => client.open());
  await step("token renewed", async () => {
    await sleep((life + 1) * 1000);
    await client.sendEvent(new Message("still here"));
  });
  await step("close", () => client.close());
}

function securityOf(one) {
  // Of a TPM's registration id the SDK makes its own.
  if (one.tpmPort) return new TpmSecurityClient(undefined, new Tpm(true, "127.0.0.1", one.tpmPort));
  if (one.symmetricKey) return new SymmetricKeySecurityClient(one.id, one.symmetricKey);
  return new X509Security(one.id, certificateOf(one));
}

function certificateOf(one) {
  return { cert: readFileSync(one.certificates, "utf8"), key: readFileSync(one.key, "utf8") };
}

/// A fresh client each time, as a device that has started again.
async function register(one, security, payload) {
  const transport = new provisioningTransports[one.transport]();
  const client = ProvisioningDeviceClient.create(job.endpoint, job.idScope, transport, security);
  if (payload) client.setProvisioningPayload(payload);
  const result = await client.register();
  // The TPM's client hands over the whole answer, the others its registrationState.
  return result.registrationState ?? result;
}

/// Registers in vain; the error must be the one that the SDK has for it.
async function refusal(one, security) {
  const error = await register(one, security).then(
    () => undefined,
    (refused) => refused,
  );
  // Of AMQP's errors the SDK makes none of its own.
  expect("error", error?.name ?? error?.condition, one.error);
}

function hubClient(one, security, hub, deviceId) {
  const transport = hubTransports[one.hub];
  if (one.tpmPort) {
    return Client.fromAuthenticationProvider(
      TpmAuthenticationProvider.fromTpmSecurityClient(deviceId, hub, security),
      transport,
    );
  }
  const named = `HostName=${hub};DeviceId=${deviceId}`;
  if (one.symmetricKey) return Client.fromConnectionString(`${named};SharedAccessKey=${one.symmetricKey}`, transport);
  const client = Client.fromConnectionString(`${named};x509=true`, transport);
  client.setOptions(certificateOf(one));
  return client;
}

/// Properties without what the hub and the SDK add: members with a dollar, functions.
function plain(properties) {
  return JSON.parse(JSON.stringify(properties, (name, value) => (name.startsWith("$") ? undefined : value)));
}

async function within(limit, doing) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`nothing for ${limit / 1000} s`)), limit);
  });
  try {
    return await Promise.race([doing(), late]);
  } finally {
    clearTimeout(timer);
  }
}

/// Notes which TLS version every connection of this process really speaks.
function watchTlsVersions() {
  const versions = new Set();
  const connect = tls.connect;
  tls.connect = (...args) => {
    const socket = connect(...args);
    socket.once("secureConnect", () => versions.add(socket.getProtocol()));
    return socket;
  };
  return {
    check: async () => {
      const [only, ...others] = versions;
      if (only !== `TLSv${job.tls}` || others.length > 0) {
        throw new Error(`connections spoke ${[...versions].join(", ")}, not TLSv${job.tls}`);
      }
    },
  };
}
