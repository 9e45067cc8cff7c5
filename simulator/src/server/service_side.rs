//! The service's side of an instance and of a hub, as an operator uses it: their REST APIs over HTTPS,
//! signed.

mod hub;
mod signed_api;

use std::io;
use std::net::SocketAddr;

use fleetstorm_protocol::enrollment::{Enrollment, EnrollmentGroup};
use fleetstorm_protocol::service_api::MAX_BULK;
use serde_json::{Value, json};

use signed_api::{Request, SignedApi};

pub use hub::HubSide;

/// The version of the API that this speaks.
const API_VERSION: &str = "2021-10-01";

/// One instance's.
#[derive(Debug, Clone)]
pub struct ServiceSide {
    api: SignedApi,
}

/// What is done with enrollments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// They are not there yet.
    Create,
    /// They are.
    Update,
    Delete,
}

impl ServiceSide {
    /// By the instance's connection string; connects to `address` and trusts `ca_pem`.
    ///
    /// # Errors
    /// One of them can't be used.
    pub fn new(connection_string: &str, address: SocketAddr, ca_pem: &str) -> Result<Self, String> {
        let api = SignedApi::new(connection_string, address, ca_pem, API_VERSION)?;
        Ok(Self { api })
    }

    /// Puts enrollments in the place of those of the same ids: groups one by one, individual ones as
    /// many together as a bulk operation takes.
    ///
    /// # Errors
    /// The service does not answer, or refuses one: with its reason. Those before it are replaced.
    pub fn replace(&self, enrollments: impl IntoIterator<Item = Enrollment>) -> io::Result<()> {
        self.write(enrollments, Mode::Update)
    }

    /// Adds enrollments that are not there yet, in the same manner.
    ///
    /// # Errors
    /// The service does not answer, or refuses one: with its reason. Those before it are there.
    pub fn add(&self, enrollments: impl IntoIterator<Item = Enrollment>) -> io::Result<()> {
        self.write(enrollments, Mode::Create)
    }

    /// Removes individual enrollments by their registration ids.
    ///
    /// # Errors
    /// The service does not answer, or one is not there. Those before it are removed.
    pub fn remove(&self, registration_ids: &[String]) -> io::Result<()> {
        for batch in registration_ids.chunks(MAX_BULK) {
            let items = batch.iter().map(|id| json!({"registrationId": id}));
            self.bulk(Mode::Delete, &items.collect::<Vec<_>>())?;
        }
        Ok(())
    }

    /// Individual ones wait until there are enough of them, groups do not.
    fn write(
        &self,
        enrollments: impl IntoIterator<Item = Enrollment>,
        mode: Mode,
    ) -> io::Result<()> {
        let mut batch = Vec::with_capacity(MAX_BULK);
        for enrollment in enrollments {
            match enrollment {
                Enrollment::Group(group) => self.put_group(&group, mode)?,
                Enrollment::Individual(individual) => batch.push(json!(individual)),
            }
            if batch.len() == MAX_BULK {
                self.bulk(mode, &std::mem::take(&mut batch))?;
            }
        }
        self.bulk(mode, &batch)
    }

    fn put_group(&self, group: &EnrollmentGroup, mode: Mode) -> io::Result<()> {
        let request = Request {
            method: "PUT",
            path: &format!("/enrollmentGroups/{}", group.enrollment_group_id),
            if_there: mode == Mode::Update,
            body: &serde_json::to_string(group)?,
        };
        self.api.request(request)?.well().map(drop)
    }

    /// A bulk operation of individual enrollments.
    fn bulk(&self, mode: Mode, enrollments: &[Value]) -> io::Result<()> {
        if enrollments.is_empty() {
            return Ok(());
        }
        let mode = match mode {
            Mode::Create => "create",
            Mode::Update => "update",
            Mode::Delete => "delete",
        };
        let request = Request {
            method: "POST",
            path: "/enrollments",
            if_there: false,
            body: &json!({"mode": mode, "enrollments": enrollments}).to_string(),
        };
        let answer = self.api.request(request)?.well()?;
        if answer["isSuccessful"] == true {
            return Ok(());
        }
        let error = &answer["errors"][0];
        let (id, why) = (&error["registrationId"], &error["errorStatus"]);
        Err(io::Error::other(format!("enrollment {id}: {why}")))
    }
}
