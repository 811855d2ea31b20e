use super::{Machine, effective};

#[test]
fn classes_are_built_in_and_the_file_changes_and_adds_some() {
    let machine = Machine::new();
    let (shown, source) = effective(&machine, "job_classes");
    assert_eq!((shown.as_str(), source.as_str()), ("evaluation,gpu_selfplay,selfplay,training", "default"));
    let machine = machine.yaml(
        "http_port: 1\njob_classes:\n  training: {enabled: false}\n  selfplay:\n    limits: {memory_max: 9G}\n  own: {kind: selfplay, argv: [sleep, '1']}\n",
    );
    let (shown, source) = effective(&machine, "job_classes");
    assert_eq!((shown.as_str(), source.as_str()), ("evaluation,gpu_selfplay,own,selfplay", "settings.yaml:2"));
    let classes = machine.settings().job_classes;
    assert_eq!(classes.get("selfplay").unwrap().limits.memory_max.unwrap().to_string(), "9G");
}

#[test]
fn a_mistake_in_a_class_is_named_with_its_line_and_key() {
    for (yaml, error) in [
        ("job_classes: [a]\n", "settings.yaml:1: job_classes: expected classes by their names, found a list"),
        (
            "job_classes:\n  Own: {}\n",
            "settings.yaml:2: job_classes: \"Own\" is no class of jobs: expected 1 to 32 lower-case letters, digits and '_', beginning with a letter",
        ),
        ("job_classes:\n  own: 3\n", "settings.yaml:2: job_classes.own: expected a map, found the number 3"),
        (
            "job_classes:\n  own:\n    argv: [a]\n",
            "settings.yaml:2: job_classes.own: `kind` is missing: a class that is not built in says its kind and its argv",
        ),
        (
            "job_classes:\n  selfplay:\n    grace: 5s\n    limits:\n      memory_max: lots\n",
            "settings.yaml:4: job_classes.selfplay.limits: expected a size such as 512M or 4G, found \"lots\"",
        ),
        (
            "job_classes:\n  selfplay:\n    deadlin: 5s\n",
            "settings.yaml:3: job_classes.selfplay.deadlin: unknown field `deadlin`, expected one of `kind`, `argv`, `params`, `env`, `working_dir`, `needs`, `limits`, `grace`, `deadline`, `attempts`, `aliases`, `enabled`",
        ),
        (
            "job_classes:\n  selfplay:\n    argv: [a, '{b}']\n",
            "settings.yaml:2: job_classes.selfplay: there is no value `b`: expected a parameter of the class, or one of attempt, data_dir, job_id, logs_dir, model, models_dir, node_id, ringrift_path, run",
        ),
    ] {
        assert_eq!(Machine::new().yaml(yaml).error(), error, "{yaml}");
    }
}
