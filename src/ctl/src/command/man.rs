use std::{fmt::Write as _, fs, path::PathBuf};

use clap::{Args, CommandFactory as _};
use clap_mangen::Man;
use serde_json::json;

use crate::{cli::Cli, exit::Exit, failure::Failure, report::Report};

/// Where to.
#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// Write one page per command into this folder instead
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

pub(crate) fn run(args: &ManArgs) -> Result<Report, Failure> {
    let pages = pages().map_err(|e| Failure::local("cannot make the manual pages", &e))?;
    let Some(dir) = &args.dir else {
        let page = pages.into_iter().next().map(|(_, text)| text).unwrap_or_default();
        return Ok(Report::ok(page.clone(), json!({ "page": page })));
    };
    fs::create_dir_all(dir).map_err(|e| Failure::local(format!("cannot make {}", dir.display()), &e))?;
    for (name, text) in &pages {
        let path = dir.join(name);
        fs::write(&path, text).map_err(|e| Failure::local(format!("cannot write {}", path.display()), &e))?;
    }
    let text = format!("{} pages are in {}.\n", pages.len(), dir.display());
    let names: Vec<&str> = pages.iter().map(|(name, _)| name.as_str()).collect();
    Ok(Report::ok(text, json!({ "dir": dir.display().to_string(), "pages": names })))
}

/// Every page, the tool's own first: its file name and its text.
fn pages() -> std::io::Result<Vec<(String, String)>> {
    let mut root = Cli::command().disable_help_subcommand(true);
    root.build();
    let mut pages = Vec::new();
    let mut waiting = vec![root];
    while let Some(command) = waiting.pop() {
        pages.push(page(&command)?);
        waiting.extend(command.get_subcommands().cloned().collect::<Vec<_>>().into_iter().rev());
    }
    Ok(pages)
}

fn page(command: &clap::Command) -> std::io::Result<(String, String)> {
    let man = Man::new(command.clone()).manual("RingRift").source(concat!("ringriftctl ", env!("CARGO_PKG_VERSION")));
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    let mut text = String::from_utf8_lossy(&page).into_owned();
    let help = command.get_after_long_help().or(command.get_after_help()).map(ToString::to_string);
    for (title, lines) in sections(&help.unwrap_or_default()) {
        // Every page has the numbers, from their one source.
        if title != "Exit codes" {
            let _ = writeln!(text, ".SH {}\n.nf", title.to_uppercase());
            for line in lines {
                let _ = writeln!(text, "{}", roff(line.trim_start()));
            }
            text.push_str(".fi\n");
        }
    }
    text.push_str(".SH \"EXIT STATUS\"\n");
    for (code, meaning) in Exit::MEANINGS {
        let _ = writeln!(text, ".TP\n.B {code}\n{}", roff(meaning));
    }
    text.push_str(".SH \"SEE ALSO\"\n");
    if man.get_filename() != "ringriftctl.1" {
        text.push_str(".BR ringriftctl (1),\n");
    }
    text.push_str(".BR ringrift\\-p2p (8),\n.BR systemctl (1)\n");
    Ok((man.get_filename(), text))
}

/// The sections of a help text: a title that ends in a colon, and the lines under it.
fn sections(help: &str) -> Vec<(&str, Vec<&str>)> {
    let mut sections: Vec<(&str, Vec<&str>)> = Vec::new();
    for line in help.lines().filter(|l| !l.is_empty()) {
        match (line.strip_suffix(':'), sections.last_mut()) {
            (Some(title), _) if !line.starts_with(' ') => sections.push((title, Vec::new())),
            (_, Some((_, lines))) => lines.push(line),
            (_, None) => {}
        }
    }
    sections
}

/// Text as roff must see it to print it unchanged.
fn roff(line: &str) -> String {
    let escaped = line.replace('\\', "\\(rs").replace('-', "\\-").replace('\'', "\\(aq");
    if escaped.starts_with('.') { format!("\\&{escaped}") } else { escaped }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page() {
        let pages = pages().unwrap();
        let names: Vec<&str> = pages.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names[0], "ringriftctl.1");
        for name in ["ringriftctl-status.1", "ringriftctl-nodes.1", "ringriftctl-nodes-cordon.1", "ringriftctl-man.1"] {
            assert!(names.contains(&name), "{name} is missing from {names:?}");
        }
        for (name, text) in &pages {
            assert!(text.contains(".SH NAME") && text.contains(".SH \"EXIT STATUS\""), "{name}:\n{text}");
        }
    }

    #[test]
    fn text_is_printed_unchanged() {
        assert_eq!(roff(".x --a '\\'"), "\\&.x \\-\\-a \\(aq\\(rs\\(aq");
    }
}
