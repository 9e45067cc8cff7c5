// Runs the matrix: identities, server, devices; one line a case, the count at the end.
// Started by `run`, inside namespaces where the standard ports are free and names resolve.

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { Identities, desired } from "./identities.mjs";
import { cells } from "./matrix.mjs";
import { endpoint, hubs, idScope, startServer } from "./server.mjs";

/// Longest that the cases of one device process may take together, milliseconds.
const LIMIT = 240_000;

const here = path.dirname(fileURLToPath(import.meta.url));
const python = (script) => [process.env.CONFORMANCE_PYTHON, path.join(here, "devices", script)];
const commands = {
  node: (tls) => [
    process.execPath,
    // In place of the default range, which spans both.
    tls === "1.3" ? "--tls-min-v1.3" : "--tls-max-v1.2",
    path.join(here, "devices/node_sdk.mjs"),
  ],
  python: () => python("python_sdk.py"),
  "tpm2-tools": () => python("tpm2_tools.py"),
};

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
  await Promise.all([...processes.values()].map(runDevices));
  if (!server.running()) {
    failed += 1;
    console.log("FAIL  the server has ended before the devices");
  }
} finally {
  server?.stop();
  identities.close();
  rmSync(folder, { recursive: true });
}
console.log(`${chosen.length - failed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;

/// Runs the cases of one kind of device and TLS version in one process; a case that it says
/// nothing of has failed.
async function runDevices(cases) {
  const [{ device, tls }] = cases;
  const job = path.join(folder, `${device}-${tls}.json`);
  const { caFile } = server;
  writeFileSync(job, JSON.stringify({ endpoint, hubs, idScope, tls, caFile, desired, cases }));
  const [command, ...args] = commands[device](tls);
  const child = spawn(command, [...args, job], {
    env: { ...process.env, NODE_EXTRA_CA_CERTS: caFile },
    stdio: ["ignore", "pipe", process.env.CONFORMANCE_VERBOSE ? "inherit" : "ignore"],
  });
  const timer = setTimeout(() => child.kill("SIGKILL"), LIMIT);
  const open = new Map(cases.map((one) => [one.case, one]));
  for await (const line of createInterface({ input: child.stdout })) {
    const { id, problem, done } = JSON.parse(line);
    tell(open.get(id), problem, done);
    open.delete(id);
  }
  clearTimeout(timer);
  for (const one of open.values()) tell(one, "its process ended without a word of it", []);
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
