//! Ports and the threads behind them: one runtime a core, each with its own listening
//! sockets, so that the kernel deals connections out and no lock is shared.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener as StdListener};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use fleetstorm_protocol::fault::{FaultOperation, FaultProtocol, Occasion};
use rustls::ServerConfig;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::LocalSet;
use tokio_rustls::TlsAcceptor;

use crate::connection_limit::{ConnectionLimit, Newest};
use crate::error::ServeError;
use crate::fault::kill_switch::{Cuttable, KillSwitch};
use crate::held::Held;
use crate::listen::client::Client;
use crate::listen::server::Server;
use crate::listen::stream::Stream;
use crate::listen::{amqp_port, control, https_port, mqtt_port};
use crate::memory;
use crate::recording::Recorder;
use crate::write_timeout::WriteTimeout;

/// Connections that may wait for a thread.
const BACKLOG: i32 = 4096;
/// After a failed accept (out of files, mostly): until the next.
const BACK_OFF: Duration = Duration::from_millis(10);

/// How long connections may take to end in order, once the server stops.
const FAREWELL: Duration = Duration::from_millis(500);

/// What a port speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Port {
    Https,
    Mqtt,
    Amqp,
    Control,
}

impl Port {
    fn name(self) -> &'static str {
        match self {
            Self::Https => "https",
            Self::Mqtt => "mqtt",
            Self::Amqp => "amqp",
            Self::Control => "control",
        }
    }
}

/// One port, listened on by every thread.
pub(crate) struct Listening {
    pub(crate) port: Port,
    pub(crate) address: SocketAddr,
    sockets: Vec<StdListener>,
}

impl Listening {
    /// Listens with one socket for each of `threads`.
    ///
    /// # Errors
    /// The port is taken, or the address is not this machine's.
    pub(crate) fn on(
        port: Port,
        address: IpAddr,
        number: u16,
        threads: usize,
    ) -> Result<Self, ServeError> {
        let address = if port == Port::Control {
            Ipv4Addr::LOCALHOST.into()
        } else {
            address
        };
        let wanted = SocketAddr::new(address, number);
        let failed = |source| ServeError::Listen {
            address: wanted,
            source,
        };
        // Sockets that share a port would share it with another server's, too: ask for it alone first.
        drop(listen(wanted, false).map_err(failed)?);
        let first = listen(wanted, true).map_err(failed)?;
        let address = first.local_addr().map_err(failed)?;
        let mut sockets = vec![first];
        let shares = if port == Port::Control { 1 } else { threads };
        for _ in 1..shares {
            sockets.push(listen(address, true).map_err(failed)?);
        }
        Ok(Self {
            port,
            address,
            sockets,
        })
    }
}

fn listen(address: SocketAddr, shared: bool) -> io::Result<StdListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// What every thread shares.
pub(crate) struct Shared {
    pub(crate) server: Arc<Server>,
    pub(crate) tls: Arc<ServerConfig>,
    /// None: nothing is recorded.
    pub(crate) recorder: Option<Recorder>,
    pub(crate) devices: Arc<ConnectionLimit>,
}

/// Starts the threads; they end when `stop` turns true.
///
/// # Errors
/// A runtime can't be made.
pub(crate) fn start(
    shared: &Arc<Shared>,
    mut ports: Vec<Listening>,
    threads: usize,
    stop: &watch::Receiver<bool>,
) -> io::Result<Vec<std::thread::JoinHandle<()>>> {
    let mut started = Vec::with_capacity(threads);
    for thread in 0..threads {
        let sockets: Vec<_> = ports
            .iter_mut()
            .filter_map(|port| Some((port.port, port.sockets.pop()?)))
            .collect();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let listeners = {
            let _context = runtime.enter();
            let adopt = |(port, socket)| Ok((port, TcpListener::from_std(socket)?));
            sockets
                .into_iter()
                .map(adopt)
                .collect::<io::Result<Vec<_>>>()?
        };
        let (shared, mut stop) = (Arc::clone(shared), stop.clone());
        let name = format!("server-{thread}");
        started.push(std::thread::Builder::new().name(name).spawn(move || {
            let tasks = LocalSet::new();
            if thread == 0 {
                tasks.spawn_local(memory::give_back(Arc::clone(&shared.devices), stop.clone()));
            }
            for (port, listener) in listeners {
                tasks.spawn_local(accept(port, listener, Arc::clone(&shared), stop.clone()));
            }
            tasks.block_on(&runtime, async {
                // The sender's end is a stop as well.
                let _ = stop.wait_for(|stopped| *stopped).await;
            });
            // Who does not let go is cut off.
            let _ = runtime.block_on(async { tokio::time::timeout(FAREWELL, tasks).await });
        })?);
    }
    Ok(started)
}

async fn accept(
    port: Port,
    listener: TcpListener,
    shared: Arc<Shared>,
    stop: watch::Receiver<bool>,
) {
    let acceptor = TlsAcceptor::from(Arc::clone(&shared.tls));
    let mut newest = Newest::default();
    let mut stopped = stop.clone();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopped.wait_for(|stopped| *stopped) => return,
        };
        let Ok((stream, peer)) = accepted else {
            tokio::time::sleep(BACK_OFF).await;
            continue;
        };
        let line = Arc::new(KillSwitch::default());
        let place = match port {
            Port::Control => {
                newest.admit(&line);
                None
            }
            Port::Https | Port::Mqtt | Port::Amqp => {
                let Some(place) = shared.devices.take() else {
                    shared.server.tally.connections_refused.add();
                    continue;
                };
                Some(place)
            }
        };
        // An answer must not wait for the acknowledgement of the one before.
        let _ = stream.set_nodelay(true);
        let (acceptor, shared, mut stop) = (acceptor.clone(), Arc::clone(&shared), stop.clone());
        tokio::task::spawn_local(async move {
            let _place = place;
            let stopped = async move {
                let _ = stop.wait_for(|stopped| *stopped).await;
            };
            let stream = Cuttable::new(stream, Arc::clone(&line));
            serve(port, (stream, line, peer.ip()), acceptor, &shared, stopped).await;
            if port != Port::Control {
                shared.server.tally.connections_closed.add();
            }
        });
    }
}

async fn serve(
    port: Port,
    (stream, line, peer): (Cuttable, Arc<KillSwitch>, IpAddr),
    acceptor: TlsAcceptor,
    shared: &Shared,
    stop: impl Future<Output = ()>,
) {
    let server = Arc::clone(&shared.server);
    let stream = WriteTimeout::new(stream, server.limits.stalled_write);
    if port == Port::Control {
        let stop = async {
            tokio::select! {
                () = stop => {}
                () = line.cut() => {}
            }
        };
        return Box::pin(control::serve(stream, server, stop)).await;
    }
    server.tally.connections.add();
    if server.faults.are_armed() && !Box::pin(is_spared(port, peer, &line, &server)).await {
        return;
    }
    // Boxed, here and below: a future keeps room for whatever was ever moved into or out of it, and
    // a connection that is held would keep a dozen places for a kilobyte of TLS.
    let handshake = Box::pin(acceptor.accept(stream));
    let Ok(Ok(stream)) = tokio::time::timeout(server.limits.handshake, handshake).await else {
        server.tally.tls_failures.add();
        return;
    };
    let client = Rc::new(Client::of(&stream, Some(peer), Arc::clone(&line)));
    let (stream, cut) = (Held::new(stream), Arc::clone(&line));
    let hub = server.hub_of(&client).map(|hub| hub.host_name().to_owned());
    if server.outages.is_down(hub.as_deref()) {
        return line.reset_it();
    }
    let outages = Arc::clone(&server);
    let stop = async move {
        tokio::select! {
            () = stop => {}
            () = line.cut() => {}
            () = outages.outages.of(hub.as_deref()) => line.reset_it(),
        }
    };
    let lent = stream.lend();
    match &shared.recorder {
        None => converse(port, lent, client, server, stop).await,
        Some(recorder) => {
            let recorded = recorder.record(lent, port.name(), client.server_name.as_deref());
            converse(port, recorded, client, server, stop).await;
        }
    }
    if !cut.is_cut() {
        Box::pin(stream.end()).await;
    }
}

/// Whether no fault ends a connection before it is secured.
async fn is_spared(port: Port, peer: IpAddr, line: &Arc<KillSwitch>, server: &Server) -> bool {
    let client = Client {
        peer: Some(peer),
        line: Arc::clone(line),
        ..Client::default()
    };
    let occasion = Occasion {
        operation: FaultOperation::Connect,
        protocol: match port {
            Port::Https | Port::Control => FaultProtocol::Https,
            Port::Mqtt => FaultProtocol::Mqtt,
            Port::Amqp => FaultProtocol::Amqp,
        },
        device: "",
        instance: None,
        hub: None,
        region: None,
    };
    tokio::select! {
        _ = server.fault_effect(&client, occasion) => true,
        () = line.cut() => false,
    }
}

async fn converse(
    port: Port,
    stream: impl Stream + Send + 'static,
    client: Rc<Client>,
    server: Arc<Server>,
    stop: impl Future<Output = ()>,
) {
    if port == Port::Https {
        return Box::pin(https_port::serve(stream, client, server, stop)).await;
    }
    // There is no answer before it that could say so.
    if server.store.check().is_err() {
        return client.line.reset_it();
    }
    let (at, of) = (Arc::clone(&server), Rc::clone(&client));
    let end = at.end(&of, stop);
    match port {
        Port::Mqtt => Box::pin(mqtt_port::serve(stream, client, server, end)).await,
        Port::Amqp => Box::pin(amqp_port::serve(stream, client, server, end)).await,
        Port::Https | Port::Control => {}
    }
}
