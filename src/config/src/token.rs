use std::fmt;

use subtle::ConstantTimeEq as _;

use crate::hex::hex;

/// The cluster token: the secret from which every node derives its certificates, and which clients present.
///
/// Its text never appears in `Debug` or in an error.
#[derive(Clone, Eq)]
pub struct Token(Box<str>);

/// Why a text is not a [`Token`]. Says nothing of the text but its length.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Guessable by trying.
    #[error("the token has {0} bytes, at least {min} are needed; `ringriftctl token new` makes one", min = Token::MIN_LEN)]
    TooShort(usize),
    /// It could not be sent in an HTTP header, or is more than a token.
    #[error("the token must be one line of visible ASCII characters without blanks")]
    NotOneWord,
}

/// What a node accepts: the token in force and, while the cluster changes over, the one before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tokens {
    /// The token in force; what this node presents.
    pub primary: Token,
    /// Accepted as well, so that not all nodes must change at the same moment.
    pub old: Option<Token>,
}

impl Token {
    /// The fewest bytes of a token: 256 bits if they are random bytes (design §6).
    pub const MIN_LEN: usize = 32;

    /// A new token: 32 random bytes as 64 hexadecimal digits.
    pub fn generate() -> Self {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).expect("the kernel's random source is always there");
        Self(hex(&bytes).into())
    }

    /// Reads a token; white space around it, such as a file's last newline, does not belong to it.
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        let text = text.trim();
        if !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(TokenError::NotOneWord);
        }
        if text.len() < Self::MIN_LEN { Err(TokenError::TooShort(text.len())) } else { Ok(Self(text.into())) }
    }

    /// Whether `presented` is this token. The time it takes tells nothing but whether the lengths agree.
    pub fn matches(&self, presented: &str) -> bool {
        self.0.as_bytes().ct_eq(presented.as_bytes()).into()
    }

    /// What keys are derived from.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// The secret in clear, for the file or the header that it belongs in.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl PartialEq for Token {
    fn eq(&self, other: &Self) -> bool {
        self.matches(&other.0)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(hidden)")
    }
}

impl Tokens {
    /// Whether `presented` is one of the two. Both are always compared.
    pub fn accepts(&self, presented: &str) -> bool {
        let primary = self.primary.matches(presented);
        let old = self.old.as_ref().is_some_and(|old| old.matches(presented));
        primary | old
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generated_token_is_64_hex_digits_and_never_the_same() {
        let (one, two) = (Token::generate(), Token::generate());
        assert_eq!(one.expose().len(), 64);
        assert!(one.expose().bytes().all(|b| b.is_ascii_hexdigit()));
        assert_ne!(one.expose(), two.expose());
        assert!(Token::parse(one.expose()).is_ok());
    }

    #[test]
    fn a_token_is_one_long_word() {
        let word = "0123456789abcdef0123456789abcdef";
        assert_eq!(Token::parse(&format!("  {word}\r\n")).unwrap().expose(), word);
        let cases = [
            ("", TokenError::TooShort(0)),
            ("0123456789abcdef0123456789abcde", TokenError::TooShort(31)),
            ("0123456789abcdef 0123456789abcdef", TokenError::NotOneWord),
            ("0123456789abcdef\n0123456789abcdef", TokenError::NotOneWord),
            ("0123456789abcdef0123456789abcdéé", TokenError::NotOneWord),
        ];
        for (text, error) in cases {
            assert_eq!(Token::parse(text).unwrap_err(), error, "{text:?}");
        }
    }

    #[test]
    fn the_old_token_is_accepted_beside_the_new_one() {
        let (new, old, other) = (Token::generate(), Token::generate(), Token::generate());
        let tokens = Tokens { primary: new.clone(), old: Some(old.clone()) };
        assert!(tokens.accepts(new.expose()) && tokens.accepts(old.expose()));
        for wrong in [other.expose(), "", &new.expose()[..63], &format!("{}0", new.expose())] {
            assert!(!tokens.accepts(wrong));
        }
        assert!(!Tokens { primary: new, old: None }.accepts(old.expose()));
    }

    #[test]
    fn debug_and_errors_do_not_tell_the_secret() {
        let secret = "correct-horse-battery-staple-and-more";
        let tokens = Tokens { primary: Token::parse(secret).unwrap(), old: None };
        assert!(!format!("{tokens:?}").contains("horse"));
        assert!(!Token::parse("horse").unwrap_err().to_string().contains("horse"));
    }
}
