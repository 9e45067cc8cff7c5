// A software TPM (swtpm), and the door through which tss.js finds it.
//
// tss.js speaks the protocol of Microsoft's TPM simulator: a command port and a platform port,
// each command framed by a word that says what it is. swtpm's socket takes bare TPM commands.
// The bridge takes the frames off and puts them on; nothing of the SDK is touched.

import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import net from "node:net";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { start } from "./child.mjs";

/// Words of the simulator's protocol ("TpmTcpProtocol.h" of Microsoft's reference TPM).
const SEND_COMMAND = 8;
const HANDSHAKE = 15;
const SESSION_END = 20;
const STOP = 21;
/// A TPM command or answer: tag (2 bytes), size (4), code (4).
const TPM_HEADER = 10;

export class SoftwareTpm {
  /// Starts one with a state of its own below `folder`; `close` ends it.
  static async start(folder) {
    mkdirSync(folder, { recursive: true });
    const socket = path.join(folder, "tpm");
    const child = start(
      "swtpm",
      ["socket", "--tpm2", "--tpmstate", `dir=${folder}`, "--flags", "not-need-init,startup-clear"].concat([
        "--server",
        `type=unixio,path=${socket}`,
        "--ctrl",
        `type=unixio,path=${socket}.ctrl`,
      ]),
      { stdio: "ignore" },
    );
    for (let tries = 0; !existsSync(socket); tries += 1) {
      if (tries === 100 || child.exitCode !== null) throw new Error("swtpm does not start");
      await sleep(50);
    }
    return new SoftwareTpm(folder, socket, child);
  }

  constructor(folder, socket, child) {
    Object.assign(this, { folder, socket, child, servers: [] });
  }

  /// How tpm2-tools name it.
  get tcti() {
    return `swtpm:path=${this.socket}`;
  }

  /// Makes its endorsement key by the TCG template, kept where makers put it and the SDKs look:
  /// a TPM2B_PUBLIC.
  endorsementKey() {
    const file = path.join(this.folder, "ek.pub");
    execFileSync("tpm2_createek", ["-Q", "-G", "rsa", "-c", "0x81010001", "-u", file], {
      env: { ...process.env, TPM2TOOLS_TCTI: this.tcti },
    });
    return readFileSync(file);
  }

  /// Opens the simulator's two ports on loopback; returns the first, the other is the next.
  async bridge() {
    for (let port = 20000 + (process.pid % 10000); port < 60000; port += 2) {
      try {
        await this.listen(port, (client) => this.commands(client));
        await this.listen(port + 1, platform);
        return port;
      } catch (error) {
        if (error.code !== "EADDRINUSE") throw error;
      }
    }
    throw new Error("no two free ports for a TPM");
  }

  async listen(port, serve) {
    const server = net.createServer(serve);
    server.listen(port, "127.0.0.1");
    await once(server, "listening");
    this.servers.push(server);
  }

  /// The command port: frames of a client to the TPM and back, until one of them goes.
  async commands(client) {
    const tpm = net.connect(this.socket);
    const [asked, answered] = [new Reader(client), new Reader(tpm)];
    try {
      for (;;) {
        const word = (await asked.take(4)).readUInt32BE();
        if (word === HANDSHAKE) {
          // The client's version; in return ours, what the simulator can do, and "done".
          await asked.take(4);
          client.write(words(1, 0, 0));
        } else if (word === SEND_COMMAND) {
          // Locality, then the command with its length.
          await asked.take(1);
          tpm.write(await asked.take((await asked.take(4)).readUInt32BE()));
          const head = await answered.take(TPM_HEADER);
          const rest = await answered.take(head.readUInt32BE(2) - TPM_HEADER);
          client.write(Buffer.concat([words(head.length + rest.length), head, rest, words(0)]));
        } else if (word === SESSION_END || word === STOP) {
          break;
        } else {
          throw new Error(`the TPM simulator's word ${word} is unknown here`);
        }
      }
    } catch (error) {
      if (!(error instanceof Gone)) console.error(`TPM bridge: ${error.message}`);
    }
    client.destroy();
    tpm.destroy();
  }

  close() {
    for (const server of this.servers) server.close();
    this.child.kill();
  }
}

/// The platform port: power and non-volatile memory are always on.
async function platform(client) {
  const asked = new Reader(client);
  try {
    for (;;) {
      await asked.take(4);
      client.write(words(0));
    }
  } catch {
    client.destroy();
  }
}

function words(...numbers) {
  const bytes = Buffer.alloc(4 * numbers.length);
  numbers.forEach((number, at) => bytes.writeUInt32BE(number, 4 * at));
  return bytes;
}

class Gone extends Error {}

/// Bytes of a socket, by the number.
class Reader {
  constructor(socket) {
    this.bytes = Buffer.alloc(0);
    this.more = () => {};
    socket.on("data", (data) => {
      this.bytes = Buffer.concat([this.bytes, data]);
      this.more();
    });
    const gone = () => {
      this.gone = true;
      this.more();
    };
    socket.on("close", gone).on("error", gone);
  }

  async take(count) {
    while (this.bytes.length < count) {
      if (this.gone) throw new Gone("the other side is gone");
      await new Promise((resolve) => (this.more = resolve));
    }
    const taken = this.bytes.subarray(0, count);
    this.bytes = this.bytes.subarray(count);
    return taken;
  }
}
