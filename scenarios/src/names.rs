//! What the bundled server calls what a scenario names.

use crate::tenant::Tenant;

/// Host name of its global endpoint.
pub const GLOBAL_ENDPOINT: &str = "global.fleetstorm.test";
/// Host name of the service endpoint of the scenario's own instance.
pub const OWN_INSTANCE: &str = "dps-1.fleetstorm.test";
/// Id scope of that instance.
pub const OWN_ID_SCOPE: &str = "0ne00000001";

/// Host name of a hub, by its name in the scenario.
pub fn hub_host(name: &str) -> String {
    format!("{name}.fleetstorm.test")
}

/// Host name of the service endpoint of a tenant's instance.
pub fn instance_host(tenant: &Tenant) -> String {
    format!("{}.dps.fleetstorm.test", tenant.name)
}

/// Id scopes of all instances: the scenario's own, then its tenants'.
pub fn id_scopes(tenants: &[Tenant]) -> Vec<String> {
    let of_tenants = (0..).zip(tenants).map(|(index, tenant)| {
        let written = tenant.id_scope.clone();
        written.unwrap_or_else(|| unwritten_id_scope(index))
    });
    [OWN_ID_SCOPE.into()]
        .into_iter()
        .chain(of_tenants)
        .collect()
}

/// Id scope of a tenant that names none, by its place among the tenants.
pub fn unwritten_id_scope(tenant: usize) -> String {
    format!("0ne{:08}", tenant + 2)
}
