//! The same device, whose hub a webhook chooses.

use bytes::Bytes;

use super::*;
use crate::service::failure::Failure;
use crate::webhook::WebhookError;

impl World {
    /// With custom allocation and this reprovision policy.
    fn custom(reprovision: Value) -> Self {
        let world = Self::new(Value::Null);
        world.enroll(json!({
            "allocationPolicy": "custom",
            "customAllocationDefinition": {"webhookUrl": "http://f.test/", "apiVersion": "2021-10-01"},
            "initialTwin": {"tags": {"floor": 1}, "properties": {"desired": {"rate": 5}}},
            "reprovisionPolicy": reprovision,
        }));
        world
    }

    /// The call that waits, and its body.
    fn call(&mut self) -> (Call, Value) {
        let call = self.calls.try_recv().expect("a call");
        let body = serde_json::from_slice(&call.body).expect("JSON");
        (call, body)
    }

    fn answer(&self, call: &Call, answer: &Value) -> Option<Failure> {
        let body = Bytes::from(answer.to_string());
        self.service.decide(call, Ok((200, body)), self.now)
    }

    /// Registers; the webhook answers. What it was told beside the enrollment, and how it ends.
    fn decided(&mut self, answer: &Value) -> (Value, Value) {
        let accepted = self.ask(DeviceOperation::Register, IN_WEST);
        let (call, body) = self.call();
        assert_eq!(self.answer(&call, answer), None);
        let operation = accepted["operationId"].as_str().expect("accepted");
        let operation = OperationId::parse(operation).expect("an id");
        let ended = self.ask(DeviceOperation::OperationStatus(operation), IN_WEST);
        (body, ended["registrationState"].clone())
    }
}

fn at(hub: &str) -> Value {
    json!({"iotHubHostName": hub, "initialTwin": {"tags": {"floor": 7}, "properties": {"desired": {"rate": 7}}}})
}

#[test]
fn the_webhooks_twin_counts_where_a_new_one_is_made_and_nowhere_else() {
    let policy = |update: bool, migrate: bool| json!({"updateHubAssignment": update, "migrateDeviceData": migrate});
    for (reprovision, substatus, rate) in [
        (policy(true, true), "deviceDataMigrated", 9),
        (policy(true, false), "deviceDataReset", 7),
    ] {
        let mut world = World::custom(reprovision);
        let (told, state) = world.decided(&at(WEST));
        assert_eq!(told["linkedHubs"], json!([WEST, EAST]));
        assert_eq!(state["substatus"], "initialAssignment");
        assert_eq!(world.twin(WEST), Ok((json!(7), json!(7))));
        world.change_twin(WEST);
        let (told, state) = world.decided(&at(EAST));
        assert_eq!(told["deviceRuntimeContext"]["currentIotHubHostName"], WEST);
        assert_eq!(state["substatus"], substatus);
        assert_eq!(world.twin(EAST), Ok((json!(rate), json!(7))));
        assert_eq!(world.twin(WEST), Err(HubRefusal::UnknownDevice));
    }
    let mut world = World::custom(Value::Null);
    world.decided(&json!({"iotHubHostName": WEST, "initialTwin": null}));
    assert_eq!(
        world.twin(WEST),
        Ok((json!(5), json!(1))),
        "the enrollment's"
    );
}

#[test]
fn a_device_that_may_not_move_is_offered_its_own_hub_alone() {
    let mut world = World::custom(json!({"updateHubAssignment": false}));
    world.decided(&at(WEST));
    let (told, state) = world.decided(&at(WEST));
    assert_eq!(told["linkedHubs"], json!([WEST]));
    assert_eq!(state["assignedHub"], WEST);
    world.ask(DeviceOperation::Register, IN_WEST);
    let (call, _) = world.call();
    let refused = world.answer(&call, &at(EAST)).expect("a failure");
    assert_eq!(refused.code(), 400_208);
    let known = world.ask(DeviceOperation::RegistrationStatus, IN_WEST);
    assert_eq!(known["status"], "failed");
    let (_, state) = world.decided(&at(WEST));
    assert_eq!(
        state["substatus"], "initialAssignment",
        "it is where it was"
    );
    assert_eq!(world.twin(WEST), Ok((json!(7), json!(7))));
}

#[test]
fn the_last_call_counts_and_each_once() {
    let mut world = World::custom(Value::Null);
    let first = world.ask(DeviceOperation::Register, IN_WEST);
    let second = world.ask(DeviceOperation::Register, IN_WEST);
    assert_eq!(first["operationId"], second["operationId"]);
    let (early, _) = world.call();
    let (late, _) = world.call();
    assert_eq!(world.answer(&early, &at(WEST)), None);
    let pending = world.ask(DeviceOperation::RegistrationStatus, IN_WEST);
    assert_eq!(pending["status"], "assigning", "its answer came too late");
    assert_eq!(world.answer(&late, &at(EAST)), None);
    assert_eq!(
        world
            .service
            .decide(&late, Err(WebhookError::TooLong), world.now),
        None,
        "it has answered"
    );
    let known = world.ask(DeviceOperation::RegistrationStatus, IN_WEST);
    assert_eq!(known["assignedHub"], EAST);
}

#[test]
fn a_device_whose_enrollment_changes_its_policy_meanwhile_waits_for_no_webhook() {
    let mut world = World::custom(Value::Null);
    world.ask(DeviceOperation::Register, IN_WEST);
    world.enroll(json!({"allocationPolicy": "static", "iotHubs": [EAST]}));
    assert_eq!(world.register(IN_WEST).0, EAST);
    let (call, _) = world.call();
    assert_eq!(world.answer(&call, &at(WEST)), None);
    let known = world.ask(DeviceOperation::RegistrationStatus, IN_WEST);
    assert_eq!(known["assignedHub"], EAST);
}

#[test]
fn a_device_is_refused_while_too_many_calls_wait() {
    let mut world = World::custom(Value::Null);
    for _ in 0..4 {
        world.ask(DeviceOperation::Register, IN_WEST);
    }
    let refused = world.ask(DeviceOperation::Register, IN_WEST);
    assert_eq!(refused["errorCode"], 429_001);
    let known = world.ask(DeviceOperation::RegistrationStatus, IN_WEST);
    assert_eq!(known["status"], "assigning", "what it began goes on");
    world.call();
    let accepted = world.ask(DeviceOperation::Register, IN_WEST);
    assert_eq!(accepted["status"], "assigning");
}
