//! What goes wrong before a share runs, or around it: each with the message and the exit code that it must give.

use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use tungstenite::{Message, WebSocket};

use crate::e2e::rig::{ROOM, Rig, Server};
use crate::e2e::share::ShareOptions;
use crate::process::Process;

const END_TIMEOUT: Duration = Duration::from_secs(30);
const SOURCE: &str = "synthetic:640x360";

/// One fault: what is done, and what must come of it.
struct Fault {
    what: &'static str,
    /// Must be in what the program says.
    says: &'static [&'static str],
    /// The exit code.
    code: i32,
    /// Does it.
    cause: fn(&Rig) -> Result<Outcome>,
}

/// The exit code, none for a signal, and all that was said.
type Outcome = (Option<i32>, String);

const FAULTS: &[Fault] = &[
    Fault { what: "server killed in mid-share", says: &["server is gone"], code: 6, cause: server_killed },
    Fault { what: "no server at the address", says: &["127.0.0.1"], code: 6, cause: no_server },
    Fault { what: "wrong token", says: &["unauthorized"], code: 5, cause: wrong_token },
    Fault { what: "another room's token", says: &["unauthorized"], code: 5, cause: other_rooms_token },
    Fault { what: "full room", says: &["room_full"], code: 5, cause: full_room },
    Fault {
        what: "bad value in the sender's environment",
        says: &["YANKCORD_NATIVE_FRAME_QUEUE_CAPACITY", "lots"],
        code: 2,
        cause: bad_sender_environment,
    },
    Fault {
        what: "bad value in the server's environment",
        says: &["NATIVE_RTP_LISTEN_IP", "nonsense"],
        code: 2,
        cause: bad_server_environment,
    },
    Fault { what: "bad argument", says: &["241", "1..=240"], code: 2, cause: bad_argument },
    Fault { what: "unknown source", says: &["scren"], code: 2, cause: unknown_source },
    Fault { what: "window closed in mid-share", says: &["window_closed"], code: 3, cause: window_closed },
    Fault { what: "no such window", says: &["0x7fffff"], code: 3, cause: no_such_window },
    Fault { what: "no X display", says: &["display"], code: 3, cause: no_display },
    Fault { what: "port in use", says: &["in use"], code: 2, cause: port_in_use },
];

pub(super) fn run(rig: &Rig) -> Result<()> {
    let mut failed = Vec::new();
    for fault in FAULTS {
        let (code, said) = (fault.cause)(rig).with_context(|| fault.what)?;
        let said_lower = said.to_lowercase();
        let missing: Vec<_> =
            fault.says.iter().filter(|word| !said_lower.contains(&word.to_lowercase())).collect();
        let line = said.lines().rev().find(|line| line.starts_with("yc-") || line.starts_with("error"));
        let line = line.or_else(|| said.lines().rev().find(|line| !line.trim().is_empty())).unwrap_or("");
        let code_text = code.map_or_else(|| "signal".to_owned(), |code| code.to_string());
        eprintln!("   {:<38} exit {code_text}  {}", fault.what, line.trim());
        if code != Some(fault.code) || !missing.is_empty() {
            failed.push(format!(
                "{}: exit code {code_text} (expected {}), without {missing:?} in:\n{said}",
                fault.what, fault.code
            ));
        }
    }
    ensure!(failed.is_empty(), "{}", failed.join("\n"));
    bad_messages(rig)
}

/// Runs a program to its end and returns exit code and output.
fn outcome(rig: &Rig, name: &str, command: &mut Command) -> Result<Outcome> {
    let mut process = Process::spawn(name, rig.dir(), command)?;
    let status = process.wait(END_TIMEOUT)?;
    while process.next_line(END_TIMEOUT)?.is_some() {}
    Ok((status.code(), process.log()))
}

/// `yc-share` into the room `demo` of a server at `ws`.
fn share(rig: &Rig, ws: &str, token: &str, source: &str) -> Command {
    let mut command = rig.program("yc-share");
    command.args(["--server", ws, "--room", ROOM, "--token", token, "--source", source, "--for", "20"]);
    command.env_remove("DISPLAY");
    command
}

fn server_killed(rig: &Rig) -> Result<Outcome> {
    let mut server = rig.server()?;
    let mut share = rig.share(&server, &ShareOptions::new(SOURCE))?;
    share.wait_event("sender_started")?;
    server.process.kill()?;
    let status = share.wait(END_TIMEOUT)?;
    Ok((status.code(), share.process.log()))
}

fn no_server(rig: &Rig) -> Result<Outcome> {
    // A port that was free a moment ago.
    let address = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).context("a free port")?;
    outcome(rig, "yc-share", &mut share(rig, &format!("ws://{address}/ws"), "x", SOURCE))
}

fn wrong_token(rig: &Rig) -> Result<Outcome> {
    let server = rig.server()?;
    let mut token = server.token(ROOM, "share")?;
    let last = if token.pop() == Some('A') { 'B' } else { 'A' };
    token.push(last);
    // The last character of a signature may hold unused bits: change one before it as well.
    let flipped: String =
        token.chars().rev().enumerate().map(|(i, c)| if i == 5 { flip(c) } else { c }).collect();
    let token: String = flipped.chars().rev().collect();
    outcome(rig, "yc-share", &mut share(rig, &server.ws, &token, SOURCE))
}

fn flip(c: char) -> char {
    if c == 'x' { 'y' } else { 'x' }
}

fn other_rooms_token(rig: &Rig) -> Result<Outcome> {
    let server = rig.server()?;
    let token = server.token("elsewhere", "share")?;
    outcome(rig, "yc-share", &mut share(rig, &server.ws, &token, SOURCE))
}

fn full_room(rig: &Rig) -> Result<Outcome> {
    let server = rig.server_with("127.0.0.1:0", &["--max-peers", "1"])?;
    let mut first = rig.share(&server, &ShareOptions::new(SOURCE))?;
    first.wait_event("sender_started")?;
    outcome(rig, "yc-share-2", &mut share(rig, &server.ws, &server.token(ROOM, "share")?, SOURCE))
}

fn bad_sender_environment(rig: &Rig) -> Result<Outcome> {
    let server = rig.server()?;
    let mut command = share(rig, &server.ws, &server.token(ROOM, "share")?, SOURCE);
    outcome(rig, "yc-share", command.env("YANKCORD_NATIVE_FRAME_QUEUE_CAPACITY", "lots"))
}

fn bad_server_environment(rig: &Rig) -> Result<Outcome> {
    let mut command = rig.program("yc-server");
    command.args(["--listen", "127.0.0.1:0"]);
    outcome(rig, "yc-server", command.env("NATIVE_RTP_LISTEN_IP", "nonsense"))
}

fn bad_argument(rig: &Rig) -> Result<Outcome> {
    outcome(rig, "yc-share", share(rig, "ws://127.0.0.1:1/ws", "x", SOURCE).args(["--fps", "241"]))
}

fn unknown_source(rig: &Rig) -> Result<Outcome> {
    outcome(rig, "yc-share", &mut share(rig, "ws://127.0.0.1:1/ws", "x", "scren"))
}

fn window_closed(rig: &Rig) -> Result<Outcome> {
    let xvfb = rig.display(1280, 720)?;
    let mut desktop = rig.desktop(xvfb.name(), 30, "640x360+40+40")?;
    let server = rig.server()?;
    let source = format!("window:{}", desktop.window);
    let options = ShareOptions { display: Some(xvfb.name()), ..ShareOptions::new(&source) };
    let mut share = rig.share(&server, &options)?;
    share.wait_event("sender_started")?;
    desktop.process.stop()?;
    let status = share.wait(END_TIMEOUT)?;
    Ok((status.code(), share.process.log()))
}

fn no_such_window(rig: &Rig) -> Result<Outcome> {
    let xvfb = rig.display(1280, 720)?;
    let server = rig.server()?;
    let mut command = share(rig, &server.ws, &server.token(ROOM, "share")?, "window:0x7fffff");
    outcome(rig, "yc-share", command.env("DISPLAY", xvfb.name()))
}

fn no_display(rig: &Rig) -> Result<Outcome> {
    let server = rig.server()?;
    outcome(rig, "yc-share", &mut share(rig, &server.ws, &server.token(ROOM, "share")?, "screen"))
}

fn port_in_use(rig: &Rig) -> Result<Outcome> {
    let taken = TcpListener::bind("127.0.0.1:0").context("a port")?;
    let address = taken.local_addr().context("a port")?.to_string();
    outcome(rig, "yc-server", rig.program("yc-server").args(["--listen", &address]))
}

/// Bad messages get an error reply, the connection goes on, and the twentieth closes it.
fn bad_messages(rig: &Rig) -> Result<()> {
    let server = rig.server()?;
    let mut socket = connect(&server)?;
    let join = json!({"id": 1, "action": "join", "data": {
        "protocol": 1, "room": ROOM, "token": server.token(ROOM, "view")?, "role": "view",
    }});
    for (message, id) in [
        ("this is no JSON", Value::Null),
        ("[1,2,3]", Value::Null),
        (r#"{"id":7,"action":"join","data":{"protocol":1}}"#, json!(7)),
        (
            r#"{"id":8,"action":"join","data":{"protocol":"one","room":"demo","token":"","role":"view"}}"#,
            json!(8),
        ),
    ] {
        let reply = ask(&mut socket, message)?;
        let fits = reply["ok"] == false && reply["id"] == id && reply["error"]["code"] == "bad_message";
        ensure!(fits, "{message} was answered by {reply}");
        eprintln!("   {:<38} {}", shortened(message), reply["error"]["message"]);
    }
    let reply = ask(&mut socket, &join.to_string())?;
    ensure!(reply["ok"] == true, "after bad messages, a good join was answered by {reply}");
    for _ in 0..20 {
        match ask(&mut socket, "still no JSON") {
            Ok(_) => {}
            Err(error) if format!("{error:#}").contains("closed") => {
                eprintln!("   {:<38} the connection is closed", "too many bad messages");
                return Ok(());
            }
            Err(error) => return Err(error),
        }
    }
    bail!("the connection stayed open after 24 bad messages")
}

fn shortened(message: &str) -> String {
    if message.len() <= 36 { message.to_owned() } else { format!("{}…", &message[..35]) }
}

fn connect(server: &Server) -> Result<WebSocket<TcpStream>> {
    let host = server.ws.trim_start_matches("ws://").split('/').next().unwrap_or_default();
    let stream = TcpStream::connect(host).context("connecting to the server")?;
    stream.set_read_timeout(Some(END_TIMEOUT)).context("the socket")?;
    let (socket, _) = tungstenite::client(server.ws.as_str(), stream)
        .map_err(|error| anyhow::anyhow!("the server: {error}"))?;
    Ok(socket)
}

/// Sends a message and returns the reply; notifications and pings in between are passed over.
fn ask(socket: &mut WebSocket<TcpStream>, message: &str) -> Result<Value> {
    socket.send(Message::text(message)).context("closed while sending")?;
    loop {
        match socket.read().context("closed while reading")? {
            Message::Text(text) => {
                let reply: Value = serde_json::from_str(text.as_str()).context("the server's reply")?;
                if reply.get("ok").is_some() {
                    return Ok(reply);
                }
            }
            Message::Close(frame) => bail!("closed by the server: {frame:?}"),
            _ => {}
        }
    }
}
