// AMQP 1.0 frames out of a device's bytes. The decoding is rhea's.

import { createRequire } from "node:module";
import { mask, maskBody } from "./masks.mjs";

const require = createRequire(import.meta.url);
const frames = require("rhea/lib/frames.js");
const rheaMessage = require("rhea/lib/message.js");

/// Names of the performatives that are compared. Flow and disposition come when they come.
const compared = new Set([
  "open",
  "begin",
  "attach",
  "transfer",
  "detach",
  "end",
  "close",
  "sasl_init",
  "sasl_response",
]);

/// Frames as messages to compare: { kind, fields }.
export function messages(bytes, known) {
  const found = [];
  /// What a link is for, by its handle.
  const links = new Map();
  for (let rest = bytes; rest.length >= 8;) {
    if (rest.toString("latin1", 0, 4) === "AMQP") {
      found.push({ kind: `protocol header ${[...rest.subarray(4, 8)].join(".")}`, fields: {} });
      rest = rest.subarray(8);
      continue;
    }
    const size = rest.readUInt32BE();
    if (size < 8 || size > rest.length) break;
    const frame = frames.read_frame(rest.subarray(0, size));
    rest = rest.subarray(size);
    const name = nameOf(frame);
    if (compared.has(name)) found.push(message(name, frame, links, known));
  }
  return found;
}

function nameOf({ performative }) {
  const code = Number(performative?.constructor?.descriptor?.numeric ?? performative?.descriptor?.value ?? -1);
  const names = { 16: "open", 17: "begin", 18: "attach", 19: "flow", 20: "transfer", 21: "disposition", 22: "detach" };
  const more = { 23: "end", 24: "close", 65: "sasl_init", 67: "sasl_response" };
  return names[code] ?? more[code];
}

function message(name, { performative, payload }, links, known) {
  const fields = {};
  const note = (key, value) => {
    const told = plain(value, known);
    if (told !== undefined && told !== "null" && told !== "{}") fields[key] = told;
  };
  if (name === "transfer") return transfer(performative, payload, links, known);
  for (const { name: key } of performative.constructor.fields ?? definitions[name]) {
    if (key !== "handle") note(key.replaceAll("_", " "), performative[key]);
  }
  if (name === "attach") {
    const [role, end] = performative.role ? ["receiver", performative.source] : ["sender", performative.target];
    const address = mask(String(addressOf(end)), known);
    links.set(performative.handle, address);
    return { kind: `attach ${role} ${address}`, fields };
  }
  if (name === "detach") return { kind: `detach ${links.get(performative.handle)}`, fields };
  if (name === "sasl_init") return { kind: "SASL init", fields };
  if (name === "sasl_response") return { kind: "SASL response", fields };
  return { kind: name, fields };
}

function transfer(performative, payload, links, known) {
  const fields = { settled: Boolean(performative.settled), format: performative.message_format ?? "absent" };
  const decoded = rheaMessage.decode(payload);
  for (const part of [
    "header",
    "properties",
    "application_properties",
    "message_annotations",
    "delivery_annotations",
  ]) {
    const told = plain(decoded[part], known);
    if (told && told !== "{}") fields[part.replaceAll("_", " ")] = told;
  }
  for (const key of ["message_id", "correlation_id", "to", "reply_to", "content_type", "content_encoding", "durable"]) {
    const told = plain(decoded[key], known);
    if (told !== undefined && told !== "null") fields[key.replaceAll("_", " ")] = told;
  }
  const { body } = decoded;
  const data = body?.typecode === 0x75;
  const content = data ? Buffer.concat([body.content].flat()) : body;
  fields.body = data ? `data ${maskBody(content, known)}` : `value ${plain(content, known)}`;
  const operation =
    decoded.application_properties?.["iotdps-operation-type"] ?? decoded.application_properties?.operation;
  const asked = operation ?? decoded.message_annotations?.operation ?? "message";
  return { kind: `transfer ${asked} to ${links.get(performative.handle)}`, fields };
}

function addressOf(terminus) {
  const value = terminus?.value ?? terminus;
  return value?.address ?? value?.[0]?.value ?? value?.[0];
}

/// A decoded value as text; bytes by what they say, or by their number.
function plain(value, known) {
  const simple = simplify(value);
  return simple === undefined ? undefined : mask(JSON.stringify(simple), known);
}

function simplify(value) {
  if (value === undefined || value === null || typeof value === "function") return undefined;
  if (Buffer.isBuffer(value)) {
    // Names and tokens are text with NULs between; keys are not.
    const text = value.toString("latin1");
    return /^[\x00\x20-\x7e]*$/.test(text) ? text.replaceAll("\0", "␀") : `{${value.length} bytes}`;
  }
  if (Array.isArray(value)) return value.map(simplify);
  if (typeof value !== "object") return value;
  if (value.typecode !== undefined || (value.value !== undefined && value.type !== undefined))
    return simplify(value.value);
  if (value.descriptor !== undefined && value.value !== undefined) return simplify(value.value);
  const members = Object.entries(value).map(([name, member]) => [name, simplify(member)]);
  const known = members.filter(([name, member]) => member !== undefined && !name.startsWith("_"));
  return Object.fromEntries(known.sort(([a], [b]) => (a < b ? -1 : 1)));
}
