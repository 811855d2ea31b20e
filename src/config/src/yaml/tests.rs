use proptest::prelude::*;
use serde_yaml::Value;

use super::{Node, Resolved, Scalar, parse};

fn value(text: &str) -> Value {
    parse(text).unwrap_or_else(|faults| panic!("{text}: {faults:?}")).map_or(Value::Null, |node| node.to_value())
}

/// The first fault as `line: key: message`.
fn fault(text: &str) -> String {
    let faults = parse(text).expect_err(text);
    format!("{}: {}: {}", faults[0].line.unwrap_or_default(), faults[0].key, faults[0].message)
}

#[test]
fn scalars_mean_what_serde_yaml_says_they_mean() {
    let texts = [
        "",
        "~",
        "null",
        "Null",
        "nULL",
        "true",
        "True",
        "tRUE",
        "false",
        "yes",
        "no",
        "on",
        "0",
        "-0",
        "7",
        "+7",
        "-7",
        "007",
        "0755",
        "-007",
        "0x1F",
        "0o17",
        "0b101",
        "0xZZ",
        "0x-1",
        "9223372036854775807",
        "9223372036854775808",
        "18446744073709551615",
        "-9223372036854775808",
        "1.5",
        "-1.5",
        "1e3",
        "1E3",
        ".5",
        "5.",
        "1_000",
        ".inf",
        "-.inf",
        "+.inf",
        ".nan",
        "inf",
        "nan",
        "NaN",
        "infinity",
        "+",
        ".",
        "-.",
        "1.2.3",
        "100.64.0.1",
        "12:30",
        "2026-01-31",
        "'7'",
        "\"true\"",
        "''",
        "a b",
        "a#b",
        "e3",
        "1e",
        "~/x",
    ];
    for text in texts {
        let document = format!("key: {text}\n");
        let theirs: Value = serde_yaml::from_str(&document).unwrap();
        assert_eq!(value(&document), theirs, "{text}");
    }
}

#[test]
fn documents_of_every_shape_are_read_as_serde_yaml_reads_them() {
    let texts = [
        "a:\n  b: [1, two, {c: 3}]\n  d:\n  - x\n  - y: z\n",
        "a: |\n  two\n  lines\nb: >-\n  folded\n  text\n",
        "# only a comment\n",
        "---\na: 1\n...\n",
        "a: 'it''s'\nb: \"tab\\there\"\n",
        "{a: 1, b: [2, 3], 4: c}\n",
        "a:\nb:\n",
        "a: b # not part of it\n",
        "a: plain text\n  that goes on\n",
        "\u{feff}a: 1\n",
        "a: 1\r\nb: 2\r\n",
    ];
    for text in texts {
        let theirs: Value = serde_yaml::from_str(text).unwrap();
        assert_eq!(value(text), strings_for_keys(theirs), "{text}");
    }
}

/// Keys are text here, whatever they look like.
fn strings_for_keys(value: Value) -> Value {
    match value {
        Value::Mapping(map) => Value::Mapping(
            map.into_iter()
                .map(|(key, value)| {
                    let key = match key {
                        Value::String(text) => text,
                        other => serde_yaml::to_string(&other).unwrap().trim().to_owned(),
                    };
                    (key.into(), strings_for_keys(value))
                })
                .collect(),
        ),
        Value::Sequence(items) => items.into_iter().map(strings_for_keys).collect(),
        other => other,
    }
}

#[test]
fn every_key_knows_its_line() {
    let text = "# comment\na: 1\n\nb:\n  c: x\n  d:\n    - y\n    - z\n";
    let root = parse(text).unwrap().unwrap();
    let map = root.as_map().unwrap();
    let lines: Vec<_> = map.entries().iter().map(|e| (e.key.as_str(), e.line)).collect();
    assert_eq!(lines, [("a", 2), ("b", 4)]);
    let inner = map.get("b").unwrap().value.as_map().unwrap();
    assert_eq!((inner.get("c").unwrap().line, inner.get("d").unwrap().line), (5, 6));
    let super::Data::List(items) = &inner.get("d").unwrap().value.data else { panic!("a list") };
    assert_eq!(items.iter().map(|item: &Node| item.line).collect::<Vec<_>>(), [7, 8]);
}

#[test]
fn faults_name_line_and_key() {
    let cases = [
        ("a: 1\nb: 2\na: 3\n", "3: a: duplicate key: a is on line 1 already"),
        ("h:\n  x:\n    p: 1\n    p: 2\n", "4: h.x.p: duplicate key: p is on line 3 already"),
        ("l:\n- a: 1\n- b: 1\n  b: 2\n", "4: l.1.b: duplicate key: b is on line 3 already"),
        ("a: 1\n\"a\": 2\n", "2: a: duplicate key: a is on line 1 already"),
        ("a: &x 1\nb: *x\n", "1: a: anchors"),
        ("a: !!str 1\n", "1: a: tags"),
        ("a:\n  <<: 1\n", "2: a.<<: merge keys"),
        ("? [a]\n: 1\n", "1: : a key must be text"),
        (": 1\n", "1: : a key is missing"),
        ("a: 1\n---\nb: 1\n", "2: : a second document"),
        ("a: 1\n\tb: 2\n", "2: : is indented with a tab"),
        ("a:\n\tb: 2\n", "2: : is indented with a tab"),
        ("a: [1, 2\nb: 3\n", "2: : is not YAML"),
        ("a: 'open\n", "1: : is not YAML"),
    ];
    for (text, expected) in cases {
        let found = fault(text);
        assert!(found.starts_with(expected), "{text:?}\n  expected {expected}\n  found    {found}");
    }
}

#[test]
fn all_duplicates_are_told_at_once() {
    let faults = parse("a: 1\na: 2\nb: 1\na: 3\nb: 2\n").unwrap_err();
    assert_eq!(faults.iter().map(|f| f.line).collect::<Vec<_>>(), [Some(2), Some(4), Some(5)]);
}

#[test]
fn depth_is_bounded() {
    assert!(fault(&format!("{}{}", "[".repeat(100), "]".repeat(100))).contains("nested deeper than 32 levels"));
    let nested: String = (0..100).fold(String::new(), |text, depth| text + &" ".repeat(depth) + "k:\n");
    assert!(fault(&nested).contains("nested deeper"));
}

#[test]
fn text_that_other_readers_take_for_something_else_is_pointed_out() {
    let plain = |text: &str| Scalar { text: text.to_owned(), plain: true };
    for (text, other) in [
        ("yes", Some("a truth value")),
        ("Off", Some("a truth value")),
        ("0755", Some("a number")),
        ("1_000", Some("a number")),
        ("12:30:45", Some("a number of base 60")),
        ("2026-01-31", Some("a date")),
        ("2026-01-31 10:00", Some("a date")),
        (":", None),
        ("a:b", None),
        ("fd7a::1", None),
        ("100.64.0.1", None),
        ("no problem", None),
        ("vast-29031159", None),
        ("7", None),
    ] {
        assert_eq!(plain(text).ambiguity(), other, "{text}");
    }
    assert_eq!(Scalar { text: "yes".into(), plain: false }.ambiguity(), None);
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in r"[ \n\t:\-\[\]{}#&*!|>'%@`a-c0-2,?~.\u{e9}\u{feff}\r]{0,80}") {
        let _ = parse(&text);
    }

    #[test]
    fn any_text_at_all_is_survived(text in any::<String>()) {
        let _ = parse(&text);
    }

    #[test]
    fn what_serde_yaml_writes_is_read_as_it_was_meant(tree in tree()) {
        let text = serde_yaml::to_string(&tree).unwrap();
        prop_assert_eq!(value(&text), tree, "{}", text);
    }

    #[test]
    fn a_plain_number_is_a_number_to_both(text in r"[+-]?[0-9_.xobe:-]{1,8}") {
        let document = format!("k: {text}\n");
        if let (Ok(theirs), Ok(Some(ours))) = (serde_yaml::from_str::<Value>(&document), parse(&document)) {
            prop_assert_eq!(ours.to_value(), theirs);
        }
    }
}

/// Trees of text keys, as files of ours have them.
fn tree() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1e6..1e6_f64).prop_map(Value::from),
        "[ -~\u{e9}\n]{0,12}".prop_map(Value::from),
        prop::sample::select(vec!["yes", "null", "~", "0755", "1_0", ":", "<<", "- a", "#", "a: b", "'", "2026-01-01"])
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map("[a-z0-9_*.:-]{1,8}", inner, 0..5)
                .prop_map(|map| Value::Mapping(map.into_iter().map(|(k, v)| (k.into(), v)).collect())),
        ]
    })
}

#[test]
fn a_description_is_short_and_says_what_it_is() {
    let describe = |text: &str| {
        parse(&format!("k: {text}")).unwrap().unwrap().as_map().unwrap().entries()[0].value.describe().into_owned()
    };
    for (text, words) in [
        ("", "nothing"),
        ("7", "the number 7"),
        ("true", "the truth value true"),
        ("abc", "\"abc\""),
        ("[1]", "a list"),
        ("{a: 1}", "a map"),
    ] {
        assert_eq!(describe(text), words);
    }
    assert_eq!(describe(&"x".repeat(100)).chars().count(), 63);
    assert!(matches!(Scalar { text: "1".into(), plain: true }.resolve(), Resolved::Integer(1)));
}
