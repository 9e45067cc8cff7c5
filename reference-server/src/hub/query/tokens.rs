//! The words and signs of a query.

use std::fmt;

use serde_json::Number;

/// Signs of two characters; every other one stands alone.
const DOUBLE_SIGNS: [&str; 4] = ["<=", ">=", "<>", "!="];

/// A word or a sign.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token<'a> {
    /// Of a keyword, of a property or of a part of its path.
    Name(&'a str),
    /// In quotation marks.
    Text(String),
    /// Without a sign.
    Number(Number),
    /// One of [`DOUBLE_SIGNS`], or a character.
    Sign(&'a str),
}

impl fmt::Display for Token<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) | Self::Sign(name) => f.write_str(name),
            Self::Text(text) => write!(f, "'{text}'"),
            Self::Number(number) => write!(f, "{number}"),
        }
    }
}

/// Takes a query apart.
pub(super) fn tokens(text: &str) -> Result<Vec<Token<'_>>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '\'' | '"' => {
                let (text, length) = quoted(rest, first).ok_or("a text does not end")?;
                tokens.push(Token::Text(text));
                length
            }
            '0'..='9' => {
                let length = number_length(rest);
                let written = &rest[..length];
                let number = serde_json::from_str(written);
                tokens.push(Token::Number(
                    number.map_err(|_| format!("\"{written}\" is no number"))?,
                ));
                length
            }
            _ if is_of_name(first) => {
                let length = rest.find(|c| !is_of_name(c)).unwrap_or(rest.len());
                tokens.push(Token::Name(&rest[..length]));
                length
            }
            _ => {
                let is_double = DOUBLE_SIGNS.iter().any(|sign| rest.starts_with(sign));
                let length = if is_double { 2 } else { first.len_utf8() };
                tokens.push(Token::Sign(&rest[..length]));
                length
            }
        };
        rest = rest[length..].trim_start();
    }
    Ok(tokens)
}

fn is_of_name(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '_' | '$')
}

/// Of the number that `rest` begins with, and of what is written to it.
fn number_length(rest: &str) -> usize {
    let is_of_it = |(at, c): &(usize, char)| match c {
        '+' | '-' => rest[..*at].ends_with(['e', 'E']),
        _ => is_of_name(*c) || *c == '.',
    };
    let written = rest.char_indices().take_while(is_of_it);
    written.map(|(_, c)| c.len_utf8()).sum()
}

/// The text in quotation marks that `rest` begins with, and how many bytes that takes. A backslash or a second
/// mark makes a mark part of it.
fn quoted(rest: &str, mark: char) -> Option<(String, usize)> {
    let mut text = String::new();
    let mut characters = rest.char_indices().skip(1).peekable();
    while let Some((at, character)) = characters.next() {
        if character == '\\' {
            text.push(match characters.next()?.1 {
                'b' => '\u{8}',
                'f' => '\u{c}',
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                other => other,
            });
        } else if character != mark {
            text.push(character);
        } else if characters.next_if(|(_, next)| *next == mark).is_some() {
            text.push(mark);
        } else {
            return Some((text, at + mark.len_utf8()));
        }
    }
    None
}
