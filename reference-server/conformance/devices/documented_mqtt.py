"""A device over any MQTT client: topics and payloads of DPS and hub as the documentation has them.

https://learn.microsoft.com/azure/iot-dps/iot-dps-mqtt-support
https://learn.microsoft.com/azure/iot/iot-mqtt-connect-to-iot-hub
"""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qs, quote

import login
from case import LIMIT, REPORTED, Asker, expect, plain

# Longest that a registration may take, seconds.
PATIENCE = 30


def driver(connect):
    """Drives a case by `connect(login)`, which gives a context with `subscribe(filter)`, `publish(topic, text)` at
    QoS 1, and `take(seconds)` for the topic and text of what is heard."""

    def drive(job, one, steps):
        first = steps("register", lambda: register(connect, job, one))
        expect(first["deviceId"], one["deviceId"])
        hub, device_id = first["assignedHub"], first["deviceId"]
        with steps("hub", lambda: connect(login.at_hub(job, one, hub, device_id))) as connection:
            Device(connection, device_id, Asker(job, hub, device_id)).live(job, one, steps)
        again = steps("register again", lambda: register(connect, job, one))
        expect(again["assignedHub"], hub)

    return drive


def register(connect, job, one):
    """The state of the registration, once it is assigned."""
    end = time.monotonic() + PATIENCE
    with connect(login.at_dps(job, one)) as dps:
        dps.subscribe("$dps/registrations/res/#")
        body = json.dumps({"registrationId": one["id"]})
        dps.publish("$dps/registrations/PUT/iotdps-register/?$rid=1", body)
        while time.monotonic() < end:
            status, query, answer = response(dps, "$dps/registrations/res/")
            if status == 200:
                expect(answer["status"], "assigned")
                return answer["registrationState"]
            expect(status, 202)
            time.sleep(int(query["retry-after"]))
            operation = f"$rid=2&operationId={answer['operationId']}"
            dps.publish(f"$dps/registrations/GET/iotdps-get-operationstatus/?{operation}", "")
    raise AssertionError(f"not assigned within {PATIENCE} s")


def response(connection, prefix):
    """Status, properties and content of the next answer."""
    topic, text = connection.take(LIMIT)
    expect(topic[: len(prefix)], prefix)
    status, _, query = topic[len(prefix) :].partition("/?")
    properties = {name: values[0] for name, values in parse_qs(query).items()}
    return int(status), properties, json.loads(text) if text else None


class Device:
    """One at its hub."""

    def __init__(self, connection, device_id, ask):
        self.connection, self.id, self.ask = connection, device_id, ask

    def live(self, job, one, steps):
        self.connection.subscribe("$iothub/twin/res/#")
        expect(plain(steps("twin", self.twin)["desired"]), job["desired"])
        steps("reported", self.report)
        expect(plain(steps("twin again", self.twin)["reported"]), REPORTED)
        steps("desired", self.hear_desired)
        steps("method", self.answer_method)
        steps("cloud to device", self.take_message)
        steps("telemetry", lambda: self.send(one))

    def twin(self):
        self.connection.publish("$iothub/twin/GET/?$rid=3", "")
        status, query, twin = response(self.connection, "$iothub/twin/res/")
        expect((status, query["$rid"]), (200, "3"))
        return twin

    def report(self):
        self.connection.publish("$iothub/twin/PATCH/properties/reported/?$rid=4", json.dumps(REPORTED))
        status, query, _ = response(self.connection, "$iothub/twin/res/")
        expect((status, query["$rid"]), (204, "4"))

    def hear_desired(self):
        self.connection.subscribe("$iothub/twin/PATCH/properties/desired/#")
        version = self.ask("twin", desired={"interval": 9, "valve": {"open": None}})["version"]
        topic, text = self.connection.take(LIMIT)
        expect(topic, f"$iothub/twin/PATCH/properties/desired/?$version={version}")
        expect(json.loads(text), {"interval": 9, "valve": {"open": None}, "$version": version})

    def answer_method(self):
        self.connection.subscribe("$iothub/methods/POST/#")
        # A component's command: the name goes into the topic as it is.
        name = "thermostat1*blink"
        with ThreadPoolExecutor(1) as back_end:
            result = back_end.submit(self.ask, "method", name=name, payload={"times": 3})
            topic, text = self.connection.take(LIMIT)
            start, _, rid = topic.partition("?$rid=")
            expect((start, json.loads(text)), (f"$iothub/methods/POST/{name}/", {"times": 3}))
            self.connection.publish(f"$iothub/methods/res/207/?$rid={rid}", json.dumps({"blinked": 3}))
            expect(result.result(LIMIT), {"status": 207, "payload": {"blinked": 3}})

    def take_message(self):
        self.connection.subscribe(f"devices/{self.id}/messages/devicebound/#")
        self.ask("message", body="Zürich ✓")
        topic, text = self.connection.take(LIMIT)
        properties = parse_qs(topic.partition("/messages/devicebound/")[2])
        expect((text, properties["kind"]), ("Zürich ✓", ["a & b = c"]))

    def send(self, one):
        body, properties, system = telemetry(one)
        named = {**properties, **{f"$.{name}": value for name, value in system.items()}}
        bag = "&".join(f"{quote(name, safe='$.')}={quote(value, safe='')}" for name, value in named.items())
        self.connection.publish(f"devices/{self.id}/messages/events/{bag}", body)
        content = [system["ct"], system["ce"]]
        heard = {"body": body, "properties": properties, "id": system["mid"], "content": content}
        expect(self.ask("received"), heard)


def telemetry(one):
    """Body, properties and system properties of a message with all that one may carry."""
    body = json.dumps({"temperature": 21.5, "place": "Zürich ✓"}, ensure_ascii=False)
    system = {"mid": f"message of {one['id']}", "ct": "application/json", "ce": "utf-8"}
    return body, {"kind": "a & b = c"}, system
