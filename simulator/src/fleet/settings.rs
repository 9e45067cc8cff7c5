//! What a cohort's enrollments say, whoever they enroll.

use fleetstorm_protocol::enrollment::{EnrollmentSettings, ProvisioningStatus};
use fleetstorm_protocol::twin::{InitialTwin, InitialTwinProperties};
use fleetstorm_scenarios::Cohort;
use fleetstorm_scenarios::names::hub_host;

pub(super) fn settings(cohort: &Cohort) -> EnrollmentSettings {
    let desired = cohort.desired.clone();
    EnrollmentSettings {
        provisioning_status: if cohort.enabled {
            ProvisioningStatus::Enabled
        } else {
            ProvisioningStatus::Disabled
        },
        allocation_policy: Some(cohort.allocation.name().into()),
        iot_hubs: cohort.hubs.iter().map(|hub| hub_host(hub)).collect(),
        reprovision_policy: Some(cohort.reprovision.policy()),
        initial_twin: Some(InitialTwin {
            properties: InitialTwinProperties { desired },
            ..InitialTwin::default()
        }),
        ..EnrollmentSettings::default()
    }
}
