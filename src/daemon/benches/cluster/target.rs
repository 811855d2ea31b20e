//! A figure beside what it should be.

use std::time::Duration;

/// `value` at most `must`; both in the same unit.
pub(crate) fn at_most(what: &str, value: f64, must: f64, unit: &str) {
    let verdict = if value <= must { "target reached" } else { "MISS" };
    println!("  {what}: {value:.2} {unit} (must {must} {unit}): {verdict}");
}

/// Of a sorted list.
pub(crate) fn quantile<T: Copy>(sorted: &[T], share: f64) -> T {
    sorted[((sorted.len() - 1) as f64 * share).round() as usize]
}

/// Median, 90 % and worst, in seconds.
pub(crate) fn print(what: &str, times: &mut [Duration]) {
    times.sort_unstable();
    let at = |share| quantile(times, share).as_secs_f64();
    println!("  {what}: median {:.2} s, 90 % {:.2} s, worst of {} {:.2} s", at(0.5), at(0.9), times.len(), at(1.0));
}
