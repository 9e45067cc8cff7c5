//! What scenario files can say and `run` can't do yet: refused, for a run that leaves something
//! out silently measures something else. Whoever teaches `run` a key takes it out here.

use fleetstorm_scenarios::{RetryProfile, Scenario};

use crate::failure::Failure;

/// Refuses a scenario that asks for something that is not executed yet.
///
/// # Errors
/// All that it asks for in vain, by key.
pub fn refuse(scenario: &Scenario) -> Result<(), Failure> {
    let retries = scenario
        .cohorts
        .iter()
        .zip(0..)
        .filter_map(|(cohort, index)| {
            let other = cohort.retry != RetryProfile::default();
            other.then(|| format!("cohort[{index}].retry = \"{}\"", cohort.retry.name()))
        });
    let keys: Vec<String> = retries.collect();
    if keys.is_empty() {
        return Ok(());
    }
    let message = format!("not executed yet: {}", keys.join(", "));
    Err(Failure::usage(message).hint("leave it out of the scenario"))
}

#[cfg(test)]
mod tests {
    use fleetstorm_scenarios::parse;

    use super::*;

    fn scenario(retry: &str) -> Scenario {
        let text = format!(
            r#"
            name = "one"
            [[cohort]]
            name = "a"
            devices = 1
            attestation = "tpm"
            transport = "https"
            arrival = {{ kind = "all-at-once" }}
            {retry}
            "#
        );
        parse(&text, "one.toml").expect("valid")
    }

    #[test]
    fn what_is_not_executed_is_refused_by_its_key() {
        let failure = refuse(&scenario("retry = \"sdk-c\"")).expect_err("not executed");
        assert!(failure.message.contains("cohort[0].retry = \"sdk-c\""));
    }

    #[test]
    fn what_is_executed_passes() {
        assert_eq!(refuse(&scenario("")), Ok(()));
        assert_eq!(refuse(&scenario("retry = \"patient\"")), Ok(()));
    }
}
