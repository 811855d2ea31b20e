use super::*;

fn report(state: State, names: &[&str]) -> Report {
    let gpu = |(index, name): (u32, &&str)| ringrift_gpu::Gpu {
        index,
        uuid: format!("GPU-{index}"),
        name: (*name).to_owned(),
        memory: None,
        percent: None,
        temperature: None,
        ecc_uncorrected: None,
        processes: Vec::new(),
        xid: None,
        trouble: None,
    };
    Report { state, sentence: "why".into(), gpus: (0..).zip(names).map(gpu).collect(), ..Report::default() }
}

fn said(promised: &str, state: State, names: &[&str]) -> Option<String> {
    contradiction(&"gpu-3".parse().unwrap(), Gpu::parse(promised).as_ref(), &report(state, names))
}

#[test]
fn other_gpus_than_the_hosts_file_promises_are_named_with_the_node_and_both_values() {
    let ada = "NVIDIA GeForce RTX 4090";
    for (promised, state, names, expected) in [
        ("2x RTX 4090", State::Working, &[ada, ada][..], None),
        ("RTX 4090", State::Working, &[ada], None),
        // One that fell off the bus before anybody read its name.
        ("2x RTX 4090", State::Working, &[ada, ""], None),
        ("none", State::NoLibrary, &[], None),
        ("none", State::NoGpu, &[], None),
        (
            "2x RTX 4090",
            State::Working,
            &[ada],
            Some("`gpu: 2x RTX 4090`, and the driver finds NVIDIA GeForce RTX 4090"),
        ),
        ("RTX 3090", State::Working, &[ada], Some("`gpu: RTX 3090`, and the driver finds NVIDIA GeForce RTX 4090")),
        ("none", State::Working, &[ada, ada], Some("`gpu: none`, and the driver finds 2x NVIDIA GeForce RTX 4090")),
        ("8x RTX 4090", State::NoDriver, &[], Some("`gpu: 8x RTX 4090`, and the driver finds none (why)")),
        (
            "2x RTX 4090",
            State::Working,
            &[ada, "NVIDIA H100"],
            Some("`gpu: 2x RTX 4090`, and the driver finds NVIDIA GeForce RTX 4090 and NVIDIA H100"),
        ),
    ] {
        let expected = expected.map(|text| format!("gpu-3: the hosts file says {text}"));
        assert_eq!(said(promised, state, names), expected, "{promised} {state:?} {names:?}");
    }
}

#[test]
fn while_nobody_knows_what_there_is_nothing_is_contradicted() {
    for state in [State::Unknown, State::Off, State::NoPermission, State::Vanished, State::Hung, State::Failed] {
        assert_eq!(said("8x RTX 4090", state, &[]), None, "{state:?}");
    }
}
