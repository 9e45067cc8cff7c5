// MQTT 3.1.1 packets out of a device's bytes.

import { mask, maskBody } from "./masks.mjs";

/// Packets as messages to compare: { kind, fields }. Acknowledgements and pings come when they
/// come, and are left out.
export function messages(bytes, known) {
  const found = [];
  for (let rest = bytes; rest.length >= 2;) {
    let [length, at, shift] = [0, 1, 0];
    do {
      length |= (rest[at] & 0x7f) << shift;
      shift += 7;
      at += 1;
    } while (rest[at - 1] & 0x80);
    const packet = new Fields(rest.subarray(at, at + length));
    const [type, flags] = [rest[0] >> 4, rest[0] & 0x0f];
    const read = readers[type];
    if (read) found.push(read(packet, flags, known));
    rest = rest.subarray(at + length);
  }
  return found;
}

const readers = {
  1: connect,
  3: publish,
  8: subscribe,
  10: unsubscribe,
  14: () => ({ kind: "DISCONNECT", fields: {} }),
};

function connect(packet, _flags, known) {
  const fields = { protocol: packet.text(), level: packet.byte() };
  const flags = packet.byte();
  fields["clean session"] = (flags & 2) !== 0;
  fields["keep alive"] = packet.word();
  fields["client id"] = mask(packet.text(), known);
  fields.will = flags & 4 ? mask(`${packet.text()}: ${packet.text()}`, known) : "none";
  if (flags & 0x80) {
    // DPS takes its query without a question mark.
    const [name, ...query] = packet.text().split(/(?=\bapi-version=)|[?&]/);
    fields["user name"] = mask(name, known);
    for (const pair of query.filter(Boolean)) {
      const [key, value] = pair.split("=");
      fields[`user name ${key}`] = mask(decodeURIComponent(value), known);
    }
  }
  fields.password = flags & 0x40 ? mask(packet.text(), known) : "none";
  return { kind: "CONNECT", fields };
}

function publish(packet, flags, known) {
  const topic = mask(packet.text(), known);
  const qos = (flags >> 1) & 3;
  if (qos > 0) packet.word();
  const fields = { topic, qos, retain: flags & 1, duplicate: flags >> 3, body: maskBody(packet.rest(), known) };
  // Of a bag of properties the kind is not a part.
  const kind = topic.split("?")[0].replace(/(messages\/events\/).*/, "$1");
  return { kind: `PUBLISH ${kind}`, fields };
}

function subscribe(packet, _flags, known) {
  packet.word();
  const filters = [];
  while (packet.more()) filters.push(`${mask(packet.text(), known)} at ${packet.byte()}`);
  return { kind: `SUBSCRIBE ${filters.join(", ").replace(/ at \d/g, "")}`, fields: { filters: filters.join(", ") } };
}

function unsubscribe(packet, _flags, known) {
  packet.word();
  const filters = [];
  while (packet.more()) filters.push(mask(packet.text(), known));
  return { kind: `UNSUBSCRIBE ${filters.join(", ")}`, fields: {} };
}

/// The fields of a packet, from front to back.
class Fields {
  constructor(bytes) {
    this.bytes = bytes;
  }

  take(count) {
    const taken = this.bytes.subarray(0, count);
    this.bytes = this.bytes.subarray(count);
    return taken;
  }

  byte() {
    return this.take(1)[0];
  }

  word() {
    return this.take(2).readUInt16BE();
  }

  text() {
    return this.take(this.word()).toString();
  }

  rest() {
    return this.take(this.bytes.length);
  }

  more() {
    return this.bytes.length > 0;
  }
}
