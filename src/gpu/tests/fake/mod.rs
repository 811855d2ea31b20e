//! A library like the driver's, made by the C compiler, so that the real path is tried without a GPU.

#![allow(dead_code, unreachable_pub, reason = "each test program uses a part of it, as a module of its own")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The library and the file that tells it how to be.
pub struct FakeNvml {
    pub library: PathBuf,
    control: PathBuf,
}

impl FakeNvml {
    /// Makes one in `dir` that is well. Without a compiler there is none: on a developer's machine the test is left out, and
    /// says so; where `CI` is set it fails.
    pub fn build(dir: &Path) -> Option<Self> {
        let (source, library, control) = (dir.join("nvml.c"), dir.join("libnvidia-ml.so.1"), dir.join("control"));
        fs::write(&source, include_str!("nvml.c")).unwrap();
        let compiler = Command::new("cc")
            .args(["-shared", "-fPIC", "-Wall", "-Werror", "-o"])
            .arg(&library)
            .arg(format!("-DCONTROL=\"{}\"", control.display()))
            .arg(&source)
            .output();
        let this = Self { library, control };
        match compiler {
            Ok(output) => assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr)),
            Err(error) => {
                assert!(std::env::var_os("CI").is_none(), "a C compiler is needed: cc: {error}");
                eprintln!("LEFT OUT: there is no C compiler to make a driver's library with: cc: {error}");
                return None;
            }
        }
        this.is("ok");
        Some(this)
    }

    /// From now on the driver is like this: `ok`, `hang`, `unloaded`, `denied`, `mismatch`, `lost` or `none`.
    pub fn is(&self, word: &str) {
        let next = self.control.with_extension("next");
        fs::write(&next, word).unwrap();
        // Renamed, so that no call reads half a word.
        fs::rename(next, &self.control).unwrap();
    }
}
