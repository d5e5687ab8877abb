//! The program itself: its first line, its exit codes, its end.

use std::process::{Output, Stdio};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;
use yc_sfu::client::{ClientConfig, SignalClient};
use yc_sfu::messages::{ClientDiagnostic, CryptoSuite, Role, SrtpKey};
use yc_sfu::server::TokenKey;

use crate::common::h264;

const DEADLINE: Duration = Duration::from_secs(30);

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_yc-server"));
    for name in ["NATIVE_RTP_LISTEN_IP", "NATIVE_RTP_ANNOUNCED_IP", "YC_SERVER_TOKEN_KEY", "RUST_LOG"] {
        command.env_remove(name);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

async fn output(command: &mut Command) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = timeout(DEADLINE, command.output()).await.unwrap().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

/// Starts it and reads its ready line.
async fn ready(command: &mut Command) -> (Child, Value) {
    let mut child = command.args(["--listen", "127.0.0.1:0", "--workers", "1", "--json"]).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = timeout(DEADLINE, lines.next_line()).await.unwrap().unwrap().unwrap();
    (child, serde_json::from_str(&line).unwrap())
}

#[cfg(unix)]
#[tokio::test]
async fn it_tells_where_it_listens_and_ends_on_sigterm() {
    let (mut child, line) = ready(&mut program()).await;
    assert_eq!(line["ready"], true);
    let url = line["ws"].as_str().unwrap();
    assert!(url.starts_with("ws://127.0.0.1:") && url.ends_with("/ws"), "{line}");
    assert!(line["http"].as_str().unwrap().starts_with("http://127.0.0.1:"), "{line}");

    // The key that it made itself signs tokens that it takes.
    let key = line["token_key"].as_str().unwrap();
    let (code, token, _) = output(program().args([
        "token",
        "--token-key",
        key,
        "--room",
        "demo",
        "--role",
        "share",
        "--ttl",
        "60",
    ]))
    .await;
    assert_eq!(code, Some(0));
    let (client, mut events) = SignalClient::connect(url, ClientConfig::default()).await.unwrap();
    client.join("demo", token.trim(), Role::Share).await.unwrap();

    let id = child.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().await.unwrap().success());
    assert!(timeout(DEADLINE, events.next()).await.unwrap().is_some(), "the client is told");
    let status = timeout(DEADLINE, child.wait()).await.unwrap().unwrap();
    assert_eq!(status.code(), Some(0));
}

#[cfg(unix)]
#[tokio::test]
async fn a_diagnostic_is_one_line_of_the_log_whatever_is_in_it() {
    let (mut child, line) = ready(&mut program()).await;
    let key = TokenKey::from_hex(line["token_key"].as_str().unwrap()).unwrap();
    let token = key.mint(&"demo".parse().unwrap(), Role::Share, Duration::from_secs(60), SystemTime::now());
    let url = line["ws"].as_str().unwrap();
    let (client, _events) = SignalClient::connect(url, ClientConfig::default()).await.unwrap();
    client.join("demo", &token.text, Role::Share).await.unwrap();
    let forged = "\n2026-01-01T00:00:00Z  INFO yc_server: forged\u{1b}[2K\u{9b}K\u{2028}";
    let mut diagnostic = ClientDiagnostic::new("fallback_triggered");
    diagnostic.reason_code = Some("encoder_hung".into());
    diagnostic.encoder_backend = Some("open\nh264".into());
    diagnostic.degradation_level = Some(2);
    diagnostic.versions = Some([("yc_host".to_owned(), "0.1.0".to_owned())].into());
    diagnostic.detail = json!({ "forged": forged, "long": "x".repeat(3_000) });
    client.client_diagnostic(diagnostic).await.unwrap();

    let id = child.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().await.unwrap().success());
    let mut log = String::new();
    let mut stderr = child.stderr.take().unwrap();
    timeout(DEADLINE, stderr.read_to_string(&mut log)).await.unwrap().unwrap();
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("client diagnostic")).collect();
    let [line] = lines[..] else { panic!("{log}") };
    assert!(!log.lines().any(|line| line.starts_with("2026-01-01T00:00:00Z")), "{log}");
    assert!(!line.contains(['\u{9b}', '\u{2028}']) && !line.contains("\u{1b}[2K"), "{line:?}");
    assert!(line.len() < 2_500, "{} bytes", line.len());
    for said in ["demo", "fallback_triggered", "encoder_hung", "0.1.0", "yc_server: forged"] {
        assert!(line.contains(said), "{said}: {line}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn the_log_holds_no_key_of_a_share_and_no_token_at_any_level() {
    let (mut child, line) = ready(program().env("RUST_LOG", "trace,tungstenite::protocol=trace")).await;
    let mut stderr = child.stderr.take().unwrap();
    let logging = tokio::spawn(async move {
        let mut log = String::new();
        stderr.read_to_string(&mut log).await.unwrap();
        log
    });
    let key = TokenKey::from_hex(line["token_key"].as_str().unwrap()).unwrap();
    let token = key.mint(&"demo".parse().unwrap(), Role::Share, Duration::from_secs(60), SystemTime::now());
    let url = line["ws"].as_str().unwrap();
    let (client, _events) = SignalClient::connect(url, ClientConfig::default()).await.unwrap();
    client.join("demo", &token.text, Role::Share).await.unwrap();
    let ours = "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0".to_owned();
    let offered = SrtpKey { crypto_suite: CryptoSuite::AesCm128HmacSha1_80, key_base64: ours.clone() };
    let session = client.create_native_sender_session(&h264().with_srtp(offered)).await.unwrap();
    // A key that is refused is quoted nowhere, either.
    let short = SrtpKey { crypto_suite: CryptoSuite::AeadAes128Gcm, key_base64: ours.clone() };
    client.create_native_sender_session(&h264().with_srtp(short)).await.unwrap_err();

    let id = child.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().await.unwrap().success());
    let log = timeout(DEADLINE, logging).await.unwrap().unwrap();
    assert!(log.contains("TRACE"), "{log}");
    for hidden in [&ours, &session.srtp.unwrap().key_base64, &token.text] {
        let line = log.lines().find(|line| line.contains(hidden.as_str()));
        assert_eq!(line, None, "{hidden} is in the log");
    }
}

#[tokio::test]
async fn a_key_of_its_own_is_not_printed() {
    let key = "0b".repeat(32);
    let (child, line) = ready(program().env("YC_SERVER_TOKEN_KEY", &key)).await;
    assert!(!line.to_string().contains(&key) && line.get("token_key").is_none(), "{line}");
    drop(child);
}

#[tokio::test]
async fn a_port_in_use_is_told_and_exits_2() {
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (code, out, err) = output(program().args(["--listen", &address])).await;
    assert_eq!((code, out.as_str()), (Some(2), ""));
    assert!(err.contains(&format!("cannot listen on {address}: is the port in use?")), "{err}");
}

#[tokio::test]
async fn a_bad_environment_is_told_by_name_value_and_bounds_and_exits_2() {
    for (name, value, says) in [
        (
            "NATIVE_RTP_LISTEN_IP",
            "somewhere",
            "NATIVE_RTP_LISTEN_IP=\"somewhere\": not an IPv4 or IPv6 address",
        ),
        ("NATIVE_RTP_LISTEN_IP", "0.0.0.0", "NATIVE_RTP_ANNOUNCED_IP"),
        ("NATIVE_RTP_ANNOUNCED_IP", "1.2.3.4.5", "NATIVE_RTP_ANNOUNCED_IP=\"1.2.3.4.5\""),
        ("RUST_LOG", "info=loud", "RUST_LOG=\"info=loud\""),
        ("YC_SERVER_TOKEN_KEY", "secret", "32 to 128 hexadecimal digits"),
    ] {
        let (code, _, err) = output(program().env(name, value)).await;
        assert_eq!(code, Some(2), "{err}");
        assert!(err.contains(says) && !err.contains("secret"), "{err}");
    }
}

#[tokio::test]
async fn a_bad_argument_exits_2() {
    for (args, says) in [
        (&["--listen", "here"][..], "--listen"),
        (&["--max-peers", "0"], "0 is not 1 to 10000"),
        (&["--workers", "0"], "--workers"),
        (&["--tls-cert", "/nowhere.pem"], "--tls-key"),
        (&["--tls-key", "/nowhere.pem"], "--tls-cert"),
        (&["--tls-cert", "/nowhere.pem", "--tls-key", "/nowhere.key"], "--tls-cert /nowhere.pem: "),
        (&["token", "--room", "demo", "--role", "share"], "YC_SERVER_TOKEN_KEY"),
        (&["token", "--room", "a b", "--role", "share"], "A-Z a-z 0-9"),
        (&["token", "--room", "demo", "--role", "admin"], "share, view or both"),
        (&["token", "--room", "demo", "--role", "view", "--ttl", "0"], "1..=2592000"),
    ] {
        let (code, _, err) = output(program().args(args)).await;
        assert_eq!(code, Some(2), "{err}");
        assert!(err.contains(says), "{err}");
    }
}

#[tokio::test]
async fn without_a_viewer_page_it_says_how_to_build_one() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let (child, line) = ready(program().args(["--viewer-dir", "/nowhere"])).await;
    let host = line["http"].as_str().unwrap().strip_prefix("http://").unwrap();
    let mut socket = tokio::net::TcpStream::connect(host).await.unwrap();
    let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut reply = String::new();
    timeout(DEADLINE, socket.read_to_string(&mut reply)).await.unwrap().unwrap();
    assert!(reply.starts_with("HTTP/1.1 503"), "{reply}");
    assert!(reply.contains("no viewer page in /nowhere") && reply.contains("npm run build"), "{reply}");
    drop(child);
}
