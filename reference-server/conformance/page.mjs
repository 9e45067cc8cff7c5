// Runs the files of ../SDK-TESTS.md as they stand there: a block whose first line names a file is that
// file. Started by `enclosure`.

import { once } from "node:events";
import { mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { start } from "./child.mjs";

const here = path.dirname(fileURLToPath(import.meta.url));
const folder = path.join(here, "../../target/conformance/page");
rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
symlinkSync(path.join(here, "node_modules"), path.join(folder, "node_modules"));

const page = readFileSync(path.join(here, "../SDK-TESTS.md"), "utf8");
for (const [, name, text] of page.matchAll(/^```\w+ (\S+)\n(.*?)^```$/gms)) writeFileSync(path.join(folder, name), text);

const options = ["--standard-ports", "--config", "server.toml", "--enrollments", "enrollments.jsonl"];
const server = start(process.env.FLEETSTORM, ["serve", ...options, "--ca-out", "ca.pem"], {
  cwd: folder,
  stdio: ["ignore", "pipe", "inherit"],
});
const said = createInterface({ input: server.stdout });
const announced = await Promise.race([once(said, "line"), once(server, "exit")]);
if (typeof announced[0] !== "string") process.exit(1);

let failed = 0;
for (const [command, ...args] of [
  ["node", "--test", "provision.test.mjs"],
  [process.env.CONFORMANCE_PYTHON, "-m", "unittest", "test_provision.py"],
]) {
  const env = { ...process.env, NODE_EXTRA_CA_CERTS: path.join(folder, "ca.pem") };
  const [code] = await once(start(command, args, { cwd: folder, env, stdio: "inherit" }), "exit");
  if (code !== 0) failed += 1;
}
server.kill();
process.exit(failed === 0 ? 0 : 1);
