// What a WebSocket connection carries: its upgrade request, and the bytes of its messages. Whether a
// close frame still comes is chance, and left out.

import { message, takeRequest } from "./http.mjs";

/// { request, kinds, payload }: the upgrade request, which kinds of message followed, and the bytes
/// of all data messages; undefined where it is no WebSocket.
export function unwrap(bytes) {
  const request = takeRequest(bytes);
  if (!request?.headers.some(([name, value]) => name === "upgrade" && /websocket/i.test(value))) return undefined;
  const payload = [];
  const kinds = new Set();
  for (let rest = request.rest; rest.length >= 2;) {
    const opcode = rest[0] & 0x0f;
    let [length, at] = [rest[1] & 0x7f, 2];
    if (length === 126) [length, at] = [rest.readUInt16BE(2), 4];
    else if (length === 127) [length, at] = [Number(rest.readBigUInt64BE(2)), 10];
    const key = rest.subarray(at, at + 4);
    const data = Buffer.from(rest.subarray(at + 4, at + 4 + length)).map((byte, index) => byte ^ key[index % 4]);
    if (opcode <= 2) payload.push(data);
    if (opcode === 1 || opcode === 2) kinds.add(opcode === 1 ? "text" : "binary");
    rest = rest.subarray(at + 4 + length);
  }
  return { request, kinds: [...kinds], payload: Buffer.concat(payload) };
}

/// The upgrade as a message to compare.
export function upgrade({ request, kinds }, known) {
  const { fields } = message(request, known);
  return { kind: "WebSocket upgrade", fields: { ...fields, messages: kinds.join(", ") } };
}
