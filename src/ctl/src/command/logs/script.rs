use ringrift_fleet::quoted;

/// What is asked of every journal.
#[derive(Debug)]
pub(super) struct Question<'a> {
    pub(super) unit: &'a str,
    pub(super) since: Option<&'a str>,
    pub(super) lines: usize,
}

impl Question<'_> {
    /// Reads the journal; in a container without systemd, the file that `cluster start` has the daemon write.
    pub(super) fn script(&self, after: Option<&str>) -> String {
        self.journal(after, false)
    }

    /// The same, without an end.
    pub(super) fn following(&self, after: Option<&str>) -> String {
        self.journal(after, true)
    }

    fn journal(&self, after: Option<&str>, follow: bool) -> String {
        let mut words = vec![
            "journalctl --quiet --no-pager --output=json".to_owned(),
            "--output-fields=MESSAGE,PRIORITY,_SYSTEMD_UNIT,UNIT".to_owned(),
            format!("--unit={}", quoted(self.unit)),
        ];
        match after {
            Some(cursor) => words.push(format!("--after-cursor={}", quoted(cursor))),
            None => words.push(format!("--lines={}", self.lines)),
        }
        words.extend(self.since.map(|since| format!("--since={}", quoted(since))));
        let tail = if follow {
            words.push("--follow".to_owned());
            "-F"
        } else {
            ""
        };
        format!(
            "if [ -d /run/systemd/system ]; then\n  [ \"$(id -u)\" = 0 ] || ! sudo -n true 2> /dev/null || as=sudo\n  exec $as {}\n\
             else exec tail -n {} {tail} \"${{RINGRIFT_P2P_STATE_DIR:-/var/lib/ringrift-p2p}}/daemon.log\"; fi",
            words.join(" "),
            self.lines
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_operator_types_is_no_shell() {
        let question = Question { unit: "a b; reboot", since: Some("$(reboot)"), lines: 7 };
        let script = question.following(Some("s=1;i=2"));
        for part in
            ["--unit='a b; reboot'", "--since='$(reboot)'", "--after-cursor='s=1;i=2'", "--follow", "tail -n 7 -F"]
        {
            assert!(script.contains(part), "{part}: {script}");
        }
        assert!(question.script(None).contains("--lines=7"));
    }
}
