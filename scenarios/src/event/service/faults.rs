//! `do = "faults"`: rules of the server's fault injection, as its configuration has them too.

use fleetstorm_protocol::fault::time::{Delay, Percentiles, Range, Time};
use fleetstorm_protocol::fault::{
    self, FaultAction, FaultOperation, FaultProtocol, FaultRule, Flaw,
};
use jiff::Timestamp;
use toml::de::DeValue;

use crate::diagnostics::did_you_mean;
use crate::event::refs::Refs;
use crate::names;
use crate::parse::optional::{each, or};
use crate::parse::{quantity, region};
use crate::table::{Table, Value};

pub(super) fn read(table: &mut Table<'_>, refs: &Refs<'_>) -> Option<Vec<FaultRule>> {
    let value = table.require("rules")?;
    let written = value.array()?;
    let mut rules = each(&written, |value| rule(value, refs))?;
    match fault::check(&mut rules) {
        Ok(()) => Some(rules),
        Err((index, flaw)) => note(written.get(index).unwrap_or(&value), &flaw),
    }
}

fn rule(value: &Value<'_>, refs: &Refs<'_>) -> Option<FaultRule> {
    let mut table = value.table()?;
    let name = or(table.take("name"), String::new(), |v| {
        Some(v.text()?.into())
    });
    let action = table
        .require("do")
        .and_then(|value| value.word("fault", FaultAction::NAMED));
    let time = or(table.take("time"), None, |value| delay(&value).map(Some));
    let code = or(table.take("code"), None, |value| number(&value).map(Some));
    let retry_after = or(table.take("retry-after"), None, |value| {
        number(&value).map(Some)
    });
    let protocol = or(table.take("protocol"), None, |value| {
        value.word("protocol", FaultProtocol::NAMED).map(Some)
    });
    let operations = or(table.take("operations"), Vec::new(), |value| {
        each(value.array()?, |value| {
            value.word("operation", FaultOperation::NAMED)
        })
    });
    let devices = or(table.take("devices"), Vec::new(), |value| {
        each(value.array()?, |value| Some(value.text()?.into()))
    });
    let instance = or(table.take("instance"), None, |value| {
        instance(&value, refs).map(Some)
    });
    let hub = or(table.take("hub"), None, |value| hub(&value, refs).map(Some));
    let region = or(table.take("region"), None, |value| {
        region::named(&value, refs.regions).map(Some)
    });
    let share = or(table.take("share"), 1.0, |value| quantity::share(&value));
    let after = or(table.take("after"), None, |value| time_of(&value).map(Some));
    let before = or(table.take("before"), None, |value| {
        time_of(&value).map(Some)
    });
    let from = or(table.take("from"), None, |value| moment(&value).map(Some));
    let until = or(table.take("until"), None, |value| moment(&value).map(Some));
    table.finish();
    let rule = FaultRule {
        name: name?,
        action: action?,
        time: time?,
        code: code?,
        retry_after: retry_after?,
        protocol: protocol?,
        operations: operations?,
        devices: devices?,
        instance: instance?,
        hub: hub?,
        region: region?,
        share: share?,
        after: after?,
        before: before?,
        from: from?,
        until: until?,
    };
    match rule.check() {
        Ok(()) => Some(rule),
        Err(flaw) => note(value, &flaw),
    }
}

/// Notes what is wrong with a rule where its key stands, or where it should.
fn note<T>(rule: &Value<'_>, flaw: &Flaw) -> Option<T> {
    if flaw.key.is_empty() {
        return rule.wrong(flaw.problem.clone(), None);
    }
    let mut table = rule.table()?;
    match table.take(flaw.key) {
        Some(value) => value.wrong(flaw.problem.clone(), None),
        None => table.wrong(flaw.key, flaw.problem.clone()),
    }
}

fn delay(value: &Value<'_>) -> Option<Delay> {
    if !value.is_table() {
        return time_of(value).map(Delay::Constant);
    }
    let mut table = value.table()?;
    let mut time = |key| table.take(key).map(|value| time_of(&value));
    let (from, to, p50, p99) = (time("from"), time("to"), time("p50"), time("p99"));
    table.finish();
    match (from, to, p50, p99) {
        (Some(from), Some(to), None, None) => Some(Delay::Uniform(Range {
            from: from?,
            to: to?,
        })),
        (None, None, Some(p50), Some(p99)) => Some(Delay::LogNormal(Percentiles {
            p50: p50?,
            p99: p99?,
        })),
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

fn number(value: &Value<'_>) -> Option<u32> {
    let number = value.integer(0..=u64::from(u32::MAX))?;
    u32::try_from(number).ok()
}

/// A moment by the calendar: text, or as TOML writes it.
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
fn hub(value: &Value<'_>, refs: &Refs<'_>) -> Option<String> {
    let written = value.text()?;
    let Some(known) = refs.hubs else {
        return Some(written.into());
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
                did_you_mean(written, &names),
            )
        }
    }
}

/// An id scope of the bundled server.
fn instance(value: &Value<'_>, refs: &Refs<'_>) -> Option<String> {
    let written = value.text()?;
    let Some(tenants) = refs.tenants else {
        return Some(written.into());
    };
    let known = names::id_scopes(tenants);
    if known
        .iter()
        .any(|scope| scope.eq_ignore_ascii_case(written))
    {
        return Some(written.into());
    }
    let known: Vec<_> = known.iter().map(String::as_str).collect();
    value.wrong(
        format!("no instance has the id scope \"{written}\""),
        did_you_mean(written, &known),
    )
}
