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
pub(crate) fn request(address: &str, method: &str, path: &str, body: &str) -> Result<(u16, Vec<u8>)> {
    let what = || format!("{method} http://{address}{path}");
    let mut stream = TcpStream::connect(address).with_context(what)?;
    stream.set_read_timeout(Some(TIMEOUT)).with_context(what)?;
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all((head + body).as_bytes()).with_context(what)?;
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).with_context(what)?;
    parse_reply(&reply).with_context(what)
}

/// Status and body of an HTTP/1.1 reply that ended with its connection.
fn parse_reply(reply: &[u8]) -> Result<(u16, Vec<u8>)> {
    let end = reply.windows(4).position(|window| window == b"\r\n\r\n").context("no end of the head")?;
    let head = std::str::from_utf8(&reply[..end]).context("the head")?;
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).context("no status")?;
    let chunked = head.lines().any(|line| line.eq_ignore_ascii_case("transfer-encoding: chunked"));
    let mut rest = &reply[end + 4..];
    if !chunked {
        return Ok((status, rest.to_vec()));
    }
    let mut body = Vec::new();
    loop {
        let line = rest.windows(2).position(|window| window == b"\r\n").context("no size of a chunk")?;
        let size = std::str::from_utf8(&rest[..line])
            .ok()
            .and_then(|hex| usize::from_str_radix(hex.trim(), 16).ok());
        let size = size.context("the size of a chunk")?;
        let chunk = rest.get(line + 2..line + 2 + size).context("a chunk is cut off")?;
        if size == 0 {
            return Ok((status, body));
        }
        body.extend_from_slice(chunk);
        rest = rest.get(line + 2 + size + 2..).context("a chunk is cut off")?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_come_whole_or_in_chunks() {
        let whole = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
        assert_eq!(parse_reply(whole).unwrap(), (200, b"{}".to_vec()));
        let chunked =
            b"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n";
        assert_eq!(parse_reply(chunked).unwrap(), (404, b"{}".to_vec()));
        for bad in [&b"HTTP/1.1 200 OK\r\n"[..], &chunked[..chunked.len() - 9]] {
            assert!(parse_reply(bad).is_err());
        }
    }
}
