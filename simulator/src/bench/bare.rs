//! The bare ceiling: connect, mutual TLS, one exchange, close, and no service behind it.

use std::io::{self, BufRead, BufReader, Read};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::LocalSet;
use tokio_rustls::TlsAcceptor;

use crate::console;
use crate::failure::Failure;
use crate::machine;

/// Host name in the responder's certificate.
pub const HOST: &str = "bare.fleetstorm.test";
/// What is asked: as long as a registration.
pub const REQUEST: &[u8; 300] = &[b'q'; 300];
/// What is answered: as long as a registration's answer.
const ANSWER: &[u8; 300] = &[b'a'; 300];

/// Where the responder is, and whom to trust.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Announcement {
    /// Where it listens.
    pub address: SocketAddr,
    /// PEM to trust.
    pub ca_pem: String,
}

/// The responder in a process of its own, as the bundled server is. Dropping it ends it.
#[derive(Debug)]
pub struct Responder {
    child: Child,
    /// What it said of itself.
    pub announcement: Announcement,
}

impl Responder {
    /// Starts it.
    ///
    /// # Errors
    /// It did not start.
    pub fn launch() -> Result<Self, Failure> {
        let failed = |problem: String| {
            Failure::unreachable(format!("the bare responder did not start: {problem}"))
        };
        let program = std::env::current_exe().map_err(|e| failed(e.to_string()))?;
        let mut child = Command::new(program)
            .arg("bare-responder")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|e| failed(e.to_string()))?;
        let mut line = String::new();
        if let Some(output) = child.stdout.take() {
            BufReader::new(output.take(1 << 16))
                .read_line(&mut line)
                .map_err(|e| failed(e.to_string()))?;
        }
        let announcement = serde_json::from_str(&line).map_err(|e| failed(e.to_string()))?;
        Ok(Self {
            child,
            announcement,
        })
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The responder's process: a thread a core, like the server's. Ends when standard input closes.
///
/// # Errors
/// It can't listen.
pub fn respond() -> Result<(), Failure> {
    machine::raise_file_limit();
    let failed =
        |e: io::Error| Failure::unreachable(format!("the bare responder can't listen: {e}"));
    let (config, ca_pem) =
        tls().map_err(|e| Failure::bug(format!("the bare responder's TLS: {e}")))?;
    let first = listener(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).map_err(failed)?;
    let address = first.local_addr().map_err(failed)?;
    let mut listeners = vec![first];
    for _ in 1..machine::cores() {
        listeners.push(listener(address).map_err(failed)?);
    }
    for listener in listeners {
        let config = Arc::clone(&config);
        std::thread::spawn(move || serve(listener, config));
    }
    let announcement = Announcement { address, ca_pem };
    let line = serde_json::to_string(&announcement).map_err(|e| Failure::bug(e.to_string()))?;
    console::answer(|out| writeln!(out, "{line}"))?;
    io::copy(&mut io::stdin(), &mut io::sink()).map_err(failed)?;
    Ok(())
}

/// One exchange from the device's side, over a TLS stream.
///
/// # Errors
/// The connection's.
pub async fn exchange(
    stream: &mut (impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin),
) -> io::Result<()> {
    stream.write_all(REQUEST).await?;
    stream.flush().await?;
    let mut answer = [0; ANSWER.len()];
    stream.read_exact(&mut answer).await?;
    stream.shutdown().await
}

fn listener(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    use socket2::{Domain, Protocol, Socket, Type};
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(4096)?;
    Ok(socket.into())
}

fn serve(listener: std::net::TcpListener, config: Arc<ServerConfig>) {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    else {
        return;
    };
    LocalSet::new().block_on(&runtime, async move {
        let Ok(listener) = TcpListener::from_std(listener) else {
            return;
        };
        let acceptor = TlsAcceptor::from(config);
        while let Ok((stream, _)) = listener.accept().await {
            tokio::task::spawn_local(answer(acceptor.clone(), stream));
        }
    });
}

async fn answer(acceptor: TlsAcceptor, stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = acceptor.accept(stream).await?;
    let mut request = [0; REQUEST.len()];
    stream.read_exact(&mut request).await?;
    stream.write_all(ANSWER).await?;
    stream.flush().await?;
    // The peer closes first, as a device does.
    stream.read_u8().await.map(drop)
}

/// The same shape as the server's: leaf and CA on P-256, any client certificate
/// asked for and its signature checked.
fn tls() -> Result<(Arc<ServerConfig>, String), Box<dyn std::error::Error>> {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
    let ca_key = KeyPair::generate()?;
    let mut ca_params = CertificateParams::new(Vec::new())?;
    ca_params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = ca_params.self_signed(&ca_key)?;
    let key = KeyPair::generate()?;
    let leaf = CertificateParams::new(vec![HOST.to_owned()])?
        .signed_by(&key, &Issuer::new(ca_params, &ca_key))?;
    let mut provider = rustls::crypto::aws_lc_rs::default_provider();
    provider
        .cipher_suites
        .retain(|suite| suite.suite() == rustls::CipherSuite::TLS13_AES_128_GCM_SHA256);
    let mut config = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(Arc::new(any_client::AnyClient::new()))
        .with_single_cert(
            vec![leaf.der().clone(), ca.der().clone()],
            PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der())),
        )?;
    config.send_tls13_tickets = 0;
    Ok((Arc::new(config), ca.pem()))
}

/// Takes any client certificate whose key signs the handshake.
mod any_client {
    use rustls::client::danger::HandshakeSignatureValid;
    use rustls::crypto::{
        WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
    };
    use rustls::pki_types::{CertificateDer, UnixTime};
    use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
    use rustls::{DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};

    #[derive(Debug)]
    pub struct AnyClient {
        algorithms: WebPkiSupportedAlgorithms,
    }

    impl AnyClient {
        pub fn new() -> Self {
            let provider = rustls::crypto::aws_lc_rs::default_provider();
            Self {
                algorithms: provider.signature_verification_algorithms,
            }
        }
    }

    impl ClientCertVerifier for AnyClient {
        fn root_hint_subjects(&self) -> &[DistinguishedName] {
            &[]
        }

        fn verify_client_cert(
            &self,
            _end_entity: &CertificateDer<'_>,
            _intermediates: &[CertificateDer<'_>],
            _now: UnixTime,
        ) -> Result<ClientCertVerified, Error> {
            Ok(ClientCertVerified::assertion())
        }

        fn verify_tls12_signature(
            &self,
            message: &[u8],
            cert: &CertificateDer<'_>,
            dss: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            verify_tls12_signature(message, cert, dss, &self.algorithms)
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            cert: &CertificateDer<'_>,
            dss: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            verify_tls13_signature(message, cert, dss, &self.algorithms)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            self.algorithms.supported_schemes()
        }
    }
}
