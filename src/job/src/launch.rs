use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{ClassName, CommandLine, Limits, RunId};

/// Everything that a runner needs to start a run. It holds no secret: whoever may see the job may read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Launch {
    /// Which run.
    pub run: RunId,
    /// Its class, for people.
    pub class: ClassName,
    /// What is executed, of this node's own settings.
    pub command: CommandLine,
    /// What it may use.
    pub limits: Limits,
    /// The GPUs that it may use, by their index; an empty list hides all of them.
    pub gpus: Vec<u32>,
    /// From SIGTERM to SIGKILL.
    pub grace: Duration,
}

impl Launch {
    /// The variables that the program finds: its class's own, and what tells it who it is.
    pub fn environment(&self) -> BTreeMap<String, String> {
        let gpus: Vec<String> = self.gpus.iter().map(u32::to_string).collect();
        let mut environment = self.command.env.clone();
        environment.extend([
            ("RINGRIFT_JOB_ID".to_owned(), self.run.job.to_string()),
            ("RINGRIFT_JOB_ATTEMPT".to_owned(), self.run.attempt.to_string()),
            ("RINGRIFT_JOB_CLASS".to_owned(), self.class.to_string()),
            // NVIDIA's order of devices by default is by speed; NVML's, which counted them, is by bus.
            ("CUDA_DEVICE_ORDER".to_owned(), "PCI_BUS_ID".to_owned()),
            ("CUDA_VISIBLE_DEVICES".to_owned(), gpus.join(",")),
        ]);
        environment
    }
}
