//! `arrival = { kind = "…", … }`: k6's words for how load comes. What each kind says is read where its shape is.

use super::kinds::{kinds, words};
use crate::arrival::{DelayKeys, Load, READERS, Read};
use crate::json::{Json, Object};
use crate::keys::{Fields, Reader, Section, Variant, keys};
use crate::table::Value;

keys! {
    struct KindKeys: "When devices come." {
        "kind" kind: required Kind,
            "How they come.";
    }
}

kinds! {
    Kind -> Variant<Read>: |value: &Value<'_>| {
        value.word("arrival", READERS.map(|variant| (variant.word, variant)))
    }, words(READERS.map(|variant| variant.word));
}

/// The definition of arrivals.
pub(super) fn schema() -> Object {
    let variants = READERS.map(|variant| Json::from(variant.schema(KindKeys::KEYS, "kind")));
    Object::default()
        .with("description", KindKeys::ABOUT)
        .with("oneOf", Vec::from(variants))
}

pub(super) fn read(value: &Value<'_>) -> Option<Load> {
    let mut reader = Reader::new(value)?;
    // Without a kind nobody can say which keys belong here.
    let variant = KindKeys::take(&mut reader).kind.read?;
    reader.only(&[&[KindKeys::KEYS], variant.keys].concat());
    let load = (variant.read)(&mut reader);
    let delay = DelayKeys::take(&mut reader).delay.read;
    let mut load = load?;
    load.delay(delay?);
    Some(load)
}
