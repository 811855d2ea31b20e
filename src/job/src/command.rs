use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{Argument, Class, JobId, ParamType, Params, RunId, Template};

/// The values that every class has besides its parameters.
pub(crate) const PLACE_NAMES: [&str; 9] =
    ["attempt", "data_dir", "job_id", "logs_dir", "model", "models_dir", "node_id", "ringrift_path", "run"];

/// Where things lie on a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The node's name.
    pub node: String,
    /// Where the program lies; without it a class that names `{ringrift_path}` cannot run.
    pub ringrift_path: Option<PathBuf>,
    /// The hosts file's fragment of shell that puts Python in the path.
    pub activate: Option<String>,
    /// Where games and training data lie.
    pub data_dir: PathBuf,
    /// Where models lie.
    pub models_dir: PathBuf,
    /// Where programs write logs of their own.
    pub logs_dir: PathBuf,
}

/// What is executed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandLine {
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// Variables, besides those that the runner sets.
    pub env: BTreeMap<String, String>,
    /// Where it is executed.
    pub working_dir: PathBuf,
}

/// Why a class cannot run on a node.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// A value that this node does not have.
    #[error("class {class} needs `{name}`, and {node} has none{hint}")]
    NoValue {
        /// The class.
        class: String,
        /// The value.
        name: String,
        /// The node.
        node: String,
        /// What would help.
        hint: &'static str,
    },
    /// Nothing that a program can be given.
    #[error("a value of class {0} holds a zero byte")]
    ZeroByte(String),
}

impl Class {
    /// The command line of a run with checked values ([`Class::params`]).
    pub fn command(&self, run: &RunId, params: &Params, place: &Place) -> Result<CommandLine, RenderError> {
        let value = |name: &str| self.value(name, run, params, place);
        let fill = |template: &Template| template.fill(value).map_err(|name| self.lacks(name, place));
        let mut argv = Vec::with_capacity(self.argv.len());
        for argument in &self.argv {
            match argument {
                Argument::One(template) => argv.push(fill(template)?),
                Argument::Group(templates) => {
                    let missing =
                        |name: &str| value(name).is_none() && self.params.get(name).is_some_and(|p| p.optional);
                    if !templates.iter().flat_map(Template::names).any(missing) {
                        for template in templates {
                            argv.push(fill(template)?);
                        }
                    }
                }
            }
        }
        let env: BTreeMap<String, String> =
            self.env.iter().map(|(name, template)| Ok((name.clone(), fill(template)?))).collect::<Result<_, _>>()?;
        let working_dir = PathBuf::from(fill(&self.working_dir)?);
        if argv.iter().chain(env.values()).any(|text| text.contains('\0')) {
            return Err(RenderError::ZeroByte(self.name.to_string()));
        }
        Ok(CommandLine { argv: activated(argv, place.activate.as_deref()), env, working_dir })
    }

    /// Where runs of this class run on a node; `None` if that depends on a request's values.
    pub fn working_dir_at(&self, place: &Place) -> Result<Option<PathBuf>, RenderError> {
        // Every run has these; what they are does not matter here.
        let run = RunId { kind: self.kind, job: JobId::new(&self.name, 0), attempt: 1 };
        let none = Params::default();
        let all = self.argv.iter().flat_map(Argument::templates).chain(self.env.values()).chain([&self.working_dir]);
        let lacks = |name: &&str| {
            *name != "model" && PLACE_NAMES.contains(name) && self.value(name, &run, &none, place).is_none()
        };
        if let Some(name) = all.flat_map(Template::names).find(lacks) {
            return Err(self.lacks(name, place));
        }
        Ok(self.working_dir.fill(|name| self.value(name, &run, &none, place)).ok().map(PathBuf::from))
    }

    /// The scripts that its command line names as they are, relative to where it runs.
    pub fn scripts(&self) -> impl Iterator<Item = PathBuf> {
        let fixed = self.argv.iter().flat_map(Argument::templates).filter_map(Template::literal);
        fixed.map(PathBuf::from).filter(|path| path.extension().is_some_and(|extension| extension == "py"))
    }

    fn value(&self, name: &str, run: &RunId, params: &Params, place: &Place) -> Option<String> {
        let text = |path: &Path| path.to_string_lossy().into_owned();
        match name {
            "attempt" => Some(run.attempt.to_string()),
            "job_id" => Some(run.job.to_string()),
            "run" => Some(run.instance()),
            "node_id" => Some(place.node.clone()),
            "data_dir" => Some(text(&place.data_dir)),
            "models_dir" => Some(text(&place.models_dir)),
            "logs_dir" => Some(text(&place.logs_dir)),
            "ringrift_path" => place.ringrift_path.as_deref().map(text),
            "model" => self.game(params).map(|game| text(&place.models_dir.join(game.model_file()))),
            name => {
                let given = params.get(name)?.to_string();
                let is_path = self.params.get(name).is_some_and(|param| param.takes == ParamType::Path);
                Some(if is_path { text(&place.data_dir.join(given)) } else { given })
            }
        }
    }

    fn lacks(&self, name: &str, place: &Place) -> RenderError {
        let hint = match name {
            "ringrift_path" => ": set `ringrift_path` of this host in the hosts file",
            "model" => ": a class with a model has the parameters board_type and num_players",
            _ => "",
        };
        RenderError::NoValue { class: self.name.to_string(), name: name.to_owned(), node: place.node.clone(), hint }
    }
}

/// The command line after the fragment of shell that the hosts file names. Values reach the shell as arguments, never as text.
fn activated(argv: Vec<String>, fragment: Option<&str>) -> Vec<String> {
    match fragment.map(str::trim).filter(|fragment| !fragment.is_empty() && *fragment != ":") {
        None => argv,
        Some(fragment) => {
            let shell = [
                // By PATH: not every system has it in /bin.
                "bash".to_owned(),
                "-c".to_owned(),
                format!("{fragment} && exec \"$@\""),
                "ringrift-job".to_owned(),
            ];
            shell.into_iter().chain(argv).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Classes, Kind};

    fn place() -> Place {
        Place {
            node: "gpu-1".to_owned(),
            ringrift_path: Some("/srv/ai-service".into()),
            activate: Some("source /srv/venv/bin/activate".to_owned()),
            data_dir: "/srv/ai-service/data".into(),
            models_dir: "/var/lib/ringrift/models".into(),
            logs_dir: "/srv/ai-service/logs".into(),
        }
    }

    #[test]
    fn built_in_classes_run_in_the_runbooks_layout() {
        let shown: Vec<String> = Classes::default()
            .iter()
            .map(|class| {
                let given: Params = serde_json::from_str(r#"{"board_type":"hex8","num_players":2}"#).unwrap();
                let run = RunId { kind: class.kind, job: "j-1".parse().unwrap(), attempt: 1 };
                let command = class.command(&run, &class.params(&given).unwrap(), &place()).unwrap();
                format!("{}: {}", class.name, serde_json::to_string_pretty(&command).unwrap())
            })
            .collect();
        insta::assert_snapshot!(shown.join("\n"));
    }

    #[test]
    fn a_value_never_becomes_shell_text_and_optional_groups_fall_out() {
        let yaml = "own: {kind: selfplay, argv: [echo, '{tag}', ['--out', '{out}']], working_dir: /,\n\
                    params: {tag: {type: choice, of: ['$(reboot)']}, out: {type: path, optional: true}}}";
        let patches: BTreeMap<crate::ClassName, crate::class::Patch> = serde_yaml::from_str(yaml).unwrap();
        let classes = Classes::new(patches).unwrap();
        let class = classes.get("own").unwrap();
        let run = RunId { kind: Kind::Selfplay, job: "j".parse().unwrap(), attempt: 3 };
        let line = |given: &str, place: &Place| {
            let params = class.params(&serde_json::from_str(given).unwrap()).unwrap();
            class.command(&run, &params, place).unwrap().argv
        };
        let argv = line(r#"{"tag":"$(reboot)"}"#, &place());
        let script = "source /srv/venv/bin/activate && exec \"$@\"";
        assert_eq!(argv, ["bash", "-c", script, "ringrift-job", "echo", "$(reboot)"]);
        let bare = Place { activate: Some(" : ".to_owned()), ..place() };
        let argv = line(r#"{"tag":"$(reboot)","out":"a/b"}"#, &bare);
        assert_eq!(argv, ["echo", "$(reboot)", "--out", "/srv/ai-service/data/a/b"]);
    }

    #[test]
    fn what_a_node_lacks_is_named() {
        let classes = Classes::default();
        let class = classes.get("selfplay").unwrap();
        let run = RunId { kind: Kind::Selfplay, job: "j".parse().unwrap(), attempt: 1 };
        let given: Params = serde_json::from_str(r#"{"board_type":"hex8","num_players":2}"#).unwrap();
        let nowhere = Place { ringrift_path: None, ..place() };
        let error = class.command(&run, &class.params(&given).unwrap(), &nowhere).unwrap_err();
        assert_eq!(
            error.to_string(),
            "class selfplay needs `ringrift_path`, and gpu-1 has none: set `ringrift_path` of this host in the hosts file"
        );
    }
}
