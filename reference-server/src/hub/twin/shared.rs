//! Twins that nobody has changed: the devices of one enrollment begin with the same, so that a
//! million of them need it once.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

/// Most that are shared at once; a hub with more different ones keeps the rest each for itself.
const MAX_SHARED: usize = 1024;

/// Renderings of new twins.
#[derive(Debug, Default)]
pub(in crate::hub) struct SharedViews(Mutex<HashSet<Arc<[u8]>>>);

impl SharedViews {
    /// The one of these bytes that is there already, or this one from now on.
    pub(super) fn share(&self, view: Box<[u8]>) -> Arc<[u8]> {
        // Nothing in here panics half-way.
        let mut shared = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = shared.get(&*view) {
            return Arc::clone(known);
        }
        if shared.len() >= MAX_SHARED {
            shared.retain(|known| Arc::strong_count(known) > 1);
        }
        let view = Arc::from(view);
        if shared.len() < MAX_SHARED {
            shared.insert(Arc::clone(&view));
        }
        view
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(number: usize) -> Box<[u8]> {
        number.to_string().into_bytes().into()
    }

    #[test]
    fn equal_views_are_one_and_the_number_of_others_is_bounded() {
        let shared = SharedViews::default();
        let first = shared.share(view(0));
        assert!(Arc::ptr_eq(&first, &shared.share(view(0))));
        let kept: Vec<_> = (1..2 * MAX_SHARED).map(|n| shared.share(view(n))).collect();
        assert!(Arc::ptr_eq(&first, &shared.share(view(0))));
        let lone = 2 * MAX_SHARED;
        assert!(!Arc::ptr_eq(
            &shared.share(view(lone)),
            &shared.share(view(lone))
        ));
        drop(kept);
        let again = shared.share(view(lone));
        assert!(Arc::ptr_eq(&again, &shared.share(view(lone))));
    }
}
