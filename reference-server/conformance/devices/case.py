"""A case of a device that is written in Python: what it does step by step, and the back end that speaks to it.

`run` reads a job (see conformance.mjs), drives its cases side by side and prints one line of JSON for each as it
ends.
"""

import json
import os
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor, as_completed

# Cases under way at once.
AT_ONCE = 6
# Longest wait for what the back end sends, seconds.
LIMIT = 20
# What devices report.
REPORTED = {"firmware": "4.2.0", "valve": {"open": False, "place": "Zürich ✓"}}


def run(drive):
    """Drives every case of the job by `drive(job, one, steps)`; whatever that raises is the case's failure."""
    with open(sys.argv[1], encoding="utf-8") as file:
        job = json.load(file)
    with open(job["caFile"], encoding="utf-8") as file:
        job["ca"] = file.read()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for ended in as_completed([pool.submit(report, drive, job, one) for one in job["cases"]]):
            print(json.dumps(ended.result()), flush=True)
    # Threads of some clients outlive them.
    os._exit(0)


def report(drive, job, one):
    steps = Steps()
    answer = {"id": one["case"]}
    try:
        drive(job, one, steps)
    except Exception as error:
        answer["problem"] = f"{steps.name}: {error!r} {error.__cause__ or ''}"
    return {**answer, "done": steps.done}


class Steps:
    """What a case has done, and what it is at."""

    def __init__(self):
        self.name, self.done = "start", []

    def __call__(self, name, doing):
        self.name = name
        result = doing()
        self.done.append(name)
        return result


class Asker:
    """Asks the back end to speak to a device (see service.mjs)."""

    def __init__(self, job, hub, device_id):
        self.job, self.device = job, {"hub": hub, "deviceId": device_id}

    def __call__(self, what, **request):
        body = json.dumps({**self.device, **request}).encode()
        with urllib.request.urlopen(f"http://{self.job['service']}/{what}", body, timeout=LIMIT) as answer:
            return json.load(answer)


def expect(found, wanted):
    if found != wanted:
        raise AssertionError(f"{found} is not {wanted}")


def plain(properties):
    """Properties without what the hub adds."""
    return {name: value for name, value in properties.items() if not name.startswith("$")}
