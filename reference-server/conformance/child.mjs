// Processes that end with this one, however it ends: an orphan would hold the private namespaces
// and whatever pipe its caller reads.

import { spawn } from "node:child_process";

const running = new Set();
process.once("exit", () => running.forEach((child) => child.kill()));

/// Starts a process. One that can't be started ends at once, and says why on standard error.
export function start(command, args, options) {
  const child = spawn(command, args, options);
  running.add(child);
  child.once("exit", () => running.delete(child));
  child.on("error", (error) => console.error(`${command}: ${error.message}`));
  return child;
}
