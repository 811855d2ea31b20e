//! Whatever lies on the disk: a cleanup takes away nothing that must stay, and gives back all that it took.

use std::{collections::BTreeMap, fs, os::unix::fs::symlink};

use proptest::prelude::*;
use ringrift_cleanup::Copies;

use crate::bed::{Bed, DAY};

#[derive(Debug, Clone)]
struct File {
    name: String,
    days: f64,
    open: bool,
    link: bool,
    copies: usize,
    /// Changed between the decision and the deed.
    changed: bool,
}

fn file() -> impl Strategy<Value = File> {
    let folder = prop::sample::select(vec![
        "data/games",
        "data/games/synced",
        "data/selfplay/run",
        "data/training",
        "models",
        "models/old",
        "checkpoints",
        "logs",
        "logs/deep/er",
        "data/other",
        "etc",
    ]);
    let name = prop::sample::select(vec![
        "a.db",
        "b.db",
        "a.db-wal",
        "games.db",
        "a.npz",
        "canonical_hex8_2p.pth",
        "try.pth",
        "try.pth.sha256",
        "ringrift_best_x.pth",
        "a.log",
        "b.pt",
        "x",
    ]);
    (folder, name, 0..40_u32, any::<bool>(), prop::bool::weighted(0.2), 0..4_usize, prop::bool::weighted(0.1)).prop_map(
        |(folder, name, days, open, link, copies, changed)| File {
            name: format!("{folder}/{name}"),
            days: f64::from(days),
            open: open && days % 3 == 0,
            link,
            copies,
            changed,
        },
    )
}

fn is_training_data(name: &str) -> bool {
    ["data/games/", "data/selfplay/", "data/training/"].iter().any(|folder| name.starts_with(folder))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(48), ..ProptestConfig::default() })]

    #[test]
    fn what_must_stay_can_be_read_afterwards_and_what_went_comes_back(
        files in prop::collection::vec(file(), 1..14), keep in 0..30_u32, replicas in 1..4_usize, used in 0..1000_u64, if_needed in any::<bool>(),
    ) {
        let mut bed = Bed::new();
        bed.thresholds.replicas = replicas;
        bed.disk.used_bytes = used;
        let files: BTreeMap<String, File> = files.into_iter().map(|file| (file.name.clone(), file)).collect();
        let mut open = Vec::new();
        for (i, (name, file)) in files.iter().enumerate() {
            let path = bed.file(name, file.days, 40 + i);
            if file.link {
                symlink(&path, bed.node.join(format!("models/link-{i}"))).unwrap();
            }
        }
        for (name, file) in &files {
            bed.others_have(&[name], file.copies);
            if file.open {
                open.push(fs::File::open(bed.node.join(name)).unwrap());
            }
        }
        let before = bed.files();
        let plan = bed.plan(f64::from(keep), if_needed);
        for (name, _) in files.iter().filter(|(_, file)| file.changed) {
            fs::write(bed.node.join(name), "changed after the decision").unwrap();
        }
        let changed = bed.files();
        bed.clean(&plan, "20200101T000000Z");
        let after = bed.files();
        for (name, file) in &files {
            let path = bed.node.join(name).display().to_string();
            let lone = is_training_data(name) && file.copies < replicas;
            let base = name.rsplit('/').next().unwrap();
            let canonical = name.starts_with("models/") && (base.starts_with("canonical") || base.starts_with("ringrift_best"));
            let outside = name.starts_with("data/other/") || name.starts_with("etc/");
            let young = file.days < f64::from(keep);
            // What belongs to another file goes with that one.
            let belongs = base.ends_with("-wal") || base.ends_with(".sha256");
            let must_stay = file.open || file.link || canonical || outside || file.changed || (!belongs && (lone || young));
            if must_stay {
                prop_assert_eq!(after.get(&path), changed.get(&path), "{} had to stay: {:?}", name, file);
            }
            prop_assert!(after.get(&path).is_none_or(|bytes| Some(bytes) == changed.get(&path)), "{name} was written to");
        }
        // The trash forgets nothing that others do not have, however long it waits.
        let emptied = bed.trash().empty(1e12, DAY, &Copies::default(), replicas).unwrap();
        let gone = |name: &str| !after.contains_key(&bed.node.join(name).display().to_string());
        let training = files.keys().filter(|name| is_training_data(name) && gone(name)).count();
        prop_assert_eq!(emptied.kept.len(), training);
        if training > 0 {
            prop_assert_eq!(bed.trash().restore("20200101T000000Z").unwrap(), training);
        }
        for (path, bytes) in bed.files() {
            prop_assert!(before.get(&path) == Some(&bytes) || changed.get(&path) == Some(&bytes), "{path}");
        }
        for name in files.keys().filter(|name| is_training_data(name)) {
            prop_assert!(bed.node.join(name).exists(), "{} is not back", name);
        }
    }
}
