//! The condition of a query, and whether it holds.

use std::cmp::Ordering;

use serde_json::Value;

/// What holds of a device, or does not.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Condition {
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Not(Box<Condition>),
    Compared(Operand, Relation, Operand),
    OneOf(Operand, Vec<Operand>),
    Defined(Operand),
}

/// How two values stand to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Relation {
    Equal,
    Different,
    Less,
    More,
    AtMost,
    AtLeast,
}

/// What is compared.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Operand {
    /// Where it is in the twin.
    Property(Vec<String>),
    Literal(Value),
}

impl Condition {
    /// None where that can't be said.
    pub(super) fn holds(&self, twin: &Value) -> Option<bool> {
        match self {
            Self::All(parts) => decided_by(false, parts.iter().map(|part| part.holds(twin))),
            Self::Any(parts) => decided_by(true, parts.iter().map(|part| part.holds(twin))),
            Self::Not(inner) => inner.holds(twin).map(|holds| !holds),
            Self::Compared(one, relation, other) => {
                relation.between(one.value(twin)?, other.value(twin)?)
            }
            Self::OneOf(one, others) => {
                let one = one.value(twin)?;
                let equal = |other: &Operand| Relation::Equal.between(one, other.value(twin)?);
                Some(others.iter().any(|other| equal(other) == Some(true)))
            }
            Self::Defined(property) => Some(property.value(twin).is_some()),
        }
    }
}

/// One part that is `decisive` decides; without one, a part of which nothing can be said.
fn decided_by(decisive: bool, parts: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let mut outcome = Some(!decisive);
    for part in parts {
        match part {
            Some(holds) if holds == decisive => return Some(decisive),
            Some(_) => {}
            None => outcome = None,
        }
    }
    outcome
}

impl Relation {
    fn between(self, one: &Value, other: &Value) -> Option<bool> {
        let order = match (one, other) {
            (Value::Number(one), Value::Number(other)) => {
                one.as_f64()?.partial_cmp(&other.as_f64()?)?
            }
            (Value::String(one), Value::String(other)) => one.cmp(other),
            (Value::Bool(one), Value::Bool(other)) => one.cmp(other),
            (Value::Null, Value::Null) => Ordering::Equal,
            _ => return None,
        };
        Some(match self {
            Self::Equal => order.is_eq(),
            Self::Different => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::More => order.is_gt(),
            Self::AtMost => order.is_le(),
            Self::AtLeast => order.is_ge(),
        })
    }
}

impl Operand {
    fn value<'a>(&'a self, twin: &'a Value) -> Option<&'a Value> {
        match self {
            Self::Literal(value) => Some(value),
            Self::Property(path) => path.iter().try_fold(twin, |value, name| value.get(name)),
        }
    }
}
