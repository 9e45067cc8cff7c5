// Who the devices are: certificates, keys and TPMs, and the enrollment list that lets them in.

import { execFileSync } from "node:child_process";
import { createHash, createHmac, randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { credentialPolicy, hubs } from "./server.mjs";
import { SoftwareTpm } from "./software_tpm.mjs";

/// What every twin starts with: nested, with a list, and with text that is not ASCII.
export const desired = { interval: 5, valve: { open: true, place: "Zürich ✓" }, steps: [1, 2.5, "three"] };
const initialTwin = { tags: { suite: "conformance" }, properties: { desired } };
const newKey = () => randomBytes(64).toString("base64");
const keys = (primaryKey, secondaryKey) => ({ type: "symmetricKey", symmetricKey: { primaryKey, secondaryKey } });
const x509 = (role, certificate) => ({ type: "x509", x509: { [role]: { primary: { certificate } } } });

/// Identities and their enrollments, in files below a folder. `customAllocationDefinition` names the
/// webhook of those whose hub one chooses.
export class Identities {
  constructor(folder, customAllocationDefinition) {
    this.folder = folder;
    this.customAllocationDefinition = customAllocationDefinition;
    this.enrollments = [];
    this.tpms = [];
    mkdirSync(folder, { recursive: true });
    // openssl asks for a configuration even where the command line says it all.
    writeFileSync(this.file("openssl.cnf"), "[req]\ndistinguished_name = name\n[name]\n");
    this.root = this.certificate("conformance-root", { authority: true });
    this.upper = this.certificate("conformance-upper", { authority: true, issuer: this.root });
    this.lower = this.certificate("conformance-lower", { authority: true, issuer: this.upper });
    this.groupKeys = [newKey(), newKey()];
    this.groups = new Set();
  }

  file(name) {
    return path.join(this.folder, name);
  }

  enroll(enrollment) {
    this.enrollments.push(JSON.stringify({ initialTwin, ...enrollment }));
  }

  /// Notes a group's enrollment, once a device of it comes.
  group(enrollmentGroupId, attestation) {
    if (!this.groups.has(enrollmentGroupId)) this.enroll({ enrollmentGroupId, attestation });
    this.groups.add(enrollmentGroupId);
  }

  /// JSON lines, as the service API takes them.
  list() {
    return `${this.enrollments.join("\n")}\n`;
  }

  /// What the cell's device holds: paths of files, ports and keys; its enrollment is noted.
  async of(cell) {
    const own = { id: cell.id, deviceId: cell.id };
    const individual = (attestation, more) => {
      own.deviceId = `device-of-${own.id}`;
      this.enroll({ registrationId: own.id, deviceId: own.deviceId, attestation, ...more });
    };
    switch (cell.attestation) {
      case "x509-individual": {
        // Self-signed, and RSA where the others are ECDSA.
        const leaf = this.certificate(cell.id, { algorithm: "rsa:2048" });
        individual(x509("clientCertificates", leaf.pem));
        return { ...own, ...this.chain(leaf) };
      }
      // Below its root directly and through two intermediates, it is one group.
      case "x509-group":
        this.group("by-root", x509("signingCertificates", this.root.pem));
        return { ...own, ...this.chain(this.certificate(cell.id, { issuer: this.root })) };
      case "x509-intermediates": {
        this.group("by-root", x509("signingCertificates", this.root.pem));
        const leaf = this.certificate(cell.id, { issuer: this.lower });
        return { ...own, ...this.chain(leaf, this.lower, this.upper) };
      }
      case "x509-disordered": {
        this.group("by-root", x509("signingCertificates", this.root.pem));
        const leaf = this.certificate(cell.id, { issuer: this.lower });
        return { ...own, ...this.chain(leaf, this.root, this.upper, this.lower) };
      }
      case "x509-version-1": {
        const leaf = this.certificateOfVersion1(cell.id);
        individual(x509("clientCertificates", leaf.pem));
        return { ...own, ...this.chain(leaf) };
      }
      case "symmetric-key-individual": {
        const symmetricKey = newKey();
        individual(keys(symmetricKey, newKey()));
        return { ...own, symmetricKey };
      }
      case "symmetric-key-group":
        this.group("by-key", keys(...this.groupKeys));
        return { ...own, symmetricKey: derivedKey(this.groupKeys[0], cell.id) };
      // Whose hub is chosen in one of the four ways; `assigned` is the hub that it has to be.
      case "hashed":
      case "static":
      case "geoLatency":
      case "custom":
      case "custom-refused": {
        const symmetricKey = newKey();
        const { assigned, answered, ...more } = this.allocation(cell);
        individual(keys(symmetricKey, newKey()), more);
        return { ...own, symmetricKey, assigned, answered };
      }
      // Whom the server has to refuse, with the words that an SDK understands.
      case "wrong-key":
        individual(keys(newKey(), newKey()));
        return { ...own, symmetricKey: newKey() };
      case "disabled": {
        const symmetricKey = newKey();
        individual(keys(symmetricKey, newKey()), { provisioningStatus: "disabled" });
        return { ...own, symmetricKey };
      }
      case "unknown-certificate":
        return { ...own, ...this.chain(this.certificate(cell.id, {})) };
      case "broken-chain": {
        this.group("by-root", x509("signingCertificates", this.root.pem));
        const leaf = this.certificate(cell.id, { issuer: this.lower });
        return { ...own, ...this.chain(leaf, this.upper) };
      }
      // Asks for a certificate as it registers.
      case "certificate-request": {
        const symmetricKey = newKey();
        individual(keys(symmetricKey, newKey()), { credentialPolicyName: credentialPolicy });
        return { ...own, symmetricKey };
      }
      case "x509-custom": {
        const leaf = this.certificate(cell.id, {});
        const { assigned, answered, ...more } = this.allocation(cell);
        individual(x509("clientCertificates", leaf.pem), more);
        const der = leaf.pem.replace(/-----[^-]+-----|\s/g, "");
        return { ...own, ...this.chain(leaf), assigned, answered: { ...answered, shown: der } };
      }
      case "unknown-tpm":
      case "tpm-custom":
      case "tpm": {
        const tpm = await SoftwareTpm.start(this.file(`${cell.id}.tpm`));
        this.tpms.push(tpm);
        const key = tpm.endorsementKey();
        own.id = registrationIdOf(key);
        const endorsementKey = key.toString("base64");
        const { assigned, answered, ...more } =
          cell.attestation !== "tpm-custom" ? {} : this.allocation({ ...cell, id: own.id, shown: endorsementKey });
        if (cell.attestation !== "unknown-tpm") individual({ type: "tpm", tpm: { endorsementKey } }, more);
        Object.assign(own, { assigned, answered });
        // swtpm serves one client at a time: a device has either the bridge or the socket.
        return cell.device === "node" ? { ...own, tpmPort: await tpm.bridge() } : { ...own, tcti: tpm.tcti };
      }
      default:
        throw new Error(`${cell.attestation} is no attestation`);
    }
  }

  /// What the enrollment says of allocation, the hub that follows from it, and the webhook's words.
  allocation({ attestation, id, shown }) {
    const { customAllocationDefinition } = this;
    switch (attestation) {
      case "static":
        return { allocationPolicy: "static", iotHubs: [hubs[2]], assigned: hubs[2] };
      case "geoLatency":
        return { allocationPolicy: "geoLatency", assigned: hubs[1] };
      case "custom":
      case "x509-custom":
      case "tpm-custom": {
        const iotHubs = [hubs[0], hubs[2]];
        // The webhook gives it another.
        const initialTwin = { properties: { desired: { wrong: true } } };
        const answered = { for: id, offered: iotHubs, shown };
        return { allocationPolicy: "custom", customAllocationDefinition, iotHubs, initialTwin, assigned: hubs[2], answered };
      }
      case "custom-refused":
        return { allocationPolicy: "custom", customAllocationDefinition };
      default:
        return { allocationPolicy: attestation };
    }
  }

  /// A leaf's file with the certificates above it, and its key's.
  chain(leaf, ...above) {
    const certificates = this.file(`${leaf.name}.chain.pem`);
    writeFileSync(certificates, [leaf, ...above].map((certificate) => certificate.pem).join(""));
    return { certificates, key: leaf.key };
  }

  /// Makes a key and its certificate; self-signed without an issuer.
  certificate(name, { issuer, authority = false, algorithm = "ec" }) {
    const [file, key] = [this.file(`${name}.pem`), this.file(`${name}.key`)];
    const curve = algorithm === "ec" ? ["-pkeyopt", "ec_paramgen_curve:P-256"] : [];
    const signer = issuer ? ["-CA", issuer.file, "-CAkey", issuer.key] : [];
    const uses = authority
      ? ["basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign"]
      : ["basicConstraints=critical,CA:FALSE", "extendedKeyUsage=clientAuth"];
    execFileSync(
      "openssl",
      ["req", "-x509", "-config", this.file("openssl.cnf"), "-newkey", algorithm, ...curve, "-nodes"].concat(
        ["-keyout", key, "-out", file, "-days", "30", "-subj", `/CN=${name}`, ...signer],
        uses.flatMap((use) => ["-addext", use]),
      ),
      { stdio: ["ignore", "ignore", "pipe"] },
    );
    return { name, file, key, pem: readFileSync(file, "utf8") };
  }

  /// Makes a key and its self-signed certificate, without extensions.
  certificateOfVersion1(name) {
    const [file, key, request] = ["pem", "key", "request"].map((kind) => this.file(`${name}.${kind}`));
    const openssl = (...words) => execFileSync("openssl", words, { stdio: ["ignore", "pipe", "pipe"] });
    const subject = ["-config", this.file("openssl.cnf"), "-subj", `/CN=${name}`];
    openssl("req", "-new", ...subject, "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", request);
    openssl("x509", "-req", "-in", request, "-signkey", key, "-days", "30", "-out", file);
    const text = openssl("x509", "-in", file, "-noout", "-text").toString();
    if (!text.includes("Version: 1 ")) throw new Error("openssl made no certificate of version 1");
    return { name, file, key, pem: readFileSync(file, "utf8") };
  }

  close() {
    for (const tpm of this.tpms) tpm.close();
  }
}

/// A device's key below a group's (DPS documentation, "Symmetric key attestation").
function derivedKey(groupKey, id) {
  return createHmac("sha256", Buffer.from(groupKey, "base64")).update(id).digest("base64");
}

/// What the webhook of those enrollments decides.
export function decide({ deviceRuntimeContext: { registrationId, x509, tpm }, linkedHubs }) {
  if (registrationId.includes("custom-refused")) return 400;
  const shown = x509?.clientCertificate ?? tpm?.endorsementKey;
  const payload = { for: registrationId, offered: linkedHubs, shown };
  return { iotHubHostName: linkedHubs.at(-1), initialTwin, payload };
}

/// The SDKs' default: base32 of the digest of the endorsement key, in lower case, not padded.
function registrationIdOf(endorsementKey) {
  const letters = "abcdefghijklmnopqrstuvwxyz234567";
  const bits = [...createHash("sha256").update(endorsementKey).digest()]
    .map((byte) => byte.toString(2).padStart(8, "0"))
    .join("");
  return bits
    .match(/.{1,5}/g)
    .map((five) => letters[parseInt(five.padEnd(5, "0"), 2)])
    .join("");
}
