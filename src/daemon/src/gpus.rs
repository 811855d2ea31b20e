//! What a node is told of its GPUs, by the driver and by the hosts file, and whether the two agree.

use std::collections::BTreeMap;

use ringrift_config::{Gpu, NodeId, NvmlLibrary};
use ringrift_gpu::{Nvml, Report, Sampler, State, Timing};
use tracing::{info, warn};

use crate::node::Inner;

/// Looks at the GPUs as the settings say.
pub(crate) fn sampler(library: &NvmlLibrary) -> Sampler {
    match library {
        NvmlLibrary::Auto => Sampler::start(Nvml::installed(), Timing::default()),
        NvmlLibrary::At(file) => Sampler::start(Nvml::at(file), Timing::default()),
        NvmlLibrary::Nowhere => Sampler::off(),
    }
}

/// What the GPUs are, for people: `8x NVIDIA GeForce RTX 4090`, `none`.
pub(crate) fn described<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    for name in names {
        *counts.entry(if name.is_empty() { "GPU without a name" } else { name }).or_default() += 1;
    }
    let several: Vec<String> =
        counts.into_iter().map(|(name, count)| Gpu { count, name: name.to_owned() }.to_string()).collect();
    if several.is_empty() { "none".to_owned() } else { several.join(" and ") }
}

/// The sentence that the hosts file promises other GPUs than the driver has, if it does. While the driver cannot say what
/// there is, nothing is contradicted.
pub(crate) fn contradiction(node: &NodeId, promised: Option<&Gpu>, report: &Report) -> Option<String> {
    match report.state {
        State::Working | State::NoLibrary | State::NoDriver | State::NoGpu => {}
        State::Unknown | State::Off | State::NoPermission | State::Vanished | State::Hung | State::Failed => {
            return None;
        }
    }
    // A GPU that fell off the bus is still one of them, and may have no name any more.
    let mut names = report.gpus.iter().map(|gpu| gpu.name.as_str());
    let count = report.gpus.len() as u32;
    let agrees = match promised {
        None => count == 0,
        Some(gpu) => gpu.count == count && names.clone().all(|name| name.is_empty() || gpu.is_model(name)),
    };
    if agrees {
        return None;
    }
    let promised = promised.map_or_else(|| "none".to_owned(), ToString::to_string);
    let mut sentence =
        format!("{node}: the hosts file says `gpu: {promised}`, and the driver finds {}", described(&mut names));
    if count == 0 {
        sentence = format!("{sentence} ({})", report.sentence);
    }
    Some(sentence)
}

/// Says in the log what changed, once.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    state: State,
    troubles: Vec<String>,
    contradiction: Option<String>,
}

impl Notes {
    /// Compares what is known now with what was said before.
    pub(crate) fn look(&mut self, node: &Inner) {
        let report = node.gpus.latest();
        self.state(&report);
        // Without the age, which grows.
        let troubles =
            report.gpus.iter().filter_map(|gpu| Some(format!("GPU {}: {}", gpu.index, gpu.trouble.as_ref()?)));
        let troubles: Vec<String> = troubles.collect();
        for trouble in troubles.iter().filter(|trouble| !self.troubles.contains(trouble)) {
            warn!("{trouble}");
        }
        self.troubles = troubles;
        let hosts = node.hosts();
        let host = hosts.as_ref().and_then(|hosts| hosts.hosts.get(node.node()));
        let contradiction = host.and_then(|host| contradiction(node.node(), host.gpu.as_ref(), &report));
        if contradiction != self.contradiction {
            if let Some(sentence) = &contradiction {
                warn!("{sentence}");
            }
            self.contradiction = contradiction;
        }
    }

    fn state(&mut self, report: &Report) {
        if self.state == report.state {
            return;
        }
        self.state = report.state;
        let sentence = &report.sentence;
        match report.state {
            State::Working => {
                let (gpus, versions) = (described(report.gpus.iter().map(|gpu| gpu.name.as_str())), &report.versions);
                info!("GPUs: {gpus}; driver {}, CUDA {}", versions.driver, versions.cuda);
            }
            State::NoLibrary | State::NoDriver | State::NoGpu => info!("no GPU: {sentence}"),
            State::NoPermission | State::Vanished | State::Hung | State::Failed => warn!("{sentence}"),
            State::Unknown | State::Off => {}
        }
    }
}

#[cfg(test)]
mod tests;
