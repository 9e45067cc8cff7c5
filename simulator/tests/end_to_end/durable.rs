//! A server with a data folder, and what can be wrong with the folder.

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use crate::binary::{Run, Scratch, Served, command, fleetstorm, path};
use crate::service::at_hub;

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
    refused(&run, &data, "bring back a copy of it");
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
    let kept = (0..2_000).take_while(|number| create(&served, &name(*number)));
    let kept = kept.count();
    assert!((20..2_000).contains(&kept), "{kept}");
    let read =
        |served: &Served, number| is_done(served, "GET", &format!("/devices/{}", name(number)), "");
    assert!(!read(&served, 0), "nothing is answered any more");
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
