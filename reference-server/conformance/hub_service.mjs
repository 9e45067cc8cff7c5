// The solution's back end at a hub, by Microsoft's Node service SDK; its devices are Microsoft's Node
// device SDK. Started with the path of { connectionString, hubs, key, endpoint, idScope }; prints a line
// of JSON for each case.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { setTimeout as sleep } from "node:timers/promises";

const require = createRequire(import.meta.url);
const { Client: DeviceClient, Message } = require("azure-iot-device");
const { Amqp } = require("azure-iot-device-amqp");
const { Mqtt } = require("azure-iot-device-mqtt");
const { ProvisioningDeviceClient } = require("azure-iot-provisioning-device");
const { Mqtt: ProvisioningMqtt } = require("azure-iot-provisioning-device-mqtt");
const { ProvisioningServiceClient } = require("azure-iot-provisioning-service");
const { SymmetricKeySecurityClient } = require("azure-iot-security-symmetric-key");
const { Client, Registry } = require("azure-iothub");

const job = JSON.parse(readFileSync(process.argv[2], "utf8"));
const hub = job.hubs[0];
const named = (policy, key) => `HostName=${hub};SharedAccessKeyName=${policy};SharedAccessKey=${key}`;
const registry = Registry.fromConnectionString(named("iothubowner", job.key));
const service = Client.fromConnectionString(named("iothubowner", job.key));

const body = async (promise) => (await promise).responseBody;
/// The name of the SDK's error, and what the server wrote.
const refused = async (promise) => {
  try {
    await promise;
  } catch (error) {
    return { name: error.name, status: error.response?.statusCode, body: error.responseBody };
  }
  return { name: "none" };
};
async function device(identity, transport) {
  const { deviceId, authentication } = identity;
  const key = authentication.symmetricKey.primaryKey;
  const client = DeviceClient.fromConnectionString(`HostName=${hub};DeviceId=${deviceId};SharedAccessKey=${key}`, transport);
  client.on("error", () => {});
  await client.open();
  return client;
}
async function found(sql, pageSize) {
  const query = registry.createQuery(sql, pageSize);
  const pages = [];
  while (query.hasMoreResults) pages.push((await query.nextAsTwin()).result);
  return pages;
}
const names = (pages) => pages.flat().map((twin) => twin.deviceId).sort();

const cases = {
  async "an identity is created, read, changed and deleted"() {
    const created = await body(registry.create({ deviceId: "node-1" }));
    assert.equal((await refused(registry.create({ deviceId: "node-1" }))).name, "DeviceAlreadyExistsError");
    const read = await body(registry.get("node-1"));
    assert.deepEqual(read, created);
    const changed = await body(registry.update({ ...read, statusReason: "moved" }));
    assert.equal(changed.statusReason, "moved");
    assert.notEqual(changed.etag, read.etag);
    await registry.delete("node-1");
    assert.equal((await refused(registry.get("node-1"))).name, "DeviceNotFoundError");
  },
  async "identities are added, updated and removed in bulk, and what fails is told"() {
    const devices = ["bulk-1", "bulk-2"].map((deviceId) => ({ deviceId, status: "disabled", statusReason: "new" }));
    assert.deepEqual(await body(registry.addDevices(devices)), { isSuccessful: true, errors: [], warnings: [] });
    const again = await refused(registry.addDevices([...devices, { deviceId: "bulk-3" }]));
    assert.deepEqual([again.name, again.status], ["ArgumentError", 400]);
    const { isSuccessful, errors } = JSON.parse(again.body);
    assert.deepEqual(
      [isSuccessful, errors.map((error) => [error.deviceId, error.errorCode])],
      [false, ["bulk-1", "bulk-2"].map((deviceId) => [deviceId, "DeviceAlreadyExists"])],
    );
    const third = await body(registry.get("bulk-3"));
    const changes = [{ ...third, statusReason: "kept" }, { ...(await body(registry.get("bulk-1"))), status: "enabled" }];
    assert.equal((await body(registry.updateDevices(changes, false))).isSuccessful, true);
    const stale = JSON.parse((await refused(registry.updateDevices([third], false))).body);
    assert.equal(stale.errors[0].errorCode, "PreconditionFailed");
    assert.equal((await body(registry.get("bulk-1"))).status, "enabled");
    const all = ["bulk-1", "bulk-2", "bulk-3"].map((deviceId) => ({ deviceId }));
    assert.equal((await body(registry.removeDevices(all, true))).isSuccessful, true);
    assert.equal((await refused(registry.get("bulk-3"))).name, "DeviceNotFoundError");
  },
  async "identities are listed and counted"() {
    const before = await body(registry.getRegistryStatistics());
    await registry.addDevices([{ deviceId: "list-1" }, { deviceId: "list-2", status: "disabled" }]);
    const listed = (await body(registry.list())).map((one) => one.deviceId);
    assert.deepEqual(listed.filter((id) => id.startsWith("list-")), ["list-1", "list-2"]);
    const { totalDeviceCount, enabledDeviceCount, disabledDeviceCount } = await body(registry.getRegistryStatistics());
    assert.deepEqual(
      [totalDeviceCount, enabledDeviceCount, disabledDeviceCount],
      [before.totalDeviceCount + 2, before.enabledDeviceCount + 1, before.disabledDeviceCount + 1],
    );
  },
  async "a query finds twins, page by page"() {
    const devices = [1, 2, 3, 4, 5].map((floor) => ({ deviceId: `query-${floor}`, tags: { floor } }));
    await registry.addDevices(devices);
    const pages = await found("SELECT * FROM devices WHERE tags.floor >= 2 AND is_defined(tags.floor)", 2);
    assert.ok(pages.every((page) => page.length <= 2));
    assert.deepEqual(names(pages), ["query-2", "query-3", "query-4", "query-5"]);
    const either = "SELECT * FROM devices WHERE deviceId IN ['query-1', 'query-9'] OR tags.floor = 5";
    assert.deepEqual(names(await found(either)), ["query-1", "query-5"]);
    const beyond = await refused(found("SELECT COUNT() AS many FROM devices"));
    assert.deepEqual([beyond.name, beyond.status], ["ArgumentError", 400]);
  },
  async "a change of a twin reaches its device, and what that reports is found"() {
    const client = await device(await body(registry.create({ deviceId: "twin-1" })), Mqtt);
    const twin = await client.getTwin();
    const delta = new Promise((resolve) => twin.on("properties.desired", (all) => all.rate && resolve(all.rate)));
    await registry.updateTwin("twin-1", { tags: { hall: "north" }, properties: { desired: { rate: 7 } } }, "*");
    assert.equal(await delta, 7);
    await new Promise((resolve, reject) =>
      twin.properties.reported.update({ rate: 6.5 }, (error) => (error ? reject(error) : resolve())),
    );
    const where = "connectionState = 'Connected' AND properties.reported.rate < properties.desired.rate";
    assert.deepEqual(names(await found(`SELECT * FROM devices WHERE tags.hall = 'north' AND ${where}`)), ["twin-1"]);
    await client.close();
  },
  async "a device answers a direct method"() {
    const client = await device(await body(registry.create({ deviceId: "method-1" })), Amqp);
    client.onDeviceMethod("blink", (request, response) => response.send(207, { blinked: request.payload.times }));
    const call = { methodName: "blink", payload: { times: 3 }, connectTimeoutInSeconds: 15, responseTimeoutInSeconds: 15 };
    const { result } = await service.invokeDeviceMethod("method-1", call);
    assert.deepEqual(result, { status: 207, payload: { blinked: 3 } });
    await client.close();
    const absent = await refused(service.invokeDeviceMethod("list-1", { methodName: "blink" }));
    assert.equal(absent.status, 404);
  },
  async "a message gets to its device over AMQP, and its sender hears of that"() {
    const client = await device(await body(registry.create({ deviceId: "message-1" })), Mqtt);
    const heard = new Promise((resolve) =>
      client.on("message", (message) => client.complete(message, () => resolve(message.data.toString()))),
    );
    await service.open();
    const { result: receiver } = await service.getFeedbackReceiver();
    const feedback = new Promise((resolve) =>
      receiver.on("message", (message) =>
        receiver.complete(message, () => resolve(JSON.parse(message.getData().toString()))),
      ),
    );
    const message = new Message("Zürich ✓");
    message.messageId = "note-1";
    message.ack = "full";
    await service.send("message-1", message);
    assert.equal(await heard, "Zürich ✓");
    const [{ originalMessageId, deviceId, statusCode }] = await feedback;
    assert.deepEqual([originalMessageId, deviceId, statusCode], ["note-1", "message-1", "Success"]);
    await service.close();
    await client.close();
  },
  async "a device that is disabled is hung up on and refused"() {
    const identity = await body(registry.create({ deviceId: "stolen-1" }));
    await device(identity, Mqtt);
    await registry.update({ ...identity, status: "disabled", statusReason: "stolen" });
    // A client of which nothing else is asked does not tell that it was hung up on.
    while ((await body(registry.get("stolen-1"))).connectionState === "Connected") await sleep(50);
    await assert.rejects(device(identity, Mqtt), { name: "UnauthorizedError" });
  },
  async "an enrollment's IoT Edge device is one at its hub"() {
    const dps = ProvisioningServiceClient.fromConnectionString(job.connectionString);
    const capabilities = { iotEdge: true };
    const attestation = { type: "symmetricKey" };
    await dps.createOrUpdateIndividualEnrollment({ registrationId: "edge-1", attestation, capabilities, iotHubs: [hub] });
    const { symmetricKey } = (await dps.getIndividualEnrollmentAttestationMechanism("edge-1")).responseBody;
    const security = new SymmetricKeySecurityClient("edge-1", symmetricKey.primaryKey);
    await ProvisioningDeviceClient.create(job.endpoint, job.idScope, new ProvisioningMqtt(), security).register();
    assert.deepEqual((await body(registry.get("edge-1"))).capabilities, capabilities);
    const edges = await found("SELECT * FROM devices WHERE capabilities.iotEdge = true");
    assert.deepEqual(names(edges), ["edge-1"]);
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
