"""Devices that are Mosquitto's programs at their hub: one connection for each message or subscription.

They can't wait for an answer below a wildcard, so that they register over HTTPS, by Python's own client.
https://learn.microsoft.com/rest/api/iot-dps/device/runtime-registration
"""

import json
import subprocess
import time
import urllib.request
from urllib.parse import parse_qs

import login
from case import LIMIT, Asker, expect, run
from documented_mqtt import PATIENCE, telemetry


def drive(job, one, steps):
    first = steps("register", lambda: register(job, one))
    expect(first["deviceId"], one["deviceId"])
    hub, device_id = first["assignedHub"], first["deviceId"]
    who, ask = login.at_hub(job, one, hub, device_id), Asker(job, hub, device_id)
    steps("cloud to device", lambda: take_message(who, ask))
    steps("telemetry", lambda: send(who, ask, one))
    again = steps("register again", lambda: register(job, one))
    expect(again["assignedHub"], hub)


def register(job, one):
    """The state of the registration, once it is assigned."""
    who, end = login.at_dps(job, one), time.monotonic() + PATIENCE
    status, retry_after, answer = request(who, "PUT", "register", {"registrationId": one["id"]})
    while status == 202 and time.monotonic() < end:
        time.sleep(retry_after)
        status, retry_after, answer = request(who, "GET", f"operations/{answer['operationId']}")
    expect((status, answer["status"]), (200, "assigned"))
    return answer["registrationState"]


def request(who, method, path, body=None):
    """Status, seconds to wait, and content of DPS's answer."""
    headers = {"Content-Type": "application/json", **({"Authorization": who.token} if who.token else {})}
    url = f"https://{who.host}/{who.resource}/{path}?api-version={login.DPS_API}"
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, headers, method=method)
    with urllib.request.urlopen(request, timeout=LIMIT, context=who.tls()) as answer:
        return answer.status, int(answer.headers["Retry-After"] or 0), json.load(answer)


def take_message(who, ask):
    """Of a session that is kept while the device is away."""
    subscription = ["-c", "-q", "1", "-t", f"devices/{who.client_id}/messages/devicebound/#"]
    mosquitto("sub", who, *subscription, "-W", str(LIMIT), "-E")
    ask("message", body="Zürich ✓")
    heard = mosquitto("sub", who, *subscription, "-W", str(LIMIT), "-C", "1", "-F", "%t\n%p")
    topic, _, text = heard.partition("\n")
    properties = parse_qs(topic.partition("/messages/devicebound/")[2])
    expect((text, properties.get("kind")), ("Zürich ✓", ["a & b = c"]))


def send(who, ask, one):
    body, _, _ = telemetry(one)
    mosquitto("pub", who, "-q", "1", "-t", f"devices/{who.client_id}/messages/events/", "-m", body)
    expect(ask("received")["body"], body)


def mosquitto(program, who, *more):
    """What it printed; the last end of line is its own."""
    command = [f"mosquitto_{program}", "-h", who.host, "-p", "8883", "-V", "311", "-i", who.client_id]
    command += ["-u", who.username, "--cafile", who.job["caFile"], "--tls-version", f"tlsv{who.job['tls']}"]
    if who.token is None:
        command += ["--cert", who.one["certificates"], "--key", who.one["key"]]
    else:
        command += ["-P", who.token]
    done = subprocess.run([*command, *more], capture_output=True, text=True, timeout=2 * LIMIT, check=False)
    if done.returncode != 0:
        raise AssertionError(f"mosquitto_{program} ended with {done.returncode}: {done.stderr.strip()}")
    return done.stdout.removesuffix("\n")


run(drive)
