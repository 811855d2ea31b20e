use ringrift_config::Host;
use ringrift_fleet::Ssh;

use super::{judge::Repair, script::install_requirements};
use crate::command::cluster::script::AS_ROOT;

impl Repair {
    /// What it does, for people.
    pub(super) fn doing(&self) -> String {
        match self {
            Self::SetNtp => "timedatectl set-ntp true".to_owned(),
            Self::OpenPorts(ports) => {
                ports.iter().map(|port| format!("ufw allow {port}/tcp")).collect::<Vec<_>>().join(" && ")
            }
            Self::InstallRequirements => "pip install -r requirements.txt in its Python environment".to_owned(),
        }
    }

    /// How it is undone.
    pub(super) fn undone_by(&self) -> String {
        match self {
            Self::SetNtp => "timedatectl set-ntp false".to_owned(),
            Self::OpenPorts(ports) => {
                ports.iter().map(|port| format!("ufw delete allow {port}/tcp")).collect::<Vec<_>>().join(" && ")
            }
            Self::InstallRequirements => {
                "pip install -r requirements.before-ringriftctl.txt, which has what was installed before".to_owned()
            }
        }
    }

    /// Does it; the sentence is why it could not be done.
    pub(super) async fn run(&self, ssh: &Ssh, host: &Host) -> Result<(), String> {
        let script = match self {
            Self::SetNtp => format!("{AS_ROOT}as_root timedatectl set-ntp true"),
            Self::OpenPorts(ports) => {
                let rules: Vec<String> =
                    ports.iter().map(|port| format!("as_root ufw allow {port}/tcp > /dev/null")).collect();
                format!("{AS_ROOT}{}", rules.join(" && "))
            }
            Self::InstallRequirements => install_requirements(host).ok_or("the hosts file has no ringrift_path")?,
        };
        let ran = ssh.run(host, &script).await.map_err(|unreached| unreached.to_string())?;
        if ran.code == 0 {
            return Ok(());
        }
        Err(format!("{} (exit status {})", ran.last_words(), ran.code))
    }
}
