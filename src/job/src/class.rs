use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{
    Argument, Board, ClassName, GameConfig, Kind, Limits, LimitsError, Needs, Param, ParamError, ParamValue, Params,
    Seconds, Template, built_in, command::PLACE_NAMES, template::names_in,
};

/// What a node runs when it is asked for a job of this class: written in the node's settings, never sent to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Class {
    /// Its name.
    pub name: ClassName,
    /// What it is for.
    pub kind: Kind,
    /// The command line.
    pub argv: Vec<Argument>,
    /// What a request may give.
    pub params: BTreeMap<String, Param>,
    /// Its environment, besides what the runner sets.
    pub env: BTreeMap<String, Template>,
    /// Where it runs.
    pub working_dir: Template,
    /// What it must have.
    pub needs: Needs,
    /// What it may use, unless the job says otherwise.
    pub limits: Limits,
    /// From SIGTERM to SIGKILL.
    pub grace: Option<Seconds>,
    /// How long it may run; none for as long as it takes.
    pub deadline: Option<Seconds>,
    /// How often it is tried.
    pub attempts: u32,
    /// Other names that clients use for it.
    pub aliases: Vec<ClassName>,
}

/// The classes of a node, by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Classes(BTreeMap<ClassName, Arc<Class>>);

/// What is wrong with a class in the settings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClassError {
    /// A new class lacks what only it can say.
    #[error("`{0}` is missing: a class that is not built in says its kind and its argv")]
    Missing(&'static str),
    /// It has a place for a value that nobody gives.
    #[error("there is no value `{name}`: expected a parameter of the class, or one of {known}")]
    UnknownValue {
        /// As it is written.
        name: String,
        /// What every class has.
        known: String,
    },
    /// A parameter is called like a value that every class has.
    #[error("no parameter can be called `{0}`: every class has a value of that name")]
    ReservedName(String),
    /// An optional value stands where nothing can be left out.
    #[error("`{0}` may be missing, so it may stand only in a group of argv such as [\"--seed\", \"{{{0}}}\"]")]
    OptionalOutsideGroup(String),
    /// Its limits cannot be meant.
    #[error("{0}")]
    Limits(#[from] LimitsError),
    /// Nothing to run.
    #[error("argv is empty: it begins with the program")]
    EmptyArgv,
    /// Tried never, or too often.
    #[error("attempts is {0}: expected 1 to 20")]
    Attempts(u32),
    /// Two classes answer to one name.
    #[error("the name {0} is used twice")]
    NameTwice(ClassName),
}

/// The part of a class that settings give; the rest is as it is built in.
#[derive(Debug, Clone, Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub struct Patch {
    kind: Option<Kind>,
    argv: Option<Vec<Argument>>,
    params: Option<BTreeMap<String, Param>>,
    env: Option<BTreeMap<String, Template>>,
    working_dir: Option<Template>,
    needs: Option<Needs>,
    limits: Option<Limits>,
    grace: Option<Seconds>,
    deadline: Option<Seconds>,
    attempts: Option<u32>,
    aliases: Option<Vec<ClassName>>,
    /// `false` takes a built-in class away.
    enabled: Option<bool>,
}

impl Class {
    /// How often a job is tried when its class does not say.
    pub const ATTEMPTS: u32 = 3;

    /// The values of a job of this class, checked and completed.
    pub fn params(&self, given: &Params) -> Result<Params, ParamError> {
        given.check(&self.params)
    }

    /// What game the values are about, if the class has the two parameters that say so.
    pub fn game(&self, params: &Params) -> Option<GameConfig> {
        let ParamValue::Text(board) = params.get("board_type")? else { return None };
        let ParamValue::Integer(players) = params.get("num_players")? else { return None };
        let board = Board::ALL.into_iter().find(|known| known.as_str() == board)?;
        GameConfig::new(board, u8::try_from(*players).ok()?)
    }

    fn patched(self, patch: Patch) -> Self {
        let Patch {
            kind,
            argv,
            params,
            env,
            working_dir,
            needs,
            limits,
            grace,
            deadline,
            attempts,
            aliases,
            enabled: _,
        } = patch;
        Self {
            name: self.name,
            kind: kind.unwrap_or(self.kind),
            argv: argv.unwrap_or(self.argv),
            params: params.unwrap_or(self.params),
            env: env.unwrap_or(self.env),
            working_dir: working_dir.unwrap_or(self.working_dir),
            needs: needs.unwrap_or(self.needs),
            limits: limits.map_or_else(|| self.limits.clone(), |own| own.or(&self.limits)),
            grace: grace.or(self.grace),
            deadline: deadline.or(self.deadline),
            attempts: attempts.unwrap_or(self.attempts),
            aliases: aliases.unwrap_or(self.aliases),
        }
    }

    pub(crate) fn fresh(name: ClassName, patch: Patch) -> Result<Self, ClassError> {
        let kind = patch.kind.ok_or(ClassError::Missing("kind"))?;
        let argv = patch.argv.clone().ok_or(ClassError::Missing("argv"))?;
        let blank = Self {
            name,
            kind,
            argv,
            params: BTreeMap::new(),
            env: BTreeMap::new(),
            working_dir: crate::defaults::working_dir(),
            needs: Needs::default(),
            limits: Limits::default(),
            grace: None,
            deadline: None,
            attempts: Self::ATTEMPTS,
            aliases: Vec::new(),
        };
        Ok(blank.patched(patch))
    }

    fn check(&self) -> Result<(), ClassError> {
        if !matches!(self.argv.first(), Some(Argument::One(_))) {
            return Err(ClassError::EmptyArgv);
        }
        if !(1..=20).contains(&self.attempts) {
            return Err(ClassError::Attempts(self.attempts));
        }
        self.limits.check()?;
        for (name, param) in &self.params {
            let names = param.aliases.iter().chain([name]);
            if let Some(reserved) = names.into_iter().find(|name| PLACE_NAMES.contains(&name.as_str())) {
                return Err(ClassError::ReservedName(reserved.clone()));
            }
        }
        let fixed = self.argv.iter().filter_map(|argument| match argument {
            Argument::One(template) => Some(template),
            Argument::Group(_) => None,
        });
        let fixed = fixed.chain(self.env.values()).chain([&self.working_dir]);
        if let Some(name) = names_in(fixed).into_iter().find(|name| self.params.get(*name).is_some_and(|p| p.optional))
        {
            return Err(ClassError::OptionalOutsideGroup(name.to_owned()));
        }
        let all = self.argv.iter().flat_map(Argument::templates).chain(self.env.values()).chain([&self.working_dir]);
        match names_in(all).into_iter().find(|name| !self.params.contains_key(*name) && !PLACE_NAMES.contains(name)) {
            Some(name) => Err(ClassError::UnknownValue { name: name.to_owned(), known: PLACE_NAMES.join(", ") }),
            None => Ok(()),
        }
    }
}

impl Classes {
    /// The built-in classes, with what settings say of them and the classes that settings add. An error comes with the class
    /// that it is in.
    pub fn new(patches: impl IntoIterator<Item = (ClassName, Patch)>) -> Result<Self, (ClassName, ClassError)> {
        let mut classes: BTreeMap<ClassName, Class> = built_in().into_iter().map(|c| (c.name.clone(), c)).collect();
        for (name, patch) in patches {
            if patch.enabled == Some(false) {
                classes.remove(&name);
                continue;
            }
            let class = match classes.remove(&name) {
                Some(known) => known.patched(patch),
                None => Class::fresh(name.clone(), patch).map_err(|error| (name.clone(), error))?,
            };
            classes.insert(name, class);
        }
        for (name, class) in &classes {
            class.check().map_err(|error| (name.clone(), error))?;
            let used = |alias: &ClassName| {
                classes.contains_key(alias)
                    || classes.iter().any(|(other, c)| other != name && c.aliases.contains(alias))
            };
            if let Some(twice) = class.aliases.iter().find(|alias| used(alias)) {
                return Err((name.clone(), ClassError::NameTwice(twice.clone())));
            }
        }
        Ok(Self(classes.into_iter().map(|(name, class)| (name, Arc::new(class))).collect()))
    }

    /// The class of this name, or of this other name.
    pub fn get(&self, name: &str) -> Option<&Arc<Class>> {
        let by_alias = || self.0.values().find(|class| class.aliases.iter().any(|alias| alias.as_str() == name));
        self.0.get(name).or_else(by_alias)
    }

    /// All of them, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Class>> {
        self.0.values()
    }
}

impl Default for Classes {
    fn default() -> Self {
        Self(built_in().into_iter().map(|class| (class.name.clone(), Arc::new(class))).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classes(yaml: &str) -> Result<Classes, String> {
        let patches: BTreeMap<ClassName, Patch> = serde_yaml::from_str(yaml).map_err(|e| e.to_string())?;
        Classes::new(patches).map_err(|(name, error)| format!("{name}: {error}"))
    }

    #[test]
    fn settings_change_a_part_of_what_is_built_in() {
        let built_in = Classes::default();
        let changed = classes("selfplay: {limits: {memory_max: 9G}, deadline: 1h}").unwrap();
        let (before, after) = (built_in.get("selfplay").unwrap(), changed.get("selfplay").unwrap());
        assert_eq!((after.limits.memory_max, after.deadline), (Some(crate::Bytes(9 << 30)), Some(Seconds(3600))));
        assert_eq!((&after.argv, after.limits.tasks_max), (&before.argv, before.limits.tasks_max));
        assert!(classes("training: {enabled: false}").unwrap().get("training").is_none());
    }

    #[test]
    fn a_class_of_ones_own_says_what_it_runs() {
        let own = classes(
            "sleep: {kind: selfplay, argv: [sleep, '{seconds}', ['--tag', '{tag}']], aliases: [nap], attempts: 1,\n\
             params: {seconds: {type: integer, min: 0, max: 9}, tag: {type: word, optional: true}}}",
        );
        assert_eq!(own.unwrap().get("nap").unwrap().name.as_str(), "sleep");
    }

    #[test]
    fn each_mistake_is_named() {
        let mistakes: Vec<String> = [
            "own: {argv: [sleep]}",
            "own: {kind: selfplay}",
            "own: {kind: playing, argv: [a]}",
            "own: {kind: selfplay, argv: []}",
            "own: {kind: selfplay, argv: [a, '{b}']}",
            "own: {kind: selfplay, argv: [a, '{b']}",
            "own: {kind: selfplay, argv: [a, '{b}'], params: {b: {type: word, optional: true}}}",
            "own: {kind: selfplay, argv: [a], params: {job_id: {type: word}}}",
            "own: {kind: selfplay, argv: [a], attempts: 0}",
            "own: {kind: selfplay, argv: [a], limits: {cpu_weight: 0}}",
            "own: {kind: selfplay, argv: [a], aliases: [training]}",
            "own: {kind: selfplay, argv: [a], colour: red}",
            "Own: {kind: selfplay, argv: [a]}",
        ]
        .into_iter()
        .map(|yaml| format!("{yaml}\n    {}", classes(yaml).unwrap_err()))
        .collect();
        insta::assert_snapshot!(mistakes.join("\n"));
    }

    #[test]
    fn the_game_is_in_the_values() {
        let classes = Classes::default();
        let class = classes.get("selfplay").unwrap();
        let given: Params = serde_json::from_str(r#"{"board_type":"hex8","num_players":3}"#).unwrap();
        let params = class.params(&given).unwrap();
        assert_eq!(class.game(&params).unwrap().to_string(), "hex8_3p");
        assert_eq!(class.game(&Params::default()), None);
    }
}
