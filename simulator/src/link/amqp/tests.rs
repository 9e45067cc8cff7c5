//! A peer that numbers its links and transfers otherwise than we do.

use super::*;
use fleetstorm_protocol::amqp::types::messaging::MessageId;
use tokio::io::DuplexStream;

const ADDRESS: &str = "0ne/registrations/dev";

/// A peer by hand, on the other end of a pipe.
struct Peer {
    stream: DuplexStream,
    input: BytesMut,
}

impl Peer {
    async fn header(&mut self) {
        while self.input.len() < 8 {
            self.stream.read_buf(&mut self.input).await.expect("bytes");
        }
        assert_eq!(self.input.split_to(8)[..], AMQP_HEADER);
    }

    async fn receive(&mut self) -> (Performative, Bytes) {
        loop {
            let read = Frame::read(&mut self.input, MAX_FRAME).expect("a frame");
            if let Some(frame) = read {
                return (frame.performative.expect("said"), frame.payload);
            }
            self.stream.read_buf(&mut self.input).await.expect("bytes");
        }
    }

    async fn say(&mut self, performative: Performative, payload: &[u8]) {
        let mut out = BytesMut::new();
        frame::write(&mut out, 5, &performative, payload);
        self.stream.write_all(&out).await.expect("is read");
    }

    /// Header, open, begin, both attaches and credit, as they are asked for; returns the flow
    /// that came with the receiver.
    async fn grant(&mut self, frame_size: u32) -> Flow {
        self.header().await;
        self.stream.write_all(&AMQP_HEADER).await.expect("is read");
        let (Performative::Open(mut open), _) = self.receive().await else {
            panic!("no open");
        };
        open.max_frame_size = MaxFrameSize(frame_size);
        open.idle_time_out = Some(60_000);
        self.say(Performative::Open(open), b"").await;
        let (Performative::Begin(mut begin), _) = self.receive().await else {
            panic!("no begin");
        };
        begin.remote_channel = Some(0);
        begin.next_outgoing_id = 700;
        self.say(Performative::Begin(begin), b"").await;
        let mut first_flow = None;
        let mut asked = Vec::new();
        while asked.len() < 2 {
            match self.receive().await.0 {
                Performative::Attach(attach) => asked.push(attach),
                Performative::Flow(flow) => first_flow = Some(flow),
                other => panic!("{other:?}"),
            }
        }
        // The other way round, and by other handles.
        for (handle, mut attach) in (40..).zip(asked.into_iter().rev()) {
            let sends = attach.role == Role::Receiver;
            attach.handle = Handle(handle);
            attach.role = if sends { Role::Sender } else { Role::Receiver };
            attach.initial_delivery_count = sends.then_some(90);
            self.say(Performative::Attach(attach), b"").await;
        }
        let credit = Flow {
            next_incoming_id: Some(0),
            incoming_window: 2,
            next_outgoing_id: 700,
            outgoing_window: 100,
            handle: Some(Handle(40)),
            delivery_count: Some(0),
            link_credit: Some(1),
            available: None,
            drain: false,
            echo: false,
            properties: None,
        };
        self.say(Performative::Flow(credit), b"").await;
        first_flow.expect("credit for the receiver")
    }

    async fn answer(&mut self, delivery: u32, message: &Message) {
        let bytes = message.to_bytes();
        let (first, last) = bytes.split_at(bytes.len() / 2);
        for (part, id) in [(first, Some(delivery)), (last, None)] {
            let transfer = Transfer {
                handle: Handle(41),
                delivery_id: id,
                delivery_tag: id.map(|_| vec![1].into()),
                message_format: id,
                settled: id.map(|_| false),
                more: id.is_some(),
                rcv_settle_mode: None,
                state: None,
                resume: false,
                aborted: false,
                batchable: false,
            };
            self.say(Performative::Transfer(transfer), part).await;
        }
    }
}

fn pair() -> (AmqpLink, Peer) {
    let (ours, theirs) = tokio::io::duplex(4096);
    let peer = Peer {
        stream: theirs,
        input: BytesMut::new(),
    };
    (AmqpLink::new(Carrier::WebSocket(Box::new(ours))), peer)
}

async fn open(link: &mut AmqpLink) -> Result<u32, LinkError> {
    link.begin("dps.test", "dev");
    let wanted = |name, sends| Wanted {
        name,
        address: ADDRESS,
        sends,
        settled: false,
        api_version: "1",
        properties: &[],
    };
    link.attach(&wanted("in", false));
    let request_link = link.attach(&wanted("out", true));
    link.settle_in().await.map(|()| request_link)
}

#[tokio::test]
async fn a_peer_names_links_and_counts_as_it_likes() {
    let (mut link, mut peer) = pair();
    let device = async {
        let request_link = open(&mut link).await.expect("granted");
        for _ in 0..20 {
            let message = Message::of_data("request");
            let received = link.exchange(request_link, &message, false, |message| {
                message.properties.correlation_id.is_some()
            });
            let Received::Answer(answer) = received.await.expect("received") else {
                panic!("rejected");
            };
            assert_eq!(answer.text(), "answer");
        }
    };
    let server = async {
        let flow = peer.grant(65_536).await;
        // Neither is known to a peer that has not answered.
        assert_eq!((flow.next_incoming_id, flow.delivery_count), (None, None));
        let mut topped_up = Vec::new();
        for round in 0..20 {
            let (Performative::Transfer(transfer), _) = peer.next_transfer(&mut topped_up).await
            else {
                panic!("no request");
            };
            assert_eq!(transfer.handle, Handle(1), "our handle");
            let answer = Message::of_data("answer").with_correlation(Some(MessageId::Ulong(round)));
            peer.answer(round as u32, &answer).await;
            let credit = Flow {
                next_incoming_id: Some(round as u32 + 1),
                incoming_window: 1,
                next_outgoing_id: 0,
                outgoing_window: 100,
                handle: Some(Handle(40)),
                delivery_count: Some(round as u32 + 1),
                link_credit: Some(1),
                available: None,
                drain: false,
                echo: false,
                properties: None,
            };
            peer.say(Performative::Flow(credit), b"").await;
        }
        let flow = topped_up
            .first()
            .expect("more credit, before it is used up");
        // Nine messages of two transfers each, from where the peer began.
        assert_eq!(flow.next_incoming_id, Some(700 + 18));
        assert_eq!(flow.delivery_count, Some(90 + 9));
    };
    tokio::join!(device, server);
}

impl Peer {
    /// The next transfer; flows and dispositions come between.
    async fn next_transfer(&mut self, flows: &mut Vec<Flow>) -> (Performative, Bytes) {
        loop {
            match self.receive().await {
                (Performative::Flow(flow), _) => flows.push(flow),
                (Performative::Disposition(disposition), _) => {
                    assert!(disposition.settled && disposition.role == Role::Receiver);
                }
                other => return other,
            }
        }
    }
}

#[tokio::test]
async fn a_long_message_goes_in_frames_that_the_peer_takes_as_its_window_opens() {
    let (mut link, mut peer) = pair();
    let device = async {
        let request_link = open(&mut link).await.expect("granted");
        let message = Message::of_data(vec![b'x'; 1500]);
        link.deliver(request_link, &message).await
    };
    let server = async {
        peer.grant(512).await;
        let mut whole = Vec::new();
        for part in 0.. {
            let (Performative::Transfer(transfer), payload) = peer.receive().await else {
                panic!("no transfer");
            };
            assert!(payload.len() < 512);
            assert_eq!(transfer.delivery_id.is_some(), part == 0);
            whole.extend(payload);
            if !transfer.more {
                break;
            }
            if part == 1 {
                let window = Flow {
                    next_incoming_id: Some(2),
                    incoming_window: 10,
                    next_outgoing_id: 700,
                    outgoing_window: 100,
                    handle: None,
                    delivery_count: None,
                    link_credit: None,
                    available: None,
                    drain: false,
                    echo: false,
                    properties: None,
                };
                peer.say(Performative::Flow(window), b"").await;
            }
        }
        assert_eq!(
            Message::read(whole.into()).expect("whole").text().len(),
            1500
        );
        let accepted = Disposition {
            role: Role::Receiver,
            first: 0,
            last: Some(3),
            settled: true,
            state: Some(DeliveryState::Accepted(Accepted {})),
            batchable: false,
        };
        peer.say(Performative::Disposition(accepted), b"").await;
    };
    let (delivered, ()) = tokio::join!(device, server);
    assert_eq!(delivered, Ok(None));
}

#[tokio::test]
async fn what_the_peer_ends_is_a_refusal_and_what_makes_no_sense_a_broken_link() {
    let condition = |error: Option<Error>| Performative::Close(Close { error });
    let unauthorized = fleetstorm_protocol::amqp::types::definitions::AmqpError::UnauthorizedAccess;
    for (said, ended) in [
        (
            condition(Some(Error::new(unauthorized, None, None))),
            LinkError::Refused { status: 401 },
        ),
        (condition(None), Fault::ConnectionLost.into()),
        (
            Performative::Flow(Flow {
                next_incoming_id: None,
                incoming_window: 1,
                next_outgoing_id: 0,
                outgoing_window: 1,
                handle: Some(Handle(9)),
                delivery_count: None,
                link_credit: Some(1),
                available: None,
                drain: false,
                echo: false,
                properties: None,
            }),
            Fault::Protocol(Breach::Unexpected).into(),
        ),
    ] {
        let (mut link, mut peer) = pair();
        let server = async {
            peer.header().await;
            peer.stream.write_all(&AMQP_HEADER).await.expect("is read");
            peer.say(said, b"").await;
        };
        let (opened, ()) = tokio::join!(open(&mut link), server);
        assert_eq!(opened, Err(ended));
    }
    let (mut link, mut peer) = pair();
    let server = peer.stream.write_all(b"HTTP/1.1 400 Bad Request\r\n");
    let (opened, written) = tokio::join!(open(&mut link), server);
    assert_eq!(
        (opened, written.is_ok()),
        (Err(Fault::Protocol(Breach::Unexpected).into()), true)
    );
}

#[tokio::test]
async fn a_silent_device_shows_life_as_often_as_the_peer_asks() {
    let (mut link, mut peer) = pair();
    let (opened, _) = tokio::join!(open(&mut link), peer.grant(512));
    opened.expect("granted");
    assert_eq!(link.idle_timeout(), Some(Duration::from_secs(60)));
    link.beat().await.expect("the peer is there");
    let mut frame = [0; 8];
    peer.stream.read_exact(&mut frame).await.expect("a frame");
    assert_eq!(frame, [0, 0, 0, 8, 2, 0, 0, 0], "empty (AMQP 1.0, 2.4.5)");
}

#[tokio::test]
async fn what_comes_while_something_else_is_asked_is_heard_afterwards() {
    let (mut link, mut peer) = pair();
    let (opened, _) = tokio::join!(open(&mut link), peer.grant(512));
    let handle = opened.expect("granted");
    link.keep_what_comes();
    let named = |name: &str| MessageId::String(name.into());
    let (of_its_own, answer) = (named("news"), named("1"));
    let message = |id: &MessageId| Message::of_data("{}").with_correlation(Some(id.clone()));
    let asking = async {
        let request = message(&answer);
        let is_answer =
            |received: &Message| received.properties.correlation_id == Some(answer.clone());
        link.exchange(handle, &request, true, is_answer).await
    };
    let answering = async {
        peer.answer(701, &message(&of_its_own)).await;
        peer.answer(702, &message(&answer)).await;
    };
    let (received, ()) = tokio::join!(asking, answering);
    assert!(matches!(received, Ok(Received::Answer(_))));
    let news = link.receive().await.expect("kept");
    assert_eq!(news.properties.correlation_id, Some(of_its_own));
}

/// Who hangs up with something still to come resets the connection.
#[tokio::test]
async fn a_connection_ends_when_both_have_closed_it() {
    let (mut link, mut peer) = pair();
    let device = async {
        open(&mut link).await.expect("granted");
        link.close().await;
    };
    let server = async {
        peer.grant(65_536).await;
        while !matches!(peer.receive().await.0, Performative::Close(_)) {}
        // What was on its way is received before the peer's own close.
        peer.answer(701, &Message::of_data("late")).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        peer.say(Performative::Close(Close { error: None }), b"")
            .await;
        let end = peer.stream.read_buf(&mut peer.input).await;
        assert!(matches!(end, Ok(0)), "{end:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
        peer.stream
            .write_all(b"more")
            .await
            .expect("it is heard out");
        drop(peer);
    };
    tokio::join!(device, server);
}
