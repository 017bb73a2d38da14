//! Runs watched from elsewhere: Prometheus scrapes one, a collector and a reader of the published definitions take another.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use bayplan_tests::live::LiveRun;
use bayplan_tests::program::{Sandbox, run};
use bayplan_tests::{python, root};
use serde_json::Value;

/// How long anything may take: machines that build beside the test are slow.
const PATIENCE: Duration = Duration::from_secs(120);

/// A program that ends with this value.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A port that nobody listens at.
fn free_port() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr()).expect("a port")
}

/// The whole answer to a request; empty where nobody listens.
fn get(address: SocketAddr, path: &str, accept: &str) -> String {
    let Ok(mut stream) = TcpStream::connect(address) else { return String::new() };
    let head =
        format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nAccept: {accept}\r\nConnection: close\r\n\r\n");
    let mut answer = String::new();
    stream.write_all(head.as_bytes()).expect("it reads");
    stream.read_to_string(&mut answer).expect("it answers");
    answer
}

#[track_caller]
fn wait_for<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "{what} did not come");
        thread::sleep(Duration::from_millis(50));
    }
}

/// A program of the Debian package of Prometheus.
fn prometheus(name: &str) -> PathBuf {
    let unpacked = root().join("target/deps/usr/bin").join(name);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places = std::env::split_paths(&path).map(|folder| folder.join(name)).chain([unpacked]);
    places
        .find(|path| path.exists())
        .unwrap_or_else(|| panic!("{name} is missing: run `scripts/setup.sh test`"))
}

/// The one value of a sample in Prometheus' text.
fn sample(text: &str, name: &str) -> f64 {
    let line = text.lines().find(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(' ')));
    let line = line.unwrap_or_else(|| panic!("no {name}: {text}"));
    line.rsplit(' ').next().expect("a value").parse().expect("a number")
}

/// Prometheus' own tool finds nothing wrong with a page.
#[track_caller]
fn lint(text: &str) {
    let mut lint = Command::new(prometheus("promtool"));
    let mut lint = lint.args(["check", "metrics"]).stdin(Stdio::piped()).spawn().expect("promtool starts");
    lint.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("it reads");
    assert!(lint.wait().expect("it ends").success(), "{text}");
}

/// The queries of the dashboard, as Grafana sends them for all models and machines.
fn dashboard() -> Vec<String> {
    let text = fs::read_to_string(root().join("assets/grafana-dashboard.json")).expect("the dashboard");
    let board: Value = serde_json::from_str(&text).expect("JSON");
    let panels = board["panels"].as_array().expect("panels").iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().expect("targets"));
    let queries = targets.map(|target| target["expr"].as_str().expect("a query"));
    queries.map(|query| query.replace("$__rate_interval", "10s").replace("$instance", ".*")).collect()
}

/// A query as part of an address.
fn encoded(query: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(byte);
    let put = |byte: u8| if plain(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    query.bytes().map(put).collect()
}

#[test]
fn prometheus_scrapes_a_run() {
    let (sandbox, address, own) = (Sandbox::new(), free_port(), free_port());
    let run = LiveRun::start(&sandbox, &["--metrics", &address.to_string()]);
    let config = sandbox.path("prometheus.yml");
    let job = format!("{{job_name: bayplan, static_configs: [{{targets: ['{address}']}}]}}");
    fs::write(
        &config,
        format!("global: {{scrape_interval: 1s, scrape_timeout: 1s}}\nscrape_configs: [{job}]\n"),
    )
    .expect("a file");
    let mut command = Command::new(prometheus("prometheus"));
    command.arg(format!("--config.file={}", config.display()));
    command.arg(format!("--storage.tsdb.path={}", sandbox.path("data").display()));
    command.arg(format!("--web.listen-address={own}")).stdout(Stdio::null()).stderr(Stdio::null());
    let _server = Server(command.spawn().expect("Prometheus starts"));

    let asked = |query: &str| -> Option<f64> {
        let answer = get(own, &format!("/api/v1/query?query={query}"), "application/json");
        let json: Value = serde_json::from_str(answer[answer.find("{\"status\"")?..].lines().next()?).ok()?;
        json["data"]["result"][0]["value"][1].as_str()?.parse().ok()
    };
    let peak = wait_for("a scrape", || asked("bayplan_peak_bytes%7Barena=%22activations%22%7D"));
    let begun = wait_for("a count of runs", || asked("bayplan_runs_total"));
    let runs = wait_for("more runs", || asked("bayplan_runs_total").filter(|&runs| runs > begun));
    assert_eq!(asked("up%7Bjob=%22bayplan%22%7D"), Some(1.0));
    let queries = dashboard();
    assert!(queries.len() >= 8, "{queries:?}");
    for query in queries {
        wait_for(&query, || asked(&encoded(&query)).filter(|value| value.is_finite()));
    }

    let plain = get(address, "/metrics", "*/*");
    let text = plain.split_once("\r\n\r\n").expect("an answer").1;
    lint(text);
    assert!(sample(text, "bayplan_runs_total") >= runs && sample(text, "bayplan_dropped_total") == 0.0);
    assert!(get(address, "/metrics", "application/openmetrics-text").ends_with("\n# EOF\n"));

    let (code, json, _) = run.stop();
    assert_eq!((code, json["peak"].as_f64()), (Some(0), Some(peak)));
    assert!(json["runs"].as_f64().is_some_and(|all| all >= runs));
    assert!(TcpStream::connect(address).is_err(), "nobody answers for a run that ended");
}

/// A model whose name is made to leave its quotes and to obey nobody's terminal is a label that Prometheus takes.
#[test]
fn hostile_names_are_labels() {
    let (sandbox, address) = (Sandbox::new(), free_port());
    let model = sandbox.path("a\"} 1\nb\\{c\u{1b}[2J\u{202e}.onnx");
    fs::copy(root().join("assets/digits.onnx"), &model).expect("a copy");
    let words = ["--dim", "batch=1", "--device", "host", "--runs", "1000000000", "--json"];
    let mut command = sandbox.command("bayplan", &["run".as_ref(), model.as_os_str()]);
    command.args(words).args(["--metrics", &address.to_string()]);
    let run = LiveRun::of(&sandbox, command);
    for accept in ["*/*", "application/openmetrics-text"] {
        let text = get(address, "/metrics", accept);
        let text = text.split_once("\r\n\r\n").expect("an answer").1;
        let info: Vec<&str> = text.lines().filter(|line| line.starts_with("bayplan_session_info{")).collect();
        assert_eq!(info.len(), 1, "{text}");
        assert!(info[0].contains("model=\"a\\\"} 1\\\\nb") && info[0].ends_with("} 1"), "{}", info[0]);
        assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text}");
        if accept == "*/*" {
            lint(text);
        }
    }
    assert_eq!(run.stop().0, Some(0));
}

/// Ten thousand connections, many of them at once, some silent and some that trickle: the run goes on, takes no more threads
/// for it, and answers those who ask.
#[test]
fn ten_thousand_connections_cost_the_run_nothing() {
    let (sandbox, address) = (Sandbox::new(), free_port());
    let run = LiveRun::start(&sandbox, &["--metrics", &address.to_string(), "--trace-level", "op"]);
    let status = |key: &str| -> u64 {
        let text = fs::read_to_string(format!("/proc/{}/status", run.pid())).expect("it lives");
        let line = text.lines().find_map(|line| line.strip_prefix(key)).expect("a line");
        line.split_whitespace().nth(1).expect("a number").parse().expect("a number")
    };
    let (before, counted) = (status("Threads"), json_runs(&sandbox, &run));
    let (mut open, mut most) = (std::collections::VecDeque::new(), 0);
    for number in 0..10_000 {
        // The queue of a port is short: who does not get in comes again.
        let mut stream = wait_for("a connection", || TcpStream::connect(address).ok());
        let _ = stream.write_all(&b"GET /metrics HTTP/1.1\r\nHost: 127"[..number % 33]);
        open.push_back(stream);
        if open.len() > 300 {
            open.pop_front();
        }
        if number % 500 == 0 {
            most = most.max(status("Threads"));
        }
    }
    assert!(most <= before + 20, "{most} threads, {before} before");
    let files = fs::read_dir(format!("/proc/{}/fd", run.pid())).expect("it lives").count();
    assert!(files < 100, "{files} open files");
    drop(open);
    let text = wait_for("an answer", || {
        let text = get(address, "/metrics", "*/*");
        text.starts_with("HTTP/1.1 200 ").then_some(text)
    });
    assert!(sample(&text, "bayplan_runs_total") > counted as f64, "it went on");
    let (code, _, err) = run.stop();
    assert!(code == Some(0) && !err.contains("warning"), "{err}");
}

/// Clients that hang, talk nonsense or ask as somebody else cost the run nothing.
#[test]
fn hostile_clients_do_not_keep_a_run() {
    let (sandbox, address) = (Sandbox::new(), free_port());
    let run = LiveRun::start(&sandbox, &["--metrics", &address.to_string(), "--trace-level", "op"]);
    let hanging: Vec<TcpStream> = (0..64).map(|_| TcpStream::connect(address).expect("it listens")).collect();
    let (begun, counted) = (Instant::now(), || json_runs(&sandbox, &run));
    let before = counted();
    run.wait_for("a run", || counted() > before);
    drop(hanging);
    let foreign = "GET /metrics HTTP/1.1\r\nHost: evil.example\r\n\r\n";
    for (request, status) in
        [(foreign, "403"), ("\u{1b}[2J\r\n\r\n", "400"), ("PUT / HTTP/1.1\r\n\r\n", "405")]
    {
        let answer = wait_for("an answer", || {
            let mut stream = TcpStream::connect(address).ok()?;
            stream.write_all(request.as_bytes()).ok()?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).ok().filter(|&read| read > 0).map(|_| answer)
        });
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    }
    let (code, _, err) = run.stop();
    assert!(code == Some(0) && !err.contains("warning"), "{err}");
    assert!(begun.elapsed() < PATIENCE);
}

fn json_runs(sandbox: &Sandbox, run: &LiveRun) -> u64 {
    let report = sandbox.bayplan(&["report", "--json", &run.pid().to_string()]).json();
    report["runs"]["ok"].as_u64().unwrap_or_else(|| panic!("no count of runs: {report}"))
}

/// Three runs whose figures go to a URL: exit code, what the program printed and what it said.
fn sent(url: &str) -> (Option<i32>, Value, String) {
    let sandbox = Sandbox::new();
    let model = root().join("assets/digits.onnx");
    let words = ["--dim", "batch=1", "--device", "host", "--runs", "3", "--json", "--otlp", url];
    let mut command = sandbox.command("bayplan", &["run".as_ref(), model.as_os_str()]);
    let ended = run(command.args(words));
    let json =
        serde_json::from_str(&ended.stdout).unwrap_or_else(|e| panic!("no JSON ({e}): {}", ended.stderr));
    (ended.code, json, ended.stderr)
}

#[test]
fn a_reader_of_the_published_definitions_takes_a_run() {
    let mut command = Command::new(python());
    command.arg(root().join("tests/python/otlp_receiver.py")).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut receiver = Server(command.spawn().expect("Python starts"));
    let mut told = BufReader::new(receiver.0.stdout.take().expect("a pipe")).lines().map_while(Result::ok);
    let port = told.next().expect("it says its port");
    let (code, json, err) = sent(&format!("http://127.0.0.1:{port}"));
    assert_eq!((code, &*err), (Some(0), ""));
    drop(receiver.0.stdin.take());
    let last: Value = serde_json::from_str(&told.last().expect("a request")).expect("JSON");
    let metric = |name: &str| last["metrics"][name].clone();
    assert_eq!(metric("bayplan.runs")["kind"], "sum");
    assert_eq!(metric("bayplan.runs")["points"][0]["value"], 3);
    assert_eq!(metric("bayplan.run_time")["points"][0]["count"], 3);
    let peak = metric("bayplan.peak");
    let arenas = peak["points"].as_array().expect("points").iter();
    let own = arenas.filter(|point| point["labels"]["arena"] == "activations").map(|point| &point["value"]);
    assert_eq!((own.collect::<Vec<_>>(), &peak["unit"]), (vec![&json["peak"]], &Value::from("By")));
    assert_eq!(last["resource"]["service.name"], "bayplan");
    assert_eq!(last["resource"]["bayplan.model"], "digits");
}

/// The collector of the Python package `rotel`; none where there is no build of it for this machine.
fn collector() -> Option<PathBuf> {
    let ask = ["-c", "import os, rotel; print(os.path.dirname(rotel.__file__))"];
    let ended = run(Command::new(python()).args(ask));
    (ended.code == Some(0)).then(|| Path::new(ended.stdout.trim()).join("rotel-agent"))
}

#[test]
fn a_collector_takes_a_run() {
    let Some(agent) = collector() else {
        println!("left out: the Python package rotel has no build for this machine");
        return;
    };
    let (sandbox, http, grpc) = (Sandbox::new(), free_port(), free_port());
    let log = sandbox.path("collector.log");
    let mut command =
        sandbox.program(&agent, &["start", "--exporter", "blackhole", "--debug-log", "metrics"]);
    command.args(["--debug-log-verbosity", "detailed", "--otlp-http-endpoint", &http.to_string()]);
    command.args(["--otlp-grpc-endpoint", &grpc.to_string()]).stderr(Stdio::null());
    command.stdout(fs::File::create(&log).expect("a file"));
    let _server = Server(command.spawn().expect("the collector starts"));
    wait_for("the collector", || TcpStream::connect(http).ok());
    let (code, _, err) = sent(&format!("http://{http}"));
    assert_eq!((code, &*err), (Some(0), ""));
    let after = |log: &str, name: &str| Some(log.rsplit_once(&format!("-> Name: {name}\n"))?.1.to_owned());
    let runs = wait_for("the count of runs", || {
        let log = fs::read_to_string(&log).expect("a log");
        let told = after(&log, "bayplan.runs")?;
        let value = told.lines().find_map(|line| line.strip_prefix("Value: "))?;
        Some((value.to_owned(), told.contains("DataType: Sum") && log.contains("service.instance.id")))
    });
    assert_eq!(runs, ("3".to_owned(), true));
}

/// A run does not fail for want of a receiver, and says so.
#[test]
fn a_receiver_that_is_absent_or_hangs_is_a_warning() {
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    for address in [free_port(), silent.local_addr().expect("an address")] {
        let begun = Instant::now();
        let (code, json, err) = sent(&format!("http://{address}"));
        assert_eq!((code, json["runs"].as_u64()), (Some(0), Some(3)));
        assert!(err.starts_with("warning: the last metrics were not taken by http://"), "{err}");
        assert!(begun.elapsed() < Duration::from_secs(60), "it was waited for");
    }
}

#[test]
fn what_cannot_be_watched_is_refused_before_anything_runs() {
    let (sandbox, model) = (Sandbox::new(), root().join("assets/digits.onnx").display().to_string());
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let taken = taken.local_addr().expect("an address").to_string();
    let refused = |words: &[&str], code: i32, says: &str| {
        let ended =
            sandbox.bayplan(&[&["run", &model, "--dim", "batch=1", "--device", "host"], words].concat());
        assert_eq!((ended.code, &*ended.stdout), (Some(code), ""), "{words:?}");
        assert!(ended.stderr.starts_with("error: ") && ended.stderr.contains(says), "{}", ended.stderr);
    };
    refused(&["--metrics", "0.0.0.0:0"], 2, "--metrics-open");
    refused(&["--metrics", "9464"], 2, "127.0.0.1:9464");
    refused(&["--metrics", &taken], 1, &taken);
    refused(&["--metrics", "127.0.0.1:0", "--trace-level", "off"], 2, "--trace-level");
    refused(&["--otlp", "http://127.0.0.1:1", "--trace-level", "off"], 2, "--trace-level");
    refused(&["--otlp", "https://127.0.0.1"], 2, "encryption");
    refused(&["--otlp", "127.0.0.1:4318"], 2, "http://");
    refused(&["--metrics-open"], 2, "--metrics");
}
