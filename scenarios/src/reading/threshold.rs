//! `[thresholds]`: what must hold at the end.

use fleetstorm_reports::Threshold;

use super::each;
use crate::file::Value;
use crate::scenario::ScenarioThreshold;

/// Reads every threshold. Subjects are written in quotes or without: to TOML
/// `dropped.count = "== 0"` is a table in a table, to people it is the same.
pub(super) fn read_all(value: &Value<'_>) -> Option<Vec<ScenarioThreshold>> {
    below("", value)
}

fn below(prefix: &str, value: &Value<'_>) -> Option<Vec<ScenarioThreshold>> {
    let thresholds = each(value.table()?.into_entries(), |(key, value)| {
        let subject = format!("{prefix}{key}");
        if value.is_table() {
            below(&format!("{subject}."), &value)
        } else {
            read(subject, &value).map(|threshold| vec![threshold])
        }
    })?;
    Some(thresholds.concat())
}

fn read(subject: String, value: &Value<'_>) -> Option<ScenarioThreshold> {
    let condition = value.text_like("\"< 5s\" or \">= 99.9%\"")?;
    match Threshold::parse(&subject, condition) {
        Ok(threshold) => Some(ScenarioThreshold {
            subject,
            condition: condition.into(),
            threshold,
        }),
        Err(error) => value.wrong(error.to_string(), None),
    }
}
