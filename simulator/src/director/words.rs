//! Events in words, for reports.

use fleetstorm_scenarios::Scenario;
use fleetstorm_scenarios::event::{Action, Whom};
use fleetstorm_scenarios::region::LinkProperty;

/// What happens, and to whom.
pub(super) fn in_words(action: &Action, scenario: &Scenario) -> String {
    let name = action.name();
    let hub = |hub: &Option<String>| match hub {
        Some(hub) => format!("{name} {hub}"),
        None => format!("{name}, all hubs"),
    };
    let some_of = |share: f64, cohort: Option<u16>| {
        let share = (share * 1e6).round() / 1e4;
        let cohort = cohort.and_then(|cohort| scenario.cohorts.get(usize::from(cohort)));
        match cohort {
            Some(cohort) => format!("{name}, {share} % of {}", cohort.name),
            None => format!("{name}, {share} % of those that stay"),
        }
    };
    let devices = |whom: &Whom| some_of(whom.share, whom.cohort);
    match action {
        Action::HubDown(down) => hub(down),
        Action::HubUp(up) => hub(up),
        Action::RegionDown(region) | Action::RegionUp(region) => format!("{name} {region}"),
        Action::Throttle { rates, tenant } => {
            let of = tenant.and_then(|tenant| scenario.tenant(tenant));
            let of = of.map_or(String::new(), |tenant| format!(" of {}", tenant.name));
            if *rates == fleetstorm_protocol::quota::Rates::NONE {
                format!("{name}{of} off")
            } else {
                let registrations = rates.registrations_per_minute;
                format!("{name}{of}: {registrations} registrations a minute")
            }
        }
        Action::Faults(rules) if rules.is_empty() => format!("{name} off"),
        Action::Faults(rules) => format!("{name}: {} rules", rules.len()),
        Action::Enrollment { cohort, .. }
        | Action::Roll { cohort, .. }
        | Action::Retire { cohort, .. } => {
            let cohort = scenario.cohorts.get(usize::from(*cohort));
            format!(
                "{name} {}",
                cohort.map_or("", |cohort| cohort.name.as_str())
            )
        }
        Action::Expire { cohort, share } => some_of(*share, Some(*cohort)),
        Action::RestartServer { end, off } if off.is_zero() => format!("{name} ({})", end.name()),
        Action::RestartServer { end, off } => format!("{name} ({}), off for {off:?}", end.name()),
        Action::Latency { region, properties } => {
            let region = scenario.regions.get(usize::from(*region));
            let region = region.map_or("", |region| region.name.as_str());
            let properties: Vec<_> = properties.iter().map(property).collect();
            format!("{name} {region}: {}", properties.join(", "))
        }
        Action::PowerCut { whom, off } if off.is_zero() => devices(whom),
        Action::PowerCut { whom, off } => format!("{} for {off:?}", devices(whom)),
        Action::Reprovision(whom) | Action::FactoryReset(whom) => devices(whom),
        Action::Move { whom, to } => {
            let to = scenario.regions.get(usize::from(*to));
            let to = to.map_or("", |region| region.name.as_str());
            format!("{}, to {to}", devices(whom))
        }
        Action::ChangeOwner { whom, to, .. } => {
            let to = scenario.tenant(*to);
            let to = to.map_or("", |tenant| tenant.name.as_str());
            format!("{}, to {to}", devices(whom))
        }
    }
}

fn property(property: &LinkProperty) -> String {
    match property {
        LinkProperty::RoundTrip(round_trip) => format!("rtt {round_trip:?}"),
        LinkProperty::Jitter(jitter) => format!("jitter {jitter:?}"),
        LinkProperty::Bandwidth(None) => "no limit of bandwidth".into(),
        LinkProperty::Bandwidth(Some(bytes)) => format!("{bytes} bytes a second"),
        LinkProperty::Stall(None) => "no stalls".into(),
        LinkProperty::Stall(Some(stall)) => {
            format!("a stall of {:?} every {:?}", stall.lasts, stall.every)
        }
    }
}
