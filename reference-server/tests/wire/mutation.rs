//! Good conversations turned bad.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

/// One thing that goes wrong.
#[derive(Debug, Clone)]
pub enum Edit {
    /// A bit is flipped.
    Flip(Index, Index, u8),
    /// A byte is something else, a length most often.
    Set(Index, Index, u8),
    /// A piece ends early.
    Truncate(Index, Index),
    /// Bytes that nobody asked for, within a piece.
    Insert(Index, Index, Vec<u8>),
    /// Bytes that nobody asked for, as a piece.
    Garbage(Index, Vec<u8>),
    /// A piece comes twice.
    Repeat(Index),
    /// A piece is missing.
    Drop(Index),
    /// Two pieces change places.
    Swap(Index, Index),
}

/// A few things that go wrong, and after which byte of each piece the sender pauses.
pub fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let at = any::<Index>;
    let bytes = || vec(any::<u8>(), 1..200);
    let edit = prop_oneof![
        4 => (at(), at(), 0..8u8).prop_map(|(piece, byte, bit)| Edit::Flip(piece, byte, bit)),
        2 => (at(), at(), prop_oneof![Just(0), Just(0x7f), Just(0x80), Just(0xff), any::<u8>()])
            .prop_map(|(piece, byte, value)| Edit::Set(piece, byte, value)),
        2 => (at(), at()).prop_map(|(piece, byte)| Edit::Truncate(piece, byte)),
        1 => (at(), at(), bytes()).prop_map(|(piece, byte, bytes)| Edit::Insert(piece, byte, bytes)),
        1 => (at(), bytes()).prop_map(|(piece, bytes)| Edit::Garbage(piece, bytes)),
        1 => at().prop_map(Edit::Repeat),
        1 => at().prop_map(Edit::Drop),
        2 => (at(), at()).prop_map(|(one, other)| Edit::Swap(one, other)),
    ];
    vec(edit, 1..6)
}

/// What is left of `pieces`.
pub fn edited(pieces: &[Vec<u8>], edits: &[Edit]) -> Vec<Vec<u8>> {
    let mut pieces = pieces.to_vec();
    for edit in edits {
        if pieces.is_empty() {
            break;
        }
        let count = pieces.len();
        match edit {
            Edit::Flip(piece, byte, bit) => {
                if let Some(byte) = byte_of(&mut pieces, *piece, *byte) {
                    *byte ^= 1 << bit;
                }
            }
            Edit::Set(piece, byte, value) => {
                if let Some(byte) = byte_of(&mut pieces, *piece, *byte) {
                    *byte = *value;
                }
            }
            Edit::Truncate(piece, byte) => {
                let piece = &mut pieces[piece.index(count)];
                piece.truncate(byte.index(piece.len() + 1));
            }
            Edit::Insert(piece, byte, bytes) => {
                let piece = &mut pieces[piece.index(count)];
                let at = byte.index(piece.len() + 1);
                piece.splice(at..at, bytes.iter().copied());
            }
            Edit::Garbage(piece, bytes) => pieces.insert(piece.index(count + 1), bytes.clone()),
            Edit::Repeat(piece) => {
                let piece = piece.index(count);
                pieces.insert(piece, pieces[piece].clone());
            }
            Edit::Drop(piece) => {
                pieces.remove(piece.index(count));
            }
            Edit::Swap(one, other) => pieces.swap(one.index(count), other.index(count)),
        }
    }
    pieces
}

/// Bytes near the front of a piece say what the rest is: they are met more often.
fn byte_of(pieces: &mut [Vec<u8>], piece: Index, byte: Index) -> Option<&mut u8> {
    let piece = &mut pieces[piece.index(pieces.len())];
    let near = if byte.index(2) == 0 {
        piece.len()
    } else {
        piece.len().min(16)
    };
    (near > 0).then(|| &mut piece[byte.index(near)])
}
