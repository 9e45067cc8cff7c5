//! What is written reads back as itself, and no bytes of a peer make a reader panic.

use std::sync::LazyLock;

use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rsa::{KeySize, OaepPrivateDecryptingKey, PrivateDecryptingKey};
use fleetstorm_protocol::enrollment::Enrollment;
use fleetstorm_protocol::http::{self, DeviceOperation, DeviceRequest};
use fleetstorm_protocol::hub::{self, HubRequest, HubUserName, TwinResponse};
use fleetstorm_protocol::ids::{DeviceId, IdScope, OperationId, RegistrationId};
use fleetstorm_protocol::mqtt::{DpsOperation, DpsRequest, DpsResponse, DpsUserName};
use fleetstorm_protocol::registration::DeviceRegistration;
use fleetstorm_protocol::sas::SasToken;
use fleetstorm_protocol::service_error::ServiceError;
use fleetstorm_protocol::tpm::{
    ActivationBlob, ActivationSecrets, IdentityKey, PublicArea, activate, endorsement_public,
    make_activation_blob, storage_root_public,
};
use fleetstorm_protocol::x509;
use proptest::array::uniform32;
use proptest::collection::vec;
use proptest::prelude::*;

fn id_scope() -> impl Strategy<Value = IdScope> {
    "[0-9a-zA-Z-]{1,20}".prop_map(|text| IdScope::parse(&text).expect("within the rule"))
}

fn registration_id() -> impl Strategy<Value = RegistrationId> {
    "[0-9a-zA-Z._:-]{0,127}[0-9a-zA-Z-]"
        .prop_map(|text| RegistrationId::parse(&text).expect("within the rule"))
}

fn operation_id() -> impl Strategy<Value = OperationId> {
    "[0-9a-zA-Z.-]{1,128}".prop_map(|text| OperationId::parse(&text).expect("within the rule"))
}

fn device_id() -> impl Strategy<Value = DeviceId> {
    "[0-9a-zA-Z.%_*?!(),:=@$'-]{1,128}"
        .prop_map(|text| DeviceId::parse(&text).expect("within the rule"))
}

/// What the SDKs use as `$rid`: numbers and UUIDs, perhaps quoted.
const RID: &str = "[0-9a-zA-Z%.-]{1,40}";

proptest! {
    #[test]
    fn http_requests(scope in id_scope(), id in registration_id(), operation in operation_id()) {
        let cases = [
            ("PUT", http::register_path(&scope, &id), DeviceOperation::Register),
            ("GET", http::operation_path(&scope, &id, &operation), DeviceOperation::OperationStatus(operation.clone())),
        ];
        for (method, target, operation) in cases {
            let (path, query) = target.split_once('?').expect("has a query");
            let id_scope = scope.to_string();
            let api_version = http::API_VERSION.into();
            let expected = DeviceRequest { id_scope, registration_id: id.clone(), operation, api_version };
            prop_assert_eq!(DeviceRequest::parse(method, path, Some(query)), Ok(expected));
        }
    }

    #[test]
    fn dps_user_names(scope in id_scope(), id in registration_id(), client in any::<String>()) {
        let read = DpsUserName::parse(&DpsUserName::format(&scope, &id, &client)).expect("own format");
        prop_assert_eq!(read.id_scope, scope.as_str());
        prop_assert_eq!(read.registration_id, id);
        prop_assert_eq!(read.api_version.as_deref(), Some(http::API_VERSION));
    }

    #[test]
    fn dps_topics(rid in RID, operation in operation_id(), status in 100u16..1000, retry_after in any::<Option<u32>>()) {
        for operation in [DpsOperation::Register, DpsOperation::OperationStatus(operation)] {
            let request = DpsRequest { rid: rid.clone(), operation };
            prop_assert_eq!(DpsRequest::parse(&request.topic()), Ok(request));
        }
        let response = DpsResponse { status, rid, retry_after };
        prop_assert_eq!(DpsResponse::parse(&response.topic()), Ok(response));
    }

    #[test]
    fn hub_user_names_and_topics(host in "[a-z0-9.-]{1,40}", id in device_id(), rid in RID, status in 100u16..1000, version in any::<Option<u64>>()) {
        let expected = HubUserName {
            host: host.clone(),
            client: (&id).into(),
            model_id: None,
            api_version: Some(hub::API_VERSION.into()),
        };
        prop_assert_eq!(HubUserName::parse(&HubUserName::format(&host, &id, "fleetstorm/1")), Ok(expected));
        let request = HubRequest::TwinGet { rid: rid.clone() };
        prop_assert_eq!(HubRequest::parse(&request.topic()), Ok(request));
        let response = TwinResponse { status, rid, version };
        prop_assert_eq!(TwinResponse::parse(&response.topic()), Ok(response));
    }

    #[test]
    fn sas_tokens(host in "[a-z0-9.-]{1,40}", id in device_id(), key: [u8; 32], expiry in 0i64.., name in any::<Option<String>>()) {
        let resource = hub::sas_resource(&host, &(&id).into());
        let identity = IdentityKey::from_bytes(key);
        let text = SasToken::format(&resource, expiry, name.as_deref(), |data| identity.sign(data));
        let token = SasToken::parse(&text).expect("own format");
        prop_assert_eq!(token.verify(&resource, &key, expiry), Ok(()));
        prop_assert_eq!(token.holds_until(i64::MIN), expiry);
        prop_assert_eq!(token.key_name(), name.as_deref().filter(|name| !name.is_empty()));
    }

    #[test]
    fn tpm_public_areas(mut modulus in vec(any::<u8>(), 256)) {
        modulus[0] |= 0x80;
        modulus[255] |= 1;
        let modulus = modulus.try_into().expect("256 bytes");
        for public in [endorsement_public(&modulus), storage_root_public(&modulus)] {
            prop_assert_eq!(PublicArea::parse(public.as_tpm2b()), Ok(public.clone()));
            prop_assert_eq!(public.modulus(), &modulus);
        }
    }

    #[test]
    fn no_text_makes_a_reader_panic(text in any::<String>(), head in select_head()) {
        for text in [&text, &format!("{head}{text}")] {
            let _ = DeviceRequest::parse("PUT", text, Some(text));
            let _ = DpsUserName::parse(text);
            let _ = DpsRequest::parse(text);
            let _ = DpsResponse::parse(text);
            let _ = HubUserName::parse(text);
            let _ = HubRequest::parse(text);
            let _ = TwinResponse::parse(text);
            if let Ok(token) = SasToken::parse(text) {
                let _ = token.verify(text, text.as_bytes(), i64::MAX);
            }
            let _ = Enrollment::from_json(text);
            let _ = http::parse_retry_after(text);
            let _ = x509::certificate_from_text(text);
        }
    }

    #[test]
    fn no_bytes_make_a_reader_panic(bytes in vec(any::<u8>(), 0..1024)) {
        let _ = DeviceRegistration::from_body(&bytes);
        let _ = ServiceError::from_body(&bytes);
        let _ = PublicArea::parse(&bytes);
        let _ = ActivationBlob::parse(&bytes);
        let _ = x509::common_name(&bytes);
        let _ = x509::validity(&bytes);
    }
}

/// Beginnings that lead readers deeper.
fn select_head() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "/s/registrations/a/operations/",
        "s/registrations/a/",
        "$dps/registrations/PUT/iotdps-register/?$rid=",
        "$dps/registrations/GET/iotdps-get-operationstatus/?operationId=",
        "$dps/registrations/res/200/?$rid=1&retry-after=",
        "hub/device/?",
        "$iothub/twin/res/",
        "SharedAccessSignature sr=a&sig=AA==&se=",
        "SharedAccessSignature se=-9223372036854775808&sig=AA%3D%3D&sr=",
        "{\"registrationId\":",
        "-----BEGIN CERTIFICATE-----\n",
    ])
}

/// A TPM's key pair and its modulus.
struct Key {
    private: OaepPrivateDecryptingKey,
    modulus: [u8; 256],
}

static EK: LazyLock<Key> = LazyLock::new(Key::new);
static SRK: LazyLock<Key> = LazyLock::new(Key::new);

impl Key {
    fn new() -> Self {
        let private = PrivateDecryptingKey::generate(KeySize::Rsa2048).expect("generates");
        let public: PublicKeyX509Der = private.public_key().as_der().expect("encodes");
        // SubjectPublicKeyInfo of RSA-2048 ends in the modulus and the five bytes of 65537.
        let (_, tail) = public.as_ref().split_last_chunk::<261>().expect("longer");
        let modulus = *tail.first_chunk().expect("longer");
        Self {
            private: OaepPrivateDecryptingKey::new(private).expect("an RSA key"),
            modulus,
        }
    }
}

fn secrets() -> impl Strategy<Value = ActivationSecrets> {
    let seeds = (
        uniform32(any::<u8>()),
        uniform32(any::<u8>()),
        uniform32(any::<u8>()),
        uniform32(any::<u8>()),
    );
    (seeds, any::<[u8; 16]>()).prop_map(
        |((identity_key, identity_seed, credential_seed, outer_seed), inner_key)| {
            ActivationSecrets {
                identity_key,
                identity_seed,
                inner_key,
                credential_seed,
                outer_seed,
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn activation_blobs(
        secrets in secrets(),
        uri in vec(any::<u8>(), 0..=110),
        message in vec(any::<u8>(), 0..200),
        at in any::<prop::sample::Index>(),
        flip in 1u8..,
    ) {
        let (ek, srk) = (endorsement_public(&EK.modulus), storage_root_public(&SRK.modulus));
        let mut blob = make_activation_blob(&ek, &srk, &secrets, &uri).expect("real keys");
        let identity = activate(&blob, &EK.private, &SRK.private, &srk).expect("own blob");
        prop_assert_eq!(identity.sign(&message), IdentityKey::from_bytes(secrets.identity_key).sign(&message));

        let at = at.index(blob.len() - uri.len() - 2);
        blob[at] ^= flip;
        prop_assert!(activate(&blob, &EK.private, &SRK.private, &srk).is_err(), "byte {}", at);
        prop_assert!(activate(&blob[..at], &EK.private, &SRK.private, &srk).is_err(), "cut at {}", at);
    }
}
