//! Annotations of GitHub Actions: a line for each check that is not as it must be.

use std::io::{self, Write};

use crate::check::CheckOutcome;
use crate::summary::Summary;

/// Most of them; GitHub shows ten of a step.
const MAX_ANNOTATIONS: usize = 10;

/// Writes them; nothing where all is as it must be.
///
/// # Errors
/// The writer's.
pub fn render(summary: &Summary, out: &mut dyn Write) -> io::Result<()> {
    let checks = summary.checks().into_iter();
    let bad = checks.filter(|check| check.outcome != CheckOutcome::Passed);
    for check in bad.take(MAX_ANNOTATIONS) {
        let title = format!("{}: {} {}", summary.scenario, check.kind.name(), check.name);
        let message = format!("wanted: {}\nmeasured: {}", check.wanted, check.measured);
        writeln!(
            out,
            "::error title={}::{}",
            property(&title),
            data(&message)
        )?;
    }
    Ok(())
}

/// As the runner's own toolkit writes it.
fn data(text: &str) -> String {
    let text = text.replace('%', "%25");
    text.replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregator::fixture;

    #[test]
    fn each_is_one_line_whatever_it_says() {
        let mut summary = fixture::summary();
        summary.scenario = "a,b: 100%\n::stop-commands::x".into();
        let mut text = Vec::new();
        render(&summary, &mut text).expect("memory");
        let text = String::from_utf8(text).expect("UTF-8");
        assert!(text.lines().count() > 1);
        for line in text.lines() {
            let title = "::error title=a%2Cb%3A 100%25%0A%3A%3Astop-commands%3A%3Ax%3A ";
            assert!(line.starts_with(title), "{line}");
        }
        let crossed = "::wanted: provisioned.ratio == 100%25%0Ameasured: 75 %25 (3 of 4)\n";
        assert!(text.contains(crossed), "{text}");
    }
}
