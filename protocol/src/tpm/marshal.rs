//! Big-endian marshalling with every bound checked (TCG part 2 §4).

use crate::DecodeError;

/// Reads one structure; errors name it.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    what: &'static str,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(what: &'static str, bytes: &'a [u8]) -> Self {
        Self { what, rest: bytes }
    }

    pub(super) fn error(&self, problem: impl Into<String>) -> DecodeError {
        DecodeError::new(self.what, problem)
    }

    pub(super) fn take(&mut self, field: &str, length: usize) -> Result<&'a [u8], DecodeError> {
        let Some((taken, rest)) = self.rest.split_at_checked(length) else {
            let left = self.rest.len();
            return Err(self.error(format!("{field} needs {length} bytes, {left} are left")));
        };
        self.rest = rest;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self, field: &str) -> Result<[u8; N], DecodeError> {
        let taken = self.take(field, N)?;
        Ok(taken.try_into().expect("as many bytes as were asked for"))
    }

    pub(super) fn u16(&mut self, field: &str) -> Result<u16, DecodeError> {
        self.array(field).map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self, field: &str) -> Result<u32, DecodeError> {
        self.array(field).map(u32::from_be_bytes)
    }

    /// A UINT16 that must have one value.
    pub(super) fn expect(&mut self, field: &str, expected: u16) -> Result<(), DecodeError> {
        match self.u16(field)? {
            found if found == expected => Ok(()),
            found => Err(self.error(format!("{field} is {found:#06x}, expected {expected:#06x}"))),
        }
    }

    /// The contents of a TPM2B: a UINT16 size and as many bytes.
    pub(super) fn sized(&mut self, field: &str) -> Result<&'a [u8], DecodeError> {
        let size = self.u16(field)?;
        self.take(field, size.into())
    }

    /// A TPM2B whose contents have a known size.
    pub(super) fn sized_array<const N: usize>(
        &mut self,
        field: &str,
    ) -> Result<[u8; N], DecodeError> {
        let contents = self.sized(field)?;
        contents.try_into().map_err(|_| {
            self.error(format!(
                "{field} has {} bytes, expected {N}",
                contents.len()
            ))
        })
    }

    /// Everything not read yet.
    pub(super) fn rest(self) -> &'a [u8] {
        self.rest
    }

    pub(super) fn finish(self) -> Result<(), DecodeError> {
        match self.rest.len() {
            0 => Ok(()),
            left => Err(self.error(format!("is followed by {left} bytes"))),
        }
    }
}

/// A TPM2B. Only structures of known size are written, all far below 64 KiB.
pub(super) fn tpm2b(contents: &[u8]) -> Vec<u8> {
    let size = u16::try_from(contents.len()).expect("every structure written here is below 64 KiB");
    [&size.to_be_bytes(), contents].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_big_endian_and_nothing_is_read_past_the_end() {
        let mut reader = Reader::new("sample", &[0x01, 0x02, 0, 0, 0, 9, 0, 1]);
        assert_eq!(reader.u16("a"), Ok(0x0102));
        assert_eq!(reader.u32("b"), Ok(9));
        let error = reader
            .sized("c")
            .expect_err("one byte announced, none there");
        assert_eq!(error.to_string(), "sample: c needs 1 bytes, 0 are left");
    }

    #[test]
    fn sized_buffers_round_trip() {
        let bytes = tpm2b(b"abc");
        assert_eq!(bytes, [0, 3, b'a', b'b', b'c']);
        let mut reader = Reader::new("sample", &bytes);
        assert_eq!(reader.sized_array("a"), Ok(*b"abc"));
        assert_eq!(reader.finish(), Ok(()));
    }

    #[test]
    fn bytes_behind_a_structure_are_refused() {
        assert!(Reader::new("sample", &[0]).finish().is_err());
    }
}
