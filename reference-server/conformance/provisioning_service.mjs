// The operator's side, by Microsoft's Node service SDKs: an enrollment list that changes, and what
// becomes of a device (Microsoft's Node device SDK) meanwhile. Started with the path of
// { connectionString, hubs, key, endpoint, idScope }; prints a line of JSON for each case.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
const { Registry } = require("azure-iothub");
const { ProvisioningDeviceClient } = require("azure-iot-provisioning-device");
const { Mqtt } = require("azure-iot-provisioning-device-mqtt");
const { ProvisioningServiceClient } = require("azure-iot-provisioning-service");
const { SymmetricKeySecurityClient } = require("azure-iot-security-symmetric-key");

const job = JSON.parse(readFileSync(process.argv[2], "utf8"));
const [north, south] = job.hubs;
const dps = ProvisioningServiceClient.fromConnectionString(job.connectionString);
const registry = (hub) =>
  Registry.fromConnectionString(`HostName=${hub};SharedAccessKeyName=iothubowner;SharedAccessKey=${job.key}`);

const enrollment = (registrationId, more) => ({
  registrationId,
  attestation: { type: "symmetricKey" },
  initialTwin: { tags: { floor: 1 }, properties: { desired: { rate: 5 } } },
  ...more,
});
const put = async (one) => (await dps.createOrUpdateIndividualEnrollment(one)).responseBody;
const get = async (id) => (await dps.getIndividualEnrollment(id)).responseBody;
const keys = async (id) => (await dps.getIndividualEnrollmentAttestationMechanism(id)).responseBody.symmetricKey;
const status = async (promise) => {
  try {
    await promise;
    return 200;
  } catch (error) {
    return error.response?.statusCode ?? error.name;
  }
};
// Without a callback the SDK's promise never settles.
const bulk = (mode, enrollments) =>
  new Promise((resolve, reject) =>
    dps.runBulkEnrollmentOperation({ mode, enrollments }, (error, body) => (error ? reject(error) : resolve(body))),
  );

function register(id, key) {
  const security = new SymmetricKeySecurityClient(id, key);
  const client = ProvisioningDeviceClient.create(job.endpoint, job.idScope, new Mqtt(), security);
  return client.register();
}

async function twin(hub, id) {
  const { responseBody } = await registry(hub).getTwin(id);
  return { rate: responseBody.properties.desired.rate, floor: responseBody.tags.floor };
}

/// Registers in the north, is changed there, then sent south by its enrollment.
async function move(id, reprovisionPolicy) {
  await put(enrollment(id, { reprovisionPolicy, allocationPolicy: "static", iotHubs: [north] }));
  const { primaryKey } = await keys(id);
  assert.equal((await register(id, primaryKey)).assignedHub, north);
  await registry(north).updateTwin(id, { properties: { desired: { rate: 9 } } }, "*");
  await put({ ...(await get(id)), iotHubs: [south] });
  return register(id, primaryKey);
}

const cases = {
  async "an enrollment is created, read, changed and deleted"() {
    const created = await put(enrollment("fan"));
    const read = await get("fan");
    assert.equal(read.etag, created.etag);
    const changed = await put({ ...read, provisioningStatus: "disabled" });
    assert.equal(changed.provisioningStatus, "disabled");
    assert.equal(await status(put(read)), 412, "its etag is old");
    await dps.deleteIndividualEnrollment("fan");
    assert.equal(await status(get("fan")), 404);
  },
  async "a group is created, read, changed and deleted"() {
    const group = { enrollmentGroupId: "fans", attestation: { type: "symmetricKey" } };
    const { responseBody: created } = await dps.createOrUpdateEnrollmentGroup(group);
    const { responseBody: mechanism } = await dps.getEnrollmentGroupAttestationMechanism("fans");
    assert.equal(Buffer.from(mechanism.symmetricKey.primaryKey, "base64").length, 64);
    const disabled = { ...created, provisioningStatus: "disabled" };
    assert.equal((await dps.createOrUpdateEnrollmentGroup(disabled)).responseBody.provisioningStatus, "disabled");
    await dps.deleteEnrollmentGroup("fans");
    assert.equal(await status(dps.getEnrollmentGroup("fans")), 404);
  },
  async "a bulk operation tells what failed"() {
    await put(enrollment("bulk-1"));
    const { isSuccessful, errors } = await bulk("create", [enrollment("bulk-1"), enrollment("bulk-2")]);
    assert.equal(isSuccessful, false);
    assert.deepEqual(errors.map((error) => error.registrationId), ["bulk-1"]);
    assert.equal((await bulk("delete", [enrollment("bulk-1"), enrollment("bulk-2")])).isSuccessful, true);
    assert.equal(await status(get("bulk-2")), 404);
  },
  async "a query gives all of them, page by page"() {
    const ids = ["query-1", "query-2", "query-3", "query-4", "query-5"];
    await bulk("create", ids.map((id) => enrollment(id)));
    const query = dps.createIndividualEnrollmentQuery({ query: "SELECT * FROM enrollments" }, 2);
    const seen = [];
    do {
      const page = await new Promise((resolve, reject) =>
        query.next((error, items) => (error ? reject(error) : resolve(items))),
      );
      assert.ok(page.length <= 2);
      seen.push(...page.map((one) => one.registrationId));
    } while (query.hasMoreResults);
    assert.deepEqual(seen.filter((id) => ids.includes(id)).sort(), ids);
    await bulk("delete", ids.map((id) => enrollment(id)));
  },
  async "a device gets in while its enrollment says so"() {
    await put(enrollment("gate"));
    const { primaryKey, secondaryKey } = await keys("gate");
    const { assignedHub, deviceId } = await register("gate", secondaryKey);
    const { responseBody: record } = await dps.getDeviceRegistrationState("gate");
    assert.deepEqual([record.assignedHub, record.status], [assignedHub, "assigned"]);
    assert.deepEqual(await twin(assignedHub, deviceId), { rate: 5, floor: 1 });
    await put({ ...(await get("gate")), provisioningStatus: "disabled" });
    await assert.rejects(register("gate", primaryKey));
    await dps.deleteIndividualEnrollment("gate");
    await assert.rejects(register("gate", primaryKey));
    await dps.deleteDeviceRegistrationState("gate");
    assert.equal(await status(dps.getDeviceRegistrationState("gate")), 404);
  },
  async "a key is rolled while the other serves"() {
    await put(enrollment("roll"));
    const old = await keys("roll");
    await register("roll", old.primaryKey);
    const primaryKey = Buffer.alloc(32, 7).toString("base64");
    const attestation = { type: "symmetricKey", symmetricKey: { primaryKey, secondaryKey: old.secondaryKey } };
    await put({ ...(await get("roll")), attestation });
    await assert.rejects(register("roll", old.primaryKey));
    const { assignedHub } = await register("roll", old.secondaryKey);
    await register("roll", primaryKey);
    const { responseBody: identity } = await registry(assignedHub).get("roll");
    assert.equal(identity.authentication.symmetricKey.primaryKey, primaryKey);
  },
  async "migrate: the twin moves along"() {
    const moved = await move("migrate", { updateHubAssignment: true, migrateDeviceData: true });
    assert.deepEqual([moved.assignedHub, moved.substatus], [south, "deviceDataMigrated"]);
    assert.deepEqual(await twin(south, "migrate"), { rate: 9, floor: 1 });
    assert.equal(await status(registry(north).get("migrate")), 404);
  },
  async "reset: the twin starts anew"() {
    const moved = await move("reset", { updateHubAssignment: true, migrateDeviceData: false });
    assert.deepEqual([moved.assignedHub, moved.substatus], [south, "deviceDataReset"]);
    assert.deepEqual(await twin(south, "reset"), { rate: 5, floor: 1 });
    assert.equal(await status(registry(north).get("reset")), 404);
  },
  async "never: the device stays"() {
    const stayed = await move("never", { updateHubAssignment: false, migrateDeviceData: false });
    assert.deepEqual([stayed.assignedHub, stayed.substatus], [north, "initialAssignment"]);
    assert.deepEqual(await twin(north, "never"), { rate: 9, floor: 1 });
  },
};

for (const [name, act] of Object.entries(cases)) {
  let problem;
  try {
    await act();
  } catch (error) {
    problem = `${error.name}: ${error.message}`;
  }
  console.log(JSON.stringify({ name, problem }));
}
process.exit(0);
