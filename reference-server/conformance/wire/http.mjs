// HTTP/1.1 requests out of a connection's bytes.

import { mask, maskBody } from "./masks.mjs";

/// The first request in `bytes` and what follows it; undefined where it is not whole.
export function takeRequest(bytes) {
  const end = bytes.indexOf("\r\n\r\n");
  if (end < 0) return undefined;
  const [line, ...fields] = bytes.toString("latin1", 0, end).split("\r\n");
  const headers = fields.map((field) => {
    const colon = field.indexOf(":");
    return [field.slice(0, colon).trim().toLowerCase(), field.slice(colon + 1).trim()];
  });
  let rest = bytes.subarray(end + 4);
  const header = (name) => headers.find(([known]) => known === name)?.[1];
  let body = Buffer.alloc(0);
  if (header("transfer-encoding") === "chunked") {
    const chunks = [];
    for (;;) {
      const size = parseInt(rest.toString("latin1", 0, rest.indexOf("\r\n")), 16);
      const start = rest.indexOf("\r\n") + 2;
      chunks.push(rest.subarray(start, start + size));
      rest = rest.subarray(start + size + 2);
      if (size === 0) break;
    }
    body = Buffer.concat(chunks);
  } else if (header("content-length")) {
    const length = Number(header("content-length"));
    body = rest.subarray(0, length);
    rest = rest.subarray(length);
  }
  return { line, headers, body, rest };
}

/// A device's requests as messages to compare: { kind, fields }. Devices of one process may share
/// a connection; a request is a device's when its path names it.
export function messages(bytes, known) {
  const found = [];
  for (let request = takeRequest(bytes); request; request = takeRequest(request.rest)) {
    if (request.line.includes(known.id) || request.line.includes(known.deviceId)) found.push(message(request, known));
  }
  return found;
}

/// One request as a message to compare.
export function message({ line, headers, body }, known) {
  const [method, target, version] = line.split(" ");
  const masked = mask(target, known);
  const fields = { target: masked, version, body: maskBody(body, known) };
  for (const [name, value] of headers) {
    // What a body's length is depends on the names in it.
    fields[`header ${name}`] = name === "content-length" && body.length > 0 ? "{length}" : mask(value, known);
  }
  fields["header sec-websocket-key"] &&= "{key}";
  const signed = headers.some(([name]) => name === "authorization");
  const path = masked.split("?")[0];
  return { kind: `${method} ${path}${signed ? " with token" : ""}`, fields };
}
