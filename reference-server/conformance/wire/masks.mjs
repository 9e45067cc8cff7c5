// Puts placeholders where two devices must differ: names, tokens, times, random ids.

/// What is known of a device and its connection: { id, deviceId, side, endpoint, hubs, idScope, at }.
/// `side` is whom it speaks to (dps, hub): where both of its names are the same, it says which is
/// meant. `at` is the second at which the connection began.
export function mask(text, known) {
  const same = known.side === "dps" ? "{registration}" : "{device}";
  const names = [
    [known.deviceId, known.deviceId === known.id ? same : "{device}"],
    [known.id, known.deviceId === known.id ? same : "{registration}"],
    [known.idScope, "{scope}"],
    [known.endpoint, "{endpoint}"],
    ...known.hubs.map((hub) => [hub, "{hub}"]),
  ].sort(([a], [b]) => b.length - a.length);
  let masked = text.replace(/\bsig=[^&]+/g, "sig={signature}");
  masked = masked.replace(/\bse=(\d+)/g, (_, expiry) => `se={in ${Math.round((expiry - known.at) / 60)} min}`);
  for (const [name, placeholder] of names) {
    masked = masked.replaceAll(name, placeholder).replaceAll(encodeURIComponent(name), placeholder);
  }
  return masked
    .replace(/\b\d\.[0-9a-f]{16}\.[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b/g, "{operation}")
    .replace(/(?<![0-9a-f-])[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(?![0-9a-f-])/gi, "{uuid}")
    .replace(/\$rid=\d+/g, "$rid={number}")
    .replace(/\bfleetstorm\/[\d.]+/g, "fleetstorm/{version}");
}

/// A body as text that two devices can share: JSON with its members in order, else what it holds.
export function maskBody(bytes, known) {
  if (bytes.length === 0) return "empty";
  let value;
  try {
    value = JSON.parse(bytes);
  } catch {
    return mask(JSON.stringify(bytes.toString()), known);
  }
  return JSON.stringify(maskJson(value, known));
}

function maskJson(value, known) {
  if (typeof value === "string") {
    // Keys: long, and base64.
    if (/^[A-Za-z0-9+/]{100,}=*$/.test(value)) return `{${Buffer.from(value, "base64").length} bytes}`;
    return mask(value, known);
  }
  if (Array.isArray(value)) return value.map((item) => maskJson(item, known));
  if (value === null || typeof value !== "object") return value;
  const members = Object.keys(value).sort();
  return Object.fromEntries(members.map((name) => [name, maskJson(value[name], known)]));
}
