//! How GPUs are shown: a node's keys, this node's component and metrics.

use std::time::Duration;

use ringrift_api::{Component, ComponentStatus, Node};
use ringrift_config::Gpu;
use ringrift_gpu::{Report, State};
use serde_json::{Value, json};

use super::{
    Picture,
    metrics::{Labels, Samples, flag},
};
use crate::{
    facts::{GpuFact, NodeFacts},
    gpus::{contradiction, described},
};

/// An Xid error is told of for this long: it has no end that could be seen.
const XID_TOLD_FOR: Duration = Duration::from_hours(1);

/// A node's keys of contract §2.1, by what it measured. Before that they are what the hosts file says, `promised`.
pub(super) fn fill(node: &mut Node, promised: Option<&Gpu>, facts: &NodeFacts) {
    facts.gpu_state.as_str().clone_into(&mut node.gpu_state);
    if !facts.gpu_state.is_measured() {
        return;
    }
    let gpus = &facts.gpus;
    let usable = || gpus.iter().filter(|gpu| gpu.usable);
    node.has_gpu = usable().next().is_some();
    match facts.gpu_state {
        // It never said what it has: the file's word for that is the best there is.
        State::NoPermission | State::Vanished | State::Hung | State::Failed if gpus.is_empty() => return,
        _ => {}
    }
    node.gpu_count = gpus.len() as u32;
    node.gpu_name = usable().chain(gpus).map(|gpu| gpu.name.clone()).next().unwrap_or_default();
    // The file's name is what dashboards know, as long as it is true.
    node.gpu_type = match promised {
        Some(gpu) if gpu.is_model(&node.gpu_name) => gpu.name.clone(),
        _ => node.gpu_name.trim_start_matches("NVIDIA ").trim_start_matches("GeForce ").to_owned(),
    };
    let sum = |figure: fn(&GpuFact) -> u64| usable().map(figure).sum::<u64>() as f64;
    let memory: u64 = gpus.iter().map(|gpu| gpu.memory_mib).sum();
    // A card of 24 GB has 24564 MiB.
    node.gpu_memory_gb = (memory as f64 / 1024.0).round();
    let percents: Vec<f64> = usable().filter_map(|gpu| gpu.percent).map(f64::from).collect();
    node.gpu_percent = if percents.is_empty() { 0.0 } else { percents.iter().sum::<f64>() / percents.len() as f64 };
    let of = sum(|gpu| gpu.memory_mib);
    node.gpu_memory_percent = if of > 0.0 { sum(|gpu| gpu.used_mib) * 100.0 / of } else { 0.0 };
}

/// This node's GPUs on `/health`. A busy one is what it is for; one that is not as it should be is named.
pub(super) fn component(picture: &Picture) -> Component {
    let report = &*picture.gpus;
    let mut concerns: Vec<String> = mismatch(picture).into_iter().collect();
    let mut worst = match report.state {
        State::Unknown => ComponentStatus::Unknown,
        State::Off | State::Working | State::NoLibrary | State::NoDriver | State::NoGpu => ComponentStatus::Ok,
        State::NoPermission | State::Failed => ComponentStatus::Warning,
        State::Vanished | State::Hung => ComponentStatus::Error,
    };
    concerns.extend(ills(report));
    if worst == ComponentStatus::Ok && !concerns.is_empty() {
        worst = ComponentStatus::Warning;
    }
    let message = match report.state {
        State::Unknown => "not looked at yet".to_owned(),
        State::Off => "not looked at: nvml_library is none".to_owned(),
        State::Working if concerns.is_empty() => working(report),
        _ if concerns.is_empty() => report.sentence.clone(),
        // The sentence is part of the contradiction.
        State::NoLibrary | State::NoDriver | State::NoGpu | State::Working => concerns.join("; "),
        _ => format!("{}; {}", report.sentence, concerns.join("; ")),
    };
    let mut component = Component::new("gpu", worst, message);
    component.details.extend([
        ("state".to_owned(), report.state.as_str().into()),
        ("driver".to_owned(), report.versions.driver.clone().into()),
        ("cuda".to_owned(), report.versions.cuda.clone().into()),
        ("gpus".to_owned(), report.gpus.iter().map(gpu).collect()),
    ]);
    component
}

/// What the hosts file wrongly promises of this node, if it names it.
fn mismatch(picture: &Picture) -> Option<String> {
    let host = picture.hosts.as_ref()?.hosts.get(&picture.node)?;
    contradiction(&picture.node, host.gpu.as_ref(), &picture.gpus)
}

fn working(report: &Report) -> String {
    let gpus = described(report.gpus.iter().map(|gpu| gpu.name.as_str()));
    let busy: Vec<String> = report.gpus.iter().filter_map(|gpu| Some(format!("{} %", gpu.percent?))).collect();
    let busy = if busy.is_empty() { String::new() } else { format!(", busy {}", busy.join(", ")) };
    format!("{gpus}{busy}")
}

/// What somebody should look at, a sentence for each.
fn ills(report: &Report) -> Vec<String> {
    let mut ills = Vec::new();
    for gpu in &report.gpus {
        if let Some(trouble) = &gpu.trouble {
            ills.push(format!("GPU {}: {trouble}", gpu.index));
        }
        if let Some(errors) = gpu.ecc_uncorrected.filter(|errors| *errors > 0) {
            ills.push(format!("GPU {}: {errors} uncorrected memory errors since the driver was loaded", gpu.index));
        }
        if let Some(xid) = gpu.xid.filter(|xid| !xid.is_the_programs() && xid.at.elapsed() < XID_TOLD_FOR) {
            let minutes = xid.at.elapsed().as_secs() / 60;
            ills.push(format!("GPU {}: Xid error {} {minutes} minutes ago", gpu.index, xid.code));
        }
    }
    ills
}

fn gpu(gpu: &ringrift_gpu::Gpu) -> Value {
    let processes = gpu.processes.iter().map(|process| json!({ "pid": process.pid, "bytes": process.bytes }));
    json!({
        "index": gpu.index,
        "uuid": gpu.uuid,
        "name": gpu.name,
        "memory_bytes": gpu.memory.map(|memory| memory.total),
        "used_bytes": gpu.memory.map(|memory| memory.used),
        "percent": gpu.percent,
        "temperature": gpu.temperature,
        "ecc_uncorrected": gpu.ecc_uncorrected,
        "xid": gpu.xid.map(|xid| json!({ "code": xid.code, "count": xid.count })),
        "processes": processes.collect::<Value>(),
        "trouble": gpu.trouble.as_ref().map(ToString::to_string),
    })
}

/// Reads one figure of a GPU, where it has it.
type ReadGpu = fn(&ringrift_gpu::Gpu) -> Option<f64>;

/// This node's GPUs; every node is asked for its own.
pub(super) fn metrics(samples: &mut Samples, picture: &Picture) {
    let report = &*picture.gpus;
    samples.family(
        "ringrift_gpu_state",
        "1 for how it stands with this node's NVIDIA driver, 0 for the other states",
        State::ALL.iter().map(|state| (vec![("state", state.as_str().to_owned())], flag(*state == report.state))),
    );
    samples.gauge(
        "ringrift_gpu_hosts_file_mismatch",
        "1 while the hosts file promises other GPUs than this node's driver finds",
        flag(mismatch(picture).is_some()),
    );
    let families: [(&'static str, &'static str, ReadGpu); 8] = [
        ("ringrift_gpu_usable", "0 for a GPU that cannot be used", |gpu| Some(flag(gpu.trouble.is_none()))),
        ("ringrift_gpu_utilization_percent", "How busy a GPU is, percent", |gpu| gpu.percent.map(f64::from)),
        ("ringrift_gpu_memory_total_bytes", "Memory of a GPU", |gpu| Some(gpu.memory?.total as f64)),
        ("ringrift_gpu_memory_used_bytes", "Memory of a GPU that processes have", |gpu| Some(gpu.memory?.used as f64)),
        ("ringrift_gpu_temperature_celsius", "Temperature of a GPU", |gpu| gpu.temperature.map(f64::from)),
        ("ringrift_gpu_ecc_uncorrected_errors", "Uncorrected memory errors since the driver was loaded", |gpu| {
            gpu.ecc_uncorrected.map(|errors| errors as f64)
        }),
        ("ringrift_gpu_xid_errors", "Xid errors since this daemon started", |gpu| {
            Some(gpu.xid.map_or(0.0, |xid| xid.count as f64))
        }),
        ("ringrift_gpu_processes", "Processes that compute on a GPU", |gpu| Some(gpu.processes.len() as f64)),
    ];
    for (name, help, read) in families {
        // While the driver does not answer, what it said before is no figure.
        let gpus = report.gpus.iter().filter(|_| report.state == State::Working);
        samples.family(name, help, gpus.filter_map(|gpu| Some((labels(gpu), read(gpu)?))));
    }
}

fn labels(gpu: &ringrift_gpu::Gpu) -> Labels {
    vec![("gpu", gpu.index.to_string()), ("uuid", gpu.uuid.clone()), ("model", gpu.name.clone())]
}

#[cfg(test)]
mod tests;
