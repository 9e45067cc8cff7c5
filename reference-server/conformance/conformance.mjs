// Runs the matrix: identities, server, devices; one line a case, the count at the end.
// Started by `run`, inside namespaces where the standard ports are free and names resolve.

import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { runDevices } from "./devices.mjs";
import { Identities, desired } from "./identities.mjs";
import { cells, steps } from "./matrix.mjs";
import { endpoint, hubs, idScope, startServer } from "./server.mjs";

const only = process.argv[2] ?? "";
const chosen = cells.filter((cell) => cell.id.includes(only));
const folder = mkdtempSync(path.join(os.tmpdir(), "conformance-"));
const identities = new Identities(path.join(folder, "identities"));
let server;
let failed = 0;
try {
  const cases = [];
  for (const cell of chosen) {
    cases.push({ ...cell, case: cell.id, ...(await identities.of(cell)) });
  }
  server = await startServer(process.env.FLEETSTORM, folder, identities.list());
  const processes = new Map();
  for (const one of cases) {
    const kind = `${one.device}-${one.tls}`;
    processes.set(kind, [...(processes.get(kind) ?? []), one]);
  }
  await Promise.all([...processes.values()].map(run));
  if (!server.running()) {
    failed += 1;
    console.log("FAIL  the server has ended before the devices");
  }
} finally {
  await server?.stop();
  identities.close();
  rmSync(folder, { recursive: true });
}
console.log(`${chosen.length - failed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;

/// Runs the cases of one kind of device and TLS version in one process, and tells how they went.
async function run(cases) {
  const [{ device, tls }] = cases;
  const job = { endpoint, hubs, idScope, tls, caFile: server.caFile, desired, steps, cases };
  for await (const { id, problem, done } of runDevices(device, job, folder)) {
    tell(
      cases.find((one) => one.case === id),
      problem,
      done,
    );
  }
}

function tell({ device, tls, attestation, transport, hub }, problem, done) {
  const what = `${device.padEnd(10)}  TLS ${tls}  ${attestation.padEnd(18)}  ${transport.padEnd(7)}  hub ${hub.padEnd(7)}`;
  if (problem) {
    failed += 1;
    console.log(`FAIL  ${what}  ${problem}`);
  } else {
    console.log(`ok    ${what}  ${done.join(", ")}`);
  }
}
