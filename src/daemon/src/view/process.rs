//! What this daemon itself uses: the standard metrics of a process, and its tasks. They are read when they are asked for.

use std::{fs, io};

use super::metrics::Samples;

/// Names and meanings of the client libraries of Prometheus. What `/proc` does not tell is left out.
pub(super) fn metrics(samples: &mut Samples) {
    if let Ok(status) = fs::read_to_string("/proc/self/status") {
        let of = |key| field(&status, key);
        if let Some(kib) = of("VmRSS:") {
            samples.gauge("process_resident_memory_bytes", "Memory that this daemon holds", (kib * 1024) as f64);
        }
        if let Some(threads) = of("Threads:") {
            samples.gauge("process_threads", "Threads of this daemon", threads as f64);
        }
    }
    if let Ok(open) = descriptors() {
        samples.gauge("process_open_fds", "Open file descriptors of this daemon", open as f64);
    }
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        let tasks = runtime.metrics().num_alive_tasks();
        samples.gauge("ringrift_tasks", "Tasks of this daemon that have not ended", tasks as f64);
    }
}

/// The number that follows a key of `/proc/PID/status`.
fn field(status: &str, key: &str) -> Option<u64> {
    status.lines().find_map(|line| line.strip_prefix(key)?.split_ascii_whitespace().next()?.parse().ok())
}

/// How many descriptors are open, without the one that counts them.
fn descriptors() -> io::Result<usize> {
    Ok(fs::read_dir("/proc/self/fd")?.count().saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::{descriptors, field};

    #[test]
    fn a_field_of_a_process_is_found_by_its_whole_name() {
        let status = "Name:\tx\nVmRSS:\t   1234 kB\nThreads:\t5\n";
        assert_eq!((field(status, "VmRSS:"), field(status, "Threads:")), (Some(1234), Some(5)));
        assert_eq!(field(status, "RSS:"), None);
    }

    #[test]
    fn an_open_file_counts() {
        // Other tests of this process open files of their own meanwhile; so many they do not close.
        let before = descriptors().unwrap();
        let files: Vec<File> = (0..200).map(|_| File::open("/proc/self/status").unwrap()).collect();
        let with = descriptors().unwrap();
        assert!(with >= before + 100, "{before}, and {with} with {} more", files.len());
    }
}
