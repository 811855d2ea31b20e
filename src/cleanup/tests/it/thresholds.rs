use std::path::Path;

use ringrift_cleanup::{Disk, Pool, Thresholds};
use ringrift_config::HostsFile;

use crate::bed::{Bed, going, stays};

fn of(text: &str) -> Result<Thresholds, String> {
    let text = format!("{text}hosts:\n  a: {{role: mixed, status: ready}}\n");
    let file = HostsFile::parse(&text, Path::new("hosts.yaml")).unwrap();
    Thresholds::of(&file).map_err(|error| error.to_string())
}

#[test]
fn the_hosts_file_sets_the_thresholds() {
    assert_eq!(of("").unwrap(), Thresholds::default());
    let found = of("sync_routing: {max_disk_usage_percent: 80, target_disk_usage_percent: 50.5, min_free_disk_percent: 5, \
                    replication_target: 2}\ndisk_management:\n  rotating_pool:\n    enabled: true\n    quota_percent: 20\n    \
                    min_quota_gb: 1\n    max_quota_gb: 2\n    cleanup_age_hours: 12\n    pool_subdirs: [data/games/synced]\n")
    .unwrap();
    let pool = Pool {
        folders: vec!["data/games/synced".into()],
        quota_percent: 20.0,
        min_bytes: 1 << 30,
        max_bytes: 2 << 30,
        age_seconds: 43_200.0,
        first: true,
    };
    let expected = Thresholds {
        max_percent: 80.0,
        target_percent: 50.5,
        min_free_percent: 5.0,
        replicas: 2,
        pool: Some(pool.clone()),
    };
    assert_eq!(found, expected);
    for (disk_gb, quota_gb) in [(1_u64, 1.0), (7, 1.4), (100, 2.0)] {
        let quota = pool.quota(disk_gb << 30) as f64 / f64::from(1 << 30);
        assert!((quota - quota_gb).abs() < 1e-6, "{quota}");
    }
    assert_eq!(of("disk_management: {rotating_pool: {enabled: false, quota_percent: many}}\n").unwrap().pool, None);
    for (text, expected) in [
        (
            "sync_routing: {max_disk_usage_percent: many}\n",
            "sync_routing.max_disk_usage_percent: expected percent, 0 to 100",
        ),
        ("sync_routing: {replication_target: 0}\n", "sync_routing.replication_target: expected a number, 1 or more"),
        (
            "sync_routing: {target_disk_usage_percent: 90}\n",
            "sync_routing.target_disk_usage_percent: expected no more than",
        ),
        (
            "disk_management: {rotating_pool: {enabled: true, pool_subdirs: [../x]}}\n",
            "disk_management.rotating_pool.pool_subdirs: expected folders below the node's",
        ),
    ] {
        let error = of(text).unwrap_err();
        assert!(error.starts_with(expected), "{error}");
    }
}

#[test]
fn only_as_much_goes_as_is_needed_the_oldest_first() {
    let mut bed = Bed::new();
    for (name, days) in [("logs/3.log", 30.0), ("logs/1.log", 50.0), ("logs/2.log", 40.0)] {
        bed.file(name, days, 100);
    }
    bed.disk = Disk { total_bytes: 1000, used_bytes: 650 };
    assert!(going(&bed.plan(7.0, true)).is_empty(), "70 % is the limit");
    assert_eq!(going(&bed.plan(7.0, false)).len(), 3, "all that is old, if that is asked for");
    bed.disk.used_bytes = 750;
    let plan = bed.plan(7.0, true);
    assert!(plan.needed);
    assert_eq!(going(&plan), ["logs/1.log", "logs/2.log"], "down to 60 %");
    assert_eq!(stays(&plan, "logs/3.log"), "need not go: the disk has room enough");
    bed.thresholds.min_free_percent = 50.0;
    bed.disk.used_bytes = 520;
    assert_eq!(going(&bed.plan(7.0, true)), ["logs/1.log"], "half of it must be free");
}

#[test]
fn a_pool_keeps_to_its_quota_by_its_own_age_and_its_copies() {
    let mut bed = Bed::new();
    let pool = Pool {
        folders: vec!["data/games/synced".into()],
        quota_percent: 15.0,
        min_bytes: 0,
        max_bytes: 1 << 30,
        age_seconds: 86_400.0,
        first: true,
    };
    bed.thresholds.pool = Some(pool);
    for (name, days) in [("1.db", 4.0), ("2.db", 3.0), ("3.db", 0.5)] {
        bed.file(&format!("data/games/synced/{name}"), days, 100);
    }
    bed.file("logs/a.log", 4.0, 100);
    bed.file("data/games/synced/lonely.db", 5.0, 100);
    bed.others_have(&["data/games/synced/1.db", "data/games/synced/2.db", "data/games/synced/3.db"], 1);
    // 400 of 1000 are in the pool, and 150 may be: three would have to go, one is the only copy and one too young.
    let plan = bed.plan(7.0, true);
    assert_eq!(going(&plan), ["data/games/synced/1.db", "data/games/synced/2.db"]);
    assert_eq!(stays(&plan, "data/games/synced/3.db"), "is too young");
    assert!(stays(&plan, "data/games/synced/lonely.db").starts_with("may be the only copy"));
    assert_eq!(stays(&plan, "logs/a.log"), "is too young", "its age is not the pool's");
    bed.thresholds.pool.as_mut().unwrap().quota_percent = 40.0;
    assert!(going(&bed.plan(7.0, true)).is_empty(), "the quota is kept");
}
