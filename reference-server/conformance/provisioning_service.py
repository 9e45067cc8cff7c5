"""The operator's side, by Microsoft's Python service SDK for DPS, which the Azure CLI's commands are made of.

Started with the path of { connectionString }; prints a line of JSON for each case.
"""

import json
import sys

from azure.core.exceptions import HttpResponseError
from azure.iot.deviceprovisioning import DeviceProvisioningClient

with open(sys.argv[1], encoding="utf-8") as file:
    job = json.load(file)
dps = DeviceProvisioningClient.from_connection_string(job["connectionString"])


def main():
    for case in (
        what_is_there_is_changed_by_its_etag_alone,
        query_is_answered_whatever_its_text,
        bulk_success_has_an_empty_list_of_errors,
        twin_that_no_hub_could_hold_is_refused,
    ):
        answer = {"name": case.__doc__}
        try:
            case()
        except Exception as error:  # whatever the SDK raises is the case's failure
            answer["problem"] = f"{error!r}"
        print(json.dumps(answer), flush=True)


def enrollment(registration_id, **more):
    return {"registrationId": registration_id, "attestation": {"type": "symmetricKey"}, **more}


def what_is_there_is_changed_by_its_etag_alone():
    """what is there is changed by its etag alone"""
    group = {"enrollmentGroupId": "python-etag", "attestation": {"type": "symmetricKey"}}
    for service, document in ((dps.enrollment, enrollment("python-etag")), (dps.enrollment_group, group)):
        put = lambda **condition: service.create_or_update("python-etag", document, **condition)
        etag = put()["etag"]
        expect(refusal(put), 409)
        changed = put(if_match=etag)["etag"]
        expect(refusal(put, if_match=etag), 412)
        put(if_match="*")
        expect(refusal(service.delete, "python-etag", if_match=changed), 412)
        service.delete("python-etag")
        expect(refusal(put, if_match="*"), 404)


def query_is_answered_whatever_its_text():
    """a query is answered whatever its text"""
    dps.enrollment.create_or_update("python-query", enrollment("python-query"))
    # What `az iot dps enrollment list` makes of its query.
    for text in ("SELECT *", str({"additional_properties": {}, "query": "SELECT *"})):
        found = [one["registrationId"] for one in dps.enrollment.query({"query": text})]
        expect("python-query" in found, True)
        list(dps.enrollment_group.query({"query": text}))
    dps.enrollment.delete("python-query")


def bulk_success_has_an_empty_list_of_errors():
    """bulk success has an empty list of errors"""
    for mode in ("create", "update", "delete"):
        bulk = {"mode": mode, "enrollments": [enrollment("python-bulk")]}
        expect(dps.enrollment.run_bulk_operation(bulk), {"isSuccessful": True, "errors": []})


def twin_that_no_hub_could_hold_is_refused():
    """a twin that no hub could hold is refused"""
    for desired in ({"a.b": 1}, {"$a": 1}, {"a": None}, {"a": [None]}):
        twin = {"properties": {"desired": desired}}
        document = enrollment("python-twin", initialTwin=twin)
        expect(refusal(dps.enrollment.create_or_update, "python-twin", document), 400)


def refusal(ask, *arguments, **more):
    """The status that the server refuses with."""
    try:
        ask(*arguments, **more)
    except HttpResponseError as error:
        return error.status_code
    return 200


def expect(found, wanted):
    if found != wanted:
        raise AssertionError(f"{found} is not {wanted}")


main()
