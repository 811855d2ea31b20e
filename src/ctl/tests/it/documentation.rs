//! Every command of `ringriftctl` that the documentation names is there, with every flag that it is shown with.

use std::{collections::BTreeMap, fs, path::Path, process::Stdio, time::Duration};

use futures::StreamExt as _;
use tokio::io::AsyncReadExt as _;

use crate::{
    ctl::{PATIENCE, command},
    fleet::{Place, nobody},
};

/// What the manual knows: a command's words, joined by dashes, and its page.
fn manual() -> BTreeMap<String, String> {
    let dir = tempfile::tempdir().unwrap();
    let done = std::process::Command::new(env!("CARGO_BIN_EXE_ringriftctl"))
        .arg("man")
        .arg("--dir")
        .arg(dir.path())
        .output()
        .unwrap();
    assert!(done.status.success(), "{done:?}");
    let pages = fs::read_dir(dir.path()).unwrap().map(|page| page.unwrap().path());
    pages
        .map(|page| {
            let name = page.file_stem().unwrap().to_string_lossy().into_owned();
            (name, plain(&fs::read_to_string(&page).unwrap()))
        })
        .collect()
}

/// A page without roff's marks for bold and for dashes.
fn plain(page: &str) -> String {
    ["\\fB", "\\fI", "\\fR", "\\"].iter().fold(page.to_owned(), |page, mark| page.replace(mark, ""))
}

/// What is wrong with a command line, if anything. Values are placeholders: only words and flags are looked at.
fn fault(manual: &BTreeMap<String, String>, line: &str) -> Option<String> {
    let mut command = "ringriftctl".to_owned();
    let mut is_value = false;
    for word in line.split_whitespace().skip(1) {
        let word = word.trim_matches(|c| matches!(c, '[' | ']' | '…' | ',' | '.' | ':'));
        if let Some(flag) = word.strip_prefix("--") {
            let flag = format!("--{}", flag.split('=').next().unwrap_or_default());
            let known =
                |name: &str| manual[name].split(|c: char| !(c.is_alphanumeric() || c == '-')).any(|w| w == flag);
            if flag.len() > 2 && !known(&command) && !known("ringriftctl") {
                return Some(format!("`{command}` has no {flag}"));
            }
            // Its value may follow, which is no command.
            is_value = !matches!(flag.as_str(), "--json");
            continue;
        }
        let longer = format!("{command}-{word}");
        if manual.contains_key(&longer) {
            command = longer;
        } else if !is_value && is_plain(word) && manual.keys().any(|name| name.starts_with(&format!("{command}-"))) {
            return Some(format!("`{command}` has no command {word}"));
        }
        is_value = false;
    }
    None
}

/// Whether it looks like a command's word: no placeholder, no name of a node, no value.
fn is_plain(word: &str) -> bool {
    !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase())
}

/// The command lines of a text: in code, from the tool's name to the end of the command.
fn commands(text: &str) -> Vec<&str> {
    let ends = |c: char| matches!(c, '`' | '|' | '&' | ';' | '#' | '(' | ')' | '<' | '>' | '\\');
    let mut found = Vec::new();
    for line in text.lines() {
        for (at, _) in line.match_indices("ringriftctl ") {
            if line[..at].ends_with(['`', ' ', '-', '(']) || at == 0 {
                found.push(line[at..].split(ends).next().unwrap_or_default());
            }
        }
    }
    found
}

#[test]
fn every_command_that_the_documentation_names_is_there() {
    let manual = manual();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let folder = fs::read_dir(root.join("docs")).unwrap().map(|file| file.unwrap().path());
    let mut faults = Vec::new();
    let mut seen = 0;
    for file in folder.chain([root.join("README.md"), root.join("systemd/README.md")]) {
        let text = fs::read_to_string(&file).unwrap();
        for line in commands(&text) {
            seen += 1;
            if let Some(fault) = fault(&manual, line) {
                faults.push(format!("{}: {line}: {fault}", file.display()));
            }
        }
    }
    assert!(seen > 100, "only {seen} commands were found");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// The words of a command line, as a shell takes it apart.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for c in line.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.into_iter().chain(word).collect()
}

#[test]
fn a_command_line_is_taken_apart_as_by_a_shell() {
    assert_eq!(
        words("ringriftctl  hosts set 'new fan' gpu='RTX 4090' ''"),
        ["ringriftctl", "hosts", "set", "new fan", "gpu=RTX 4090", ""]
    );
}

/// What it does is claimed and tested elsewhere, command by command; here each is typed as it stands there, on a machine
/// where no daemon and no node can be reached.
#[tokio::test]
async fn every_command_of_the_operations_manual_can_be_typed_as_it_stands_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let text = fs::read_to_string(root.join("docs/operations.md")).unwrap();
    let mut lines = commands(&text);
    lines.sort_unstable();
    lines.dedup();
    assert!(lines.len() > 45, "only {} commands were found", lines.len());
    let faults = futures::stream::iter(lines).map(typed).buffer_unordered(4).filter_map(async |fault| fault);
    let faults: Vec<String> = faults.collect().await;
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// The hosts that the manual speaks of, with their roles.
const NAMED: [(&str, &str); 7] = [
    ("gpu-1", "gpu_selfplay"),
    ("gpu-3", "mixed"),
    ("gpu-9", "mixed"),
    ("lambda-gh200-a", "mixed"),
    ("lambda-gh200-b", "mixed"),
    ("nix-1", "mixed"),
    ("NODE", "mixed"),
];

/// What is wrong with a command line, if anything.
async fn typed(line: &str) -> Option<String> {
    let place = Place::new(&format!(
        "hosts:\n{}p2p_voters: [gpu-3]\n",
        NAMED.map(|(name, role)| format!("  {name}: {{ssh_host: refused, status: ready, role: {role}}}\n")).concat()
    ));
    let words = words(line);
    let endless = words.iter().any(|word| matches!(word.as_str(), "--follow" | "--watch"));
    let mut command = command();
    command
        .current_dir(place.path(""))
        .env("HOME", place.path(""))
        .env("PATH", "/usr/bin:/bin")
        .env("RINGRIFT_API", nobody())
        .env("RINGRIFT_SSH", place.path("ssh"))
        .env("RINGRIFT_HOSTS_FILE", place.path("hosts.yaml"))
        .args(["--timeout", "1"])
        .args(words.iter().skip(1).map(|word| word.trim_matches(['[', ']'])))
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let patience = if endless { Duration::from_secs(1) } else { 2 * PATIENCE };
    match tokio::time::timeout(patience, child.wait()).await {
        // They never end by themselves: that they began is enough.
        Err(_) if endless => None,
        Err(_) => Some(format!("{line}: no end")),
        Ok(status) => match status.unwrap().code() {
            Some(0..=1 | 3..=5) => None,
            code => {
                let mut said = String::new();
                child.stderr.take().unwrap().read_to_string(&mut said).await.unwrap();
                Some(format!("{line}: {code:?}: {said}"))
            }
        },
    }
}

#[test]
fn what_is_not_there_is_found() {
    let manual = manual();
    for (line, expected) in [
        ("ringriftctl status --json", None),
        ("ringriftctl --api http://a:8770 nodes cordon gpu-3 --reason 'new disk'", None),
        ("ringriftctl frobnicate", Some("`ringriftctl` has no command frobnicate")),
        ("ringriftctl nodes frobnicate NODE", Some("`ringriftctl-nodes` has no command frobnicate")),
        ("ringriftctl nodes cordon NODE --why x", Some("`ringriftctl-nodes-cordon` has no --why")),
    ] {
        assert_eq!(fault(&manual, line).as_deref(), expected, "{line}");
    }
}
