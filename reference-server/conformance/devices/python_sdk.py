"""Devices that are Microsoft's Python SDK, unmodified."""

import json
import queue

from azure.iot.device import X509, IoTHubDeviceClient, Message, MethodResponse, ProvisioningDeviceClient

from case import LIMIT, REPORTED, Asker, expect, plain, run


def drive(job, one, steps):
    if "error" in one:
        steps("refused", lambda: expect(refusal(job, one), one["error"]))
        return
    first = steps("register", lambda: register(job, one))
    expect(first.device_id, one["deviceId"])
    expect(first.assigned_hub, one.get("assigned", first.assigned_hub))
    # The SDK hands the payload over as text.
    expect(json.loads(first.response_payload), one.get("answered"))
    client = hub_client(job, one, first.assigned_hub, first.device_id)
    steps("hub", client.connect)
    if "twin" in job["steps"]:
        twin = steps("twin", client.get_twin)
        expect(plain(twin["desired"]), job["desired"])
    if "reported" in job["steps"]:
        steps("reported", lambda: client.patch_twin_reported_properties(REPORTED))
        again = steps("twin again", client.get_twin)
        expect(plain(again["reported"]), REPORTED)
    asker = Asker(job, first.assigned_hub, first.device_id)
    if "desired" in job["steps"]:
        steps("desired", lambda: hear_desired(client, asker))
    if "method" in job["steps"]:
        steps("method", lambda: answer_method(client, asker))
    if "cloud to device" in job["steps"]:
        steps("cloud to device", lambda: take_message(client, asker))
    if "telemetry" in job["steps"]:
        message = telemetry(one)
        steps("telemetry", lambda: client.send_message(message))
        content = [message.content_type, message.content_encoding]
        wanted = {"body": message.data, "properties": message.custom_properties, "content": content}
        expect(asker("received"), {**wanted, "id": message.message_id})
    steps("close", client.shutdown)
    if "register again" in job["steps"]:
        again = steps("register again", lambda: register(job, one, {"reason": "Zürich ✓"}))
        expect(again.assigned_hub, first.assigned_hub)


def hear_desired(client, ask):
    heard = queue.Queue()
    client.on_twin_desired_properties_patch_received = heard.put
    version = ask("twin", desired={"interval": 9, "valve": {"open": None}})["version"]
    expect(heard.get(timeout=LIMIT), {"interval": 9, "valve": {"open": None}, "$version": version})


def answer_method(client, ask):
    def answer(request):
        expect((request.name, request.payload), ("blink", {"times": 3}))
        client.send_method_response(MethodResponse.create_from_method_request(request, 207, {"blinked": 3}))

    client.on_method_request_received = answer
    expect(ask("method", name="blink", payload={"times": 3}), {"status": 207, "payload": {"blinked": 3}})


def take_message(client, ask):
    heard = queue.Queue()
    client.on_message_received = heard.put
    ask("message", body="Zürich ✓")
    message = heard.get(timeout=LIMIT)
    expect(message.data.decode(), "Zürich ✓")
    expect(message.custom_properties, {"kind": "a & b = c"})


def register(job, one, payload=None):
    where = {"provisioning_host": job["endpoint"], "registration_id": one["id"], "id_scope": job["idScope"]}
    where.update(options(job, one["transport"]))
    if "symmetricKey" in one:
        client = ProvisioningDeviceClient.create_from_symmetric_key(symmetric_key=one["symmetricKey"], **where)
    else:
        client = ProvisioningDeviceClient.create_from_x509_certificate(x509=certificate(one), **where)
    client.provisioning_payload = payload
    result = client.register()
    if result.status != "assigned":
        raise AssertionError(f"status {result.status}")
    return result.registration_state


def refusal(job, one):
    """Registers in vain; tells the error that the SDK raises."""
    try:
        register(job, one)
    except Exception as error:  # the question is which
        return str(error.__cause__)
    return "none"


def hub_client(job, one, hub, device_id):
    where = {"hostname": hub, "device_id": device_id, **options(job, one["hub"])}
    if "symmetricKey" in one:
        return IoTHubDeviceClient.create_from_symmetric_key(symmetric_key=one["symmetricKey"], **where)
    return IoTHubDeviceClient.create_from_x509_certificate(x509=certificate(one), **where)


def telemetry(one):
    """A message with all that a message may carry."""
    message = Message(json.dumps({"temperature": 21.5, "place": "Zürich ✓"}), message_id=f"message of {one['id']}")
    message.content_type, message.content_encoding = "application/json", "utf-8"
    message.custom_properties["kind"] = "a & b = c"
    return message


def options(job, transport):
    return {"server_verification_cert": job["ca"], "websockets": transport.endswith("-ws")}


def certificate(one):
    return X509(cert_file=one["certificates"], key_file=one["key"])


run(drive)
