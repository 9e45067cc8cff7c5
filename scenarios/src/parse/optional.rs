//! What may be left out, and what there may be several of.

use crate::table::Value;

/// What `read` makes of the value, `default` without one.
pub(crate) fn or<'f, T>(
    value: Option<Value<'f>>,
    default: T,
    read: impl FnOnce(Value<'f>) -> Option<T>,
) -> Option<T> {
    match value {
        Some(value) => read(value),
        None => Some(default),
    }
}

/// What `read` makes of all `items`, or `None` if one of them is wrong; each is read either way.
pub(crate) fn each<I: IntoIterator, T>(
    items: I,
    read: impl FnMut(I::Item) -> Option<T>,
) -> Option<Vec<T>> {
    let read: Vec<Option<T>> = items.into_iter().map(read).collect();
    read.into_iter().collect()
}
