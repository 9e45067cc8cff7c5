//! What there is to keep.

/// What is kept, each kind for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// What the server made up for itself.
    Secret,
    /// Individual enrollments.
    Individual,
    /// Enrollment groups.
    Group,
    /// CA certificates.
    Authority,
    /// Registrations of devices.
    Registration,
    /// Devices of the hubs, with their twins.
    Identity,
}

impl Kind {
    /// Every one.
    pub(super) const ALL: [Self; 6] = [
        Self::Secret,
        Self::Individual,
        Self::Group,
        Self::Authority,
        Self::Registration,
        Self::Identity,
    ];

    /// What its part of the store is called.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Secret => "secrets",
            Self::Individual => "individual-enrollments",
            Self::Group => "enrollment-groups",
            Self::Authority => "ca-certificates",
            Self::Registration => "registrations",
            Self::Identity => "identities",
        }
    }
}
