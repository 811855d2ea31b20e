//! What a file is to say after changes, and such files as people write them.

#![allow(clippy::format_push_string, reason = "a test: text is put together so that it can be read")]

use std::path::Path;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{
    super::{EditError, HostsDraft},
    id,
};
use crate::HostsFile;

/// What the file is to say.
#[derive(Debug, Clone, Default)]
pub(super) struct Model {
    pub(super) hosts: Vec<(String, Map<String, Value>)>,
    pub(super) voters: Vec<String>,
    pub(super) preferred: Vec<String>,
}

/// Which comment is still to be there, and as long as what.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Owner {
    File,
    Host(String),
    Key(String, String),
    Voter(String),
}

#[derive(Debug, Clone)]
pub(super) enum Change {
    Add(String, Vec<(&'static str, Typed)>),
    Set(usize, &'static str, Typed),
    Unset(usize, &'static str),
    Remove(usize),
    Rename(usize, String),
    Voter(usize, bool),
}

/// What is typed, and what it means.
#[derive(Debug, Clone)]
pub(super) struct Typed(String, Value);

fn typed() -> impl Strategy<Value = (&'static str, Typed)> {
    let text = |key: &'static str| {
        prop_oneof![
            3 => "[ -~]{0,10}",
            1 => "\\PC{0,5}",
            1 => prop::sample::select(vec!["yes", "null", "1e3", "#x", "- a", "a: b", "0x1f", "12:30", "2026-01-01", "it's", "a\nb"]).prop_map(str::to_owned),
        ]
        .prop_map(move |text| (key, Typed(text.clone(), text.into())))
    };
    prop_oneof![
        text("ssh_host"),
        text("note"),
        text("gpu"),
        text("status"),
        text("storage_paths.games"),
        text("storage_paths.logs"),
        (1..=u16::MAX).prop_map(|port| ("ssh_port", Typed(port.to_string(), port.into()))),
        (0..4096_u32).prop_map(|gb| ("memory_gb", Typed(gb.to_string(), gb.into()))),
        any::<bool>().prop_map(|on| ("p2p_enabled", Typed(on.to_string(), on.into()))),
        (1..=u16::MAX)
            .prop_map(|port| { ("p2p_public_port", Typed(format!("{{8770: {port}}}"), json!({ "8770": port }))) }),
        "[a-z ]{0,6}".prop_map(|text| ("unknown_key", Typed(text.clone(), text.into()))),
    ]
    // A bare word that is a truth value or nothing means that where the key may be anything.
    .prop_filter("a word with a meaning", |(key, Typed(text, _))| {
        *key != "unknown_key" || !matches!(text.trim(), "true" | "false" | "null")
    })
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![4 => "[a-z][a-z0-9-]{0,4}[a-z0-9]", 1 => Just("null".to_owned()), 1 => Just("12".to_owned()), 1 => Just("a.b".to_owned())]
}

pub(super) fn change() -> impl Strategy<Value = Change> {
    let which = 0..6_usize;
    prop_oneof![
        2 => (name(), prop::collection::vec(typed(), 0..4)).prop_map(|(name, settings)| Change::Add(name, settings)),
        4 => (which.clone(), typed()).prop_map(|(at, (key, value))| Change::Set(at, key, value)),
        2 => (which.clone(), typed()).prop_map(|(at, (key, _))| Change::Unset(at, key)),
        1 => which.clone().prop_map(Change::Remove),
        1 => (which.clone(), name()).prop_map(|(at, name)| Change::Rename(at, name)),
        1 => (which, any::<bool>()).prop_map(|(at, votes)| Change::Voter(at, votes)),
    ]
}

/// Puts a value where `a.b` leads to.
fn put(map: &mut Map<String, Value>, key: &str, value: Value) {
    match key.split_once('.') {
        None => drop(map.insert(key.to_owned(), value)),
        Some((outer, inner)) => {
            let inside = map.entry(outer).or_insert_with(|| json!({}));
            inside.as_object_mut().unwrap().insert(inner.to_owned(), value);
        }
    }
}

impl Model {
    fn add(&mut self, name: &str, settings: &[(&str, Typed)]) {
        let mut map = Map::new();
        for (key, Typed(_, value)) in settings {
            put(&mut map, key, value.clone());
        }
        self.hosts.push((name.to_owned(), map));
    }

    fn has(&self, name: &str) -> bool {
        self.hosts.iter().any(|(host, _)| host == name)
    }

    /// What a daemon would read from a file that says just this.
    pub(super) fn read(&self) -> HostsFile {
        let hosts: Vec<String> =
            self.hosts.iter().map(|(name, host)| format!("{}: {}", json!(name), json!(host))).collect();
        let text = format!("{{p2p_voters: {}, hosts: {{{}}}}}", json!(self.voters), hosts.join(", "));
        HostsFile::parse(&text, Path::new("hosts.yaml")).unwrap_or_else(|error| panic!("{error}\n{text}"))
    }
}

/// The file as a person might write it. `dice` decides how.
pub(super) fn written(model: &Model, dice: &[u8]) -> (String, Vec<(String, Owner)>) {
    let mut dice = dice.iter().copied().cycle();
    let mut comments = Vec::new();
    let mut roll = move |sides: u8| dice.next().unwrap_or_default() % sides;
    let mut comment = |owner: Owner| {
        let text = format!("# comment {} ends", comments.len());
        comments.push((text.clone(), owner));
        text
    };
    let mut text = format!("{}\n", comment(Owner::File));
    let flow_lists = roll(2) == 0;
    if flow_lists {
        text += &format!("p2p_voters: {} {}\n", json!(model.voters), comment(Owner::File));
    } else {
        text += "p2p_voters:\n";
        for voter in &model.voters {
            text += &format!("  - {} {}\n", json!(voter), comment(Owner::Voter(voter.clone())));
        }
        text += &format!("  {}\n", comment(Owner::File));
    }
    text += &format!("sync_routing:\n  priority_hosts: {}\nhosts: {}\n", json!(model.preferred), comment(Owner::File));
    for (name, host) in &model.hosts {
        if roll(2) == 0 {
            text += "\n";
        }
        text += &format!("  {}\n", comment(Owner::File));
        let quoted = if roll(2) == 0 && name != "null" { name.clone() } else { json!(name).to_string() };
        if roll(4) == 0 {
            text += &format!("  {quoted}: {} {}\n", json!(host), comment(Owner::Host(name.clone())));
            continue;
        }
        text += &format!("  {quoted}: {}\n", comment(Owner::Host(name.clone())));
        for (key, value) in host {
            if roll(3) == 0 {
                text += &format!("    {}\n", comment(Owner::Host(name.clone())));
            }
            if let (Value::Object(map), false) = (value, roll(2) == 0) {
                text += &format!("    {key}:\n");
                for (inner, value) in map {
                    let owner = Owner::Key(name.clone(), format!("{key}.{inner}"));
                    text += &format!("      {inner}: {value} {}\n", comment(owner));
                }
                continue;
            }
            text += &format!("    {key}: {value} {}\n", comment(Owner::Key(name.clone(), key.clone())));
        }
        if roll(2) == 0 {
            text += &format!("    {}\n", comment(Owner::Host(name.clone())));
        }
    }
    text += &format!("{}\n", comment(Owner::File));
    (text, comments)
}

/// Does it to both; what is refused changes neither.
pub(super) fn apply(draft: &mut HostsDraft, model: &mut Model, comments: &mut Vec<(String, Owner)>, change: &Change) {
    let count = model.hosts.len();
    let before = draft.text().to_owned();
    let typed = |settings: &[(&str, Typed)]| -> Vec<(String, String)> {
        settings.iter().map(|(key, Typed(text, _))| ((*key).to_owned(), text.clone())).collect()
    };
    let is_refused = |draft: &HostsDraft, error: &EditError| {
        assert!(matches!(error, EditError::Exists { .. } | EditError::Spoils(_)), "{change:?}: {error}\n{before}");
        assert_eq!(draft.text(), before);
    };
    match change {
        Change::Add(name, settings) => match draft.add(&id(name), &typed(settings)) {
            Ok(()) => model.add(name, settings),
            Err(error) => {
                is_refused(draft, &error);
                assert!(model.has(name), "{error}");
            }
        },
        Change::Set(at, key, Typed(text, value)) => {
            let (name, host) = &mut model.hosts[at % count];
            draft.set(&id(name), key, text).unwrap_or_else(|error| panic!("{change:?}: {error}\n{before}"));
            put(host, key, value.clone());
            // A map in the place of a map: what stood in it goes with it.
            let within = format!("{key}.");
            comments.retain(|(_, owner)| !matches!(owner, Owner::Key(of, at) if of == name && at.starts_with(&within)));
        }
        Change::Unset(at, key) => {
            let (name, host) = &mut model.hosts[at % count];
            draft.unset(&id(name), key).unwrap_or_else(|error| panic!("{change:?}: {error}\n{before}"));
            let mut gone = (*key).to_owned();
            match key.split_once('.') {
                None => drop(host.remove(*key)),
                Some((outer, inner)) => {
                    if let Some(Value::Object(map)) = host.get_mut(outer)
                        && map.remove(inner).is_some()
                        && map.is_empty()
                    {
                        host.remove(outer);
                        outer.clone_into(&mut gone);
                    }
                }
            }
            comments.retain(|(_, owner)| {
                !matches!(owner, Owner::Key(host, of) if host == name && (*of == gone || of.starts_with(&format!("{gone}."))))
            });
        }
        Change::Remove(at) => {
            let name = model.hosts[at % count].0.clone();
            match draft.remove(&id(&name)) {
                Ok(left) => {
                    assert!(left.is_empty());
                    model.hosts.remove(at % count);
                    model.voters.retain(|voter| *voter != name);
                    model.preferred.retain(|one| *one != name);
                    comments.retain(|(_, owner)| match owner {
                        Owner::File => true,
                        Owner::Host(of) | Owner::Voter(of) | Owner::Key(of, _) => *of != name,
                    });
                }
                Err(error) => {
                    is_refused(draft, &error);
                    assert_eq!(count, 1, "{error}");
                }
            }
        }
        Change::Rename(at, to) => {
            let from = model.hosts[at % count].0.clone();
            match draft.rename(&id(&from), &id(to)) {
                Ok(()) => {
                    model.hosts[at % count].0.clone_from(to);
                    let names = model.voters.iter_mut().chain(&mut model.preferred);
                    names.filter(|name| **name == from).for_each(|name| name.clone_from(to));
                    for (_, owner) in comments {
                        match owner {
                            Owner::Host(of) | Owner::Voter(of) | Owner::Key(of, _) if *of == from => of.clone_from(to),
                            _ => {}
                        }
                    }
                }
                Err(error) => {
                    is_refused(draft, &error);
                    assert!(model.has(to), "{error}");
                }
            }
        }
        Change::Voter(at, votes) => {
            let name = model.hosts[at % count].0.clone();
            draft.set_voter(&id(&name), *votes).unwrap_or_else(|error| panic!("{change:?}: {error}\n{before}"));
            match (votes, model.voters.contains(&name)) {
                (true, false) => model.voters.push(name),
                (false, true) => {
                    model.voters.retain(|voter| *voter != name);
                    comments.retain(|(_, owner)| *owner != Owner::Voter(name.clone()));
                }
                _ => {}
            }
        }
    }
}

pub(super) fn start() -> impl Strategy<Value = (Model, Vec<u8>)> {
    let hosts = prop::collection::btree_map(name(), prop::collection::vec(typed(), 0..6), 1..5);
    (hosts, prop::collection::vec(any::<u8>(), 8..40), any::<u8>()).prop_map(|(hosts, dice, lists)| {
        let mut model = Model::default();
        for (name, settings) in &hosts {
            model.add(name, settings);
        }
        let names: Vec<String> = hosts.into_keys().collect();
        model.voters = names.iter().take(usize::from(lists % 4)).cloned().collect();
        model.preferred = names.iter().rev().take(usize::from(lists / 4 % 4)).cloned().collect();
        (model, dice)
    })
}
