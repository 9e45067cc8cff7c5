"""Who a device says it is, to DPS and to a hub, as the documentation has it: for clients that know nothing of either.

https://learn.microsoft.com/azure/iot-dps/iot-dps-mqtt-support
https://learn.microsoft.com/azure/iot/iot-mqtt-connect-to-iot-hub
"""

import base64
import hashlib
import hmac
import ssl
import time
from dataclasses import dataclass
from urllib.parse import quote

# Of DPS and of hubs, as the documentation's examples have them.
DPS_API, HUB_API = "2019-03-31", "2021-04-12"


@dataclass
class Login:
    """At a host: over MQTT by client identifier, user name and password; over AMQP by the resource and its token."""

    host: str
    client_id: str
    username: str
    resource: str
    # None where the certificate is the proof.
    token: str | None
    one: dict
    job: dict

    def tls(self):
        """TLS of the job's version, with the device's certificate if it has one."""
        context = ssl.create_default_context(cafile=self.job["caFile"])
        version = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}[self.job["tls"]]
        context.minimum_version = context.maximum_version = version
        if "certificates" in self.one:
            context.load_cert_chain(self.one["certificates"], self.one["key"])
        return context


def at_dps(job, one):
    resource = f"{job['idScope']}/registrations/{one['id']}"
    username = f"{resource}/api-version={DPS_API}"
    return Login(job["endpoint"], one["id"], username, resource, token(one, resource, "registration"), one, job)


def at_hub(job, one, hub, device_id):
    resource = f"{hub}/devices/{device_id}"
    username = f"{hub}/{device_id}/?api-version={HUB_API}"
    return Login(hub, device_id, username, resource, token(one, resource), one, job)


def token(one, resource, policy=None):
    """A SAS token for an hour, by the device's key."""
    if "symmetricKey" not in one:
        return None
    uri, expiry = quote(resource, safe=""), int(time.time()) + 3600
    digest = hmac.digest(base64.b64decode(one["symmetricKey"]), f"{uri}\n{expiry}".encode(), hashlib.sha256)
    signed = f"SharedAccessSignature sr={uri}&sig={quote(base64.b64encode(digest), safe='')}&se={expiry}"
    return f"{signed}&skn={policy}" if policy else signed
