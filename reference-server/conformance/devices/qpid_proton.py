"""Devices that are Apache Qpid Proton's client, which knows nothing of DPS or hubs: both by AMQP.

A key is shown as SASL PLAIN, as hubs and DPS document it; a certificate by EXTERNAL.
https://learn.microsoft.com/azure/iot-hub/iot-hub-amqp-support
"""

import json
import time

from proton import Message, SSLDomain, symbol
from proton.reactor import LinkOption
from proton.utils import BlockingConnection

import login
from case import LIMIT, REPORTED, Asker, expect, plain, run
from documented_mqtt import PATIENCE, telemetry


class Properties(LinkOption):
    """What an attach tells beside its address."""

    def __init__(self, **properties):
        self.properties = {symbol(f"com.microsoft:{name.replace('_', '-')}"): value for name, value in properties.items()}

    def apply(self, link):
        link.properties = self.properties


def drive(job, one, steps):
    first = steps("register", lambda: register(job, one))
    expect(first["deviceId"], one["deviceId"])
    hub, device_id = first["assignedHub"], first["deviceId"]
    who, ask = login.at_hub(job, one, hub, device_id), Asker(job, hub, device_id)
    connection = steps("hub", lambda: connect(who, f"{device_id}@sas.{hub.partition('.')[0]}"))
    try:
        twin = Twin(connection, device_id)
        expect(plain(json.loads(steps("twin", lambda: twin.ask("GET"))[1])["desired"]), job["desired"])
        report = ("PATCH", "/properties/reported", json.dumps(REPORTED))
        status, _ = steps("reported", lambda: twin.ask(*report))
        expect(status // 100, 2)
        again = json.loads(steps("twin again", lambda: twin.ask("GET"))[1])
        expect(plain(again["reported"]), REPORTED)
        steps("cloud to device", lambda: take_message(connection, device_id, ask))
        steps("telemetry", lambda: send(connection, device_id, ask, one))
    finally:
        connection.close()
    again = steps("register again", lambda: register(job, one))
    expect(again["assignedHub"], hub)


def connect(who, user):
    tls = SSLDomain(SSLDomain.MODE_CLIENT)
    tls.set_trusted_ca_db(who.job["caFile"])
    tls.set_peer_authentication(SSLDomain.VERIFY_PEER_NAME)
    if who.token is None:
        tls.set_credentials(who.one["certificates"], who.one["key"], None)
        proof = {"allowed_mechs": "EXTERNAL"}
    else:
        proof = {"allowed_mechs": "PLAIN", "user": user, "password": who.token}
    return BlockingConnection(f"amqps://{who.host}:5671", timeout=LIMIT, ssl_domain=tls, virtual_host=who.host, **proof)


def register(job, one):
    """The state of the registration, once it is assigned."""
    who, end = login.at_dps(job, one), time.monotonic() + PATIENCE
    connection = connect(who, who.resource)
    try:
        version = Properties(api_version=login.DPS_API)
        receiver = connection.create_receiver(who.resource, credit=10, options=version)
        sender = connection.create_sender(who.resource, options=version)
        kind = {"iotdps-operation-type": "iotdps-register", "iotdps-forceRegistration": False}
        sender.send(message(json.dumps({"registrationId": one["id"]}), kind))
        while time.monotonic() < end:
            # Settled as it is sent.
            heard = receiver.receive(LIMIT)
            answer = json.loads(bytes(heard.body))
            if answer["status"] != "assigning":
                expect(answer["status"], "assigned")
                return answer["registrationState"]
            time.sleep(int(heard.properties["retry-after"]))
            poll = {"iotdps-operation-type": "iotdps-get-operationstatus", "iotdps-operation-id": answer["operationId"]}
            sender.send(message("", poll))
    finally:
        connection.close()
    raise AssertionError(f"not assigned within {PATIENCE} s")


def message(text, properties=None, **more):
    """With one Data section."""
    return Message(body=text.encode(), inferred=True, properties=properties or {}, **more)


class Twin:
    """Two links that are a pair."""

    def __init__(self, connection, device_id):
        address, pair = f"/devices/{device_id}/twin", f"twin:{device_id}"
        paired = Properties(channel_correlation_id=pair, api_version=login.HUB_API)
        self.receiver = connection.create_receiver(address, credit=10, options=paired)
        self.sender = connection.create_sender(address, options=paired)

    def ask(self, operation, resource=None, body=""):
        """Status and text of the answer."""
        annotations = {symbol("operation"): operation, symbol("resource"): resource}
        self.sender.send(message(body, annotations=annotations, correlation_id=f"ask {operation}"))
        heard = self.receiver.receive(LIMIT)
        expect(heard.correlation_id, f"ask {operation}")
        return int(heard.annotations[symbol("status")]), bytes(heard.body or b"").decode()


def take_message(connection, device_id, ask):
    receiver = connection.create_receiver(f"/devices/{device_id}/messages/devicebound", credit=1)
    ask("message", body="Zürich ✓")
    heard = receiver.receive(LIMIT)
    receiver.accept()
    expect((bytes(heard.body).decode(), heard.properties["kind"]), ("Zürich ✓", "a & b = c"))


def send(connection, device_id, ask, one):
    body, properties, system = telemetry(one)
    sender = connection.create_sender(f"/devices/{device_id}/messages/events")
    content = {"content_type": symbol(system["ct"]), "content_encoding": symbol(system["ce"])}
    sender.send(message(body, properties, id=system["mid"], **content))
    heard = {"body": body, "properties": properties, "id": system["mid"], "content": [system["ct"], system["ce"]]}
    expect(ask("received"), heard)


run(drive)
