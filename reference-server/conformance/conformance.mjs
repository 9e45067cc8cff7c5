// Runs the matrix: identities, server, devices; one line a case, the count at the end.
// Started by `run`, inside namespaces where the standard ports are free and names resolve.

import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { operators, runDevices, runOperator, startService } from "./devices.mjs";
import { Identities, decide, desired } from "./identities.mjs";
import { cells, steps, throttled } from "./matrix.mjs";
import { endpoint, hubs, idScope, serviceKey, startServer } from "./server.mjs";
import { startWebhook } from "./webhook.mjs";

const folder = mkdtempSync(path.join(os.tmpdir(), "conformance-"));
let [passed, failed] = [0, 0];
try {
  await act("at-ease", cells, steps, { throttles: false });
  await act("throttled", throttled, [], { throttles: true });
  await operate();
} finally {
  rmSync(folder, { recursive: true });
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;

/// Runs those of the cells that were chosen, with steps to do, against one server.
async function act(name, cells, steps, manner) {
  const chosen = cells.filter((cell) => cell.id.includes(process.argv[2] ?? ""));
  if (chosen.length === 0) return;
  const webhook = await startWebhook(decide);
  const identities = new Identities(path.join(folder, name), webhook.definition);
  let server, service;
  try {
    const cases = [];
    for (const cell of chosen) cases.push({ ...cell, case: cell.id, ...(await identities.of(cell)) });
    server = await startServer(process.env.FLEETSTORM, folder, identities.list(), manner);
    const { caFile, control } = server;
    service = await startService({ hubs, key: serviceKey, control, caFile }, folder);
    const job = { endpoint, hubs, idScope, caFile, desired, steps, service: service.address };
    const processes = new Map();
    for (const one of cases) {
      const kind = `${one.device}-${one.tls}`;
      processes.set(kind, [...(processes.get(kind) ?? []), one]);
    }
    const failedBefore = failed;
    const done = await Promise.all([...processes.values()].map((cases) => run(job, cases)));
    // Where a case has failed there is nothing to compare with.
    if (failed === failedBefore) await count(control, done.flat(), manner.throttles ? chosen.length : 0);
  } finally {
    service?.stop();
    await server?.stop();
    identities.close();
    webhook.stop();
  }
}

/// The operators' cases, one operator beside the other, against a server that starts without enrollments.
async function operate() {
  const chosen = Object.keys(operators).filter((name) => name.includes(process.argv[2] ?? ""));
  if (chosen.length === 0) return;
  const server = await startServer(process.env.FLEETSTORM, folder, "");
  try {
    const { caFile, connectionString } = server;
    const job = { endpoint, hubs, idScope, key: serviceKey, connectionString, caFile };
    const run = async (operator) => {
      for await (const { name, problem } of runOperator(operator, job, folder)) tell(`${operator}  ${name}`, problem, []);
    };
    await Promise.all(chosen.map(run));
  } finally {
    await server.stop();
  }
}

/// Runs the cases of one kind of device and TLS version in one process, and tells how they went.
/// Returns the steps that were done.
async function run(job, cases) {
  const [{ device, tls }] = cases;
  const steps = [];
  for await (const { id, problem, done } of runDevices(device, { ...job, tls, cases }, folder)) {
    const { attestation, transport, hub, error, throttled } = cases.find((one) => one.case === id);
    steps.push(...done);
    const columns = [
      device.padEnd(10),
      `TLS ${tls}`,
      `${attestation}${throttled ? ", throttled" : ""}`.padEnd(24),
      transport.padEnd(7),
      error ? "-".padEnd(11) : `hub ${hub.padEnd(7)}`,
    ];
    tell(columns.join("  "), problem, done);
  }
  return steps;
}

/// The last case: the server has counted what the devices have done, and no more. It has throttled
/// as many as were to be: some of them while they polled, who registered once more, and the first
/// time counts as well.
async function count(control, steps, throttled) {
  const answer = await fetch(`http://${control}/counters`);
  const counted = await answer.json();
  const sum = (counter) => Object.values(counted[counter]).reduce((all, one) => all + one, 0);
  const done = (...names) => steps.filter((name) => names.includes(name)).length;
  const [assigned, registered] = [counted.registrations_assigned, done("register", "register again")];
  const wrong = [
    ["registrations", throttled ? Math.min(assigned, registered) : assigned, registered],
    ["twins read", sum("twins_read"), done("twin", "twin again")],
    ["reported patches", sum("reported_patches"), done("reported")],
    ["messages", sum("device_to_cloud_messages"), done("telemetry", "token renewed") + 2 * done("batch")],
    ["desired changes", sum("desired_changes_sent"), done("desired")],
    ["methods", sum("methods_called"), done("method")],
    ["messages to devices", sum("cloud_to_device_completed"), done("cloud to device")],
    ["devices throttled", Math.min(counted.refusals["429001"] ?? 0, throttled), throttled],
    ["refusals by hubs", counted.hub_refusals, 0],
  ].filter(([, ofServer, ofDevices]) => ofServer !== ofDevices);
  const words = wrong.map(([what, ofServer, ofDevices]) => `${what}: ${ofServer}, not ${ofDevices}`);
  tell("the server's counts are the devices'", words.join("; "), []);
}

function tell(what, problem, done) {
  if (problem) failed += 1;
  else passed += 1;
  console.log(problem ? `FAIL  ${what}  ${problem}` : `ok    ${what}  ${done.join(", ")}`);
}
