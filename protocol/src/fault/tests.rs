use super::*;

fn rule(toml: &str) -> FaultRule {
    toml::from_str(toml).expect(toml)
}

#[test]
fn a_rule_that_makes_no_sense_is_refused_with_its_key() {
    for (keys, words) in [
        ("do = 'delay'", "time: is missing"),
        ("do = 'drop'\ntime = '1s'", "time: is for"),
        (
            "do = 'delay'\ntime = { from = '2s', to = '1s' }",
            "less than \"from\"",
        ),
        ("do = 'delay'\ntime = { p50 = '0s', p99 = '1s' }", "is 0"),
        ("do = 'refuse'", "code: is missing"),
        ("do = 'refuse'\ncode = 200000", "not between"),
        ("do = 'drop'\ncode = 500000", "code: is for"),
        ("do = 'drop'\nretry-after = 1", "retry-after: is for"),
        ("do = 'drop'\nshare = 1.5", "share: 1.5"),
        (
            "do = 'drop'\nafter = '2s'\nbefore = '1s'",
            "before it begins",
        ),
        (
            "do = 'corrupt'\noperations = ['telemetry']",
            "\"telemetry\" has no place for \"corrupt\"",
        ),
    ] {
        let rule = rule(keys);
        let problem = rule.check().expect_err(keys);
        assert!(problem.to_string().contains(words), "{keys}: {problem}");
    }
    for unread in [
        "do = 'explode'",
        "do = 'drop'\nwhen = 1",
        "do = 'delay'\ntime = 'soon'",
    ] {
        assert!(toml::from_str::<FaultRule>(unread).is_err(), "{unread}");
    }
}

#[test]
fn every_word_is_the_one_that_rules_are_written_with() {
    fn words<Value: Copy + Serialize>(named: &[(&str, Value)]) {
        for (word, value) in named {
            let written = serde_json::to_value(value).expect("a word");
            assert_eq!(written, *word);
        }
    }
    words(&FaultAction::NAMED);
    words(&FaultProtocol::NAMED);
    words(&FaultOperation::NAMED);
}

#[test]
fn rules_get_names_and_no_name_is_there_twice() {
    let mut rules = [
        "do = 'drop'",
        "do = 'drop'\nname = 'fault-3'",
        "do = 'reset'",
    ]
    .map(rule);
    check(&mut rules).expect("good rules");
    let names = rules.each_ref().map(|rule| rule.name.as_str());
    assert_eq!(names, ["fault-1", "fault-3", "fault-4"]);
    rules[2].name = "fault-1".into();
    let (index, flaw) = check(&mut rules).expect_err("twice");
    assert_eq!((index, flaw.key), (2, "name"));
    let mut many = vec![rules[0].clone(); MAX_RULES + 1];
    assert!(check(&mut many).is_err());
}
