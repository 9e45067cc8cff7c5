//! Which devices a threshold is about, in k6's syntax: `{cohort:meters,transport:mqtt}`.

use crate::dimensions::Dimensions;
use crate::record::Record;

/// Devices alike in all that is given, by the indices of [`Dimensions`]; all devices by default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cut {
    /// Of this cohort.
    pub cohort: Option<usize>,
    /// Over this transport.
    pub transport: Option<usize>,
    /// With this attestation.
    pub attestation: Option<usize>,
    /// In this region.
    pub region: Option<usize>,
    /// Of this tenant.
    pub tenant: Option<usize>,
}

/// Whose latencies a threshold is about, of the devices of its cut.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Among {
    /// All that were due: those that did not get so far count as slower than any that did.
    #[default]
    AllThatWereDue,
    /// Those that got so far, alone.
    Succeeded,
}

/// Everything that stands between the braces.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tags {
    pub cut: Cut,
    pub among: Among,
}

/// What tags are called.
pub(super) const KEYS: [&str; 6] = [
    "cohort",
    "transport",
    "attestation",
    "region",
    "tenant",
    "outcome",
];
/// The one value of `outcome`.
pub(super) const SUCCEEDED: &str = "succeeded";

impl Tags {
    /// Reads what stands between the braces.
    ///
    /// # Errors
    /// For people, with the nearest good word.
    pub(super) fn parse(tags: &str, names: &Dimensions) -> Result<Self, String> {
        let mut cut = Cut::default();
        let outcomes = [SUCCEEDED.to_owned()];
        let mut outcome = None;
        for tag in tags.split(',') {
            let Some((key, value)) = tag.split_once(':') else {
                let tag = tag.trim();
                return Err(format!(
                    "\"{tag}\" is no tag: write its key and its value, like {{cohort:meters}}"
                ));
            };
            let (key, value) = (key.trim(), value.trim());
            let (slot, known) = match key {
                "cohort" => (&mut cut.cohort, &names.cohorts[..]),
                "transport" => (&mut cut.transport, &names.transports[..]),
                "attestation" => (&mut cut.attestation, &names.attestations[..]),
                "region" => (&mut cut.region, &names.regions[..]),
                "tenant" => (&mut cut.tenant, &names.tenants[..]),
                "outcome" => (&mut outcome, &outcomes[..]),
                other => {
                    let meant = match meant(other, KEYS.into_iter()) {
                        none if none.is_empty() => format!(": there are {}", KEYS.join(", ")),
                        meant => meant,
                    };
                    return Err(format!("there is no tag \"{other}\"{meant}"));
                }
            };
            if slot.is_some() {
                return Err(format!("the tag {key} is given twice"));
            }
            let found = known.iter().position(|name| name == value);
            if found.is_none() {
                let meant = meant(value, known.iter().map(String::as_str));
                return Err(format!("there is no {key} \"{value}\"{meant}"));
            }
            *slot = found;
        }
        let among = outcome.map_or(Among::default(), |_| Among::Succeeded);
        Ok(Self { cut, among })
    }
}

impl Cut {
    /// Whether it is of all devices.
    pub fn is_whole(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a device is in it.
    pub(super) fn takes(&self, record: &Record) -> bool {
        let is = |wanted: Option<usize>, index: usize| wanted.is_none_or(|wanted| wanted == index);
        is(self.cohort, record.cohort.into())
            && is(self.transport, record.transport.into())
            && is(self.attestation, record.attestation.into())
            && is(self.tenant, record.tenant.into())
            && (self.region.is_none() || record.region.map(usize::from) == self.region)
    }
}

/// `, did you mean "…"?`, where something looks alike.
pub(super) fn meant<'k>(word: &str, known: impl Iterator<Item = &'k str>) -> String {
    nearest(word, known).map_or(String::new(), |best| format!(", did you mean \"{best}\"?"))
}

/// What looks most like `word`, if anything does.
pub(super) fn nearest<'k>(word: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    let scored = known.map(|known| (strsim::jaro_winkler(word, known), known));
    let best = scored.max_by(|a, b| a.0.total_cmp(&b.0))?;
    (best.0 > 0.8).then_some(best.1)
}
