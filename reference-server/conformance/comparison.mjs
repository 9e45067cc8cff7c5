// Runs the Node SDK and the simulator through the same flow over each transport, and compares what
// they sent, field by field. Started by `compare`, inside namespaces as conformance.mjs is.

import { execFileSync } from "node:child_process";
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { runDevices } from "./devices.mjs";
import { Identities, desired } from "./identities.mjs";
import { compared } from "./matrix.mjs";
import { conversations } from "./recordings.mjs";
import { endpoint, hubs, idScope, startServer } from "./server.mjs";

const here = path.dirname(fileURLToPath(import.meta.url));
const only = process.argv[2] ?? "";
const cells = compared.filter((cell) => cell.id.includes(only));
const folder = mkdtempSync(path.join(os.tmpdir(), "comparison-"));
const identities = new Identities(path.join(folder, "identities"));
const recorded = { sdk: path.join(folder, "sdk"), simulator: path.join(folder, "simulator") };
const binary = process.env.FLEETSTORM;
let failed;
try {
  const sdkDevices = [];
  for (const cell of cells) sdkDevices.push({ ...cell, case: cell.id, ...(await identities.of(cell)) });
  await serving(identities.list(), recorded.sdk, async ({ caFile }) => {
    const job = {
      endpoint,
      hubs,
      idScope,
      tls: "1.3",
      caFile,
      desired,
      steps: ["twin", "reported", "telemetry"],
      cases: sdkDevices,
    };
    for await (const { id, problem } of runDevices("node", job, folder)) {
      if (problem) throw new Error(`the SDK failed, ${id}: ${problem}`);
    }
  });
  const scenario = path.join(folder, "scenario.toml");
  writeFileSync(scenario, scenarioOf(cells));
  const enrollments = execFileSync(binary, ["enrollments", scenario], { encoding: "utf8" });
  const simulated = enrollments
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  await serving(enrollments, recorded.simulator, ({ caFile }) => {
    const target = ["--endpoint", endpoint, "--id-scope", idScope, "--ca", caFile];
    const out = path.join(folder, "report");
    execFileSync(binary, ["run", scenario, ...target, "--tui", "never", "--out", out], { stdio: "pipe" });
  });
  const differences = new Map();
  cells.forEach((cell, index) => {
    const { registrationId: id, deviceId = id } = simulated[index];
    const where = { endpoint, hubs, idScope };
    const sdk = conversations(recorded.sdk, sdkDevices[index], where);
    const simulator = conversations(recorded.simulator, { id, deviceId }, where);
    for (const side of ["dps", "hub"]) {
      for (const row of differ(sdk[side], simulator[side])) {
        const key = tableRow([side, ...row]);
        differences.set(key, [...(differences.get(key) ?? []), `${cell.transport} ${cell.attestation}`]);
      }
    }
  });
  failed = judge(differences, only === "");
} finally {
  identities.close();
  rmSync(folder, { recursive: true });
}
process.exitCode = failed ? 1 : 0;

/// Does something while a server records.
async function serving(enrollments, record, doing) {
  const server = await startServer(binary, folder, enrollments, { record });
  try {
    await doing(server);
  } finally {
    await server.stop();
  }
}

/// A device a cell, in order.
function scenarioOf(cells) {
  const cohorts = cells.map(
    ({ attestation, transport, hub }, index) =>
      `[[cohort]]\nname = "cell-${index}"\ndevices = 1\nattestation = "${attestation}"\n` +
      `transport = "${transport}"\nhub-transport = "${hub}"\ndesired = { interval = 5 }\n` +
      `after = { reported = { firmware = "4.2.0", valve = { open = false, place = "Zürich ✓" } }, messages = 1 }\n`,
  );
  return `name = "comparison"\n[arrival]\nkind = "all-at-once"\n${cohorts.join("")}`;
}

/// Rows [kind, field, of the SDK, of the simulator]: where the two conversations differ. Of each
/// kind of message the first stands for all.
function differ(sdk, simulator) {
  const rows = [];
  const order = (messages) => [...new Set(messages.map(({ kind }) => kind))];
  const [ofSdk, ofSimulator] = [order(sdk), order(simulator)];
  for (const kind of new Set([...ofSdk, ...ofSimulator])) {
    const [one, other] = [sdk, simulator].map((messages) => messages.find((message) => message.kind === kind));
    if (!one || !other) {
      rows.push([kind, "message", one ? "sent" : "not sent", other ? "sent" : "not sent"]);
      continue;
    }
    for (const field of new Set([...Object.keys(one.fields), ...Object.keys(other.fields)])) {
      const values = [one, other].map(({ fields }) => String(fields[field] ?? "absent"));
      if (values[0] !== values[1]) rows.push([kind, field, ...values]);
    }
  }
  const both = (kinds, others) => kinds.filter((kind) => others.includes(kind)).join(", ");
  if (both(ofSdk, ofSimulator) !== both(ofSimulator, ofSdk)) {
    rows.push(["all", "order", both(ofSdk, ofSimulator), both(ofSimulator, ofSdk)]);
  }
  return rows;
}

/// A row as differences.md has it, without the reason.
function tableRow(cells) {
  return cells.map((cell) => `\`${String(cell).replaceAll("|", "\\|")}\``).join(" | ");
}

/// Prints the differences; whether one is not listed, or one listed is none (where `whole`, that
/// is, all cells were compared).
function judge(differences, whole) {
  const listed = listedRows();
  const met = new Set();
  let bad = 0;
  for (const [row, where] of differences) {
    const known = listed.find(({ pattern }) => pattern.test(row));
    if (known) met.add(known);
    else bad += 1;
    console.log(`${known ? "listed" : "NEW   "}  ${row}  (${where.join(", ")})`);
  }
  for (const { row } of whole ? listed.filter((one) => !met.has(one)) : []) {
    bad += 1;
    console.log(`GONE    ${row}`);
  }
  console.log(`${differences.size} differences, ${bad} not as listed`);
  return bad > 0;
}

/// The rows of differences.md, and what each stands for: an asterisk for any text of a cell.
function listedRows() {
  return readFileSync(path.join(here, "differences.md"), "utf8")
    .split("\n")
    .filter((line) => line.startsWith("| `"))
    .map((line) => {
      const row = line.slice(2, line.lastIndexOf("` | ") + 1);
      const text = row.replace(/[.*+?^${}()|[\]\\]/g, "\\$&").replaceAll("\\*", "[^`]*");
      return { row, pattern: new RegExp(`^${text}$`) };
    });
}
