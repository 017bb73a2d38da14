//! What a client asks for.

use crate::address::is_local;

/// Most bytes of a request's head.
pub(crate) const MAX_HEAD: usize = 16 << 10;
/// Most headers of a request.
const MAX_HEADERS: usize = 64;

/// What is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// The metrics; in the format of OpenMetrics, if that is preferred.
    Metrics { open_metrics: bool },
    /// What there is here.
    Root,
    /// Nothing: the status says why.
    Refused(Status),
}

/// A status line's number and words.
pub(crate) type Status = (u16, &'static str);

pub(crate) const OK: Status = (200, "OK");
pub(crate) const BAD_REQUEST: Status = (400, "Bad Request");
pub(crate) const FORBIDDEN: Status = (403, "Forbidden");
pub(crate) const NOT_FOUND: Status = (404, "Not Found");
pub(crate) const NO_METHOD: Status = (405, "Method Not Allowed");
pub(crate) const TOO_LARGE: Status = (431, "Request Header Fields Too Large");
pub(crate) const UNAVAILABLE: Status = (503, "Service Unavailable");

/// A request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) asked: Asked,
    /// Only the head of the answer is wanted.
    pub(crate) head: bool,
}

/// Reads a request's head; `None` while it is not whole. `local` says that only names of this machine are answered.
pub(crate) fn parse(bytes: &[u8], local: bool) -> Option<Request> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let refused = |status| Some(Request { asked: Asked::Refused(status), head: false });
    match request.parse(bytes) {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) if bytes.len() < MAX_HEAD => return None,
        Ok(httparse::Status::Partial) | Err(httparse::Error::TooManyHeaders) => return refused(TOO_LARGE),
        Err(_) => return refused(BAD_REQUEST),
    }
    let method = request.method.unwrap_or_default();
    let header = |name: &str| {
        let found = request.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
        found.and_then(|header| str::from_utf8(header.value).ok())
    };
    // A name that is no text is none of this machine either, and of several names each counts.
    let named = request.headers.iter().filter(|header| header.name.eq_ignore_ascii_case("host"));
    let foreign =
        named.into_iter().any(|host| !str::from_utf8(host.value).is_ok_and(|host| is_local(host.trim())));
    let path = request.path.unwrap_or_default().split(['?', '#']).next().unwrap_or_default();
    let asked = match (method, path) {
        _ if local && foreign => Asked::Refused(FORBIDDEN),
        ("GET" | "HEAD", "/metrics") => {
            Asked::Metrics { open_metrics: prefers_open_metrics(header("accept").unwrap_or_default()) }
        }
        ("GET" | "HEAD", "/") => Asked::Root,
        ("GET" | "HEAD", _) => Asked::Refused(NOT_FOUND),
        _ => Asked::Refused(NO_METHOD),
    };
    Some(Request { asked, head: method == "HEAD" })
}

/// Whether an `Accept` header likes OpenMetrics 1.0 better than plain text.
fn prefers_open_metrics(accept: &str) -> bool {
    let mut best = (0.0, 0.0);
    for range in accept.split(',') {
        let mut parts = range.split(';').map(str::trim);
        let media = parts.next().unwrap_or_default();
        let (mut quality, mut version) = (1.0, "1.0.0");
        for (name, value) in parts.filter_map(|part| part.split_once('=')) {
            match name.trim() {
                "q" => quality = value.trim().parse::<f64>().unwrap_or(0.0),
                "version" => version = value.trim(),
                _ => {}
            }
        }
        match media {
            "application/openmetrics-text" if version == "1.0.0" => best.0 = quality.max(best.0),
            "text/plain" | "text/*" | "*/*" => best.1 = quality.max(best.1),
            _ => {}
        }
    }
    best.0 > 0.0 && best.0 >= best.1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(text: &str) -> Option<Asked> {
        parse(text.as_bytes(), true).map(|request| request.asked)
    }

    #[test]
    fn requests_are_answered_or_refused_by_status() {
        let plain = Some(Asked::Metrics { open_metrics: false });
        assert_eq!(asked("GET /metrics HTTP/1.1\r\nHost: localhost:9464\r\n\r\n"), plain);
        assert_eq!(asked("GET /metrics?x=1 HTTP/1.0\r\n\r\n"), plain);
        assert_eq!(asked("GET / HTTP/1.1\r\n\r\n"), Some(Asked::Root));
        assert_eq!(asked("GET /metrics HTTP/1.1\r\nHost: local"), None, "more is to come");
        assert_eq!(asked(""), None);
        let refused = |text: &str, status| assert_eq!(asked(text), Some(Asked::Refused(status)), "{text}");
        refused("GET /metrics HTTP/1.1\r\nHost: evil.example\r\n\r\n", FORBIDDEN);
        refused("GET /metrics HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n", FORBIDDEN);
        let unreadable = parse(b"GET /metrics HTTP/1.1\r\nHost: \xff\r\n\r\n", true);
        assert_eq!(unreadable.map(|request| request.asked), Some(Asked::Refused(FORBIDDEN)));
        refused("POST /metrics HTTP/1.1\r\n\r\n", NO_METHOD);
        refused("GET /../etc/passwd HTTP/1.1\r\n\r\n", NOT_FOUND);
        refused("\u{1b}[2J\r\n\r\n", BAD_REQUEST);
        refused(&format!("GET /metrics HTTP/1.1\r\nX: {}", "y".repeat(MAX_HEAD)), TOO_LARGE);
        refused(&format!("GET / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(MAX_HEADERS + 1)), TOO_LARGE);
        let head = parse(b"HEAD /metrics HTTP/1.1\r\n\r\n", true);
        assert!(head.is_some_and(|request| request.head && Some(request.asked) == plain));
        let open = parse(b"GET /metrics HTTP/1.1\r\nHost: box.example\r\n\r\n", false);
        assert_eq!(open.map(|request| request.asked), plain, "who consents to others answers to any name");
    }

    #[test]
    fn openmetrics_is_spoken_to_who_prefers_it() {
        let prometheus = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                          text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        assert!(prefers_open_metrics(prometheus));
        assert!(prefers_open_metrics("application/openmetrics-text"));
        assert!(!prefers_open_metrics("application/openmetrics-text; version=2.0.0, text/plain"));
        assert!(!prefers_open_metrics("application/openmetrics-text;q=0.1, text/plain"));
        assert!(!prefers_open_metrics("*/*"));
        assert!(!prefers_open_metrics("application/openmetrics-text;q=nan"));
        assert!(!prefers_open_metrics(""));
    }
}
