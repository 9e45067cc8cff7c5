//! From text to a condition: words first, then what they say.

use serde_json::Value;

use super::condition::{Condition, Operand, Relation};
use super::tokens::{Token, tokens};

/// Longest query, in bytes.
const MAX_QUERY: usize = 8 * 1024;
/// Most words and signs that it may have.
const MAX_WORDS: usize = 512;
/// Deepest nesting of brackets and NOT.
const MAX_DEPTH: usize = 24;

/// The condition of a query; none asks for every device.
pub(super) fn parse(text: &str) -> Result<Option<Condition>, String> {
    if text.len() > MAX_QUERY {
        return Err(format!("{} bytes, the limit is {MAX_QUERY}", text.len()));
    }
    let tokens = tokens(text)?;
    if tokens.len() > MAX_WORDS {
        return Err(format!("{} words, the limit is {MAX_WORDS}", tokens.len()));
    }
    let mut parser = Parser {
        rest: &tokens,
        depth: 0,
    };
    let everything = ["SELECT", "*", "FROM", "devices"];
    let is_of_devices = everything.into_iter().all(|word| parser.takes(word));
    let condition = match is_of_devices && parser.takes("WHERE") {
        true => Some(parser.any()?),
        false => None,
    };
    match parser.rest.first() {
        None if is_of_devices => Ok(condition),
        rest => Err(format!(
            "not understood from {} on: hubs of this server know SELECT * FROM devices [WHERE …]",
            words(rest)
        )),
    }
}

/// How a token is told of.
fn words(token: Option<&Token<'_>>) -> String {
    token.map_or_else(|| "its end".into(), |token| format!("\"{token}\""))
}

/// What is left to be read, and how deep that is in brackets and NOT.
struct Parser<'a> {
    rest: &'a [Token<'a>],
    depth: usize,
}

impl<'a> Parser<'a> {
    fn next(&mut self) -> Option<&'a Token<'a>> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(first)
    }

    /// Takes a keyword, whatever its case, or a sign, if it comes next. What has a path is no keyword.
    fn takes(&mut self, word: &str) -> bool {
        let is_it = match self.rest {
            [Token::Sign(sign), ..] => *sign == word,
            [Token::Name(_), Token::Sign("."), ..] => false,
            [Token::Name(name), ..] => name.eq_ignore_ascii_case(word),
            _ => false,
        };
        if is_it {
            self.next();
        }
        is_it
    }

    fn expect(&mut self, sign: &str) -> Result<(), String> {
        match self.takes(sign) {
            true => Ok(()),
            false => Err(format!("{} where {sign} must be", words(self.rest.first()))),
        }
    }

    fn deeper<Read>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<Read, String>,
    ) -> Result<Read, String> {
        if self.depth == MAX_DEPTH {
            return Err(format!("brackets and NOT are deeper than {MAX_DEPTH}"));
        }
        self.depth += 1;
        let read = read(self);
        self.depth -= 1;
        read
    }

    fn any(&mut self) -> Result<Condition, String> {
        self.joined("OR", Self::all, Condition::Any)
    }

    fn all(&mut self) -> Result<Condition, String> {
        self.joined("AND", Self::negated, Condition::All)
    }

    fn joined(
        &mut self,
        word: &str,
        part: impl Fn(&mut Self) -> Result<Condition, String>,
        join: impl FnOnce(Vec<Condition>) -> Condition,
    ) -> Result<Condition, String> {
        let first = part(self)?;
        if !self.takes(word) {
            return Ok(first);
        }
        let mut parts = vec![first, part(self)?];
        while self.takes(word) {
            parts.push(part(self)?);
        }
        Ok(join(parts))
    }

    fn negated(&mut self) -> Result<Condition, String> {
        if self.takes("NOT") {
            return Ok(Condition::Not(Box::new(self.deeper(Self::negated)?)));
        }
        // Brackets hold a condition, or what is compared in one.
        let start = self.rest;
        let bracketed = self.takes("(").then(|| self.deeper(Self::bracketed));
        if let Some(Ok(condition)) = bracketed {
            return Ok(condition);
        }
        self.rest = start;
        match (self.comparison(), bracketed) {
            (Err(_), Some(Err(problem))) => Err(problem),
            (comparison, _) => comparison,
        }
    }

    fn bracketed(&mut self) -> Result<Condition, String> {
        let condition = self.any()?;
        self.expect(")")?;
        Ok(condition)
    }

    fn comparison(&mut self) -> Result<Condition, String> {
        if let [Token::Name(name), Token::Sign("("), ..] = self.rest
            && name.eq_ignore_ascii_case("is_defined")
        {
            return self.is_defined();
        }
        let one = self.operand()?;
        if let Some(relation) = self.relation() {
            return Ok(Condition::Compared(one, relation, self.operand()?));
        }
        let is_negated = self.takes("NOT");
        let is_in = self.takes("IN");
        if !is_in && (is_negated || !self.takes("NIN")) {
            let next = words(self.rest.first());
            return Err(format!(
                "there is no condition before {next}: use =, !=, <, >, <=, >=, IN, is_defined, AND, OR and NOT"
            ));
        }
        let one_of = Condition::OneOf(one, self.list()?);
        Ok(match is_in && !is_negated {
            true => one_of,
            false => Condition::Not(Box::new(one_of)),
        })
    }

    fn is_defined(&mut self) -> Result<Condition, String> {
        self.rest = &self.rest[2..];
        let property = self.operand()?;
        match property {
            Operand::Property(_) if self.takes(")") => Ok(Condition::Defined(property)),
            _ => Err("is_defined takes a property, and no more".into()),
        }
    }

    fn relation(&mut self) -> Option<Relation> {
        let relation = match self.rest.first()? {
            Token::Sign("=") => Relation::Equal,
            Token::Sign("!=" | "<>") => Relation::Different,
            Token::Sign("<") => Relation::Less,
            Token::Sign(">") => Relation::More,
            Token::Sign("<=") => Relation::AtMost,
            Token::Sign(">=") => Relation::AtLeast,
            _ => return None,
        };
        self.next();
        Some(relation)
    }

    /// In square brackets or in round ones.
    fn list(&mut self) -> Result<Vec<Operand>, String> {
        let end = if self.takes("[") { "]" } else { ")" };
        if end == ")" {
            self.expect("(")?;
        }
        let mut list = vec![self.operand()?];
        while self.takes(",") {
            list.push(self.operand()?);
        }
        self.expect(end)?;
        Ok(list)
    }

    fn operand(&mut self) -> Result<Operand, String> {
        if self.takes("(") {
            let operand = self.deeper(Self::operand)?;
            self.expect(")")?;
            return Ok(operand);
        }
        for (word, value) in [
            ("true", Value::Bool(true)),
            ("false", Value::Bool(false)),
            ("null", Value::Null),
        ] {
            if self.takes(word) {
                return Ok(Operand::Literal(value));
            }
        }
        let next = self.next();
        Ok(match next {
            Some(Token::Name(name)) => {
                let mut path = vec![(*name).to_owned()];
                while let [Token::Sign("."), Token::Name(name), ..] = self.rest {
                    path.push((*name).to_owned());
                    self.rest = &self.rest[2..];
                }
                Operand::Property(path)
            }
            Some(Token::Text(text)) => Operand::Literal(text.as_str().into()),
            Some(Token::Number(number)) => Operand::Literal(number.clone().into()),
            Some(Token::Sign("-")) if matches!(self.rest, [Token::Number(_), ..]) => {
                let number = format!("-{}", self.rest[0]);
                self.next();
                Operand::Literal(serde_json::from_str(&number).map_err(|e| e.to_string())?)
            }
            other => {
                return Err(format!(
                    "{} is neither a property nor a value",
                    words(other)
                ));
            }
        })
    }
}
