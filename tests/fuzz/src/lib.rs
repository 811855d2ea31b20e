//! What all fuzz targets have in common: a bound on memory, and how a function of a crate becomes a target.

use std::alloc::System;

use cap::Cap;
pub use libfuzzer_sys;

/// The most memory that a target may hold, bytes. Inputs have a few kilobytes, so that a decoder which sets aside what a length only
/// claims ends here, as a crash with its input.
const MOST: usize = 64 << 20;

#[global_allocator]
static HEAP: Cap<System> = Cap::new(System, MOST);

/// Makes a target of a function that takes any bytes.
#[macro_export]
macro_rules! target {
    ($function:path) => {
        use ringrift_fuzz::libfuzzer_sys;

        libfuzzer_sys::fuzz_target!(|bytes: &[u8]| $function(bytes));
    };
}
