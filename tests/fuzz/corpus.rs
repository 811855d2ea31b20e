//! The committed inputs of a fuzz target, for the tests of the crate whose decoder it feeds.

use std::{env, fs, path::Path};

/// Runs a target on all of its inputs. Those that `seeds` names must lie there as they are made today, since they are what the program
/// writes: with `FUZZ_SEEDS=write` they are written instead.
pub(crate) fn replay(target: &str, run: impl Fn(&[u8]), seeds: &[(&str, Vec<u8>)]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/corpus").join(target);
    if env::var("FUZZ_SEEDS").is_ok_and(|word| word == "write") {
        fs::create_dir_all(&folder).unwrap();
        for (name, bytes) in seeds {
            fs::write(folder.join(name), bytes).unwrap();
        }
    }
    for (name, bytes) in seeds {
        let kept = fs::read(folder.join(name)).unwrap_or_default();
        assert!(
            kept == *bytes,
            "{target}/{name} is no longer what is written; if it is meant to differ, run this test with FUZZ_SEEDS=write"
        );
    }
    let mut inputs: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    inputs.sort();
    for input in inputs {
        println!("{}", input.display());
        run(&fs::read(input).unwrap());
    }
}
