//! A signing certificate and what a device shows, each with its length in two bytes: whether it is let in, again and
//! in another order.
#![no_main]

use fleetstorm_protocol::x509;
use fleetstorm_reference_server::fuzzing::is_let_in;
use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;
use rustls_pki_types::CertificateDer;

fuzz_target!(|bytes: &[u8]| {
    let mut certificates = Vec::new();
    let mut rest = bytes;
    while let Some((length, behind)) = rest.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes(*length)).min(behind.len());
        let (certificate, behind) = behind.split_at(length);
        certificates.push(certificate);
        rest = behind;
    }
    for certificate in &certificates {
        let _ = x509::common_name(certificate);
        let _ = x509::validity(certificate);
        let _ = x509::certification_request(certificate);
    }
    let [trusted, shown @ ..] = certificates.as_slice() else {
        return;
    };
    let mut shown: Vec<CertificateDer<'static>> = shown
        .iter()
        .map(|der| CertificateDer::from(der.to_vec()))
        .collect();
    let at = Timestamp::from_second(1_750_000_000).expect("a time");
    let verdict = is_let_in(trusted, &shown, at);
    if let [_, above @ ..] = shown.as_mut_slice() {
        above.reverse();
        assert_eq!(is_let_in(trusted, &shown, at), verdict, "in another order");
    }
});
