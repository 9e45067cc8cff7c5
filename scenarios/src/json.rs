//! JSON whose members stay in the order in which people read them.

use serde::{Serialize, Serializer};

/// A value.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub(crate) enum Json {
    Plain(serde_json::Value),
    Array(Vec<Json>),
    Object(Object),
}

/// Members, in order.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Object(Vec<(&'static str, Json)>);

impl Object {
    pub(crate) fn of(members: impl IntoIterator<Item = (&'static str, Json)>) -> Self {
        Self(members.into_iter().collect())
    }

    /// The same with one member more.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<Json>) -> Self {
        self.0.push((name, value.into()));
        self
    }

    /// The same with the members of another.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// The same without a member.
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.0.retain(|(other, _)| *other != name);
        self
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(other, _)| *other == name)
    }
}

impl Serialize for Object {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

impl From<Object> for Json {
    fn from(object: Object) -> Self {
        Self::Object(object)
    }
}

impl From<Vec<Self>> for Json {
    fn from(elements: Vec<Self>) -> Self {
        Self::Array(elements)
    }
}

macro_rules! plain {
    ($($from:ty),*) => {$(
        impl From<$from> for Json {
            fn from(plain: $from) -> Self {
                Self::Plain(plain.into())
            }
        }
    )*};
}
plain!(serde_json::Value, &str, String, bool, u64);
