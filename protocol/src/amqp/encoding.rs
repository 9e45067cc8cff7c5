//! A look at encoded values before the library decodes them (part 1, 1.6).
//!
//! [`serde_amqp`] trusts sizes and counts: a list of size 0 underflows, a map of odd count too, a
//! binary allocates whatever length it claims, an empty array is left half read, and nesting recurses
//! as deep as the peer likes. All of that is refused here, so that it meets only values whose sizes,
//! counts and depth hold.

use crate::DecodeError;

/// Deepest nesting: a rejected disposition with an info map of maps has 6.
const MAX_DEPTH: usize = 12;
/// Most elements of one list, map or array; the library's own limit for arrays.
const MAX_COUNT: usize = 4096;

/// What a described value says it is: a code, or its symbol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Descriptor<'a> {
    /// Domain and id.
    Code(u64),
    /// Name.
    Name(&'a [u8]),
}

impl Descriptor<'_> {
    /// Whether it names the type with this code or this name.
    pub fn is(&self, code: u64, name: &str) -> bool {
        match self {
            Self::Code(given) => *given == code,
            Self::Name(given) => *given == name.as_bytes(),
        }
    }
}

/// Length of the value that `bytes` begin with.
///
/// # Errors
/// It is cut short, contradicts itself, nests too deep, or has more than 4,096 elements.
pub fn length(bytes: &[u8]) -> Result<usize, DecodeError> {
    value(bytes, 0)
}

/// Whether `bytes` are one value and nothing more.
///
/// # Errors
/// As [`length`]; or something follows.
pub fn check(bytes: &[u8]) -> Result<(), DecodeError> {
    if length(bytes)? == bytes.len() {
        Ok(())
    } else {
        Err(malformed("more bytes follow the value"))
    }
}

/// The descriptor of the described value that `bytes` begin with.
///
/// # Errors
/// The value is not described, or by neither code nor symbol.
pub fn descriptor(bytes: &[u8]) -> Result<Descriptor<'_>, DecodeError> {
    let Some((0x00, rest)) = bytes.split_first().map(|(first, rest)| (*first, rest)) else {
        return Err(malformed("is not a described value"));
    };
    match rest {
        [0x44, ..] => Ok(Descriptor::Code(0)),
        [0x53, code, ..] => Ok(Descriptor::Code((*code).into())),
        [0x80, rest @ ..] => {
            let code = rest.first_chunk().ok_or_else(cut_short)?;
            Ok(Descriptor::Code(u64::from_be_bytes(*code)))
        }
        [0xa3 | 0xb3, ..] => {
            let whole = rest.get(..value(rest, 0)?).ok_or_else(cut_short)?;
            let header = if rest.first() == Some(&0xa3) { 2 } else { 5 };
            Ok(Descriptor::Name(whole.get(header..).ok_or_else(cut_short)?))
        }
        _ => Err(malformed("is described by neither code nor symbol")),
    }
}

fn value(bytes: &[u8], depth: usize) -> Result<usize, DecodeError> {
    if depth > MAX_DEPTH {
        return Err(malformed("nests too deep"));
    }
    let code = *bytes.first().ok_or_else(cut_short)?;
    if code == 0x00 {
        let described = bytes.get(1..).ok_or_else(cut_short)?;
        if !matches!(described.first(), Some(0x44 | 0x53 | 0x80 | 0xa3 | 0xb3)) {
            return Err(malformed("is described by neither code nor symbol"));
        }
        let descriptor = value(described, depth + 1)?;
        let content = described.get(descriptor..).ok_or_else(cut_short)?;
        return Ok(1 + descriptor + value(content, depth + 1)?);
    }
    let length = match code >> 4 {
        0xc | 0xd => compound(bytes, depth)?,
        0xe | 0xf => array(bytes)?,
        _ => 1 + scalar(code, bytes.get(1..).unwrap_or_default())?,
    };
    if length > bytes.len() {
        return Err(cut_short());
    }
    Ok(length)
}

/// Length of a scalar behind its format code.
fn scalar(code: u8, bytes: &[u8]) -> Result<usize, DecodeError> {
    let length = match code >> 4 {
        0x4 => 0,
        0x5 => 1,
        0x6 => 2,
        0x7 => 4,
        0x8 => 8,
        0x9 => 16,
        0xa => 1 + usize::from(*bytes.first().ok_or_else(cut_short)?),
        0xb => 4usize.checked_add(wide(bytes)?).ok_or_else(cut_short)?,
        _ => return Err(malformed("has an unknown format code")),
    };
    if length > bytes.len() {
        return Err(cut_short());
    }
    Ok(length)
}

/// Size and count of a list, map or array, and its content.
fn header(bytes: &[u8]) -> Result<(usize, &[u8]), DecodeError> {
    let rest = bytes.get(1..).unwrap_or_default();
    let wide_form = bytes.first().is_some_and(|code| code >> 4 & 1 == 1);
    let (size, rest) = if wide_form {
        (wide(rest)?, rest.get(4..).unwrap_or_default())
    } else {
        let (size, rest) = rest.split_first().ok_or_else(cut_short)?;
        (usize::from(*size), rest)
    };
    let content = rest.get(..size).ok_or_else(cut_short)?;
    let (count, content) = if wide_form {
        (wide(content)?, content.get(4..).unwrap_or_default())
    } else {
        let (count, content) = content.split_first().ok_or_else(cut_short)?;
        (usize::from(*count), content)
    };
    if count > MAX_COUNT {
        return Err(malformed("has too many elements"));
    }
    Ok((count, content))
}

/// Length of a list or map.
fn compound(bytes: &[u8], depth: usize) -> Result<usize, DecodeError> {
    let (count, content) = header(bytes)?;
    let is_map = bytes.first().is_some_and(|code| code & 0x0f == 1);
    if is_map && count % 2 == 1 {
        return Err(malformed("is a map with a key that has no value"));
    }
    let mut at = 0;
    for _ in 0..count {
        at += value(content.get(at..).ok_or_else(cut_short)?, depth + 1)?;
    }
    whole(bytes, content, at)
}

/// Length of an array. Elements are scalars: nothing that DPS or a hub speaks has others.
fn array(bytes: &[u8]) -> Result<usize, DecodeError> {
    let (count, content) = header(bytes)?;
    if count == 0 {
        // The library takes an empty array to end here, and loses its place when it does not.
        return whole(bytes, content, 0);
    }
    let (constructor, elements) = content.split_first().ok_or_else(cut_short)?;
    if count > content.len() {
        return Err(malformed("has more elements than bytes"));
    }
    let mut at = 0;
    for _ in 0..count {
        at += scalar(*constructor, elements.get(at..).ok_or_else(cut_short)?)?;
    }
    whole(bytes, content, 1 + at)
}

/// The size that a compound claims must be what its elements take.
fn whole(bytes: &[u8], content: &[u8], taken: usize) -> Result<usize, DecodeError> {
    if taken != content.len() {
        return Err(malformed("has another size than its elements"));
    }
    let wide_form = bytes.first().is_some_and(|code| code >> 4 & 1 == 1);
    Ok(if wide_form { 9 } else { 3 } + content.len())
}

fn wide(bytes: &[u8]) -> Result<usize, DecodeError> {
    let size = bytes.first_chunk().ok_or_else(cut_short)?;
    usize::try_from(u32::from_be_bytes(*size)).map_err(|_| malformed("is too long"))
}

fn cut_short() -> DecodeError {
    malformed("is cut short")
}

fn malformed(problem: &str) -> DecodeError {
    DecodeError::new("AMQP value", problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_all_categories() {
        for (bytes, expected) in [
            (&b"\x40"[..], 1),
            (b"\x45", 1),
            (b"\x52\x07", 2),
            (b"\x60\x00\x01", 3),
            (b"\x70\x00\x00\x00\x01", 5),
            (b"\x80\x00\x00\x00\x00\x00\x00\x00\x01", 9),
            (b"\x98aaaaaaaaaaaaaaaa", 17),
            (b"\xa1\x02ab", 4),
            (b"\xb0\x00\x00\x00\x02ab", 7),
            (b"\xc0\x01\x00", 3),
            (b"\xc0\x03\x02\x40\x43", 5),
            (b"\xd0\x00\x00\x00\x05\x00\x00\x00\x01\x40", 10),
            (b"\xc1\x05\x02\xa3\x01k\x40", 7),
            (b"\xe0\x06\x02\xa3\x01a\x01b", 8),
            (b"\xe0\x02\x01\x41", 4),
            (b"\xe0\x01\x00", 3),
            (b"\x00\x53\x24\x45", 4),
        ] {
            let longer = [bytes, b"rest"].concat();
            assert_eq!(length(&longer), Ok(expected), "{bytes:02x?}");
            assert_eq!(check(bytes), Ok(()), "{bytes:02x?}");
            for cut in 0..bytes.len() {
                assert!(length(&bytes[..cut]).is_err(), "{bytes:02x?} cut at {cut}");
            }
        }
    }

    #[test]
    fn what_would_hurt_the_library_is_refused() {
        for (bytes, problem) in [
            (&b"\xc0\x00\x00"[..], "cut short"),
            (b"\xc1\x02\x01\x40", "no value"),
            (b"\xb0\xff\xff\xff\xff", "cut short"),
            (b"\xd0\x00\x00\x10\x00\x7f\xff\xff\xff", "cut short"),
            (b"\xf0\x00\x00\x00\x05\x00\x10\x00\x00\x40", "too many"),
            (b"\xe0\x02\xff\x40", "more elements"),
            (b"\xe0\x04\x01\xc0\x01\x00", "format code"),
            (b"\xc0\x02\x00\x40", "another size"),
            (b"\xe0\x02\x00\x50", "another size"),
            (b"\x00\x40\x40", "neither code nor symbol"),
            (b"\x10", "format code"),
        ] {
            let found = length(bytes).expect_err(problem).to_string();
            assert!(found.contains(problem), "{bytes:02x?}: {found}");
        }
        let mut deep = b"\x00\x53\x01".repeat(200);
        deep.push(0x40);
        assert!(
            length(&deep)
                .expect_err("deep")
                .to_string()
                .contains("deep")
        );
    }

    #[test]
    fn descriptors_of_both_kinds_are_read() {
        for (bytes, code, name) in [
            (&b"\x00\x53\x75\xa0\x00"[..], 0x75, ""),
            (
                b"\x00\x80\x00\x00\x00\x00\x00\x00\x00\x75\xa0\x00",
                0x75,
                "",
            ),
            (b"\x00\x44\x40", 0, ""),
            (
                b"\x00\xa3\x10amqp:data:binary\xa0\x00",
                1,
                "amqp:data:binary",
            ),
            (b"\x00\xb3\x00\x00\x00\x01x\x40", 1, "x"),
        ] {
            assert!(descriptor(bytes).expect("described").is(code, name));
        }
        for bytes in [
            &b""[..],
            b"\x00",
            b"\x40",
            b"\x00\x80\x00",
            b"\x00\xa3\x05a",
        ] {
            assert!(descriptor(bytes).is_err(), "{bytes:02x?}");
        }
    }
}
