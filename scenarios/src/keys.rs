//! The keys of a scenario file, each declared once: what it is called, what it may say, what holds
//! without it, and what it means.
//!
//! [`keys!`] makes of such a list a struct with a field a key and its reader, and the [`Section`]
//! from which the JSON Schema and the guide's tables come.
//!
//! A new key is a row of its section's list, and a field of what the section makes of it; the compiler
//! warns until somebody reads it. `UPDATE_SCHEMA=1 cargo test -p fleetstorm-scenarios up_to_date` writes
//! `schema.json` and the guide's tables.

use toml::de::DeValue;

use crate::diagnostics::closest;
use crate::json::{Json, Object};
use crate::table::{Entry, Value};

/// What a key may say: how it is read, and how the schema tells it.
pub(crate) trait Kind {
    /// What is made of it.
    type Out;

    /// What to tell who left it out.
    const MISSING: Option<&'static str> = None;

    /// Reads it; none once it is noted what is wrong.
    fn read(value: &Value<'_>) -> Option<Self::Out>;

    /// How the schema tells it.
    fn schema() -> Object;
}

/// A key.
pub(crate) struct Key {
    pub(crate) name: &'static str,
    /// What it means.
    pub(crate) text: &'static str,
    pub(crate) is_required: bool,
    /// What holds without it, as TOML.
    pub(crate) default: Option<&'static str>,
    /// What it may say.
    pub(crate) kind: fn() -> Object,
}

impl Key {
    /// How the schema tells it.
    fn schema(&self) -> Object {
        let about = Object::default().with("description", self.text);
        let kind = (self.kind)();
        let schema = if kind.has("$ref") {
            // What stands beside a reference does not count in draft 7.
            about.with("allOf", vec![Json::from(kind)])
        } else {
            about.and(kind.without("description"))
        };
        match self.default {
            Some(default) => schema.with("default", json_of(default)),
            None => schema,
        }
    }
}

/// What TOML says, as JSON.
fn json_of(toml: &str) -> serde_json::Value {
    let value = toml.parse::<toml::Value>().ok();
    serde_json::to_value(value).unwrap_or_default()
}

/// A table of known keys.
pub(crate) trait Section: Sized {
    /// What it is about.
    const ABOUT: &'static str;
    /// Its keys, in the order messages list them.
    const KEYS: &'static [Key];
    /// Its name among the schema's definitions, if it is one.
    const DEFINITION: Option<&'static str>;

    /// What refers to it in the schema: it itself, unless it is a definition.
    fn reference() -> Object {
        match Self::DEFINITION {
            Some(name) => Object::default().with("$ref", format!("#/definitions/{name}")),
            None => Self::schema(),
        }
    }

    /// How the schema tells it.
    fn schema() -> Object {
        table_schema(Self::ABOUT, Self::KEYS.iter(), Key::schema)
    }
}

/// How the schema tells a table of such keys.
fn table_schema<'k>(
    about: &str,
    keys: impl Iterator<Item = &'k Key> + Clone,
    schema: impl Fn(&Key) -> Object,
) -> Object {
    let required = keys.clone().filter(|key| key.is_required);
    let required: Vec<_> = required.map(|key| Json::from(key.name)).collect();
    let schema = Object::default()
        .with("description", about)
        .with("type", "object")
        .with("additionalProperties", false)
        .with(
            "properties",
            Object::of(keys.map(|key| (key.name, schema(key).into()))),
        );
    if required.is_empty() {
        return schema;
    }
    schema.with("required", required)
}

/// One of several tables that a word tells apart.
#[derive(Clone, Copy)]
pub(crate) struct Variant<R> {
    pub(crate) word: &'static str,
    /// What it is about.
    pub(crate) about: &'static str,
    /// Which keys it has beside those that all have.
    pub(crate) keys: &'static [&'static [Key]],
    /// How it is read.
    pub(crate) read: R,
}

impl<R> Variant<R> {
    /// The same, read in another way.
    pub(crate) fn map<S>(self, read: impl FnOnce(R) -> S) -> Variant<S> {
        Variant {
            word: self.word,
            about: self.about,
            keys: self.keys,
            read: read(self.read),
        }
    }

    /// How the schema tells it. Of the keys that all have, `tag` has its word.
    pub(crate) fn schema(&self, all: &[Key], tag: &str) -> Object {
        let own = self.keys.iter().copied().flatten();
        table_schema(self.about, all.iter().chain(own), |key| {
            match key.name == tag {
                true => Object::default()
                    .with("description", self.about)
                    .with("const", self.word),
                false => key.schema(),
            }
        })
    }
}

/// What a table says of one of its keys.
/// What a table says of the keys of a section.
pub(crate) trait Fields<'f>: Section {
    /// Takes each key.
    fn take(reader: &mut Reader<'f>) -> Self;

    /// Reads a table that has no other keys; none where there is no table.
    fn read(table: &Value<'f>) -> Option<Self> {
        let mut reader = Reader::new(table)?;
        reader.only(&[Self::KEYS]);
        Some(Self::take(&mut reader))
    }
}

/// What a table says of one of its keys.
pub(crate) struct Field<'f, T> {
    /// As it is written.
    pub(crate) value: Option<Value<'f>>,
    /// As it is read, or what holds without it; none where it is wrong, which has been noted.
    pub(crate) read: Option<T>,
    /// Where to note that it is not written; nowhere if it is, be it misspelt.
    absent: Option<Value<'f>>,
}

impl<'f, T> Field<'f, T> {
    /// Notes that the key must be there. Always `None`, to be returned.
    pub(crate) fn missing<U>(&self, hint: impl Into<Option<String>>) -> Option<U> {
        self.absent.as_ref()?.wrong("is missing", hint)
    }

    /// What is written, if it is right.
    pub(crate) fn written(self) -> Option<Value<'f>> {
        self.read.and(self.value)
    }

    /// What `read` makes of what is written; nothing where nothing is.
    pub(crate) fn section<U: Default>(
        &self,
        read: impl FnOnce(&Value<'f>) -> Option<U>,
    ) -> Option<U> {
        self.value.as_ref().map_or_else(|| Some(U::default()), read)
    }

    /// What is written must pass `check`, too.
    pub(crate) fn checked(self, check: impl FnOnce(&Value<'f>, T) -> Option<T>) -> Option<T> {
        match self.value {
            Some(value) => check(&value, self.read?),
            None => self.read,
        }
    }
}

impl<'f, T> Field<'f, Option<T>> {
    /// What `resolve` makes of what is written, if anything is.
    pub(crate) fn resolved<U>(
        self,
        resolve: impl FnOnce(&Value<'f>, T) -> Option<U>,
    ) -> Option<Option<U>> {
        match (self.value, self.read?) {
            (Some(value), Some(read)) => resolve(&value, read).map(Some),
            _ => Some(None),
        }
    }
}

/// Reads a table key by key.
pub(crate) struct Reader<'f> {
    table: Value<'f>,
    entries: Vec<Entry<'f>>,
    /// Keys that look like the unknown ones.
    misspelt: Vec<&'static str>,
}

impl<'f> Reader<'f> {
    /// Begins to read a table.
    pub(crate) fn new(table: &Value<'f>) -> Option<Self> {
        Some(Self {
            table: table.clone(),
            entries: table.entries()?,
            misspelt: Vec::new(),
        })
    }

    /// The table.
    pub(crate) fn table(&self) -> &Value<'f> {
        &self.table
    }

    /// Notes what was not taken yet and is none of these keys.
    pub(crate) fn only(&mut self, keys: &[&[Key]]) {
        let known: Vec<_> = keys.iter().copied().flatten().map(|key| key.name).collect();
        self.entries.retain(|entry| {
            let is_known = known.contains(&entry.key);
            if !is_known {
                entry.unknown(&known);
                self.misspelt.extend(closest(entry.key, &known));
            }
            is_known
        });
    }

    /// A key that must be there.
    pub(crate) fn required<K: Kind>(&mut self, key: &'static str) -> Field<'f, K::Out> {
        let mut field = self.take(key, K::read);
        if field.value.is_none() {
            field.read = field.missing(K::MISSING.map(Into::into));
        }
        field
    }

    /// A key that may be there.
    pub(crate) fn optional<K: Kind>(&mut self, key: &'static str) -> Field<'f, Option<K::Out>> {
        let mut field = self.take(key, |value| K::read(value).map(Some));
        if field.value.is_none() {
            field.read = Some(None);
        }
        field
    }

    /// A key without which `default` holds, as if it were written.
    pub(crate) fn default<K: Kind>(
        &mut self,
        key: &'static str,
        default: &'static str,
    ) -> Field<'f, K::Out> {
        let mut field = self.take(key, K::read);
        if field.value.is_none() {
            field.read = match DeValue::parse(default) {
                Ok(node) => K::read(&self.table.stand_in(key, node.get_ref())),
                Err(error) => self.table.wrong(error.message(), None),
            };
        }
        field
    }

    fn take<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&Value<'f>) -> Option<T>,
    ) -> Field<'f, T> {
        let index = self.entries.iter().position(|entry| entry.key == key);
        let value = index.map(|index| self.entries.swap_remove(index).value);
        let is_absent = value.is_none() && !self.misspelt.contains(&key);
        Field {
            read: value.as_ref().and_then(read),
            absent: is_absent.then(|| self.table.stand_in(key, self.table.node())),
            value,
        }
    }
}

/// A table's keys:
///
/// ```text
/// keys! {
///     struct StallKeys: "Times in which nothing moves." {
///         "every" every: required Duration, "From one stall's begin to the next.";
///         "lasts" lasts: default Duration = "1s", "How long it stands still.";
///     }
/// }
/// ```
///
/// What stands after the name is the field, whether the key is `required`, `optional` or has a
/// `default`, its [`Kind`], and what it means.
macro_rules! keys {
    (struct $Keys:ident $(as $definition:literal)?: $about:literal {
        $($name:literal $field:ident: $need:ident $kind:ty $(= $default:tt)?, $text:literal;)*
    }) => {
        pub(crate) struct $Keys<'f> {
            $(pub(crate) $field: $crate::keys::Field<'f, $crate::keys::keys!(@out $need $kind)>,)*
        }

        impl<'f> $crate::keys::Fields<'f> for $Keys<'f> {
            fn take(reader: &mut $crate::keys::Reader<'f>) -> Self {
                Self {
                    $($field: reader.$need::<$kind>($name $(, stringify!($default))?),)*
                }
            }
        }

        impl $crate::keys::Section for $Keys<'_> {
            const ABOUT: &'static str = $about;
            const DEFINITION: Option<&'static str> = $crate::keys::keys!(@option $($definition)?);
            const KEYS: &'static [$crate::keys::Key] = &[$($crate::keys::Key {
                name: $name,
                text: $text,
                is_required: $crate::keys::keys!(@is_required $need),
                default: $crate::keys::keys!(@option $(stringify!($default))?),
                kind: <$kind as $crate::keys::Kind>::schema,
            },)*];
        }
    };
    (@out optional $kind:ty) => { Option<<$kind as $crate::keys::Kind>::Out> };
    (@out $need:ident $kind:ty) => { <$kind as $crate::keys::Kind>::Out };
    (@option) => { None };
    (@option $some:expr) => { Some($some) };
    (@is_required required) => { true };
    (@is_required $need:ident) => { false };
}
pub(crate) use keys;
