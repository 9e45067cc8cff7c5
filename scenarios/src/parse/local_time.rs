//! Arrivals by the clocks of regions: the same hour comes earlier, the farther east a region is.

use std::time::Duration;

use jiff::SignedDuration;

use crate::region::Region;
use crate::table::Value;

/// Clocks are from 12 hours behind UTC to 14 before it (IANA time zone database, `Etc` and
/// `Pacific/Kiritimati`).
const OFFSETS: std::ops::RangeInclusive<i64> = -12 * 3_600..=14 * 3_600;

/// `utc-offset = "-5h"`, in seconds.
pub(super) fn offset(value: &Value<'_>) -> Option<i32> {
    let text = value.text_like("\"9h\" or \"-5h\"")?;
    let offset: Option<SignedDuration> = text.parse().ok();
    let seconds = offset.map(|offset| offset.as_secs());
    let Some(seconds) = seconds.filter(|seconds| OFFSETS.contains(seconds)) else {
        return value.wrong(
            format!("\"{text}\" is no offset from UTC"),
            "from \"-12h\" to \"14h\", like \"9h\", \"-5h\" or \"5h 30m\"".to_string(),
        );
    };
    i32::try_from(seconds).ok()
}

/// `local-time = true`: how much later than in the easternmost region the cohort's devices come, whose
/// `regions` are known by their indices.
pub(super) fn lateness(
    value: &Value<'_>,
    is_local: bool,
    cohort: Option<&[(u8, u32)]>,
    regions: Option<&[Region]>,
) -> Option<Duration> {
    let (cohort, regions) = (cohort?, regions?);
    if !is_local {
        return Some(Duration::ZERO);
    }
    let [(own, _)] = cohort else {
        return value.wrong(
            "needs a cohort that is in one region, whose clock it goes by",
            "make a cohort of the devices of each region".to_string(),
        );
    };
    let own = regions.get(usize::from(*own))?;
    let Some(offset) = own.utc_offset else {
        return value.wrong(
            format!("region \"{}\" has no utc-offset", own.name),
            "give it one, like utc-offset = \"9h\"".to_string(),
        );
    };
    let easternmost = regions
        .iter()
        .filter_map(|region| region.utc_offset)
        .max()?;
    let seconds = u64::try_from(easternmost - offset).ok()?;
    Some(Duration::from_secs(seconds))
}
