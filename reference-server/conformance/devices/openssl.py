"""A device of curl and OpenSSL that asks for a certificate as it registers, and uses it at its hub.

The SDKs that can ask for one are not published. Started with the path of a job (see conformance.mjs);
prints one line of JSON for each case as it ends. At the hub it is Microsoft's Python SDK.
"""

import base64
import hashlib
import hmac
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import quote

from azure.iot.device import X509, IoTHubDeviceClient, Message

API = "api-version=2025-07-01-preview"
# Longest that one registration may take, seconds.
LIMIT = 30
# What devices make their keys with.
KEYS = [["rsa:2048"], ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]]


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        job = json.load(file)
    for one in job["cases"]:
        answer = {"id": one["case"]}
        device = Device(job, one)
        try:
            device.drive()
        except Exception as error:  # any is the case's failure
            answer["problem"] = f"after {device.done}: {error!r}"
        print(json.dumps({**answer, "done": device.done}), flush=True)
    # The SDK's threads outlive its clients.
    os._exit(0)


class Device:
    """One device, with its files below a folder that goes with the process."""

    def __init__(self, job, one):
        self.job, self.one, self.done = job, one, []
        self.room = Path(tempfile.mkdtemp(dir=Path(job["caFile"]).parent))
        self.path = f"/{job['idScope']}/registrations/{one['id']}"

    def drive(self):
        hubs = []
        for name, key in zip(["register", "register again"], KEYS, strict=True):
            state = self.register(key)
            expect(state["deviceId"], self.one["deviceId"])
            hubs.append(state["assignedHub"])
            self.done.append(name)
            self.keep(state["issuedCertificateChain"])
            self.done.append("certificate")
            self.use(state["assignedHub"], state["deviceId"])
        expect(hubs[1], hubs[0])

    def register(self, key):
        name = ["-subj", f"/CN={self.one['id']}", "-outform", "DER", "-out", "request"]
        self.run("openssl", "req", "-new", "-newkey", *key, "-nodes", "-keyout", "key.pem", *name)
        request = base64.b64encode((self.room / "request").read_bytes()).decode()
        token = self.token(self.path.lstrip("/"))
        status, operation = self.ask("PUT", f"{self.path}/register?{API}", token, {"csr": request})
        expect(status, 202)
        end = time.monotonic() + LIMIT
        while time.monotonic() < end:
            time.sleep(1)
            status, operation = self.ask("GET", f"{self.path}/operations/{operation['operationId']}?{API}", token)
            if status != 202:
                expect((status, operation.get("status")), (200, "assigned"))
                return operation["registrationState"]
        raise AssertionError(f"not assigned within {LIMIT} s")

    def ask(self, method, path, token, body=None):
        """Status and JSON of an answer, by curl with this job's TLS version and no other."""
        version = self.job["tls"]
        command = ["curl", "-s", "--max-time", str(LIMIT), f"--tlsv{version}", "--tls-max", version]
        command += ["--cacert", self.job["caFile"], "-X", method, "-w", "\n%{http_code}"]
        command += ["-H", "Content-Type: application/json", "-H", f"Authorization: {token}"]
        if body:
            command += ["-d", json.dumps(body)]
        text, _, status = self.run(*command, f"https://{self.job['endpoint']}{path}").rpartition("\n")
        return int(status), json.loads(text) if text else None

    def keep(self, chain):
        """Writes the chain as PEM; OpenSSL must find that it leads to the last of it."""
        for number, encoded in enumerate(chain):
            (self.room / "der").write_bytes(base64.b64decode(encoded))
            self.run("openssl", "x509", "-inform", "DER", "-in", "der", "-out", f"{number}.pem")
        expect(len(chain), 3)
        above = ["-CAfile", "2.pem", "-untrusted", "1.pem"]
        self.run("openssl", "verify", *above, "-purpose", "sslclient", "-x509_strict", "0.pem")
        text = "".join((self.room / f"{number}.pem").read_text() for number in (0, 1))
        (self.room / "chain.pem").write_text(text)

    def use(self, hub, device_id):
        with open(self.job["caFile"], encoding="utf-8") as file:
            ca = file.read()
        x509 = X509(cert_file=str(self.room / "chain.pem"), key_file=str(self.room / "key.pem"))
        client = IoTHubDeviceClient.create_from_x509_certificate(
            x509=x509, hostname=hub, device_id=device_id, server_verification_cert=ca
        )
        client.connect()
        self.done.append("hub")
        twin = client.get_twin()
        desired = {name: value for name, value in twin["desired"].items() if not name.startswith("$")}
        expect(desired, self.job["desired"])
        self.done.append("twin")
        client.send_message(Message("{}"))
        self.done.append("telemetry")
        client.shutdown()

    def token(self, resource):
        """A SAS token, signed with the device's key."""
        resource, expiry = quote(resource, safe=""), int(time.time()) + 3600
        key = base64.b64decode(self.one["symmetricKey"])
        digest = hmac.digest(key, f"{resource}\n{expiry}".encode(), hashlib.sha256)
        return f"SharedAccessSignature sr={resource}&sig={quote(base64.b64encode(digest), safe='')}&se={expiry}"

    def run(self, *command):
        ran = subprocess.run(command, cwd=self.room, capture_output=True, text=True, check=False)
        if ran.returncode:
            raise AssertionError(f"{command[0]}: {ran.stderr.strip()} ({ran.returncode})")
        return ran.stdout


def expect(found, wanted):
    if found != wanted:
        raise AssertionError(f"{found} is not {wanted}")


main()
