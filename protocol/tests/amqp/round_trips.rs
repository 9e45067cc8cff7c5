//! Messages of DPS and its devices read back as they were written.

use super::*;

proptest! {
    #[test]
    fn dps_requests_and_answers(
        scope in "[0-9a-zA-Z-]{1,20}",
        id in "[0-9a-zA-Z._:-]{0,127}[0-9a-zA-Z-]",
        operation in "[0-9a-zA-Z.-]{1,128}",
        correlation in any::<Option<String>>(),
        body in vec(any::<u8>(), 0..600),
        retry_after in proptest::option::of(0u32..=i32::MAX as u32),
    ) {
        let scope = IdScope::parse(&scope).expect("within the rule");
        let id = RegistrationId::parse(&id).expect("within the rule");
        let address = DpsAddress { id_scope: scope.to_string(), registration_id: id.clone() };
        prop_assert_eq!(DpsAddress::parse(&DpsAddress::format(&scope, &id)), Ok(address));

        let correlation_id = correlation.map(MessageId::String);
        let operation = OperationId::parse(&operation).expect("within the rule");
        for (operation, body) in [
            (DeviceOperation::Register, Bytes::from(body.clone())),
            (DeviceOperation::OperationStatus(operation), Bytes::new()),
        ] {
            let request = DpsRequest { correlation_id: correlation_id.clone(), operation, body };
            let read = Message::read(request.message().to_bytes()).expect("own message");
            prop_assert_eq!(DpsRequest::of(&read), Ok(request));
        }
        let response = DpsResponse { correlation_id, retry_after, body: body.into() };
        let read = Message::read(response.clone().message().to_bytes()).expect("own message");
        prop_assert_eq!(DpsResponse::of(read), Ok(response));
    }

    #[test]
    fn refusals(status in 400u16..600, retry_after in proptest::option::of(0u32..100), text in any::<String>()) {
        let body = format!("{{\"errorCode\":{}}}", u32::from(status) * 1000);
        let (read, wait, _) = refusal_of(&rejection(status, retry_after, body.as_bytes()));
        prop_assert_eq!((read, wait), (status, retry_after));
        let (_, wait, body) = refusal_of(&rejection(status, retry_after, text.as_bytes()));
        prop_assert_eq!((wait, &body[..]), (retry_after, text.as_bytes()));
    }

    #[test]
    fn sasl_messages(user in "[^\0]*", password in "[^\0]*", key in vec(any::<u8>(), 0..400)) {
        let plain = Plain { user: user.clone(), password };
        prop_assert_eq!(Plain::parse(&plain.format()), Ok(plain));
        let init = TpmInit { id_scope: user.clone(), registration_id: user, endorsement_key: key.clone() };
        prop_assert_eq!(TpmInit::parse(&init.format()), Ok(init));
        let message = sasl_tpm::format(&key);
        prop_assert_eq!(sasl_tpm::parse(&message), Ok(&key[..]));
    }

    #[test]
    fn addresses_of_any_text(text in any::<String>()) {
        let _ = DpsAddress::parse(&text);
        let _ = HubNode::parse(&text);
        let _ = HubNode::parse(&format!("/devices/{text}"));
    }
}
