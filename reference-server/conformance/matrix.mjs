// What is proven: a table of cells. One row of `rows` stands for every combination of what it
// lists; a cell that an SDK can't do is left out, never skipped.

const everyX509 = ["x509-individual", "x509-group", "x509-intermediates"];
const keys = ["symmetric-key-individual", "symmetric-key-group"];
const certificatesAndKeys = [...everyX509, ...keys];
const [overMqtt, overAmqp] = [
  ["mqtt", "mqtt-ws"],
  ["amqp", "amqp-ws"],
];
const httpAndMqtt = ["https", ...overMqtt];
const bothTls = ["1.2", "1.3"];

// `device`: whose code acts as the device. `hub`: what it speaks with its hub, left out where
// it speaks the same there as with DPS.
const rows = [
  { device: "node", attestations: certificatesAndKeys, transports: ["https"], hub: "mqtt", tls: bothTls },
  { device: "node", attestations: certificatesAndKeys, transports: ["https"], hub: "https", tls: bothTls },
  { device: "node", attestations: certificatesAndKeys, transports: [...overMqtt, ...overAmqp], tls: bothTls },
  { device: "node", attestations: ["tpm"], transports: ["https"], hub: "mqtt", tls: bothTls },
  { device: "node", attestations: ["tpm"], transports: ["https"], hub: "https", tls: bothTls },
  { device: "node", attestations: ["tpm"], transports: overAmqp, tls: bothTls },
  // The Python SDK pins TLS 1.2 by itself.
  { device: "python", attestations: certificatesAndKeys, transports: overMqtt, tls: ["1.2"] },
  // The hub's SDK is Python's.
  { device: "openssl", attestations: ["certificate-request"], transports: ["https"], hub: "mqtt", tls: bothTls },
  { device: "tpm2-tools", attestations: ["tpm"], transports: ["https"], hub: "mqtt", tls: bothTls },
];

// Clients that know MQTT or AMQP and nothing of DPS or hubs.
const anyClient = ["x509-group", "symmetric-key-group"];
rows.push(
  { device: "paho", attestations: anyClient, transports: ["mqtt"], tls: bothTls },
  { device: "aiomqtt", attestations: anyClient, transports: ["mqtt"], tls: bothTls },
  { device: "mosquitto", attestations: anyClient, transports: ["https"], hub: "mqtt", tls: bothTls },
  // It speaks the best version that both know.
  { device: "qpid-proton", attestations: anyClient, transports: ["amqp"], tls: ["1.3"] },
);

// What `openssl x509 -req` makes without extensions, and a chain that has its root second.
const odd = ["x509-version-1", "x509-disordered"];
rows.push(
  { device: "node", attestations: odd, transports: ["https"], hub: "mqtt", tls: ["1.3"] },
  { device: "node", attestations: odd, transports: [...overMqtt, ...overAmqp], tls: ["1.3"] },
  { device: "python", attestations: odd, transports: overMqtt, tls: ["1.2"] },
);

// Whose hub is chosen in each way.
const policies = ["hashed", "static", "geoLatency", "custom"];
rows.push(
  { device: "node", attestations: policies, transports: ["https"], hub: "mqtt", tls: ["1.3"] },
  { device: "node", attestations: policies, transports: [...overMqtt, ...overAmqp], tls: ["1.3"] },
  { device: "node", attestations: ["tpm-custom", "x509-custom"], transports: overAmqp, tls: ["1.3"] },
  { device: "python", attestations: policies, transports: overMqtt, tls: ["1.2"] },
);

// Whom DPS refuses, and what the SDK calls it: its error's name, the condition that it passes on
// from AMQP, or its words.
const strangers = ["wrong-key", "unknown-certificate", "broken-chain"];
const unauthorized = "register request returned a service error status code 401";
const disabled = "Query Status Operation encountered an invalid registration status disabled with a status code of 200";
const failed = "Query Status operation returned a failed registration status with a status code of 200";
const [onlyTls12, onlyTls13] = [["1.2"], ["1.3"]];
rows.push(
  { device: "node", attestations: strangers, transports: httpAndMqtt, tls: onlyTls13, error: "UnauthorizedError" },
  { device: "node", attestations: strangers, transports: overAmqp, tls: onlyTls13, error: "amqp:unauthorized-access" },
  { device: "python", attestations: strangers, transports: overMqtt, tls: onlyTls12, error: unauthorized },
  { device: "node", attestations: ["unknown-tpm"], transports: ["https"], tls: onlyTls13, error: "InvalidOperationError" },
  { device: "node", attestations: ["unknown-tpm"], transports: overAmqp, tls: onlyTls13, error: "amqp:not-found" },
  // Neither SDK knows the status.
  {
    device: "node",
    attestations: ["disabled"],
    transports: [...httpAndMqtt, ...overAmqp],
    tls: onlyTls13,
    error: "SyntaxError",
  },
  // Accepted, and then the webhook says no.
  {
    device: "node",
    attestations: ["custom-refused"],
    transports: [...httpAndMqtt, ...overAmqp],
    tls: onlyTls13,
    error: "ProvisioningRegistrationFailedError",
  },
  { device: "python", attestations: ["custom-refused"], transports: overMqtt, tls: onlyTls12, error: failed },
  { device: "python", attestations: ["disabled"], transports: overMqtt, tls: onlyTls12, error: disabled },
);

// Whose polls are refused for a while: they try again as they are told, but for the Node SDK's
// HTTPS, which gives up.
const throttledRows = [
  { device: "node", attestations: ["x509-group"], transports: ["https"], tls: onlyTls13, error: "ThrottlingError" },
  { device: "node", attestations: ["x509-group"], transports: [...overMqtt, ...overAmqp], tls: onlyTls13 },
  { device: "python", attestations: ["x509-group"], transports: overMqtt, tls: onlyTls12 },
];

// What `compare` compares: one attestation of each kind suffices, since what the enrollment says
// of it is the server's business.
const oneOfEach = ["x509-individual", "symmetric-key-individual"];
const comparedRows = [
  { device: "node", attestations: [...oneOfEach, "tpm"], transports: ["https"], hub: "mqtt", tls: ["1.3"] },
  { device: "node", attestations: oneOfEach, transports: overMqtt, tls: ["1.3"] },
  { device: "node", attestations: [...oneOfEach, "tpm"], transports: overAmqp, tls: ["1.3"] },
];

/// What every device does, after it has registered and come to its hub and as far as its SDK can.
export const steps = [
  "twin",
  "reported",
  "desired",
  "telemetry",
  "method",
  "cloud to device",
  "token renewed",
  "register again",
];

/// Every cell, in order: { device, attestation, transport, hub, tls, id }; `id` is its registration id.
export const cells = cellsOf(rows);
/// Those against a server that throttles.
export const throttled = cellsOf(throttledRows).map((cell) => ({
  ...cell,
  throttled: true,
  id: `${cell.id}-throttled`,
}));
/// Those of the comparison.
export const compared = cellsOf(comparedRows);

function cellsOf(rows) {
  return rows.flatMap(({ device, attestations, transports, hub, tls, error }) =>
    attestations.flatMap((attestation) =>
      transports.flatMap((transport) =>
        tls.map((version) => ({
          device,
          attestation,
          transport,
          hub: hub ?? transport,
          tls: version,
          error,
          id: [device, attestation, transport, ...(hub ? ["hub", hub] : []), "tls", version.replace(".", "")].join("-"),
        })),
      ),
    ),
  );
}
