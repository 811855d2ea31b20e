/// Reads a `text/event-stream` (WHATWG HTML §9.2.6) in whatever pieces it comes.
#[derive(Debug, Default)]
pub(crate) struct Parser {
    line: Vec<u8>,
    /// The last byte was a CR: a LF that follows belongs to the same line end.
    after_cr: bool,
    begun: bool,
    data: Option<String>,
    kind: String,
    id: Option<String>,
}

/// One message of the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) id: Option<String>,
    pub(crate) kind: String,
    pub(crate) data: String,
}

/// A message is over the limit; whoever sends it is no event log.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooLong;

impl Parser {
    /// The most bytes that one message may have. An event is a sentence.
    const MAX_MESSAGE: usize = 1 << 20;

    /// Takes the next piece and appends the messages that it completes to `messages`.
    pub(crate) fn push(&mut self, piece: &[u8], messages: &mut Vec<Message>) -> Result<(), TooLong> {
        for &byte in piece {
            let after_cr = std::mem::take(&mut self.after_cr);
            match byte {
                b'\n' if after_cr => {}
                b'\n' | b'\r' => {
                    self.after_cr = byte == b'\r';
                    let line = std::mem::take(&mut self.line);
                    messages.extend(self.end_line(&line));
                }
                _ => {
                    self.line.push(byte);
                    if self.line.len() + self.data.as_ref().map_or(0, String::len) > Self::MAX_MESSAGE {
                        return Err(TooLong);
                    }
                }
            }
        }
        Ok(())
    }

    fn end_line(&mut self, line: &[u8]) -> Option<Message> {
        let line = String::from_utf8_lossy(line);
        let line = if std::mem::replace(&mut self.begun, true) {
            &line
        } else {
            line.strip_prefix('\u{feff}').unwrap_or(&line)
        };
        if line.is_empty() {
            let kind = std::mem::take(&mut self.kind);
            let data = self.data.take()?;
            return Some(Message { id: self.id.clone(), kind, data });
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => match &mut self.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                data @ None => *data = Some(value.to_owned()),
            },
            "event" => value.clone_into(&mut self.kind),
            "id" if !value.contains('\0') => self.id = Some(value.to_owned()),
            // A comment (its field is empty), `retry`, or what a later version may send.
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(pieces: &[&[u8]]) -> Vec<Message> {
        let mut parser = Parser::default();
        let mut messages = Vec::new();
        for piece in pieces {
            parser.push(piece, &mut messages).unwrap();
        }
        messages
    }

    fn message(id: Option<&str>, kind: &str, data: &str) -> Message {
        Message { id: id.map(str::to_owned), kind: kind.to_owned(), data: data.to_owned() }
    }

    #[test]
    fn messages_are_read_as_the_standard_says() {
        for (name, text, expected) in [
            ("one", "id: 1\nevent: A\ndata: x\n\n", vec![message(Some("1"), "A", "x")]),
            ("no space", "data:x\n\n", vec![message(None, "", "x")]),
            ("one space only", "data:  x\n\n", vec![message(None, "", " x")]),
            ("several lines", "data: a\ndata: b\n\n", vec![message(None, "", "a\nb")]),
            ("no data, no message", "event: A\n\ndata: x\n\n", vec![message(None, "", "x")]),
            ("empty data", "data\n\n", vec![message(None, "", "")]),
            ("comments and retry", ": ping\n\nretry: 5\ndata: x\n\n", vec![message(None, "", "x")]),
            (
                "the id stays",
                "id: 7\ndata: a\n\ndata: b\n\n",
                vec![message(Some("7"), "", "a"), message(Some("7"), "", "b")],
            ),
            ("CRLF", "data: a\r\n\r\ndata: b\r\n\r\n", vec![message(None, "", "a"), message(None, "", "b")]),
            ("CR", "data: a\r\rdata: b\r\r", vec![message(None, "", "a"), message(None, "", "b")]),
            ("mark", "\u{feff}data: a\n\n", vec![message(None, "", "a")]),
            ("cut off", "data: a\n\ndata: b\n", vec![message(None, "", "a")]),
            ("colon in the value", "data: {\"a\":1}\n\n", vec![message(None, "", "{\"a\":1}")]),
        ] {
            assert_eq!(parse(&[text.as_bytes()]), expected, "{name}");
        }
    }

    #[test]
    fn an_endless_line_is_refused() {
        let mut parser = Parser::default();
        let piece = vec![b'x'; 64 << 10];
        let refused = (0..20).any(|_| parser.push(&piece, &mut Vec::new()) == Err(TooLong));
        assert!(refused, "20 times 64 KiB without a line end were accepted");
    }

    proptest! {
        #[test]
        fn the_pieces_do_not_matter(
            lines in prop::collection::vec("(data: ?[a-zü]{0,5}|event: [A-Z]{1,3}|id: [0-9]|: x|)(\n|\r\n|\r)", 0..20),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..10),
        ) {
            let text = lines.concat().into_bytes();
            let mut cuts: Vec<usize> = cuts.iter().map(|c| c.index(text.len() + 1)).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|w| &text[w[0]..w[1]]).collect();
            prop_assert_eq!(parse(&pieces), parse(&[&text]));
        }
    }
}
