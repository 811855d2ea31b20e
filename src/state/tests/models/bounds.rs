//! What is kept stays bounded, whatever happens.

use super::*;

#[test]
fn figures_that_do_not_fit_and_too_much_are_refused() {
    let promoted = |name: String, blob: Blob| Command::PromoteModel {
        name: name.parse().unwrap(),
        blob,
        elo: None,
        source: id("a"),
        by: String::new(),
        force: false,
        over: None,
        at_ms: 0,
    };
    let mut cluster = Cluster::default();
    let broken = cluster.refusal(&promoted("m".into(), Blob { size: 9_000, ..blob(1, 2) }));
    assert_eq!(broken, "m cannot be promoted: 2 chunk digests where 3 are needed");
    let huge = cluster.refusal(&promoted("m".into(), blob(1, MAX_CHUNKS + 1)));
    assert!(huge.contains("at most 16384 are agreed on"), "{huge}");
    for n in 0..ModelRecord::MAX {
        cluster.done(&promoted(format!("m{n}"), blob(n as u64, 1)));
    }
    let many = cluster.refusal(&promoted("one-more".into(), blob(1, 1)));
    assert_eq!(many, "one-more cannot be promoted: 129 models would be promoted; at most 128 are");
    cluster.done(&promoted("m5".into(), blob(500, 1)));
}

#[test]
fn old_versions_make_room_for_current_ones() {
    let promoted = |config: &str, number| Command::PromoteModel {
        name: model(config),
        blob: blob(number, MAX_CHUNKS / 2),
        elo: None,
        source: id("a"),
        by: String::new(),
        force: false,
        over: None,
        at_ms: 0,
    };
    let mut cluster = Cluster::default();
    cluster.done(&promoted("a", 1));
    cluster.done(&promoted("a", 2));
    assert_eq!(cluster.agreed.state.blobs.len(), 2);
    cluster.done(&promoted("b", 3));
    let state = &cluster.agreed.state;
    assert_eq!(state.blobs.len(), 2);
    assert!(state.models.values().all(|record| state.blobs.contains_key(&record.current.sha256)));
    cluster.refusal(&promoted("c", 4));
}

#[test]
fn what_an_older_program_left_out_of_a_record_has_its_default() {
    let sha256 = sha256(1);
    let record = json!({"state": {"models": {"m": {
        "current": {"sha256": sha256, "size": 5, "generation": 3, "source": "a"},
        "distribution": {"generation": 3, "state": "running"},
    }}}});
    let agreed: Agreed = decode(&encode(&record).unwrap()).unwrap();
    let record = &agreed.state.models[&"m".parse().unwrap()];
    assert!(record.current.elo.is_none() && record.history.is_empty() && !record.distribution.force);
    // Bytes that no chunk list is known of: nothing may fall over them.
    let mut agreed = Agreed { index: 9, ..agreed };
    replay(&mut agreed, &[roll_back("m", 1), promote("hex8_2p", 1), distribute(None, true)]);
}

#[test]
fn many_promotions_leave_a_bounded_state() {
    let mut state = ClusterState::default();
    for index in 1..=4_000u64 {
        let config = format!("board{}_2p", index % 40);
        state.apply(EntryMeta { term: 1, index }, &promote(&config, index));
        state.apply(EntryMeta { term: 1, index }, &ended(&config, index, index, &["a"], &[("b", "x")]));
    }
    assert_eq!(state.models.len(), 40);
    assert!(state.models.values().all(|record| record.history.len() == ModelRecord::MAX_HISTORY));
    assert_eq!(state.blobs.len(), 40 * (1 + ModelRecord::KEPT_VERSIONS));
    assert!(state.events.len() <= EventLog::MAX);
    let size = encode(&state).unwrap().len();
    assert!(size < 3 << 20, "{size} bytes");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn whatever_happens_the_models_stay_bounded_and_their_chunks_known(commands in commands(80)) {
        let mut agreed = Agreed::default();
        let mut generations: BTreeMap<_, u64> = BTreeMap::new();
        for command in &commands {
            replay(&mut agreed, std::slice::from_ref(command));
            let state = &agreed.state;
            prop_assert!(state.models.len() <= ModelRecord::MAX);
            for (name, record) in &state.models {
                prop_assert_eq!(state.blobs.get(&record.current.sha256).map(|blob| blob.size), Some(record.current.size));
                prop_assert!(record.history.len() <= ModelRecord::MAX_HISTORY);
                prop_assert!(record.distribution.generation >= record.current.generation);
                let before = generations.insert(name.clone(), record.current.generation);
                prop_assert!(before.is_none_or(|before| before <= record.current.generation));
            }
            let known = |name| state.models.contains_key(name) || state.removed.contains_key(name);
            prop_assert!(generations.keys().all(known), "a model is gone");
            prop_assert!(state.removed.keys().all(|name| !state.models.contains_key(name)), "removed, and there");
            prop_assert!(state.removed.len() <= Removal::MAX);
            prop_assert!(state.blobs.iter().all(|(sha256, blob)| *sha256 == blob.sha256 && blob.check().is_ok()));
            prop_assert!(state.blobs.values().map(|blob| blob.chunks.len()).sum::<usize>() <= MAX_CHUNKS);
        }
    }

    #[test]
    fn every_change_of_a_model_is_an_event(commands in commands(60)) {
        // The event log of a saved state knows nothing of the models that stay.
        let commands: Vec<_> = commands.into_iter().filter(|c| !matches!(c, Command::Restore { .. })).collect();
        let state = after(&commands).state;
        let count = |kind: &str| state.events.iter().filter(|event| event.event.kind == kind).count();
        prop_assert!(count("MODEL_DISTRIBUTION_STARTED") >= count("MODEL_PROMOTED"));
        for (name, record) in &state.models {
            let newest = state.events.iter().rev().map(|event| &event.event).filter_map(ModelPromoted::of)
                .find(|promoted| promoted.model_path == format!("models/{name}"));
            prop_assert_eq!(newest.map(|promoted| promoted.sha256), Some(record.current.sha256));
        }
    }
}
