// The operator's side, by Microsoft's Node service SDKs: an enrollment list that changes, and what
// becomes of a device (Microsoft's Node device SDK) meanwhile. Started with the path of
// { connectionString, hubs, key, endpoint, idScope }; prints a line of JSON for each case.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { from } from "./source_address.mjs";
import { startWebhook } from "./webhook.mjs";

const require = createRequire(import.meta.url);
const { Registry } = require("azure-iothub");
const { ProvisioningDeviceClient } = require("azure-iot-provisioning-device");
const { Mqtt } = require("azure-iot-provisioning-device-mqtt");
const { ProvisioningServiceClient } = require("azure-iot-provisioning-service");
const { SymmetricKeySecurityClient } = require("azure-iot-security-symmetric-key");

const job = JSON.parse(readFileSync(process.argv[2], "utf8"));
// The one between them is home's.
const [north, , south] = job.hubs;
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

/// Where the webhook wants each device.
const wanted = new Map();
const webhook = await startWebhook(({ deviceRuntimeContext: { registrationId }, linkedHubs }) => {
  const hub = wanted.get(registrationId);
  if (!hub) return 403;
  // A device that may not move has only its own hub to choose from.
  return { iotHubHostName: linkedHubs.includes(hub) ? hub : linkedHubs[0], payload: { wanted: hub } };
});
const custom = { allocationPolicy: "custom", customAllocationDefinition: webhook.definition };

/// How a device comes to be in the north, and then in the south: what its enrollment says, where it is,
/// and what its webhook wants.
const ways = {
  hashed: (hub) => ({ enrolled: { allocationPolicy: "hashed", iotHubs: [hub] } }),
  static: (hub) => ({ enrolled: { allocationPolicy: "static", iotHubs: [hub] } }),
  geoLatency: (hub) => ({
    enrolled: { allocationPolicy: "geoLatency" },
    address: hub === north ? "127.1.0.7" : "127.2.0.7",
  }),
  custom: (hub) => ({ enrolled: custom, wants: hub }),
};
const modes = {
  migrate: {
    policy: { updateHubAssignment: true, migrateDeviceData: true },
    ends: [south, "deviceDataMigrated", 9],
  },
  reset: {
    policy: { updateHubAssignment: true, migrateDeviceData: false },
    ends: [south, "deviceDataReset", 5],
  },
  never: {
    policy: { updateHubAssignment: false, migrateDeviceData: false },
    ends: [north, "initialAssignment", 9],
  },
};

/// Registers in the north, is changed there, then sent south. What it is told, and what its hubs know.
async function move(id, way, reprovisionPolicy) {
  const go = async (hub) => {
    const { enrolled, address, wants } = way(hub);
    const known = await get(id).catch(() => enrollment(id, { reprovisionPolicy }));
    await put({ ...known, ...enrolled });
    wanted.set(id, wants);
    const { primaryKey } = await keys(id);
    return from(address, () => register(id, primaryKey));
  };
  assert.equal((await go(north)).assignedHub, north);
  await registry(north).updateTwin(id, { properties: { desired: { rate: 9 } } }, "*");
  const { assignedHub, substatus } = await go(south);
  const { rate, floor } = await twin(assignedHub, id);
  assert.equal(floor, 1);
  const left = assignedHub === north ? south : north;
  assert.equal(await status(registry(left).get(id)), 404);
  return [assignedHub, substatus, rate];
}

const cases = {
  async "an enrollment is created, read, changed and deleted"() {
    const created = await put(enrollment("fan"));
    assert.equal(await status(put(enrollment("fan"))), 409, "it names no etag");
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
    const deleted = await bulk("delete", [enrollment("bulk-1"), enrollment("bulk-2")]);
    assert.deepEqual(deleted, { isSuccessful: true, errors: [] });
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
  async "a device whose webhook refuses it fails, and gets in once it does not"() {
    await put(enrollment("refused", custom));
    const { primaryKey } = await keys("refused");
    await assert.rejects(register("refused", primaryKey), { name: "ProvisioningRegistrationFailedError" });
    const { responseBody: failed } = await dps.getDeviceRegistrationState("refused");
    assert.deepEqual(
      [failed.status, failed.errorCode, failed.errorMessage],
      ["failed", 400207, "Custom allocation failed with status code: 403"],
    );
    wanted.set("refused", south);
    const { assignedHub, payload } = await register("refused", primaryKey);
    assert.deepEqual([assignedHub, payload], [south, { wanted: south }]);
  },
};
for (const [way, how] of Object.entries(ways)) {
  for (const [mode, { policy, ends }] of Object.entries(modes)) {
    cases[`a device that is sent elsewhere, ${way}, ${mode}`] = async () =>
      assert.deepEqual(await move(`${way}-${mode}`, how, policy), ends);
  }
}

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
