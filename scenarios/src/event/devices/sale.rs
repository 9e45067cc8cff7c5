//! `do = "change-owner"`: devices that are sold to another tenant.

use serde_json::{Map, Value};

use crate::cohort::Flaw;
use crate::event::refs::{Refs, enrolled};
use crate::event::selector::Selector;
use crate::keys::{Fields, Reader, keys};
use crate::parse::kinds::{self, Share, Text};
use crate::parse::tenant;

/// The sale of some of a cohort's devices.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sale<'a> {
    /// Number of the event.
    pub event: u16,
    /// Which are sold.
    pub sold: Selector,
    /// Index of the buyer's instance.
    pub buyer: u8,
    /// Desired properties that its enrollments ask for; as the cohort's when `None`.
    pub desired: Option<&'a Desired>,
}

pub(super) type Desired = Map<String, Value>;

keys! {
    struct SaleKeys: "A sale." {
        "share" share: default Share = 1,
            "How many of the cohort; the seed chooses which.";
        "cohort" cohort: required Text,
            "Whose; a cohort is sold once.";
        "to" to: required Text,
            "Name of the [[tenant]] that buys them.";
        "desired" desired: optional kinds::Desired,
            "Desired properties that the buyer's enrollments ask for; the cohort's when left out.";
    }
}

/// Which are sold, to the instance of which index, and what they are to desire there.
pub(super) fn read(
    reader: &mut Reader<'_>,
    refs: &Refs<'_>,
) -> Option<(Selector, u8, Option<Desired>)> {
    let keys = SaleKeys::take(reader);
    let sold = keys.cohort.written().and_then(|value| {
        let (index, cohort) = refs.cohort(&value)?;
        enrolled(&value, cohort)?;
        if cohort.flaw == Some(Flaw::DuplicateEk) {
            return value.wrong(
                "has two devices for each enrollment, which can't be sold apart",
                "sell a cohort without that flaw".to_string(),
            );
        }
        Some((index, cohort))
    });
    let buyer = keys.to.written().and_then(|value| {
        let (to, tenant) = tenant::named(&value, refs.tenants)?;
        if sold.is_some_and(|(_, cohort)| cohort.tenant == to) {
            return value.wrong(
                format!("the devices are {}'s already", tenant.name),
                "name the [[tenant]] that they are sold to".to_string(),
            );
        }
        Some(to)
    });
    let selector = Selector {
        cohort: Some(sold?.0),
        share: keys.share.read?,
    };
    Some((selector, buyer?, keys.desired.read?))
}
