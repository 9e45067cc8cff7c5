//! A server with a data folder, and what can be wrong with the folder.

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use fleetstorm_protocol::sas::SasToken;
use fleetstorm_protocol::symmetric_key::SymmetricKey;
use rustls::{ClientConnection, StreamOwned};
use serde_json::json;

use crate::binary::{Run, Scratch, Served, command, fleetstorm, path, wait_until};
use crate::service::{at_hub, control, hubs, secured};

fn refused(run: &Run, data: &Path, words: &str) {
    assert_eq!(run.exit_code, 2, "{}\n{}", run.stdout, run.stderr);
    for words in [path(data), words] {
        assert!(
            run.stderr.contains(words),
            "{words} is not in\n{}",
            run.stderr
        );
    }
    assert!(!run.stderr.contains("panicked"), "{}", run.stderr);
}

/// The one journal of a small store.
fn journal(data: &Path) -> PathBuf {
    let files = std::fs::read_dir(data.join("store")).expect("a store");
    let mut files = files.map(|file| file.expect("readable").path());
    let found = files.find(|file| file.extension().is_some_and(|end| end == "jnl"));
    found.expect("a journal")
}

/// Sends a request to the first hub; whether it answers with 200.
fn is_done(served: &Served, method: &str, target: &str, body: &str) -> bool {
    let hub = &served.announcement["hub_connection_strings"][0];
    at_hub(served, hub.as_str().expect("text"), method, target, body).is_some()
}

fn create(served: &Served, device: &str) -> bool {
    let body = json!({"deviceId": device}).to_string();
    is_done(served, "PUT", &format!("/devices/{device}"), &body)
}

#[test]
fn a_folder_that_another_server_uses_is_refused() {
    let scratch = Scratch::new();
    let data = scratch.path("data");
    let served = Served::start(&["--data-dir", path(&data)]);
    let second = fleetstorm(&["serve", "--data-dir", path(&data)]);
    refused(&second, &data, "another server uses it");
    served.kill();
    Served::start(&["--data-dir", path(&data)]).kill();
}

#[test]
fn a_damaged_folder_is_refused() {
    let scratch = Scratch::new();
    let data = scratch.path("data");
    let served = Served::start(&["--data-dir", path(&data)]);
    assert!(create(&served, "pump-1") && create(&served, "pump-2"));
    served.kill();
    let journal = journal(&data);
    let bytes = std::fs::read(&journal).expect("readable");
    let place = bytes.windows(6).position(|bytes| bytes == b"pump-1");
    let file = File::options()
        .write(true)
        .open(&journal)
        .expect("writable");
    let place = place.expect("it was kept") as u64;
    file.write_all_at(b"P", place).expect("writable");
    let run = fleetstorm(&["serve", "--data-dir", path(&data)]);
    refused(&run, &data, "is damaged");
    refused(&run, &data, "bring back a copy of the data folder");
}

type Secured = StreamOwned<ClientConnection, TcpStream>;

/// Creates a device and connects it to its hub over MQTT: the connection, what it first hears, and its key.
fn mqtt(served: &Served, device: &str) -> (Secured, Vec<u8>, String) {
    let hub = &served.announcement["hub_connection_strings"][0];
    let hub = hub.as_str().expect("text");
    let body = json!({"deviceId": device}).to_string();
    let created = at_hub(served, hub, "PUT", &format!("/devices/{device}"), &body);
    let created = created.expect("an identity");
    let key = created["authentication"]["symmetricKey"]["primaryKey"].as_str();
    let key = key.expect("a key").to_owned();
    let (wire, heard) = mqtt_as(served, device, &key);
    (wire, heard, key)
}

fn mqtt_as(served: &Served, device: &str, key: &str) -> (Secured, Vec<u8>) {
    let (hub, key) = (hubs(served)[0], SymmetricKey::parse(key).expect("a key"));
    let resource = format!("{hub}/devices/{device}");
    let token = SasToken::format(&resource, 4_000_000_000, None, |text| key.sign(text));
    let user = format!("{hub}/{device}/?api-version=2021-04-12");
    let mut body = b"\0\x04MQTT\x04\xc2\0\0".to_vec();
    for field in [device, &user, &token] {
        body.extend(u16::try_from(field.len()).expect("short").to_be_bytes());
        body.extend(field.as_bytes());
    }
    let mut connect = vec![0x10];
    let length = body.len();
    connect.extend([(length % 128 + 128) as u8, (length / 128) as u8]);
    connect.extend(body);
    let mut wire = secured(served.text("mqtt"), served.text("ca_pem"), hub);
    let _ = wire.write_all(&connect);
    let mut first = vec![0; 4];
    let length = wire.read(&mut first).unwrap_or(0);
    first.truncate(length);
    (wire, first)
}

/// What still comes before the end.
fn heard(wire: &mut Secured) -> Vec<u8> {
    let mut heard = Vec::new();
    // It may be reset.
    let _ = wire.read_to_end(&mut heard);
    heard
}

/// A limit on files stands in for the end of a disk: no test may fill one up.
#[test]
fn a_server_that_can_keep_nothing_more_says_so_and_answers_nothing() {
    let scratch = Scratch::new();
    let data = scratch.path("data");
    // The room that a new journal sets aside is more than the limit; an old one's is given back.
    for _ in 0..2 {
        Served::start(&["--data-dir", path(&data)]).kill();
    }
    let said = scratch.path("stderr");
    let program = command(&[]).get_program().to_owned();
    let mut limited = Command::new("sh");
    limited
        .args(["-c", "trap '' XFSZ; ulimit -f 200; exec \"$0\" \"$@\""])
        .arg(program)
        .args(["serve", "--announce", "json", "--data-dir", path(&data)])
        .stderr(File::create(&said).expect("writable"));
    let served = Served::of(&mut limited);
    let name = |number: usize| format!("pump-{number:04}");
    let mut held = mqtt(&served, "lamp");
    assert_eq!(held.1, [0x20, 2, 0, 0], "there is room for one");
    let kept = (0..2_000).take_while(|number| create(&served, &name(*number)));
    let kept = kept.count();
    assert!((20..2_000).contains(&kept), "{kept}");
    let read =
        |served: &Served, number| is_done(served, "GET", &format!("/devices/{}", name(number)), "");
    assert!(!read(&served, 0), "nothing is answered any more");
    assert!(heard(&mut held.0).is_empty(), "a conversation ends");
    let again = mqtt_as(&served, "lamp", &held.2);
    assert!(again.1.is_empty(), "nobody is let in");
    let mut control = TcpStream::connect(served.text("control")).expect("the control port");
    let request = b"GET /ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    control.write_all(request).expect("a request");
    let mut ready = String::new();
    control.read_to_string(&mut ready).expect("an answer");
    assert!(ready.starts_with("HTTP/1.1 503"), "{ready}");
    assert!(ready.contains("File too large"), "{ready}");
    served.kill();
    let said = std::fs::read_to_string(said).expect("readable");
    for words in [path(&data), "File too large", "nothing more is kept"] {
        assert!(said.contains(words), "{words} is not in\n{said}");
    }
    assert!(!said.contains("panicked"), "{said}");

    let served = Served::start(&["--data-dir", path(&data)]);
    assert!((0..kept).all(|number| read(&served, number)));
    assert!(!read(&served, kept + 1));
    assert!(create(&served, "pump"), "there is room again");
}

#[test]
fn connections_take_no_file_that_something_else_needs() {
    let scratch = Scratch::new();
    let data = scratch.path("data");
    let said = scratch.path("stderr");
    let program = command(&[]).get_program().to_owned();
    let mut limited = Command::new("sh");
    limited
        .args(["-c", "ulimit -n 600; exec \"$0\" \"$@\""])
        .arg(program)
        .args(["serve", "--announce", "json", "--data-dir", path(&data)])
        .stderr(File::create(&said).expect("writable"));
    let served = Served::of(&mut limited);
    assert!(create(&served, "pump-1"));
    let idle = |_| TcpStream::connect(served.text("https")).expect("the HTTPS port");
    let held: Vec<_> = (0..500).map(idle).collect();
    std::thread::sleep(Duration::from_millis(500));
    control(&served, "GET", "/ready", "");
    let open = || {
        let files = std::fs::read_dir(format!("/proc/{}/fd", served.pid()));
        files.expect("it lives").count()
    };
    assert!((250..350).contains(&open()), "{} files are open", open());
    drop(held);
    wait_until("it does not recover", || open() < 100);
    assert!(create(&served, "pump-2"));
    served.kill();
    let said = std::fs::read_to_string(said).expect("readable");
    assert!(
        said.contains("max-connections is 18000, and there are files for"),
        "{said}"
    );

    let mut limited = Command::new("sh");
    let program = command(&[]).get_program().to_owned();
    let refused = limited
        .args(["-c", "ulimit -n 64; exec \"$0\" \"$@\""])
        .arg(program)
        .args(["serve", "--data-dir", path(&scratch.path("other"))])
        .output()
        .expect("the binary");
    let words = String::from_utf8(refused.stderr).expect("UTF-8");
    assert_eq!(refused.status.code(), Some(2), "{words}");
    assert!(words.contains("ulimit -n"), "{words}");
}
