//! No bytes of a peer make a reader panic, nor a writer that sends back what was read.

use super::*;

/// Bytes that begin well and then go wrong.
fn hostile(good: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let edits = vec((any::<prop::sample::Index>(), any::<u8>()), 1..6);
    let spliced = (
        any::<prop::sample::Index>(),
        any::<prop::sample::Index>(),
        vec(any::<u8>(), 0..12),
    );
    (
        prop::sample::select(good),
        edits,
        proptest::option::of(spliced),
    )
        .prop_map(|(mut bytes, edits, spliced)| {
            for (at, byte) in edits {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            if let Some((from, to, with)) = spliced {
                let (a, b) = (from.index(bytes.len()), to.index(bytes.len()));
                bytes.splice(a.min(b)..a.max(b), with);
            }
            bytes
        })
}

/// Mends the frame's size, and its compounds' as far as a repair of one level goes, so that more is read.
fn mend(bytes: &mut [u8]) {
    if let Some(size) = u32::try_from(bytes.len()).ok().filter(|size| *size >= 8) {
        bytes[..4].copy_from_slice(&size.to_be_bytes());
        bytes[4] = 2;
    }
    if bytes.len() > 13 && bytes[11] == 0xc0 {
        bytes[12] = u8::try_from(bytes.len() - 13).unwrap_or(u8::MAX);
    }
}

fn read_all(bytes: &[u8]) {
    let _ = Frame::read(&mut BytesMut::from(bytes), LIMIT);
    let _ = SaslFrame::read(&mut BytesMut::from(bytes));
    let _ = encoding::length(bytes);
    let _ = encoding::descriptor(bytes);
    if let Ok(message) = Message::read(Bytes::copy_from_slice(bytes)) {
        // What is sent back as it came: the name of a message.
        let properties = &message.properties;
        for id in [&properties.message_id, &properties.correlation_id] {
            Message::of_data(Bytes::new())
                .with_correlation(id.clone())
                .to_bytes();
        }
        let _ = DpsRequest::of(&message);
        let _ = PutToken::of(&message);
        let _ = PutTokenAnswer::of(&message);
        let _ = TwinRequest::of(&message);
        let _ = TwinMessage::of(&message);
        let _ = MethodCall::of(&message);
        let _ = MethodResult::of(&message);
        let _ = DpsResponse::of(message);
    }
    let _ = Plain::parse(bytes);
    let _ = TpmInit::parse(bytes);
    let _ = TpmChallengePart::parse(bytes);
    let _ = sasl_tpm::segments(bytes);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn no_bytes_make_a_reader_panic(bytes in vec(any::<u8>(), 0..300)) {
        read_all(&bytes);
        let described = [b"\x00\x53", &bytes[..]].concat();
        read_all(&described);
    }

    #[test]
    fn no_broken_frame_makes_a_reader_panic(mut bytes in hostile(vectors())) {
        read_all(&bytes);
        mend(&mut bytes);
        read_all(&bytes);
    }

    #[test]
    fn no_broken_message_makes_a_reader_panic(bytes in hostile(messages())) {
        read_all(&bytes);
    }

    #[test]
    fn values_of_any_shape_meet_any_performative(code in 0x10u8..0x20, values in vec(value(), 0..16)) {
        let body: Vec<u8> = values.concat();
        let mut bytes = vec![0, 0, 0, 0, 2, 0, 0, 0, 0, 0x53, code, 0xd0];
        bytes.extend_from_slice(&(body.len() as u32 + 4).to_be_bytes());
        bytes.extend_from_slice(&(values.len() as u32).to_be_bytes());
        bytes.extend_from_slice(&body);
        let size = bytes.len() as u32;
        bytes[..4].copy_from_slice(&size.to_be_bytes());
        let read = Frame::read(&mut BytesMut::from(&bytes[..]), LIMIT);
        prop_assert!(!matches!(read, Ok(None)));
        for section in 0x70u8..0x79 {
            for value in &values {
                read_all(&[b"\x00\x53", &[section][..], value].concat());
            }
        }
        bytes[5] = 1;
        bytes[10] = 0x40 | code & 0x07;
        let _ = SaslFrame::read(&mut BytesMut::from(&bytes[..]));
    }
}

/// A well-formed value of any kind.
fn value() -> impl Strategy<Value = Vec<u8>> {
    let scalar = prop_oneof![
        Just(vec![0x40]),
        Just(vec![0x41]),
        Just(vec![0x43]),
        Just(vec![0x44]),
        Just(vec![0x45]),
        any::<u8>().prop_map(|b| vec![0x52, b]),
        any::<u8>().prop_map(|b| vec![0x53, b]),
        any::<u8>().prop_map(|b| vec![0x50, b]),
        any::<u8>().prop_map(|b| vec![0x56, b]),
        any::<[u8; 4]>().prop_map(|b| [&[0x70], &b[..]].concat()),
        any::<[u8; 4]>().prop_map(|b| [&[0x73], &b[..]].concat()),
        any::<[u8; 8]>().prop_map(|b| [&[0x83], &b[..]].concat()),
        any::<[u8; 16]>().prop_map(|b| [&[0x98], &b[..]].concat()),
        vec(any::<u8>(), 0..9).prop_map(|b| [&[0xa1, b.len() as u8], &b[..]].concat()),
        vec(any::<u8>(), 0..9).prop_map(|b| [&[0xa0, b.len() as u8], &b[..]].concat()),
        "[a-z:-]{0,12}".prop_map(|b| [&[0xa3, b.len() as u8], b.as_bytes()].concat()),
        vec(any::<u8>(), 1..9).prop_map(|b| [
            &[0xe0, b.len() as u8 + 2, b.len() as u8, 0x50],
            &b[..]
        ]
        .concat()),
        Just(vec![0xe0, 2, 1, 0x41]),
        Just(vec![0xe0, 1, 0]),
    ];
    scalar.prop_recursive(4, 24, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(|items| {
                let body = items.concat();
                [
                    &[0xd0],
                    &(body.len() as u32 + 4).to_be_bytes()[..],
                    &(items.len() as u32).to_be_bytes(),
                    &body,
                ]
                .concat()
            }),
            vec((inner.clone(), inner.clone()), 0..4).prop_map(|items| {
                let count = items.len() as u32 * 2;
                let body: Vec<u8> = items
                    .into_iter()
                    .flat_map(|(k, v)| [k, v].concat())
                    .collect();
                [
                    &[0xd1],
                    &(body.len() as u32 + 4).to_be_bytes()[..],
                    &count.to_be_bytes(),
                    &body,
                ]
                .concat()
            }),
            (0x10u8..0x80, inner)
                .prop_map(|(code, value)| [&[0x00, 0x53, code], &value[..]].concat()),
        ]
    })
}
