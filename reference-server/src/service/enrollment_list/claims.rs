//! Whose a certificate is: it may stand in one individual enrollment.

use fleetstorm_protocol::x509::Thumbprint;

use super::compiled::IndividualMechanism;
use crate::shards::Shards;

/// Certificates to the enrollments that they stand in. Whoever changes an enrollment holds its lock
/// first, so that nobody waits in a circle.
#[derive(Debug)]
pub(super) struct Claims {
    owners: Shards<Thumbprint, Box<str>>,
}

impl Claims {
    /// Nobody's.
    pub(super) fn new() -> Self {
        Self {
            owners: Shards::new(),
        }
    }

    /// Makes the certificates of a proof `owner`'s, whose proof was `before`.
    ///
    /// # Errors
    /// One is another's, by the name returned; nothing has changed then.
    pub(super) fn claim(
        &self,
        owner: &str,
        proof: &IndividualMechanism,
        before: Option<&IndividualMechanism>,
    ) -> Result<(), Box<str>> {
        let wanted = thumbprints(Some(proof));
        for (index, thumbprint) in wanted.iter().enumerate() {
            let mut owners = self.owners.of(thumbprint);
            let known = owners.entry(*thumbprint).or_insert_with(|| owner.into());
            if **known != *owner {
                let other = known.clone();
                drop(owners);
                let had = thumbprints(before);
                let new = wanted[..index].iter();
                self.release(new.filter(|thumbprint| !had.contains(thumbprint)));
                return Err(other);
            }
        }
        let had = thumbprints(before);
        self.release(had.iter().filter(|thumbprint| !wanted.contains(thumbprint)));
        Ok(())
    }

    /// Gives up the certificates of a proof.
    pub(super) fn give_up(&self, proof: &IndividualMechanism) {
        self.release(thumbprints(Some(proof)).iter());
    }

    fn release<'a>(&self, thumbprints: impl Iterator<Item = &'a Thumbprint>) {
        for thumbprint in thumbprints {
            self.owners.of(thumbprint).remove(thumbprint);
        }
    }
}

fn thumbprints(proof: Option<&IndividualMechanism>) -> Vec<Thumbprint> {
    match proof {
        Some(IndividualMechanism::Certificate { certificates }) => {
            certificates.iter().map(|one| one.thumbprint).collect()
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::enrollment_list::compiled::Enrolled;

    fn proof(of: &[u8]) -> IndividualMechanism {
        let certificates = of.iter().map(|byte| Enrolled {
            thumbprint: [*byte; 32],
            der: [].into(),
        });
        IndividualMechanism::Certificate {
            certificates: certificates.collect(),
        }
    }

    #[test]
    fn a_certificate_is_one_enrollments_until_that_gives_it_up() {
        let claims = Claims::new();
        assert_eq!(claims.claim("fan", &proof(&[1, 2]), None), Ok(()));
        assert_eq!(
            claims.claim("fan", &proof(&[1, 2]), Some(&proof(&[1, 2]))),
            Ok(())
        );
        let taken = claims.claim("pump", &proof(&[3, 2]), None);
        assert_eq!(taken, Err("fan".into()));
        // What pump could have had is free again.
        assert_eq!(claims.claim("lamp", &proof(&[3]), None), Ok(()));
        // A roll-over gives up what is left behind.
        assert_eq!(
            claims.claim("fan", &proof(&[2, 4]), Some(&proof(&[1, 2]))),
            Ok(())
        );
        assert_eq!(claims.claim("pump", &proof(&[1]), None), Ok(()));
        claims.give_up(&proof(&[2, 4]));
        assert_eq!(
            claims.claim("pump", &proof(&[4, 2]), Some(&proof(&[1]))),
            Ok(())
        );
    }

    #[test]
    fn a_change_that_fails_leaves_what_was() {
        let claims = Claims::new();
        assert_eq!(claims.claim("fan", &proof(&[1]), None), Ok(()));
        assert_eq!(claims.claim("pump", &proof(&[2]), None), Ok(()));
        let failed = claims.claim("pump", &proof(&[2, 1]), Some(&proof(&[2])));
        assert_eq!(failed, Err("fan".into()));
        assert_eq!(claims.claim("lamp", &proof(&[2]), None), Err("pump".into()));
    }
}
