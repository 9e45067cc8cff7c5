//! Names, durations and rates as people write them.

use std::ops::RangeInclusive;
use std::time::Duration;

use fleetstorm_reports::exact::Decimal;
use jiff::SignedDuration;
use toml::de::DeValue;

use crate::limits::LONGEST_SCHEDULE;
use crate::table::Value;

/// Longest name of a scenario, cohort or hub: a registration id, at most 64 characters long in
/// a certificate's common name, is made of the cohort's.
const MAX_NAME_LENGTH: usize = 40;

/// Shortest time between two messages of one device.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(1);

/// Highest rate, devices a second.
const MAX_RATE: f64 = 10_000_000.0;

/// A name that can be part of a device's id, a host name and a folder's name.
pub(super) fn name(value: &Value<'_>) -> Option<String> {
    let text = value.text()?;
    let usable = (1..=MAX_NAME_LENGTH).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-');
    if usable {
        return Some(text.into());
    }
    value.wrong(
        format!("\"{text}\" is not usable as a name"),
        format!(
            "1 to {MAX_NAME_LENGTH} of a-z, 0-9 and '-', the first and the last no '-'; ids and host names are made of it"
        ),
    )
}

/// A duration like `250ms` or `1h 30m`; not negative.
pub(crate) fn duration(value: &Value<'_>) -> Option<Duration> {
    let text = value.text_like("\"30s\"")?;
    let Ok(duration) = text.parse::<SignedDuration>() else {
        return value.wrong(
            format!("\"{text}\" is not a duration"),
            "a number and its unit, like \"250ms\", \"30s\" or \"1h 30m\"".to_string(),
        );
    };
    match Duration::try_from(duration) {
        Err(_) => value.wrong(format!("\"{text}\" is negative"), None),
        Ok(duration) if duration > LONGEST_SCHEDULE => {
            value.wrong(format!("\"{text}\" is longer than a year"), None)
        }
        Ok(duration) => Some(duration),
    }
}

/// A duration above zero, which may be in days, like `30d`.
pub(super) fn duration_or_days(value: &Value<'_>) -> Option<Duration> {
    let days = value
        .text_like("\"30d\"")?
        .strip_suffix('d')
        .and_then(|days| days.trim().parse::<u64>().ok())
        .and_then(|days| days.checked_mul(24 * 60 * 60))
        .map(Duration::from_secs);
    match days {
        Some(days) if !days.is_zero() && days <= LONGEST_SCHEDULE => Some(days),
        Some(_) => value.wrong("is not from a day to a year", None),
        None => duration_above_zero(value),
    }
}

/// A duration above zero.
pub(crate) fn duration_above_zero(value: &Value<'_>) -> Option<Duration> {
    let duration = duration(value)?;
    if duration.is_zero() {
        return value.wrong("must be above zero", None);
    }
    Some(duration)
}

/// A rate like `200/s`, `30/m` or `0.5/h`, in devices a second; zero or above.
pub(crate) fn rate(value: &Value<'_>) -> Option<f64> {
    let text = value.text_like("\"200/s\"")?;
    let Some(rate) = parse_rate(text) else {
        return value.wrong(
            format!("\"{text}\" is not a rate"),
            "devices and the time they come in, like \"200/s\", \"30/m\" or \"10/h\"".to_string(),
        );
    };
    if !(0.0..=MAX_RATE).contains(&rate) {
        return value.wrong(format!("\"{text}\" is not from 0/s to {MAX_RATE}/s"), None);
    }
    Some(rate)
}

/// A number within a range.
pub(super) fn number(value: &Value<'_>, range: RangeInclusive<f64>) -> Option<f64> {
    let number: Option<f64> = match value.node() {
        DeValue::Float(number) => number.as_str().parse().ok(),
        DeValue::Integer(number) => number.as_str().parse().ok(),
        _ => return value.expected("a number"),
    };
    let number = number.filter(|number| range.contains(number));
    if number.is_none() {
        let problem = format!("must be from {} to {}", range.start(), range.end());
        return value.wrong(problem, None);
    }
    number
}

/// A share like `0.2` or `"20%"`, above zero and at most one.
pub(crate) fn share(value: &Value<'_>) -> Option<f64> {
    exact_share(value).map(Decimal::as_f64)
}

/// The same, as it is written.
pub(super) fn exact_share(value: &Value<'_>) -> Option<Decimal> {
    match any_share(value).filter(|share| *share > Decimal::ZERO) {
        Some(share) => Some(share),
        None => value.wrong(
            "is no share",
            "above zero and at most all, like 0.2 or \"20%\"".to_string(),
        ),
    }
}

/// The same, or zero.
pub(super) fn share_or_none(value: &Value<'_>) -> Option<Decimal> {
    match any_share(value) {
        Some(share) => Some(share),
        None => value.wrong(
            "is no share",
            "from none to all, like 0, 0.2 or \"20%\"".to_string(),
        ),
    }
}

fn any_share(value: &Value<'_>) -> Option<Decimal> {
    match value.node() {
        DeValue::String(text) => Decimal::parse_share(text),
        DeValue::Float(number) => Decimal::parse_share(number.as_str()),
        DeValue::Integer(number) => Decimal::parse_share(number.as_str()),
        _ => None,
    }
}

/// A share above zero as text.
pub(crate) fn share_of_text(text: &str) -> Option<Decimal> {
    Decimal::parse_share(text).filter(|share| *share > Decimal::ZERO)
}

/// A bandwidth like `2Mbit/s`, `500kbit/s` or `64kB/s`, in bytes a second; above zero.
pub(crate) fn bandwidth(value: &Value<'_>) -> Option<u64> {
    let text = value.text()?;
    let Some(bandwidth) = parse_bandwidth(text) else {
        return value.wrong(
            format!("\"{text}\" is not a bandwidth"),
            "a number and its unit, like \"2Mbit/s\", \"500kbit/s\" or \"64kB/s\"".to_string(),
        );
    };
    Some(bandwidth)
}

fn parse_bandwidth(text: &str) -> Option<u64> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (count, unit) = text.split_at(end);
    let bytes = match unit.trim() {
        "bit/s" => 0.125,
        "kbit/s" => 125.0,
        "Mbit/s" => 125_000.0,
        "Gbit/s" => 125_000_000.0,
        "B/s" => 1.0,
        "kB/s" => 1_000.0,
        "MB/s" => 1_000_000.0,
        _ => return None,
    };
    let bandwidth = count.parse::<f64>().ok()? * bytes;
    (1.0..=1e12)
        .contains(&bandwidth)
        .then_some(bandwidth as u64)
}

/// The time between two of what comes at a rate like `1/30s`, `2/m` or `1/250ms`.
pub(super) fn interval(value: &Value<'_>) -> Option<Duration> {
    let text = value.text()?;
    let Some(every) = parse_interval(text) else {
        return value.wrong(
            format!("\"{text}\" is not a rate of one device"),
            "how many in which time, like \"1/30s\", \"2/m\" or \"1/250ms\"".to_string(),
        );
    };
    if !(SHORTEST_INTERVAL..=LONGEST_SCHEDULE).contains(&every) {
        return value.wrong(
            format!("\"{text}\" is not from once a year to 1,000 a second"),
            None,
        );
    }
    Some(every)
}

fn parse_interval(text: &str) -> Option<Duration> {
    let (count, time) = text.split_once('/')?;
    let count: u32 = count.trim().parse().ok().filter(|count| *count > 0)?;
    let time = match time.trim() {
        "s" => Duration::from_secs(1),
        "m" => Duration::from_secs(60),
        "h" => Duration::from_secs(3_600),
        time => Duration::try_from(time.parse::<SignedDuration>().ok()?).ok()?,
    };
    Some(time / count)
}

fn parse_rate(text: &str) -> Option<f64> {
    let (count, unit) = text.split_once('/')?;
    let seconds = match unit.trim() {
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3_600.0,
        _ => return None,
    };
    let count: f64 = count.trim().parse().ok()?;
    count.is_finite().then_some(count / seconds)
}
