//! One HTTP/1.1 request a connection, to servers of this machine.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

const TIMEOUT: Duration = Duration::from_secs(30);

/// The body of `path` at `address`.
///
/// # Errors
///
/// No reply, or another status than 200.
pub(crate) fn get(address: &str, path: &str) -> Result<String> {
    let (status, body) = request(address, "GET", path, "")?;
    ensure!(status == 200, "{path}: status {status}");
    String::from_utf8(body).with_context(|| path.to_owned())
}

/// Sends `body` as JSON; returns status and body of the reply.
///
/// It does not ask for the connection to be closed: a proxy such as `tauri-driver` hands the wish on to the server
/// behind it, and may then send its next request on the connection that this server is closing.
pub(crate) fn request(address: &str, method: &str, path: &str, body: &str) -> Result<(u16, Vec<u8>)> {
    let what = || format!("{method} http://{address}{path}");
    let mut stream = TcpStream::connect(address).with_context(what)?;
    stream.set_read_timeout(Some(TIMEOUT)).with_context(what)?;
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all((head + body).as_bytes()).with_context(what)?;
    read_reply(&mut stream).with_context(what)
}

/// Status and body of the HTTP/1.1 reply that comes from `stream`, which need not end after it.
fn read_reply(stream: &mut impl Read) -> Result<(u16, Vec<u8>)> {
    let mut received = Vec::new();
    let mut more = [0; 16 * 1_024];
    loop {
        let length = stream.read(&mut more)?;
        received.extend_from_slice(&more[..length]);
        let ended = length == 0;
        if let Some(reply) = parse_reply(&received, ended)? {
            return Ok(reply);
        }
        ensure!(!ended, "the connection ended after {} bytes, before the reply did", received.len());
    }
}

/// Status and body of `received`, once it holds them whole (RFC 9112, section 6.3). A body of no stated length goes on
/// until the connection has `ended`.
fn parse_reply(received: &[u8], ended: bool) -> Result<Option<(u16, Vec<u8>)>> {
    let Some(end) = find(received, b"\r\n\r\n") else { return Ok(None) };
    let head = std::str::from_utf8(&received[..end]).context("the head")?;
    let rest = &received[end + 4..];
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).context("no status")?;
    let field = |name: &str| {
        head.lines()
            .filter_map(|line| line.split_once(':'))
            .find_map(|(key, value)| key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned()))
    };
    let body = if field("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
        unchunk(rest)?
    } else if let Some(length) = field("content-length") {
        let length: usize = length.parse().with_context(|| format!("a content length of {length:?}"))?;
        rest.get(..length).map(<[u8]>::to_vec)
    } else {
        ended.then(|| rest.to_vec())
    };
    Ok(body.map(|body| (status, body)))
}

/// The body that these chunks hold (RFC 9112, section 7.1), once the last is there.
fn unchunk(mut rest: &[u8]) -> Result<Option<Vec<u8>>> {
    let mut body = Vec::new();
    loop {
        let Some(line) = find(rest, b"\r\n") else { return Ok(None) };
        let size = std::str::from_utf8(&rest[..line])
            .ok()
            .and_then(|hex| usize::from_str_radix(hex.trim(), 16).ok());
        let end = size.and_then(|size| (line + 2).checked_add(size)).context("the size of a chunk")?;
        if size == Some(0) {
            return Ok(Some(body));
        }
        let Some(chunk) = rest.get(line + 2..end) else { return Ok(None) };
        body.extend_from_slice(chunk);
        let Some(next) = rest.get(end + 2..) else { return Ok(None) };
        rest = next;
    }
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
    const CHUNKED: &[u8] =
        b"HTTP/1.1 404 Not Found\r\ntransfer-encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n";

    #[test]
    fn replies_come_whole_or_in_chunks() {
        assert_eq!(parse_reply(WHOLE, false).unwrap(), Some((200, b"{}".to_vec())));
        assert_eq!(parse_reply(CHUNKED, false).unwrap(), Some((404, b"{}".to_vec())));
        let endless = b"HTTP/1.1 200 OK\r\n\r\n{}";
        assert_eq!(parse_reply(endless, false).unwrap(), None);
        assert_eq!(parse_reply(endless, true).unwrap(), Some((200, b"{}".to_vec())));
    }

    #[test]
    fn a_reply_that_is_cut_off_is_none() {
        for reply in [WHOLE, &CHUNKED[..CHUNKED.len() - 4]] {
            for length in 0..reply.len() {
                let error = read_reply(&mut &reply[..length]).unwrap_err().to_string();
                assert!(error.contains(&format!("after {length} bytes")), "{error}");
            }
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for bad in ["HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"] {
            assert!(parse_reply(bad.as_bytes(), false).is_err(), "{bad}");
        }
    }
}
