//! What keys may say: how each kind is read, and how the schema tells it.

use std::marker::PhantomData;
use std::time::Duration;

use fleetstorm_protocol::twin::limits::Part;
use fleetstorm_reports::exact::Decimal;
use serde_json::json;

use super::cohort::properties;
use super::quantity;
use crate::json::{Json, Object};
use crate::keys::{Kind, Section};
use crate::limits::TIME_SCALES;
use crate::table::{Value, each};

/// Kinds, each by what is made of it, the function that reads it, and what the schema tells.
macro_rules! kinds {
    ($($(#[$about:meta])* $Kind:ident -> $Out:ty: $read:expr, $schema:expr;)*) => {$(
        $(#[$about])*
        pub(crate) struct $Kind;

        impl $crate::keys::Kind for $Kind {
            type Out = $Out;

            fn read(value: &$crate::table::Value<'_>) -> Option<$Out> {
                ($read)(value)
            }

            fn schema() -> $crate::json::Object {
                $schema
            }
        }
    )*};
}
pub(crate) use kinds;

kinds! {
    /// Any text.
    Text -> String: |value: &Value<'_>| value.text().map(Into::into), typed("string");
    Flag -> bool: Value::boolean, typed("boolean");
    /// What is made part of ids and host names.
    Name -> String: quantity::name,
        typed("string").with("pattern", "^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$");
    AnyDuration -> Duration: quantity::duration, reference("duration");
    AboveZero -> Duration: quantity::duration_above_zero, reference("duration");
    Rate -> f64: quantity::rate, reference("rate");
    /// Of one device: `1/30s`.
    Interval -> Duration: quantity::interval, like(&["1/30s", "2/m"]);
    /// A duration, which may be in days.
    Days -> Duration: quantity::duration_or_days, like(&["30d", "7d", "1h"]);
    TimeScale -> f64: |value: &Value<'_>| quantity::number(value, TIME_SCALES),
        typed("number")
            .with("minimum", json!(TIME_SCALES.start()))
            .with("maximum", json!(*TIME_SCALES.end() as u64));
    /// Of some devices; above zero.
    Share -> f64: quantity::share,
        either(
            typed("number").with("minimum", 0_u64).with("maximum", 1_u64),
            like(&["20%"]),
        );
    ShareOrNone -> Decimal: quantity::share_or_none,
        either(
            typed("number").with("minimum", 0_u64).with("maximum", 1_u64),
            typed("string").with("pattern", "^[0-9.]+ *%?$"),
        );
    /// Their section reads it.
    Arrivals -> (): |_: &Value<'_>| Some(()), reference("arrival");
    /// Desired properties of a twin.
    Desired -> properties::Properties: |value: &Value<'_>| properties::read(value, Part::Desired),
        typed("object");
    /// Reported properties of a twin.
    Reported -> properties::Properties: |value: &Value<'_>| properties::read(value, Part::Reported),
        typed("object");
}

/// A whole number from `LEAST` to `MOST`.
pub(crate) struct Whole<T, const LEAST: u64, const MOST: u64>(PhantomData<T>);

/// How many of something that must be there.
pub(crate) type Count = Whole<u32, 1, { u32::MAX as u64 }>;

impl<T: TryFrom<u64>, const LEAST: u64, const MOST: u64> Kind for Whole<T, LEAST, MOST> {
    type Out = T;

    fn read(value: &Value<'_>) -> Option<T> {
        T::try_from(value.integer(LEAST..=MOST)?).ok()
    }

    fn schema() -> Object {
        let schema = typed("integer").with("minimum", LEAST);
        if MOST == u64::MAX {
            return schema;
        }
        schema.with("maximum", MOST)
    }
}

/// One of some words.
pub(crate) struct Word<T>(PhantomData<T>);

/// What words stand for.
pub(crate) trait Named: Copy + 'static {
    /// What kind of word it is.
    const WHAT: &'static str;

    /// Each with its word, in the order messages list them.
    fn all() -> Vec<(&'static str, Self)>;
}

impl<T: Named> Kind for Word<T> {
    type Out = T;

    fn read(value: &Value<'_>) -> Option<T> {
        value.word(T::WHAT, T::all())
    }

    fn schema() -> Object {
        words(T::all().iter().map(|(word, _)| *word))
    }
}

/// Words, each kind by what it is called and what its words stand for.
macro_rules! named {
    ($($T:ty: $what:literal, $all:expr;)*) => {$(
        impl $crate::parse::kinds::Named for $T {
            const WHAT: &'static str = $what;

            fn all() -> Vec<(&'static str, Self)> {
                $all.into()
            }
        }
    )*};
}
pub(crate) use named;

/// Several of a kind.
pub(crate) struct List<K>(PhantomData<K>);

impl<K: Kind> Kind for List<K> {
    type Out = Vec<K::Out>;

    fn read(value: &Value<'_>) -> Option<Self::Out> {
        each(value.array()?, |value| K::read(&value))
    }

    fn schema() -> Object {
        typed("array").with("items", K::schema())
    }
}

/// A table whose section reads it, for it refers to others.
pub(crate) struct Table<S>(PhantomData<S>);

impl<S: Section> Kind for Table<S> {
    type Out = ();

    fn read(_: &Value<'_>) -> Option<()> {
        Some(())
    }

    fn schema() -> Object {
        S::schema()
    }
}

/// From `LEAST` to `MOST` tables, which their section reads, for they refer to others.
pub(crate) struct Tables<S, const LEAST: usize, const MOST: usize>(PhantomData<S>);

impl<S: Section, const LEAST: usize, const MOST: usize> Kind for Tables<S, LEAST, MOST> {
    type Out = ();

    fn read(_: &Value<'_>) -> Option<()> {
        Some(())
    }

    fn schema() -> Object {
        let mut schema = typed("array");
        if LEAST > 0 {
            schema = schema.with("minItems", LEAST as u64);
        }
        if MOST < usize::MAX {
            schema = schema.with("maxItems", MOST as u64);
        }
        schema.with("items", S::reference())
    }
}

/// The definition that durations refer to.
pub(crate) fn duration() -> Object {
    like(&["250ms", "30s", "5m", "1h 30m"]).with("pattern", "[0-9]")
}

/// The definition that rates refer to.
pub(crate) fn rate() -> Object {
    like(&["200/s", "30/m", "10/h"]).with("pattern", r"^\s*[0-9.eE+-]+\s*/\s*[smh]\s*$")
}

pub(crate) fn typed(name: &str) -> Object {
    Object::default().with("type", name)
}

/// Texts like these.
pub(crate) fn like(examples: &[&str]) -> Object {
    typed("string").with("examples", json!(examples))
}

pub(crate) fn words<'w>(words: impl IntoIterator<Item = &'w str>) -> Object {
    let words: Vec<_> = words.into_iter().map(Json::from).collect();
    Object::default().with("enum", words)
}

/// A number or a text.
pub(crate) fn either(one: Object, other: Object) -> Object {
    Object::default().with("anyOf", vec![one.into(), other.into()])
}

/// A table whose keys are the user's.
pub(crate) fn map_of(values: Object) -> Object {
    typed("object").with("additionalProperties", values)
}

/// What a definition of the schema says.
pub(crate) fn reference(definition: &str) -> Object {
    Object::default().with("$ref", format!("#/definitions/{definition}"))
}
