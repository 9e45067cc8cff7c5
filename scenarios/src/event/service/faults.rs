//! `do = "faults"`: rules of the server's fault injection, as its configuration has them too.

use fleetstorm_protocol::fault::time::{Delay, Percentiles, Range, Time};
use fleetstorm_protocol::fault::{
    self, FaultAction, FaultOperation, FaultProtocol, FaultRule, Flaw,
};
use jiff::Timestamp;
use serde_json::json;
use toml::de::DeValue;

use crate::diagnostics::did_you_mean;
use crate::event::refs::Refs;
use crate::json::Object;
use crate::keys::{Fields, Reader, Section, keys};
use crate::names;
use crate::parse::kinds::{List, Share, Tables, Text, Whole, Word, kinds, like, named};
use crate::parse::region;
use crate::table::{Value, each};

keys! {
    struct FaultsKeys: "Fault rules." {
        "rules" rules: required Tables<RuleKeys<'static>, 0, { usize::MAX }>,
            "Rules of the server's fault injection; none ends all faults.";
    }
}

keys! {
    struct RuleKeys as "fault": "What goes wrong on purpose: whom it hits, when, and what it does. What is left out matches everything; the first rule that matches decides." {
        "name" name: optional Text,
            "Names it in the server's metrics; unique. fault-1 and so on when left out.";
        "do" action: required Word<FaultAction>,
            "What happens.";
        "time" time: optional HowLong,
            "For delay and stall: how long.";
        "code" code: optional Code,
            "For refuse: the DPS error code, whose first three digits are the status.";
        "retry-after" retry_after: optional Whole<u32, 0, { u32::MAX as u64 }>,
            "For throttle and refuse: Retry-After, seconds.";
        "protocol" protocol: optional Word<FaultProtocol>,
            "What the device speaks, over a WebSocket or not.";
        "operations" operations: optional List<Word<FaultOperation>>,
            "What the device does; any of them.";
        "devices" devices: optional List<DeviceId>,
            "Registration or device ids, with * and ?; any of them.";
        "instance" instance: optional Text,
            "Id scope of the instance.";
        "hub" hub: optional Text,
            "Name of the hub.";
        "region" region: optional Text,
            "Name of the region that the device is in.";
        "share" share: default Share = 1,
            "How many of those it could hit it hits; the seed chooses which.";
        "after" after: optional FaultTime,
            "Begins so long after the server's start.";
        "before" before: optional FaultTime,
            "Ends so long after the server's start.";
        "from" from: optional Moment,
            "Begins at this moment.";
        "until" until: optional Moment,
            "Ends at this moment.";
    }
}

keys! {
    struct RangeKeys: "Evenly spread." {
        "from" from: optional FaultTime, "At least.";
        "to" to: optional FaultTime, "At most.";
    }
}

keys! {
    struct PercentileKeys: "Log-normal, by two of its percentiles." {
        "p50" p50: optional FaultTime, "Median.";
        "p99" p99: optional FaultTime, "99th percentile.";
    }
}

kinds! {
    FaultTime -> Time: time_of, like(&["200ms"]);
    HowLong -> Delay: delay,
        Object::default().with("anyOf", vec![
            FaultTime::schema().into(),
            RangeKeys::schema().with("required", json!(["from", "to"])).into(),
            PercentileKeys::schema().with("required", json!(["p50", "p99"])).into(),
        ]);
    Code -> u32: |value: &Value<'_>| Whole::<u32, 0, { u32::MAX as u64 }>::read(value),
        Whole::<u32, 400_000, 599_999>::schema().with("examples", json!([500_001]));
    DeviceId -> String: |value: &Value<'_>| Text::read(value), like(&["meters-*"]);
    /// By the calendar: text, or as TOML writes it.
    Moment -> Timestamp: moment, like(&["2030-01-31T12:00:00Z"]);
}

named! {
    FaultAction: "fault", FaultAction::NAMED;
    FaultProtocol: "protocol", FaultProtocol::NAMED;
    FaultOperation: "operation", FaultOperation::NAMED;
}

pub(super) fn read(reader: &mut Reader<'_>, refs: &Refs<'_>) -> Option<Vec<FaultRule>> {
    let value = FaultsKeys::take(reader).rules.value?;
    let written = value.array()?;
    let mut rules = each(&written, |value| rule(value, refs))?;
    match fault::check(&mut rules) {
        Ok(()) => Some(rules),
        Err((index, flaw)) => note(written.get(index).unwrap_or(&value), &flaw),
    }
}

fn rule(value: &Value<'_>, refs: &Refs<'_>) -> Option<FaultRule> {
    let keys = RuleKeys::read(value)?;
    let instance = keys
        .instance
        .resolved(|value, written| instance(value, written, refs));
    let hub = keys
        .hub
        .resolved(|value, written| hub(value, written, refs));
    let region = keys
        .region
        .resolved(|value, _| region::named(value, refs.regions));
    let rule = FaultRule {
        name: keys.name.read?.unwrap_or_default(),
        action: keys.action.read?,
        time: keys.time.read?,
        code: keys.code.read?,
        retry_after: keys.retry_after.read?,
        protocol: keys.protocol.read?,
        operations: keys.operations.read?.unwrap_or_default(),
        devices: keys.devices.read?.unwrap_or_default(),
        instance: instance?,
        hub: hub?,
        region: region?,
        share: keys.share.read?,
        after: keys.after.read?,
        before: keys.before.read?,
        from: keys.from.read?,
        until: keys.until.read?,
    };
    match rule.check() {
        Ok(()) => Some(rule),
        Err(flaw) => note(value, &flaw),
    }
}

/// Notes what is wrong with a rule where its key stands, or where it should.
fn note<T>(rule: &Value<'_>, flaw: &Flaw) -> Option<T> {
    let place = match flaw.key {
        "" => rule.clone(),
        key => rule.at(key),
    };
    place.wrong(flaw.problem.clone(), None)
}

fn delay(value: &Value<'_>) -> Option<Delay> {
    if !value.is_table() {
        return time_of(value).map(Delay::Constant);
    }
    let mut reader = Reader::new(value)?;
    reader.only(&[RangeKeys::KEYS, PercentileKeys::KEYS]);
    let range = RangeKeys::take(&mut reader);
    let percentiles = PercentileKeys::take(&mut reader);
    let (from, to) = (range.from.read?, range.to.read?);
    match (from, to, percentiles.p50.read?, percentiles.p99.read?) {
        (Some(from), Some(to), None, None) => Some(Delay::Uniform(Range { from, to })),
        (None, None, Some(p50), Some(p99)) => Some(Delay::LogNormal(Percentiles { p50, p99 })),
        _ => value.wrong(
            "is no distribution of times",
            "{ from = \"10ms\", to = \"30ms\" } or { p50 = \"40ms\", p99 = \"400ms\" }".to_string(),
        ),
    }
}

fn time_of(value: &Value<'_>) -> Option<Time> {
    let text = value.text_like("\"200ms\"")?;
    match Time::try_from(text.to_owned()) {
        Ok(time) => Some(time),
        Err(problem) => value.wrong(problem, None),
    }
}

fn moment(value: &Value<'_>) -> Option<Timestamp> {
    let text = match value.node() {
        DeValue::Datetime(moment) => moment.to_string(),
        _ => value.text_like("\"2030-01-31T12:00:00Z\"")?.to_owned(),
    };
    match text.parse() {
        Ok(moment) => Some(moment),
        Err(_) => value.wrong(
            format!("\"{text}\" is no moment"),
            "a date, a time and an offset, like \"2030-01-31T12:00:00Z\"".to_string(),
        ),
    }
}

/// A hub's host name, by its name in the scenario or by itself.
fn hub(value: &Value<'_>, written: String, refs: &Refs<'_>) -> Option<String> {
    let Some(known) = refs.hubs else {
        return Some(written);
    };
    let hosts = known.iter().map(|hub| names::hub_host(&hub.name));
    let mut named = known.iter().zip(hosts);
    let found = named.find(|(hub, host)| hub.name == written || *host == written);
    match found {
        Some((_, host)) => Some(host),
        None => {
            let names: Vec<_> = known.iter().map(|hub| hub.name.as_str()).collect();
            value.wrong(
                format!("there is no hub \"{written}\""),
                did_you_mean(&written, &names),
            )
        }
    }
}

/// An id scope of the bundled server.
fn instance(value: &Value<'_>, written: String, refs: &Refs<'_>) -> Option<String> {
    let Some(tenants) = refs.tenants else {
        return Some(written);
    };
    let known = names::id_scopes(tenants);
    if known
        .iter()
        .any(|scope| scope.eq_ignore_ascii_case(&written))
    {
        return Some(written);
    }
    let known: Vec<_> = known.iter().map(String::as_str).collect();
    value.wrong(
        format!("no instance has the id scope \"{written}\""),
        did_you_mean(&written, &known),
    )
}
