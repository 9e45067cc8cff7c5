// Devices as processes: which program acts as which, and how it is told and heard.

import { writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { start } from "./child.mjs";

/// Longest that the cases of one process may take together, milliseconds.
const LIMIT = 240_000;

const here = path.dirname(fileURLToPath(import.meta.url));
const { CONFORMANCE_PYTHON, CONFORMANCE_CLIENTS } = process.env;
const python = (script, interpreter = CONFORMANCE_PYTHON) => [interpreter, path.join(here, "devices", script)];
const programs = {
  node: (tls) => [
    process.execPath,
    // In place of the default range, which spans both.
    tls === "1.3" ? "--tls-min-v1.3" : "--tls-max-v1.2",
    path.join(here, "devices/node_sdk.mjs"),
  ],
  python: () => python("python_sdk.py"),
  "tpm2-tools": () => python("tpm2_tools.py"),
  openssl: () => python("openssl.py"),
  paho: () => python("paho_client.py", CONFORMANCE_CLIENTS),
  aiomqtt: () => python("aiomqtt_client.py", CONFORMANCE_CLIENTS),
  mosquitto: () => python("mosquitto.py", CONFORMANCE_CLIENTS),
  "qpid-proton": () => python("qpid_proton.py", CONFORMANCE_CLIENTS),
};

/// Starts the back end that devices ask to speak to them; returns { address, stop }.
export async function startService(job, folder) {
  const file = path.join(folder, "service.json");
  writeFileSync(file, JSON.stringify(job));
  const child = start(process.execPath, [path.join(here, "service.mjs"), file], {
    env: { ...process.env, NODE_EXTRA_CA_CERTS: job.caFile },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const lines = createInterface({ input: child.stdout });
  const address = await new Promise((resolve, reject) => {
    lines.once("line", resolve);
    child.once("exit", (code) => reject(new Error(`the back end ended with ${code}`)));
  });
  return { address, stop: () => child.kill() };
}

/// Whose cases there are at the service's side, and their program.
export const operators = {
  operator: [process.execPath, path.join(here, "provisioning_service.mjs")],
  "operator by python": [process.env.CONFORMANCE_PYTHON, path.join(here, "provisioning_service.py")],
  "hub by node": [process.execPath, path.join(here, "hub_service.mjs")],
  "hub by python": [CONFORMANCE_PYTHON, path.join(here, "hub_service.py")],
};

/// Runs an operator's cases: { endpoint, hubs, idScope, key, connectionString, caFile }. Yields
/// { name, problem } a case, and one for a process that did not come to its end.
export async function* runOperator(operator, job, folder) {
  const file = path.join(folder, `${operator}.json`);
  writeFileSync(file, JSON.stringify(job));
  const [command, ...args] = operators[operator];
  const child = start(command, [...args, file], {
    env: { ...process.env, NODE_EXTRA_CA_CERTS: job.caFile, REQUESTS_CA_BUNDLE: job.caFile },
    stdio: ["ignore", "pipe", process.env.CONFORMANCE_VERBOSE ? "inherit" : "ignore"],
  });
  const timer = setTimeout(() => child.kill("SIGKILL"), LIMIT);
  const ended = new Promise((resolve) => child.once("exit", resolve));
  for await (const line of createInterface({ input: child.stdout })) yield JSON.parse(line);
  const code = await ended;
  clearTimeout(timer);
  if (code !== 0) yield { name: "all cases are run", problem: `their process ended with ${code}` };
}

/// Runs a job in one process: { endpoint, hubs, idScope, tls, caFile, desired, steps, service, cases }, each case a
/// cell with its identity. Yields { id, problem, done } a case: what went wrong, if anything, and
/// which steps were done. A case that the process says nothing of has failed.
export async function* runDevices(device, job, folder) {
  const file = path.join(folder, `${device}-${job.tls}.json`);
  writeFileSync(file, JSON.stringify(job));
  const [command, ...args] = programs[device](job.tls);
  const child = start(command, [...args, file], {
    env: { ...process.env, NODE_EXTRA_CA_CERTS: job.caFile },
    stdio: ["ignore", "pipe", process.env.CONFORMANCE_VERBOSE ? "inherit" : "ignore"],
  });
  const timer = setTimeout(() => child.kill("SIGKILL"), LIMIT);
  const open = new Set(job.cases.map((one) => one.case));
  for await (const line of createInterface({ input: child.stdout })) {
    const answer = JSON.parse(line);
    open.delete(answer.id);
    yield answer;
  }
  clearTimeout(timer);
  for (const id of open) yield { id, problem: "its process ended without a word of it", done: [] };
}
