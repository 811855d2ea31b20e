use std::{fmt::Display, time::Duration};

use super::{Settings, setting::Setting, setting::Source};

impl Settings {
    /// Every setting with its effective value and who set it, for the log and `check-config`. No secret is in it.
    pub fn effective(&self) -> Vec<(&'static str, String, Source)> {
        let mut lines = Vec::new();
        let mut add = |name, value: String, source: &Source| lines.push((name, value, source.clone()));

        add("node_id", self.node_id.to_string(), &self.node_id.source);
        add("hosts_file", path_or_none(self.hosts_file.value.as_deref()), &self.hosts_file.source);
        add("bind_addr", self.bind_addr.to_string(), &self.bind_addr.source);
        add("http_port", self.http_port.to_string(), &self.http_port.source);
        add("link_port", self.link_port.to_string(), &self.link_port.source);
        add("health_port", or_none(self.health_port.value), &self.health_port.source);
        add("advertise_host", or_none(self.advertise_host.value.as_ref()), &self.advertise_host.source);
        add("bootstrap_seeds", list(&self.bootstrap_seeds), &self.bootstrap_seeds.source);
        add("voters", self.voters.value.as_ref().map_or_else(none, |v| list(v)), &self.voters.source);
        add("single_node", self.single_node.to_string(), &self.single_node.source);
        add("state_dir", self.state_dir.display().to_string(), &self.state_dir.source);
        let tokens = match &self.tokens.value {
            None => "none",
            Some(tokens) if tokens.old.is_none() => "set",
            Some(_) => "set, and an old one",
        };
        add("token", tokens.to_owned(), &self.tokens.source);
        add("insecure", self.insecure.to_string(), &self.insecure.source);
        let tls = match &self.tls.value {
            None if self.tokens.value.is_some() => "derived from the token".to_owned(),
            None => "none: without a token every peer is believed".to_owned(),
            Some(tls) => format!("{}, {}, {}", tls.ca.display(), tls.cert.display(), tls.key.display()),
        };
        add("tls", tls, &self.tls.source);
        add("heartbeat", duration(&self.heartbeat), &self.heartbeat.source);
        add("election_timeout_min", duration(&self.election_timeout_min), &self.election_timeout_min.source);
        add("election_timeout_max", duration(&self.election_timeout_max), &self.election_timeout_max.source);
        add("max_body_bytes", self.max_body_bytes.to_string(), &self.max_body_bytes.source);
        add("header_timeout", duration(&self.header_timeout), &self.header_timeout.source);
        add("max_connections", self.max_connections.to_string(), &self.max_connections.source);
        add("models_dir", self.models_dir.display().to_string(), &self.models_dir.source);
        add("models_port", or_none(self.models_port.value), &self.models_port.source);
        let watch = self.models_watch.value.map_or_else(|| "auto".to_owned(), |watch| watch.to_string());
        add("models_watch", watch, &self.models_watch.source);
        add("models_keep", self.models_keep.to_string(), &self.models_keep.source);
        add("models_scrub", self.models_scrub.to_string(), &self.models_scrub.source);
        add("compat.open_reads", self.open_reads.to_string(), &self.open_reads.source);
        add("compat.open_uploads", self.open_uploads.to_string(), &self.open_uploads.source);
        let runner = self.runner.value.map_or("auto", super::RunnerKind::as_str);
        add("runner", runner.to_owned(), &self.runner.source);
        let classes: Vec<&str> = self.job_classes.iter().map(|class| class.name.as_str()).collect();
        add(super::key::JOB_CLASSES, list(&classes), &self.job_classes.source);
        let folder = |path: &Option<std::path::PathBuf>, name: &str| match path {
            Some(path) => path.display().to_string(),
            None => format!("{name} in ringrift_path"),
        };
        add("data_dir", folder(&self.data_dir, "data"), &self.data_dir.source);
        add("logs_dir", folder(&self.logs_dir, "logs"), &self.logs_dir.source);
        add("jobs_fill", self.jobs_fill.to_string(), &self.jobs_fill.source);
        add("reconnect_window", duration(&self.reconnect_window), &self.reconnect_window.source);
        let limits = &self.limits;
        add("disk_cleanup_threshold", percent(&limits.disk_cleanup), &limits.disk_cleanup.source);
        add("disk_warning_threshold", percent(&limits.disk_warning), &limits.disk_warning.source);
        add("disk_critical_threshold", percent(&limits.disk_critical), &limits.disk_critical.source);
        add("memory_warning_threshold", percent(&limits.memory_warning), &limits.memory_warning.source);
        add("memory_critical_threshold", percent(&limits.memory_critical), &limits.memory_critical.source);
        add("gpu_idle_threshold", duration(&limits.gpu_idle), &limits.gpu_idle.source);
        add("job_grace_period", duration(&limits.job_grace), &limits.job_grace.source);
        add(
            "runaway_selfplay_process_threshold",
            limits.runaway_processes.to_string(),
            &limits.runaway_processes.source,
        );
        add("job_starts_per_second", limits.job_starts.to_string(), &limits.job_starts.source);
        add("crash_loop_threshold", limits.crash_loop.to_string(), &limits.crash_loop.source);
        add("work_queue_soft_limit", limits.queue_soft.to_string(), &limits.queue_soft.source);
        add("work_queue_hard_limit", limits.queue_hard.to_string(), &limits.queue_hard.source);
        add("nvml_library", self.nvml_library.to_string(), &self.nvml_library.source);
        add("log", self.log.value.clone(), &self.log.source);
        lines
    }
}

fn none() -> String {
    "none".to_owned()
}

fn or_none<T: Display>(value: Option<T>) -> String {
    value.map_or_else(none, |v| v.to_string())
}

fn path_or_none(path: Option<&std::path::Path>) -> String {
    or_none(path.map(std::path::Path::display))
}

fn list<T: Display>(items: &[T]) -> String {
    if items.is_empty() { none() } else { items.iter().map(ToString::to_string).collect::<Vec<_>>().join(",") }
}

fn percent(setting: &Setting<u8>) -> String {
    format!("{}%", setting.value)
}

fn duration(setting: &Setting<Duration>) -> String {
    format!("{:?}", setting.value)
}
