//! What a device costs, as measured: table "What it costs" of the README (`fleetstorm bench --cells`,
//! release build, two cores, both ends on one machine). Other machines are slower or faster as a whole.

use fleetstorm_protocol::attestation::{AttestationKind, TransportKind};

/// CPU of one whole provisioning, from connecting to DPS to the twin, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// The simulator's.
    pub simulator_us: u32,
    /// The server's.
    pub server_us: u32,
    /// Bytes that the simulator keeps for a connection held with the hub.
    pub held_bytes: u32,
}

/// CPU of one more question over an open connection, both sides: a register that is turned away, a
/// poll. Far below what the keys and certificates of a connection cost.
pub const QUESTION_US: f64 = 40.0;
/// Part of a whole provisioning that is spent by the time a device may register; the rest goes to its
/// hub. From the bench's registration alone beside the whole.
pub const REGISTRATION_PART: f64 = 0.54;

impl Cost {
    /// Of a device over a transport. TPMs that DPS does not serve over MQTT cost what they do over AMQP.
    pub fn measured(attestation: AttestationKind, transport: TransportKind) -> Self {
        use AttestationKind::{
            SymmetricKeyGroup, SymmetricKeyIndividual, Tpm, X509Group, X509Individual,
        };
        use TransportKind::{Amqp, AmqpWs, Https, Mqtt, MqttWs};
        let (simulator_us, server_us, held_tenths_kib) = match (attestation, transport) {
            (X509Group, Https) => (400, 360, 139),
            (X509Group, Mqtt) => (390, 380, 139),
            (X509Group, MqttWs) => (440, 410, 194),
            (X509Group, Amqp) => (390, 380, 144),
            (X509Group, AmqpWs) => (440, 440, 203),
            (Tpm, Https) => (1_850, 400, 126),
            (Tpm, Mqtt | Amqp) => (2_000, 500, 131),
            (Tpm, MqttWs | AmqpWs) => (2_000, 550, 193),
            (X509Individual, Https) => (400, 330, 135),
            (X509Individual, Mqtt) => (410, 340, 135),
            (X509Individual, MqttWs) => (460, 400, 190),
            (X509Individual, Amqp) => (440, 370, 140),
            (X509Individual, AmqpWs) => (480, 420, 199),
            (SymmetricKeyGroup, Https) => (310, 260, 126),
            (SymmetricKeyGroup, Mqtt) => (310, 250, 123),
            (SymmetricKeyGroup, MqttWs) => (360, 300, 179),
            (SymmetricKeyGroup, Amqp) => (390, 330, 131),
            (SymmetricKeyGroup, AmqpWs) => (450, 400, 192),
            (SymmetricKeyIndividual, Https) => (320, 250, 126),
            (SymmetricKeyIndividual, Mqtt) => (330, 270, 124),
            (SymmetricKeyIndividual, MqttWs) => (390, 320, 179),
            (SymmetricKeyIndividual, Amqp) => (400, 350, 131),
            (SymmetricKeyIndividual, AmqpWs) => (450, 400, 192),
        };
        Self {
            simulator_us,
            server_us,
            held_bytes: held_tenths_kib * 1024 / 10,
        }
    }
}
