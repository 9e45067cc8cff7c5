//! `[thresholds]`: what must hold at the end.

use fleetstorm_reports::Threshold;

use crate::file::Value;
use crate::scenario::ScenarioThreshold;

/// Reads every threshold. Subjects are written in quotes or without: to TOML
/// `dropped.count = "== 0"` is a table in a table, to people it is the same.
pub(super) fn read_all(value: &Value<'_>) -> Option<Vec<ScenarioThreshold>> {
    let mut thresholds = Vec::new();
    collect("", value, &mut thresholds)?;
    Some(thresholds)
}

fn collect(prefix: &str, value: &Value<'_>, into: &mut Vec<ScenarioThreshold>) -> Option<()> {
    let mut good = Some(());
    for (key, value) in value.table()?.into_entries() {
        let subject = format!("{prefix}{key}");
        let read = match value.is_table() {
            true => collect(&format!("{subject}."), &value, into),
            false => read(subject, &value).map(|threshold| into.push(threshold)),
        };
        good = good.and(read);
    }
    good
}

fn read(subject: String, value: &Value<'_>) -> Option<ScenarioThreshold> {
    let condition = value.text()?;
    match Threshold::parse(&subject, condition) {
        Ok(threshold) => Some(ScenarioThreshold {
            subject,
            condition: condition.into(),
            threshold,
        }),
        Err(error) => value.wrong(error.to_string(), None),
    }
}
