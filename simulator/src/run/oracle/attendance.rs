//! Which devices of a cohort have left their first record: a bit each.

/// A cohort's devices.
#[derive(Debug, Default)]
pub struct Attendance {
    /// Grows with the highest index that has come, which the plan bounds.
    words: Vec<u64>,
    count: u64,
}

impl Attendance {
    /// Notes that a device has come; false where it has come before.
    pub fn arrives(&mut self, device: u32) -> bool {
        let (word, bit) = (device as usize / 64, 1 << (device % 64));
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        let is_new = self.words[word] & bit == 0;
        self.words[word] |= bit;
        self.count += u64::from(is_new);
        is_new
    }

    /// How many have come.
    pub fn count(&self) -> u64 {
        self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_device_comes_once() {
        let mut attendance = Attendance::default();
        for device in [0, 63, 64, 1_000_000] {
            assert!(attendance.arrives(device), "{device}");
        }
        assert!(!attendance.arrives(64));
        assert_eq!(attendance.count(), 4);
        assert!(attendance.words.len() <= 1_000_000 / 64 + 1);
    }
}
