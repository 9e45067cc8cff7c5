"""A device of curl and tpm2-tools: TPM attestation over HTTPS, step by step as documented.

Started with the path of a job (see conformance.mjs); prints one line of JSON for each case as
it ends. Only the hub's twin is read by the Python SDK: it takes a SAS token, which the TPM signs.
"""

import base64
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import quote

from azure.iot.device import IoTHubDeviceClient

API = "api-version=2019-03-31"
# Longest that one registration may take, seconds.
LIMIT = 30


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
    """One TPM, with its keys in context files below a folder that goes with the process."""

    def __init__(self, job, one):
        self.job, self.one, self.done = job, one, []
        self.room = Path(tempfile.mkdtemp(dir=Path(job["caFile"]).parent))
        self.path = f"/{job['idScope']}/registrations/{one['id']}"

    def drive(self):
        self.make_keys()
        first = self.register()
        expect(first["deviceId"], self.one["deviceId"])
        self.done.append("register")
        self.activate(first["tpm"]["authenticationKey"])
        self.done.append("hub key")
        self.read_twin(first["assignedHub"], first["deviceId"])
        self.send_telemetry(first["assignedHub"], first["deviceId"])
        again = self.register()
        expect(again["assignedHub"], first["assignedHub"])
        self.done.append("register again")

    def make_keys(self):
        self.tpm("tpm2_createek", "-Q", "-G", "rsa", "-c", "ek.ctx", "-u", "ek.pub")
        self.tpm(
            "tpm2_createprimary", "-Q", "-C", "o", "-g", "sha256", "-G", "rsa2048:aes128cfb", "-c", "srk.ctx",
            "-a", "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|restricted|decrypt",
        )  # fmt: skip
        self.tpm("tpm2_readpublic", "-Q", "-c", "srk.ctx", "-o", "srk.pub")

    def register(self):
        encoded = {name: base64.b64encode((self.room / f"{name}.pub").read_bytes()).decode() for name in ("ek", "srk")}
        body = {"registrationId": self.one["id"]}
        body["tpm"] = {"endorsementKey": encoded["ek"], "storageRootKey": encoded["srk"]}
        register = f"{self.path}/register?{API}"
        status, challenge = self.ask("PUT", register, body)
        expect(status, 401)
        self.activate(challenge["authenticationKey"])
        token = self.token(self.path.lstrip("/"), challenge["keyName"])
        status, operation = self.ask("PUT", register, body, token)
        expect(status, 202)
        end = time.monotonic() + LIMIT
        while time.monotonic() < end:
            time.sleep(1)
            poll = f"{self.path}/operations/{operation['operationId']}?{API}"
            status, operation = self.ask("GET", poll, None, token)
            if status != 202:
                expect((status, operation.get("status")), (200, "assigned"))
                return operation["registrationState"]
        raise AssertionError(f"not assigned within {LIMIT} s")

    def ask(self, method, path, body, token=None, host=None):
        """Status and JSON of an answer, by curl with this job's TLS version and no other."""
        version = self.job["tls"]
        command = ["curl", "-s", "--max-time", str(LIMIT), f"--tlsv{version}", "--tls-max", version]
        command += ["--cacert", self.job["caFile"], "-X", method, "-w", "\n%{http_code}"]
        # As in the documentation's samples, odd header and all.
        command += ["-H", "Content-Type: application/json", "-H", "Content-Encoding: utf-8"]
        if token:
            command += ["-H", f"Authorization: {token}"]
        if body:
            command += ["-d", json.dumps(body)]
        answer = self.run(*command, f"https://{host or self.job['endpoint']}{path}")
        text, _, status = answer.rpartition("\n")
        return int(status), json.loads(text) if text else None

    def activate(self, blob):
        """ActivateCredential, Import, Load: the key in the blob becomes the device's identity key."""
        parts = sized_parts(base64.b64decode(blob))
        credential, secret, duplicate, seed, public = parts[:5]
        # tpm2-tools' credential file: magic, version, ID object, encrypted secret.
        self.write("credential", b"\xba\xdc\xc0\xde\x00\x00\x00\x01" + credential + secret)
        self.write("duplicate.priv", duplicate)
        self.write("duplicate.seed", seed)
        self.write("identity.pub", public)
        self.tpm("tpm2_startauthsession", "--policy-session", "-S", "session")
        self.tpm("tpm2_policysecret", "-Q", "-S", "session", "-c", "endorsement")
        self.tpm(
            "tpm2_activatecredential", "-Q", "-c", "srk.ctx", "-C", "ek.ctx", "-i", "credential",
            "-o", "inner.key", "-P", "session:session",
        )  # fmt: skip
        self.tpm("tpm2_flushcontext", "session")
        self.tpm(
            "tpm2_import", "-Q", "-C", "srk.ctx", "-i", "duplicate.priv", "-s", "duplicate.seed",
            "-u", "identity.pub", "-r", "identity.priv", "-k", "inner.key",
        )  # fmt: skip
        self.tpm("tpm2_load", "-Q", "-C", "srk.ctx", "-u", "identity.pub", "-r", "identity.priv", "-c", "identity.ctx")

    def token(self, resource, policy=None):
        """A SAS token that the TPM signs with its identity key."""
        resource, expiry = quote(resource, safe=""), int(time.time()) + 3600
        self.write("message", f"{resource}\n{expiry}".encode())
        self.tpm("tpm2_hmac", "-c", "identity.ctx", "-o", "hmac", "message")
        signature = quote(base64.b64encode((self.room / "hmac").read_bytes()), safe="")
        token = f"SharedAccessSignature sr={resource}&sig={signature}&se={expiry}"
        return f"{token}&skn={policy}" if policy else token

    def read_twin(self, hub, device_id):
        with open(self.job["caFile"], encoding="utf-8") as file:
            ca = file.read()
        token = self.token(f"{hub}/devices/{device_id}")
        client = IoTHubDeviceClient.create_from_sastoken(token, server_verification_cert=ca)
        client.connect()
        self.done.append("hub")
        twin = client.get_twin()
        client.shutdown()
        desired = {name: value for name, value in twin["desired"].items() if not name.startswith("$")}
        expect(desired, self.job["desired"])
        self.done.append("twin")

    def send_telemetry(self, hub, device_id):
        path = f"/devices/{device_id}/messages/events?api-version=2020-03-13"
        status, _ = self.ask("POST", path, {"temperature": 21.5}, self.token(f"{hub}/devices/{device_id}"), hub)
        expect(status, 204)
        self.done.append("telemetry")

    def tpm(self, *command):
        self.run(*command)
        # Every command loads its objects anew from context files; the TPM has few slots for them.
        if command[0] not in ("tpm2_startauthsession", "tpm2_policysecret"):
            self.run("tpm2_flushcontext", "-t")

    def run(self, *command):
        environment = {**os.environ, "TPM2TOOLS_TCTI": self.one["tcti"]}
        ran = subprocess.run(command, cwd=self.room, env=environment, capture_output=True, text=True, check=False)
        if ran.returncode:
            raise AssertionError(f"{command[0]}: {ran.stderr.strip()} ({ran.returncode})")
        return ran.stdout

    def write(self, name, content):
        (self.room / name).write_bytes(content)


def sized_parts(blob):
    """The blob's items, each with the two bytes that say how long it is."""
    parts = []
    while blob:
        end = 2 + int.from_bytes(blob[:2], "big")
        parts.append(blob[:end])
        blob = blob[end:]
    return parts


def expect(found, wanted):
    if found != wanted:
        raise AssertionError(f"{found} is not {wanted}")


main()
