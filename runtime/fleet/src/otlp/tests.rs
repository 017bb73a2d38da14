//! What a receiver is told, and what becomes of it where there is none.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::{Receiver as Channel, channel};
use std::thread;
use std::time::{Duration, Instant};

use bayplan_record::{Destination, Places, Recorder, RecordingOptions};
use bayplan_trace::{ArenaRecord, Event, PlanRecord};
use prost::Message;

use super::messages::{Data, ExportRequest, ExportResponse, PartialSuccess, Value};
use super::send::Receiver;
use crate::{Fleet, Outlets};

/// A receiver that gives every request the same answer, or none; answers where it is, and what it was sent.
fn receiver(answer: Option<Vec<u8>>) -> (SocketAddr, Channel<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let (send, sent) = channel();
    thread::spawn(move || {
        let mut hanging = Vec::new();
        for mut stream in listener.incoming().flatten() {
            match &answer {
                Some(answer) => {
                    let _ = send.send(request(&mut stream));
                    let _ = stream.write_all(answer);
                }
                None => hanging.push(stream),
            }
        }
    });
    (address, sent)
}

/// The body of a request, by its length.
fn request(stream: &mut impl Read) -> Vec<u8> {
    let (mut bytes, mut portion) = (Vec::new(), [0; 4096]);
    loop {
        let text = String::from_utf8_lossy(&bytes).to_lowercase();
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let length = text.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next());
            let length: usize = length.expect("a length").parse().expect("a number");
            if bytes.len() >= end + 4 + length {
                return bytes[end + 4..].to_vec();
            }
        }
        match stream.read(&mut portion) {
            Ok(read @ 1..) => bytes.extend_from_slice(&portion[..read]),
            _ => return bytes,
        }
    }
}

fn http(status: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// A recording of three runs, followed and sent to a URL. Answers what is told people at the end, and how long that took.
fn told(url: &str) -> (Vec<String>, Duration) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut options = RecordingOptions::new(Places::under(folder.path()));
    options.destination = Destination::File(folder.path().join("run.bptrace"));
    options.model = "a model".into();
    let arena = ArenaRecord { name: "activations\u{1b}".into(), size: 4096, ..ArenaRecord::default() };
    let plan = PlanRecord { arenas: vec![arena], ..PlanRecord::default() };
    let recorder = Recorder::create(options, &plan).expect("a recording");
    let outlets = Outlets { receiver: Some(Receiver::new(url).expect("a URL")), ..Outlets::default() };
    let fleet = Fleet::start(recorder.path().expect("a file"), outlets).expect("threads");
    for run in 0..3 {
        let t = run * 1000;
        recorder.emit(Event::RunStart { run, plan: 0, t });
        recorder.emit(Event::RunEnd { run, t: t + 500, ok: true });
    }
    recorder.finish();
    let begun = Instant::now();
    (fleet.finish(), begun.elapsed())
}

#[test]
fn the_last_request_tells_the_whole_run() {
    let (address, sent) = receiver(Some(http("200 OK", &[])));
    assert_eq!(told(&format!("http://{address}")).0, Vec::<String>::new());
    let body = sent.try_iter().last().expect("a request");
    let request = ExportRequest::decode(&*body).expect("a message");
    let own = &request.resource_metrics[0];
    let resource = format!("{:?}", own.resource);
    assert!(resource.contains("service.instance.id") && resource.contains("a model"), "{resource}");
    let metric = |name: &str| {
        let found = own.scope_metrics[0].metrics.iter().find(|metric| metric.name == name);
        found.unwrap_or_else(|| panic!("no {name}")).clone()
    };
    let Some(Data::Sum(runs)) = metric("bayplan.runs").data else { panic!("a counter is a sum") };
    assert!(runs.is_monotonic && runs.aggregation_temporality == 2);
    assert_eq!(runs.data_points[0].value, Some(Value::Int(3)));
    assert!(runs.data_points[0].start_time_unix_nano < runs.data_points[0].time_unix_nano);
    let reserved = metric("bayplan.reserved");
    let Some(Data::Gauge(arenas)) = reserved.data else { panic!("a size is a gauge") };
    assert_eq!((&*reserved.unit, &arenas.data_points[0].value), ("By", &Some(Value::Int(4096))));
    assert!(format!("{:?}", arenas.data_points[0].attributes).contains("activations\\\\x1b"));
    let Some(Data::Summary(times)) = metric("bayplan.run_time").data else { panic!("times are a summary") };
    assert_eq!((times.data_points[0].count, times.data_points[0].sum), (3, 1500e-9));
}

#[test]
fn what_is_not_taken_is_told_and_nobody_waits_for_long() {
    let words = |url: &str| {
        let (told, took) = told(url);
        assert!(took < Duration::from_secs(20), "{took:?}");
        told.into_iter().next().unwrap_or_default()
    };
    let at = |answer: Option<Vec<u8>>| {
        let (address, _sent) = receiver(answer);
        words(&format!("http://{address}"))
    };
    let refused = at(Some(http("503 Service Unavailable", b"try \x1b[2J later")));
    assert!(refused.contains("503") && refused.contains("try \\x1b[2J later (0 of 1"), "{refused}");
    assert!(at(Some(b"nonsense\r\n\r\n".to_vec())).contains("not taken"));
    assert!(at(Some(Vec::new())).contains("not taken"), "it hung up");
    assert!(at(None).contains("timeout"), "it hangs");
    let partial = PartialSuccess { rejected_data_points: 7, error_message: "too many".into() };
    let partial = ExportResponse { partial_success: Some(partial) }.encode_to_vec();
    assert!(at(Some(http("200 OK", &partial))).ends_with("refused some metrics: 7 points: too many"));
    assert!(at(Some(http("500 Internal Server Error", b""))).contains("500"));
    // An answer of which nobody sees the end.
    let endless = b"HTTP/1.1 500 Oh\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n".to_vec();
    assert!(at(Some(endless)).contains("500"));
    // Who sends us on is not followed: what was asked for is sent to where it was asked to go, and nowhere else.
    let (elsewhere, sent) = receiver(Some(http("200 OK", b"")));
    let away = format!(
        "HTTP/1.1 307 Temporary Redirect\r\nLocation: http://{elsewhere}/\r\nContent-Length: 0\r\n\r\n"
    );
    let redirected = at(Some(away.into_bytes()));
    assert!(redirected.contains("not taken") && sent.try_recv().is_err(), "{redirected}");
    // A port that nobody listens at.
    let absent = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    assert!(words(&format!("http://{absent}")).contains("not taken"));
}

#[test]
fn urls_without_a_path_get_the_protocols_own() {
    let url = |word: &str| Receiver::new(word).map(|receiver| receiver.url().to_owned());
    assert_eq!(url("http://127.0.0.1:4318").ok().as_deref(), Some("http://127.0.0.1:4318/v1/metrics"));
    assert_eq!(url("http://box/").ok().as_deref(), Some("http://box/v1/metrics"));
    assert_eq!(url("http://box/otlp/v1").ok().as_deref(), Some("http://box/otlp/v1"));
    for word in ["", "127.0.0.1:4318", "ftp://box", "http://", "\u{1b}[2J", "file:///etc/passwd"] {
        let refused = url(word).expect_err(word);
        assert!(refused.is_usage() && !refused.to_string().contains('\u{1b}'), "{refused}");
    }
    assert!(url("https://box").expect_err("no encryption").to_string().contains("collector on this machine"));
}
