"""The solution's back end at a hub, by Microsoft's Python service SDK; its devices are Microsoft's Python
device SDK.

Started with the path of { hubs, key, caFile }; prints a line of JSON for each case.
"""

import base64
import json
import os
import queue
import sys
import threading

from azure.eventhub import EventHubConsumerClient
from azure.iot.device import IoTHubDeviceClient, IoTHubModuleClient, Message, MethodResponse
from azure.iot.hub import IoTHubRegistryManager
from azure.iot.hub.models import CloudToDeviceMethod, ExportImportDevice, QuerySpecification, Twin, TwinProperties
from msrest.exceptions import HttpOperationError

# Longest wait for what the other side sends, seconds.
LIMIT = 20
KEYS = [base64.b64encode(bytes([byte]) * 32).decode() for byte in (5, 6)]

with open(sys.argv[1], encoding="utf-8") as file:
    job = json.load(file)
with open(job["caFile"], encoding="utf-8") as file:
    ca = file.read()
hub = job["hubs"][1]
registry = IoTHubRegistryManager.from_connection_string(
    f"HostName={hub};SharedAccessKeyName=iothubowner;SharedAccessKey={job['key']}"
)


def main():
    for case in (
        identity_is_created_read_changed_and_deleted,
        identity_may_have_either_thumbprint_or_an_authority,
        identities_are_changed_in_bulk_listed_and_counted,
        twin_reaches_its_device_and_is_found,
        device_answers_a_direct_method,
        module_has_an_identity_a_twin_and_methods_of_its_own,
        telemetry_is_read_as_of_an_event_hub,
    ):
        answer = {"name": case.__doc__}
        try:
            case()
        except Exception as error:  # whatever the SDK raises is the case's failure
            answer["problem"] = f"{error!r}"
        print(json.dumps(answer), flush=True)
    # The SDK's threads outlive its clients.
    os._exit(0)


def identity_is_created_read_changed_and_deleted():
    """an identity is created, read, changed and deleted"""
    created = registry.create_device_with_sas("python-1", *KEYS, "enabled", iot_edge=True)
    expect(created.capabilities.iot_edge, True)
    expect(refusal(registry.create_device_with_sas, "python-1", *KEYS, "enabled"), 409)
    read = registry.get_device("python-1")
    expect(read.authentication.symmetric_key.primary_key, KEYS[0])
    changed = registry.update_device_with_sas("python-1", read.etag, *reversed(KEYS), "disabled", status_reason="moved")
    expect((changed.status, changed.status_reason), ("disabled", "moved"))
    expect(refusal(registry.update_device_with_sas, "python-1", read.etag, *KEYS, "enabled"), 412)
    registry.delete_device("python-1")
    expect(refusal(registry.get_device, "python-1"), 404)


def identity_may_have_either_thumbprint_or_an_authority():
    """an identity may have either thumbprint, or an authority"""
    for digits in ("AB" * 20, "AB" * 32):
        made = registry.create_device_with_x509("python-2", digits, digits.lower(), "enabled")
        expect(made.authentication.x509_thumbprint.secondary_thumbprint, digits)
        registry.delete_device("python-2")
    made = registry.create_device_with_certificate_authority("python-2", "enabled")
    expect(made.authentication.type, "certificateAuthority")
    registry.delete_device("python-2")


def identities_are_changed_in_bulk_listed_and_counted():
    """identities are changed in bulk, listed and counted"""
    before = registry.get_device_registry_statistics().total_device_count
    ids = [f"bulk-{number}" for number in range(3)]
    mode = lambda mode: registry.bulk_create_or_update_devices([ExportImportDevice(id=id, import_mode=mode) for id in ids])
    expect(mode("create").is_successful, True)
    again = mode("create")
    expect(again.is_successful, False)
    expect([(error.device_id, error.error_code) for error in again.errors], [(id, "DeviceAlreadyExists") for id in ids])
    listed = [device.device_id for device in registry.get_devices(1000)]
    expect([id for id in listed if id in ids], ids)
    expect(len(registry.get_devices(2)), 2)
    expect(registry.get_device_registry_statistics().total_device_count, before + 3)
    expect(mode("delete").is_successful, True)


def twin_reaches_its_device_and_is_found():
    """a change of a twin reaches its device, and a query finds it"""
    client, heard = connect("twin-1"), queue.Queue()
    client.on_twin_desired_properties_patch_received = heard.put
    client.get_twin()
    twin = registry.get_twin("twin-1")
    patch = Twin(tags={"hall": "west"}, properties=TwinProperties(desired={"rate": 7}))
    changed = registry.update_twin("twin-1", patch, twin.etag)
    expect(heard.get(timeout=LIMIT)["rate"], 7)
    expect(refusal(registry.update_twin, "twin-1", patch, twin.etag), 412)
    client.patch_twin_reported_properties({"rate": 6.5})
    where = "tags.hall = 'west' AND properties.reported.rate > 6 AND connectionState = 'Connected'"
    expect([found.device_id for found in search(where)], ["twin-1"])
    expect(registry.get_service_statistics().connected_device_count, 1)
    client.shutdown()
    for number in range(5):
        registry.create_device_with_sas(f"page-{number}", *KEYS, "enabled")
    pages = search("deviceId IN ['page-0', 'page-1', 'page-3'] OR deviceId = 'page-4'", 2)
    expect(sorted(found.device_id for found in pages), ["page-0", "page-1", "page-3", "page-4"])
    expect(refusal(search, "startswith(deviceId, 'page')"), 400)
    null = Twin(properties=TwinProperties(desired={"mode": None}))
    expect(refusal(registry.replace_twin, "twin-1", null, changed.etag), 400)
    registry.replace_twin("twin-1", Twin(properties=TwinProperties(desired={"mode": "eco"})), changed.etag)
    expect(registry.get_twin("twin-1").tags, {})


def device_answers_a_direct_method():
    """a device answers a direct method"""
    client = connect("method-1")

    def answer(request):
        client.send_method_response(MethodResponse.create_from_method_request(request, 207, {"blinked": request.payload}))

    client.on_method_request_received = answer
    call = CloudToDeviceMethod(
        method_name="blink", payload=3, connect_timeout_in_seconds=LIMIT, response_timeout_in_seconds=LIMIT
    )
    # The Azure CLI sends its seconds as text.
    for seconds in (LIMIT, str(LIMIT)):
        call.response_timeout_in_seconds = seconds
        result = registry.invoke_device_method("method-1", call)
        expect((result.status, result.payload), (207, {"blinked": 3}))
    client.shutdown()


def module_has_an_identity_a_twin_and_methods_of_its_own():
    """a module has an identity, a twin and methods of its own"""
    registry.create_device_with_sas("gate-1", *KEYS, "enabled", iot_edge=True)
    made = registry.create_module_with_sas("gate-1", "camera", "nobody", *KEYS)
    expect((made.device_id, made.module_id, made.managed_by), ("gate-1", "camera", "nobody"))
    expect(refusal(registry.create_module_with_sas, "gate-1", "camera", "nobody", *KEYS), 409)
    expect([module.module_id for module in registry.get_modules("gate-1")], ["$edgeAgent", "$edgeHub", "camera"])
    client, heard = IoTHubModuleClient.create_from_connection_string(
        f"HostName={hub};DeviceId=gate-1;ModuleId=camera;SharedAccessKey={KEYS[0]}", server_verification_cert=ca
    ), queue.Queue()
    client.connect()
    client.on_twin_desired_properties_patch_received = heard.put
    client.on_message_received = heard.put
    client.on_method_request_received = lambda request: client.send_method_response(
        MethodResponse.create_from_method_request(request, 200, {"seen": request.payload})
    )
    client.get_twin()
    client.send_message("telemetry")
    client.patch_twin_reported_properties({"focus": 3})
    twin = registry.get_module_twin("gate-1", "camera")
    expect((twin.connection_state, twin.properties.reported["focus"]), ("Connected", 3))
    registry.update_module_twin("gate-1", "camera", Twin(properties=TwinProperties(desired={"rate": 7})), twin.etag)
    expect(heard.get(timeout=LIMIT)["rate"], 7)
    call = CloudToDeviceMethod(method_name="look", payload=3, response_timeout_in_seconds=LIMIT)
    expect(registry.invoke_device_module_method("gate-1", "camera", call).payload, {"seen": 3})
    client.shutdown()
    registry.delete_module("gate-1", "camera")
    expect(refusal(registry.get_module, "gate-1", "camera"), 404)
    registry.delete_device("gate-1")
    expect(refusal(registry.get_modules, "gate-1"), 404)


def telemetry_is_read_as_of_an_event_hub():
    """telemetry is read as of an event hub"""
    name, heard = hub.split(".")[0], queue.Queue()
    reader = EventHubConsumerClient.from_connection_string(
        f"Endpoint=sb://{hub}/;SharedAccessKeyName=iothubowner;SharedAccessKey={job['key']};EntityPath={name}",
        consumer_group="$Default",
        connection_verify=job["caFile"],
    )
    expect(reader.get_partition_ids(), ["0"])
    threading.Thread(
        target=reader.receive,
        kwargs={"on_event": lambda _, event: heard.put(event), "starting_position": "-1"},
        daemon=True,
    ).start()
    client = connect("events-1")
    message = Message("warm")
    message.custom_properties["level"] = "high"
    client.send_message(message)
    client.shutdown()
    # Others' telemetry is read as well.
    while (event := heard.get(timeout=LIMIT)).system_properties[b"iothub-connection-device-id"] != b"events-1":
        pass
    expect((event.body_as_str(), event.properties[b"level"]), ("warm", b"high"))


def search(where, size=None):
    """All pages of a query."""
    query, token, found = QuerySpecification(query=f"SELECT * FROM devices WHERE {where}"), None, []
    while True:
        page = registry.query_iot_hub(query, token, size)
        expect(page.type, "Twin")
        found += page.items
        token = page.continuation_token
        if token is None:
            return found


def connect(device_id):
    registry.create_device_with_sas(device_id, *KEYS, "enabled")
    client = IoTHubDeviceClient.create_from_symmetric_key(
        symmetric_key=KEYS[0], hostname=hub, device_id=device_id, server_verification_cert=ca
    )
    client.connect()
    return client


def refusal(ask, *arguments):
    """The status that the server refuses with."""
    try:
        ask(*arguments)
    except HttpOperationError as error:
        return error.response.status_code
    return 200


def expect(found, wanted):
    if found != wanted:
        raise AssertionError(f"{found} is not {wanted}")


main()
