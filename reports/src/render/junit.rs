//! JUnit's XML, as CI systems show it: a case for everything that had to be so.
//!
//! What is not as it must be is a `failure`; what nobody can say, an `error`. There is at least one of them exactly
//! where the verdict is not PASS.

use std::io::{self, Write};

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};

use crate::check::{Check, CheckOutcome};
use crate::summary::Summary;

/// Writes it.
///
/// # Errors
/// The writer's.
pub fn render(summary: &Summary, out: &mut dyn Write) -> io::Result<()> {
    let checks = summary.checks();
    let scenario = legal(&summary.scenario);
    let total = checks.len().to_string();
    let counted = |outcome| {
        let alike = checks.iter().filter(|check| check.outcome == outcome);
        alike.count().to_string()
    };
    let failures = counted(CheckOutcome::Failed);
    let errors = counted(CheckOutcome::Unproven);
    let took = seconds(summary.duration_us);
    let counts = [
        ("tests", total.as_str()),
        ("failures", &failures),
        ("errors", &errors),
        ("time", &took),
    ];
    // JUnit's own has neither fractions nor a zone.
    let started = summary.started_at.get(..19).unwrap_or(&summary.started_at);
    let mut xml = Writer::new_with_indent(out, b' ', 2);
    xml.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    xml.create_element("testsuites")
        .with_attribute(("name", "fleetstorm"))
        .with_attributes(counts)
        .write_inner_content(|xml| {
            xml.create_element("testsuite")
                .with_attribute(("name", scenario.as_str()))
                .with_attributes(counts)
                .with_attribute(("skipped", "0"))
                .with_attribute(("timestamp", started))
                .write_inner_content(|xml| {
                    properties(summary, xml)?;
                    checks
                        .iter()
                        .try_for_each(|check| case(check, &scenario, xml))
                })
                .map(|_| ())
        })?;
    let out = xml.into_inner();
    out.write_all(b"\n")?;
    out.flush()
}

type Xml<'a> = Writer<&'a mut dyn Write>;

fn properties(summary: &Summary, xml: &mut Xml<'_>) -> io::Result<()> {
    let properties = [
        ("fleetstorm", summary.fleetstorm_version.clone()),
        ("target", legal(&summary.target)),
        ("machine", legal(&summary.machine.to_string())),
        ("seed", summary.seed.to_string()),
        ("time-scale", summary.time_scale.to_string()),
        ("exit-code", summary.exit_code.to_string()),
    ];
    xml.create_element("properties")
        .write_inner_content(|xml| {
            for (name, value) in &properties {
                xml.create_element("property")
                    .with_attributes([("name", *name), ("value", value.as_str())])
                    .write_empty()?;
            }
            Ok(())
        })?;
    Ok(())
}

fn case(check: &Check, scenario: &str, xml: &mut Xml<'_>) -> io::Result<()> {
    let class = format!("{scenario}.{}", check.kind.name());
    let (name, wanted, measured) = (
        legal(&check.name),
        legal(&check.wanted),
        legal(&check.measured),
    );
    let case = xml.create_element("testcase").with_attributes([
        ("classname", class.as_str()),
        ("name", &name),
        ("time", "0"),
    ]);
    let text = format!("wanted: {wanted}\nmeasured: {measured}");
    let text = BytesText::new(&text);
    let bad = match check.outcome {
        CheckOutcome::Passed => None,
        CheckOutcome::Failed => Some("failure"),
        CheckOutcome::Unproven => Some("error"),
    };
    case.write_inner_content(|xml| {
        match bad {
            None => xml.create_element("system-out").write_text_content(text)?,
            Some(element) => xml
                .create_element(element)
                .with_attributes([("type", check.kind.name()), ("message", measured.as_str())])
                .write_text_content(text)?,
        };
        Ok(())
    })?;
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "to the millisecond")]
fn seconds(us: u64) -> String {
    format!("{:.3}", us as f64 / 1e6)
}

/// XML has no way to write most control characters, which a peer may send.
fn legal(text: &str) -> String {
    let has_way = |c: char| matches!(c, '\n' | '\t' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{1_0000}'..);
    let one = |c: char| if has_way(c) { c } else { '\u{FFFD}' };
    text.chars().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregator::fixture;

    fn rendered(summary: &Summary) -> String {
        let mut text = Vec::new();
        render(summary, &mut text).expect("memory");
        String::from_utf8(text).expect("UTF-8")
    }

    #[test]
    fn the_file_looks_like_this() {
        insta::assert_snapshot!(rendered(&fixture::summary()));
    }

    #[test]
    fn what_a_peer_says_breaks_no_file() {
        let mut summary = fixture::summary();
        summary.scenario = "a <b> & \"c\" \u{0}\u{1b}[31m ]]> 'd' \u{FFFE}".into();
        let text = rendered(&summary);
        let mut reader = quick_xml::Reader::from_str(&text);
        reader.config_mut().check_end_names = true;
        let mut cases = 0;
        loop {
            match reader.read_event().expect("well-formed XML") {
                Event::Eof => break,
                Event::Start(element) if element.name().as_ref() == "testcase" => cases += 1,
                _ => {}
            }
        }
        assert_eq!(cases, summary.checks().len());
        let has_way = |c: char| c == '\n' || (!c.is_control() && c != '\u{FFFE}');
        assert!(text.chars().all(has_way), "{text}");
    }
}
