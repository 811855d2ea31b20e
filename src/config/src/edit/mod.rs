//! How is the hosts file changed so that its comments and its order stay?
//!
//! A change is a few bytes that are put elsewhere or replaced; all others stay as they are. What the file then says is compared with
//! what it was to say, and read as a daemon reads it: a file that is written in a way that is not understood here is refused, and
//! never spoiled.

mod error;
mod layout;
mod names;
mod save;
#[cfg(test)]
mod tests;
mod tree;
mod value;
mod write;

use std::path::{Path, PathBuf};

pub use error::EditError;
use serde_yaml::Value;

use self::{
    layout::{INDENT, Layout, New, NotInPlace, Splice},
    write::Quotes,
};
use crate::{
    HostsError, HostsFile, NodeId,
    nearest::did_you_mean,
    yaml::{self, Data, Entry, Map, Node},
};

/// A hosts file that is being changed; nothing is written before [`HostsDraft::save`].
#[derive(Debug, Clone)]
pub struct HostsDraft {
    path: PathBuf,
    before: String,
    text: String,
}

/// What is understood of a change.
type Step<T> = Result<T, NotInPlace>;

impl HostsDraft {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// If it cannot be read, or has errors: what is wrong is mended by hand first.
    pub fn load(path: &Path) -> Result<Self, EditError> {
        Self::parse(HostsFile::text(path)?, path)
    }

    /// The same of a text; `path` is what messages call it.
    pub fn parse(text: String, path: &Path) -> Result<Self, EditError> {
        HostsFile::parse(&text, path)?;
        Ok(Self { path: path.to_owned(), before: text.clone(), text })
    }

    /// The text as it would be written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The text as it was read, or last saved.
    pub fn before(&self) -> &str {
        &self.before
    }

    /// Whether anything is changed.
    pub fn is_changed(&self) -> bool {
        self.text != self.before
    }

    /// What a daemon reads.
    pub fn file(&self) -> Result<HostsFile, HostsError> {
        HostsFile::parse(&self.text, &self.path)
    }

    /// Adds a host behind the last one.
    pub fn add(&mut self, host: &NodeId, settings: &[(String, String)]) -> Result<(), EditError> {
        let root = self.root()?;
        if let Some(entry) = hosts(&root).and_then(|(_, map)| map.get(host.as_str())) {
            return Err(EditError::Exists { file: self.path.clone(), host: host.clone(), line: Some(entry.line) });
        }
        let mut draft = self.clone();
        let mut expected = root.to_value();
        let name = host.as_str();
        // As a map that says nothing; the settings fill it.
        let splice = hosts(&root).ok_or(NotInPlace).and_then(|(node, map)| draft.new_host(node, map, name));
        draft.splice(splice.map(|splice| vec![splice]), name)?;
        if let Some(Value::Mapping(hosts)) = expected.get_mut("hosts") {
            hosts.insert(name.into(), Value::Null);
        }
        draft.is_as(&expected, name)?;
        for (key, value) in settings {
            draft.put(host, key, value)?;
        }
        draft.can_be_used()?;
        *self = draft;
        Ok(())
    }

    /// Makes a host's key say something; `key` may lead into a map: `storage_paths.games`.
    pub fn set(&mut self, host: &NodeId, key: &str, value: &str) -> Result<(), EditError> {
        let mut draft = self.clone();
        draft.put(host, key, value)?;
        draft.can_be_used()?;
        *self = draft;
        Ok(())
    }

    /// Takes a key of a host away, and a map that would be left with nothing in it; one that is not there is no error.
    pub fn unset(&mut self, host: &NodeId, key: &str) -> Result<(), EditError> {
        let root = self.root()?;
        let entry = self.host(&root, host)?;
        let keys = value::keys(host, key)?;
        let (mut last, mut outer) = keys.split_last().expect("a key has a part");
        let Some((mut node, mut map)) = inside(entry, outer).filter(|(_, map)| map.get(last).is_some()) else {
            return Ok(());
        };
        // A map below the host that would have nothing in it goes as well.
        while let (1, Some((key, above))) = (map.entries().len(), outer.split_last())
            && let Some(around) = inside(entry, above)
        {
            (last, outer, (node, map)) = (key, above, around);
        }
        let mut draft = self.clone();
        draft.splice(Layout::of(&self.text).remove(node, map, last).map(|splice| vec![splice]), key)?;
        let mut expected = root.to_value();
        let path: Vec<&str> = ["hosts", host.as_str()].into_iter().chain(outer.iter().copied()).collect();
        if let Some(Value::Mapping(map)) = names::at_mut(&mut expected, &path) {
            map.shift_remove(*last);
        }
        draft.is_as(&expected, key)?;
        draft.can_be_used()?;
        *self = draft;
        Ok(())
    }

    /// Takes a host out, and its name out of the lists that have it. Returns what still names it.
    pub fn remove(&mut self, host: &NodeId) -> Result<Vec<String>, EditError> {
        let root = self.root()?;
        self.host(&root, host)?;
        let name = host.as_str();
        let layout = Layout::of(&self.text);
        let mut splices = vec![hosts(&root).ok_or(NotInPlace).and_then(|(node, map)| layout.remove(node, map, name))];
        for (_, entry, items) in names::lists(&root) {
            let found = items.iter().enumerate().filter(|(_, item)| names::is(item, name));
            splices.extend(found.map(|(i, _)| layout.take(entry, items, i)));
        }
        let mut expected = root.to_value();
        names::drop_from_lists(&mut expected, name);
        if let Some(Value::Mapping(hosts)) = expected.get_mut("hosts") {
            hosts.shift_remove(name);
        }
        self.change(splices, &expected, name)?;
        Ok(names::single(&root).into_iter().filter(|(_, node)| names::is(node, name)).map(|(key, _)| key).collect())
    }

    /// Gives a host another name, wherever the file names it.
    pub fn rename(&mut self, from: &NodeId, to: &NodeId) -> Result<(), EditError> {
        let root = self.root()?;
        let entry = self.host(&root, from)?;
        if let Some(other) = hosts(&root).and_then(|(_, map)| map.get(to.as_str())) {
            if from == to {
                return Ok(());
            }
            return Err(EditError::Exists { file: self.path.clone(), host: to.clone(), line: Some(other.line) });
        }
        let written = |span: &std::ops::Range<usize>| {
            (span.clone(), write::text(to.as_str(), Quotes::of(&self.text[span.clone()])))
        };
        let mut splices: Vec<Step<Splice>> = vec![Ok(written(&entry.key_span))];
        let listed = names::lists(&root).flat_map(|(_, _, items)| items);
        let single = names::single(&root);
        let named = listed.chain(single.iter().map(|(_, node)| *node)).filter(|node| names::is(node, from.as_str()));
        splices.extend(named.map(|node| Ok(written(&node.span))));
        let mut expected = root.to_value();
        names::replace(&mut expected, from.as_str(), to.as_str());
        tree::rename(&mut expected, from.as_str(), to.as_str());
        self.change(splices, &expected, from.as_str())
    }

    /// Names a host as a voter, or no longer.
    pub fn set_voter(&mut self, host: &NodeId, votes: bool) -> Result<(), EditError> {
        const KEY: &str = "p2p_voters";
        let root = self.root()?;
        self.host(&root, host)?;
        let name = host.as_str();
        let layout = Layout::of(&self.text);
        let listed = root.as_map().and_then(|map| map.get(KEY));
        let items: &[Node] = match listed.map(|entry| &entry.value.data) {
            Some(Data::List(items)) => items,
            _ => &[],
        };
        let at = items.iter().position(|item| names::is(item, name));
        let written = write::text(name, Quotes::None);
        let splice = match (votes, at, listed) {
            (true, Some(_), _) | (false, None, _) => return Ok(()),
            (false, Some(at), Some(entry)) => layout.take(entry, items, at),
            (true, None, Some(entry)) if !items.is_empty() || layout.is_flow(&entry.value) => {
                layout.append(entry, items, &written)
            }
            (true, None, Some(entry)) => layout.put(entry, &[], INDENT, |_| format!("[{written}]")),
            (_, _, None) => {
                let line = format!("{KEY}: [{written}]{}", layout.newline());
                hosts_entry(&root).ok_or(NotInPlace).and_then(|hosts| {
                    layout.indent(hosts.key_span.start)?;
                    Ok((hosts.key_span.start..hosts.key_span.start, line))
                })
            }
        };
        let mut expected = root.to_value();
        tree::set_voter(&mut expected, KEY, name, votes);
        self.change(vec![splice], &expected, KEY)
    }

    /// An empty host behind the others, written as they are.
    fn new_host(&self, node: &Node, map: &Map, name: &str) -> Step<Splice> {
        let layout = Layout::of(&self.text);
        if layout.is_flow(node) {
            return layout.insert(node, map, &New { keys: &[name], value: "{}" });
        }
        let last = map.entries().last().ok_or(NotInPlace)?;
        let indent = layout.indent(last.key_span.start)?;
        let apart = map.entries().len() > 1 && {
            let before = layout.line_start(last.key_span.start);
            self.text[..before].trim_end_matches('\r').lines().last().is_some_and(|line| line.trim().is_empty())
        };
        let (at, _) = layout.insert(node, map, &New { keys: &[name], value: "" })?;
        let blank = if apart { layout.newline() } else { "" };
        Ok(layout.line_at(at.start, &format!("{blank}{indent}{}:{}", layout::key_text(name), layout.newline())))
    }

    /// Sets without looking whether the file can still be used: of several settings the first alone may not make sense.
    fn put(&mut self, host: &NodeId, key: &str, text: &str) -> Result<(), EditError> {
        let root = self.root()?;
        let entry = self.host(&root, host)?;
        let keys = value::keys(host, key)?;
        let indent = hosts(&root).map_or(INDENT, |(_, map)| self.inner_indent(map));
        let splice = Layout::of(&self.text).put(entry, &keys, indent, |quotes| value::written(&keys, text, quotes));
        let mut draft = self.clone();
        draft.splice(splice.map(|splice| vec![splice]), key)?;
        let mut expected = root.to_value();
        let path: Vec<&str> = ["hosts", host.as_str()].into_iter().chain(keys.iter().copied()).collect();
        tree::put(&mut expected, &path, value::read(&keys, text));
        draft.is_as(&expected, key)?;
        *self = draft;
        Ok(())
    }

    /// By how much the settings of the hosts are indented below their names.
    fn inner_indent(&self, hosts: &Map) -> usize {
        let layout = Layout::of(&self.text);
        let column = |entry: &Entry| layout.indent(entry.key_span.start).map(str::len).ok();
        let habit = hosts.entries().iter().rev().find_map(|host| {
            let first = host.value.as_map()?.entries().first()?;
            if layout.is_flow(&host.value) { None } else { column(first)?.checked_sub(column(host)?) }
        });
        habit.filter(|indent| *indent > 0).unwrap_or(INDENT)
    }

    fn root(&self) -> Result<Node, EditError> {
        let spoilt = || self.not_in_place("the file");
        yaml::parse(&self.text).ok().flatten().ok_or_else(spoilt)
    }

    fn host<'a>(&self, root: &'a Node, host: &NodeId) -> Result<&'a Entry, EditError> {
        let (_, map) = hosts(root).ok_or_else(|| self.not_in_place("hosts"))?;
        map.get(host.as_str()).ok_or_else(|| {
            let hint = did_you_mean(host.as_str(), map.entries().iter().map(|entry| entry.key.as_str()));
            EditError::Unknown { file: self.path.clone(), host: host.clone(), hint }
        })
    }

    /// Changes the text, and takes it back if it then says something else than `expected` or is not to be used.
    fn change(&mut self, splices: Vec<Step<Splice>>, expected: &Value, what: &str) -> Result<(), EditError> {
        let mut draft = self.clone();
        draft.splice(splices.into_iter().collect(), what)?;
        draft.is_as(expected, what)?;
        draft.can_be_used()?;
        *self = draft;
        Ok(())
    }

    fn splice(&mut self, splices: Step<Vec<Splice>>, what: &str) -> Result<(), EditError> {
        let mut splices = splices.map_err(|NotInPlace| self.not_in_place(what))?;
        splices.sort_by_key(|(range, _)| range.start);
        if splices.windows(2).any(|two| two[0].0.end > two[1].0.start) {
            return Err(self.not_in_place(what));
        }
        for (range, with) in splices.into_iter().rev() {
            self.text.replace_range(range, &with);
        }
        Ok(())
    }

    fn is_as(&self, expected: &Value, what: &str) -> Result<(), EditError> {
        let read = yaml::parse(&self.text).ok().flatten().map(|root| root.to_value());
        if read.is_some_and(|read| tree::same(&read, expected)) { Ok(()) } else { Err(self.not_in_place(what)) }
    }

    fn can_be_used(&self) -> Result<(), EditError> {
        match self.file() {
            Ok(_) => Ok(()),
            Err(error) => Err(EditError::Spoils(error.findings())),
        }
    }

    fn not_in_place(&self, what: &str) -> EditError {
        EditError::NotInPlace { file: self.path.clone(), what: what.to_owned() }
    }
}

fn hosts_entry(root: &Node) -> Option<&Entry> {
    root.as_map()?.get("hosts")
}

fn hosts(root: &Node) -> Option<(&Node, &Map)> {
    let node = &hosts_entry(root)?.value;
    Some((node, node.as_map()?))
}

/// The map below an entry that these keys lead to.
fn inside<'a>(entry: &'a Entry, keys: &[&str]) -> Option<(&'a Node, &'a Map)> {
    let node = keys.iter().try_fold(&entry.value, |node, key| Some(&node.as_map()?.get(key)?.value))?;
    Some((node, node.as_map()?))
}
