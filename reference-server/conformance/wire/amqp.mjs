// AMQP 1.0 frames out of a device's bytes. The decoding of frames and values is rhea's.

import { createRequire } from "node:module";
import { mask, maskBody } from "./masks.mjs";

const require = createRequire(import.meta.url);
const rheaMessage = require("rhea/lib/message.js");
const types = require("rhea/lib/types.js");

/// What is compared of each performative, by its code: its name and its fields in order (AMQP 1.0,
/// part 2.7 and 5.3.3). Flow and disposition come when they come; handles and the numbers of
/// deliveries are each side's own.
const performatives = {
  0x10: ["open", "container id, hostname, max frame size, channel max, idle time out, , , , , properties"],
  0x11: ["begin", ", next outgoing id, incoming window, outgoing window, handle max, , , properties"],
  0x12: [
    "attach",
    "name, , role, snd settle mode, rcv settle mode, source, target, , , initial delivery count, " +
      "max message size, , , properties",
  ],
  0x14: ["transfer", ", , , message format, settled"],
  0x16: ["detach", ", closed, error"],
  0x17: ["end", "error"],
  0x18: ["close", "error"],
  0x41: ["SASL init", "mechanism, initial response, hostname"],
  0x43: ["SASL response", "response"],
};
const [SOURCE, TARGET] = [0x28, 0x29];
const terminus = ["address", "durable", "expiry policy", "timeout", "dynamic", "", "distribution mode", "filter"];

/// Frames as messages to compare: { kind, fields }.
export function messages(bytes, known) {
  const found = [];
  /// Addresses of links, by their handles.
  const links = new Map();
  for (let rest = bytes; rest.length >= 8;) {
    if (rest.toString("latin1", 0, 4) === "AMQP") {
      found.push({ kind: `protocol header ${[...rest.subarray(4, 8)].join(".")}`, fields: {} });
      rest = rest.subarray(8);
      continue;
    }
    const size = rest.readUInt32BE();
    if (size < 8 || size > rest.length) break;
    const { performative, payload } = read(rest.subarray(0, size));
    rest = rest.subarray(size);
    if (performative) found.push(message(performative, payload, links, known));
  }
  return found;
}

/// A frame as { performative: { name, fields, values }, payload }; nothing of one that is not compared.
function read(bytes) {
  // The body begins where the fifth byte says, in words of four bytes.
  const reader = new types.Reader(bytes.subarray(4 * bytes[4]));
  if (!reader.remaining()) return {};
  const described = reader.read();
  const known = performatives[Number(described.descriptor.value)];
  if (!known) return {};
  const [name, fields] = known;
  const payload = reader.remaining() ? reader.read_bytes(reader.remaining()) : undefined;
  return { performative: { name, fields: fields.split(", "), values: described.value }, payload };
}

function message({ name, fields, values }, payload, links, known) {
  const told = {};
  const note = (field, value) => {
    const text = plain(value, known);
    if (field.trim() !== "" && text !== undefined) told[field.trim()] = text;
  };
  fields.forEach((field, index) => note(field, values[index]));
  const handle = types.unwrap(values[name === "attach" ? 1 : 0]);
  switch (name) {
    case "attach": {
      const [role, end] = types.unwrap(values[2]) ? ["receiver", values[5]] : ["sender", values[6]];
      const address = `${role} ${mask(String(end.value?.[0]?.value), known)}`;
      links.set(handle, address);
      return { kind: `attach ${address}`, fields: told };
    }
    case "detach":
      return { kind: `detach ${links.get(handle)}`, fields: told };
    case "transfer":
      return transfer(told, payload, links.get(handle), known);
    case "SASL response":
      return { kind: `SASL response ${told.response}`, fields: told };
    default:
      return { kind: name, fields: told };
  }
}

function transfer(told, payload, link, known) {
  const decoded = rheaMessage.decode(payload);
  const { body } = decoded;
  const annotations = decoded.message_annotations ?? {};
  const application = decoded.application_properties ?? {};
  const parts = { "message annotations": annotations, "application properties": application };
  const properties = ["message_id", "user_id", "to", "reply_to", "correlation_id", "content_type", "content_encoding"];
  for (const name of ["durable", ...properties]) parts[name.replaceAll("_", " ")] = decoded[name];
  const fields = { ...told };
  for (const [name, value] of Object.entries(parts)) {
    const text = plain(value, known);
    if (text !== undefined && text !== "{}") fields[name] = text;
  }
  const isData = body?.typecode === 0x75;
  fields.body = isData
    ? `data ${maskBody(Buffer.concat([body.content].flat()), known)}`
    : `value ${plain(body, known)}`;
  const operation = application["iotdps-operation-type"] ?? application.operation ?? annotations.operation;
  return { kind: `transfer ${operation ?? "message"} to ${link}`, fields };
}

/// A value as text; undefined for null.
function plain(value, known) {
  const simple = simplify(value);
  return simple === undefined ? undefined : mask(JSON.stringify(simple), known);
}

/// Whether rhea keeps the type beside the value.
function isTyped(value) {
  return value?.type !== undefined && "value" in value;
}

function simplify(value) {
  if (isTyped(value)) {
    const code = Number(value.descriptor?.value);
    if (code !== SOURCE && code !== TARGET) return simplify(types.unwrap(value));
    // Of a terminus's outcomes and capabilities nobody asks.
    const members = terminus.map((name, index) => [name, simplify(value.value[index])]);
    return Object.fromEntries(members.filter(([name, member]) => name && member !== undefined));
  }
  if (value === undefined || value === null || typeof value === "function") return undefined;
  if (Buffer.isBuffer(value)) {
    // Names and tokens are text with NULs between; keys are not.
    const text = value.toString("latin1");
    return /^[\x00\x20-\x7e]*$/.test(text) ? text.replaceAll("\0", "␀") : `{${value.length} bytes}`;
  }
  if (Array.isArray(value)) return value.map(simplify);
  if (typeof value !== "object") return value;
  const members = Object.entries(value).map(([name, member]) => [name, simplify(member)]);
  return Object.fromEntries(members.filter(([, member]) => member !== undefined).sort(([a], [b]) => (a < b ? -1 : 1)));
}
