//! From text to a condition. An SQL parser does the reading; where the language of hubs is no SQL, its
//! words are put in SQL's before.

use serde_json::{Number, Value};
use sqlparser::ast::{
    BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, InTarget,
    SetExpr, UnaryOperator, Value as Literal,
};
use sqlparser::dialect::Dialect;
use sqlparser::keywords::Keyword;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Token, Tokenizer};

use super::{Condition, Operand, Query, Relation};

/// Longest query, in bytes.
const MAX_QUERY: usize = 8 * 1024;
/// Most words and signs that it may have: they bound how deep what is read can be.
const MAX_WORDS: usize = 512;
/// Deepest nesting of brackets and NOT.
const MAX_DEPTH: usize = 24;
/// What there is beside the condition.
const EVERYTHING: &str = "SELECT * FROM devices";

/// Texts stand in single or double quotes, with backslashes; names may begin with `$`.
#[derive(Debug)]
struct HubDialect;

impl Dialect for HubDialect {
    fn is_identifier_start(&self, character: char) -> bool {
        character.is_alphabetic() || matches!(character, '_' | '$')
    }

    fn is_identifier_part(&self, character: char) -> bool {
        character.is_alphanumeric() || matches!(character, '_' | '$')
    }

    fn is_delimited_identifier_start(&self, _: char) -> bool {
        false
    }

    fn supports_string_literal_backslash_escape(&self) -> bool {
        true
    }
}

pub(super) fn parse(text: &str) -> Result<Query, String> {
    if text.len() > MAX_QUERY {
        return Err(format!("{} bytes, the limit is {MAX_QUERY}", text.len()));
    }
    let words = Tokenizer::new(&HubDialect, text).tokenize();
    let words = in_sql(words.map_err(|e| e.to_string())?);
    if words.len() > MAX_WORDS {
        return Err(format!("{} words, the limit is {MAX_WORDS}", words.len()));
    }
    let mut parser = Parser::new(&HubDialect)
        .with_recursion_limit(MAX_DEPTH)
        .with_tokens(words);
    let mut query = parser.parse_query().map_err(|e| e.to_string())?;
    let rest = parser.peek_token();
    if rest.token != Token::EOF {
        return Err(format!("ends before \"{rest}\""));
    }
    let condition = match query.body.as_mut() {
        SetExpr::Select(select) => select.selection.take(),
        _ => None,
    };
    if !query.to_string().eq_ignore_ascii_case(EVERYTHING) {
        return Err(format!(
            "beside WHERE, hubs of this server know {EVERYTHING} only"
        ));
    }
    let condition = condition.as_ref().map(condition_of).transpose()?;
    Ok(Query { condition })
}

/// Without blanks; lists in round brackets, and no name of a property taken for a keyword.
fn in_sql(tokens: Vec<Token>) -> Vec<Token> {
    let tokens = tokens.into_iter();
    let mut words: Vec<Token> = tokens
        .filter(|token| !matches!(token, Token::Whitespace(_)))
        .collect();
    let mut place = 0;
    while let Some(next) = words.get(place + 1) {
        let (is_path, is_list) = (*next == Token::Period, *next == Token::LBracket);
        match &mut words[place] {
            Token::Word(word) if is_path => word.keyword = Keyword::NoKeyword,
            Token::Word(word) if is_list && word.value.eq_ignore_ascii_case("NIN") => {
                words[place] = Token::make_keyword("IN");
                words.insert(place, Token::make_keyword("NOT"));
                continue;
            }
            Token::Word(word) if is_list && word.keyword == Keyword::IN => {
                words[place + 1] = Token::LParen;
                let mut to_come = words.iter_mut().skip(place + 2);
                if let Some(end) = to_come.find(|token| **token == Token::RBracket) {
                    *end = Token::RParen;
                }
            }
            Token::Period => {
                if let Token::Word(word) = &mut words[place + 1] {
                    word.keyword = Keyword::NoKeyword;
                }
            }
            _ => {}
        }
        place += 1;
    }
    words
}

fn condition_of(expression: &Expr) -> Result<Condition, String> {
    match expression {
        Expr::Nested(inner) => condition_of(inner),
        Expr::UnaryOp {
            op: UnaryOperator::Not,
            expr,
        } => Ok(Condition::Not(Box::new(condition_of(expr)?))),
        Expr::BinaryOp { left, op, right } => match op {
            BinaryOperator::And => Ok(Condition::All(joined(left, op, right)?)),
            BinaryOperator::Or => Ok(Condition::Any(joined(left, op, right)?)),
            op => {
                let relation = relation(op).ok_or_else(|| {
                    format!("\"{op}\" is no comparison: use =, !=, <, >, <= or >=")
                })?;
                let (one, other) = (operand(left)?, operand(right)?);
                Ok(Condition::Compared(one, relation, other))
            }
        },
        Expr::In {
            expr,
            target: InTarget::List(list),
            negated,
            global: false,
        } => {
            let list = list.iter().map(operand).collect::<Result<_, _>>()?;
            let one_of = Condition::OneOf(operand(expr)?, list);
            Ok(if *negated {
                Condition::Not(Box::new(one_of))
            } else {
                one_of
            })
        }
        Expr::Function(function) if is_named(function, "is_defined") => {
            Ok(Condition::Defined(argument(function)?))
        }
        other => Err(format!(
            "\"{other}\" is no condition: use comparisons, IN, is_defined, AND, OR and NOT"
        )),
    }
}

/// The parts of `a AND b AND c`, which is read as `(a AND b) AND c`.
fn joined(
    mut left: &Expr,
    operator: &BinaryOperator,
    right: &Expr,
) -> Result<Vec<Condition>, String> {
    let mut parts = vec![right];
    while let Expr::BinaryOp {
        left: first,
        op,
        right: last,
    } = left
        && op == operator
    {
        parts.push(last);
        left = first;
    }
    parts.push(left);
    parts.into_iter().rev().map(condition_of).collect()
}

fn relation(operator: &BinaryOperator) -> Option<Relation> {
    Some(match operator {
        BinaryOperator::Eq => Relation::Equal,
        BinaryOperator::NotEq => Relation::Different,
        BinaryOperator::Lt => Relation::Less,
        BinaryOperator::Gt => Relation::More,
        BinaryOperator::LtEq => Relation::AtMost,
        BinaryOperator::GtEq => Relation::AtLeast,
        _ => return None,
    })
}

fn is_named(function: &Function, name: &str) -> bool {
    function.name.to_string().eq_ignore_ascii_case(name)
}

fn argument(function: &Function) -> Result<Operand, String> {
    let arguments = match &function.args {
        FunctionArguments::List(list) => list.args.as_slice(),
        _ => &[],
    };
    match arguments {
        [FunctionArg::Unnamed(FunctionArgExpr::Expr(expression))] => match operand(expression) {
            Ok(property @ Operand::Property(_)) => Ok(property),
            _ => Err("is_defined takes a property".into()),
        },
        _ => Err("is_defined takes a property, and no more".into()),
    }
}

fn operand(expression: &Expr) -> Result<Operand, String> {
    let neither = || format!("\"{expression}\" is neither a property nor a value");
    match expression {
        Expr::Nested(inner) => operand(inner),
        Expr::Identifier(name) => Ok(Operand::Property(vec![name.value.clone()])),
        Expr::CompoundIdentifier(names) => {
            let names = names.iter().map(|name| name.value.clone());
            Ok(Operand::Property(names.collect()))
        }
        Expr::Value(literal) => value(&literal.value, "").ok_or_else(neither),
        Expr::UnaryOp {
            op: UnaryOperator::Minus,
            expr,
        } => match expr.as_ref() {
            Expr::Value(literal) => value(&literal.value, "-").ok_or_else(neither),
            _ => Err(neither()),
        },
        _ => Err(neither()),
    }
}

fn value(literal: &Literal, sign: &str) -> Option<Operand> {
    let value = match literal {
        Literal::Number(digits, _) => {
            let number: Number = serde_json::from_str(&format!("{sign}{digits}")).ok()?;
            Value::Number(number)
        }
        _ if !sign.is_empty() => return None,
        Literal::SingleQuotedString(text) | Literal::DoubleQuotedString(text) => {
            Value::String(text.clone())
        }
        Literal::Boolean(value) => Value::Bool(*value),
        Literal::Null => Value::Null,
        _ => return None,
    };
    Some(Operand::Literal(value))
}
