use super::*;
use crate::aggregator::fixture;
use crate::comparison::run::Named;

/// The fixture's run beside one in which nobody failed: too few devices for anything.
fn comparison() -> Comparison {
    let named = |name: &str| {
        let mut summary = fixture::summary();
        summary.verdict = crate::Verdict::Pass;
        Named {
            name: name.into(),
            summary,
        }
    };
    let mut other = named("out/|b|");
    other.summary.scenario = "weekly".into();
    let comparison = Comparison::new(&[named("out/a")], &[named("out/b"), other], 0.05);
    comparison.expect("runs")
}

fn written(render: impl FnOnce(&Comparison, &mut dyn Write) -> io::Result<()>) -> String {
    let mut text = Vec::new();
    render(&comparison(), &mut text).expect("memory");
    String::from_utf8(text).expect("UTF-8")
}

#[test]
fn the_table_looks_like_this() {
    insta::assert_snapshot!(written(|comparison, out| text(
        comparison,
        Style::Plain,
        out
    )));
}

#[test]
fn the_page_looks_like_this() {
    insta::assert_snapshot!(written(markdown::render));
}

#[test]
fn json_has_every_figure() {
    let value: serde_json::Value = serde_json::from_str(&written(json)).expect("JSON");
    let changes = value["candidates"][0]["changes"]
        .as_array()
        .expect("figures");
    assert_eq!(changes.len(), comparison().candidates[0].changes.len());
    assert_eq!(value["candidates"][1]["verdict"], "not-comparable");
    assert_eq!(value["exit_code"], 98);
}

#[test]
fn parts_of_a_hundred_have_a_sign() {
    for (part, text) in [
        (0.0, "0.0 %"),
        (-0.000_1, "0.0 %"),
        (0.052, "+5.2 %"),
        (-1.0, "-100.0 %"),
        (25.0, "+2500 %"),
    ] {
        assert_eq!(signed(part), text);
    }
}
