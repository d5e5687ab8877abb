//! `--control`: commands on standard input, replies and events on standard output, one JSON object a line.
//! `docs/native-host.md` is the reference.

use std::io::{BufRead, Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Builder;
use std::time::Duration;

use serde_json::{Value, json};
use yc_host::{Around, COMMANDS, HostConfig, HostError, NativeHost, Versions, dispatch};

use crate::args::Args;
use crate::failure::Failure;
use crate::faults::{FaultArgs, Injection};

/// The longest line, in bytes.
const MAX_LINE: usize = 1 << 20;

/// Requests under way at once.
const MAX_REQUESTS: usize = 16;

/// Status and stop are answered at once whatever else is under way: they do not count among the others.
const ALWAYS: [&str; 2] = ["native_capture_status", "native_capture_stop"];

/// How long requests may take to end when everything else has.
const GOODBYE: Duration = Duration::from_millis(250);

/// Takes commands until standard input ends or the user stops it.
pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let lines = Arc::new(Lines(Mutex::new(std::io::stdout())));
    let config = HostConfig::default().with_recordings(args.recordings);
    let config = with_faults(config, &args.faults);
    let host = NativeHost::new(config, {
        let lines = Arc::clone(&lines);
        move |event| lines.write(&json!(event))
    });
    lines.write(&json!({"event": "host_ready", "versions": Versions::THIS, "commands": COMMANDS}));

    let (end, ended) = sync_channel(1);
    ctrlc::set_handler({
        let end = end.clone();
        move || {
            // One end is enough.
            let _ = end.try_send(());
        }
    })
    .map_err(|error| Failure::new(1, "resources", error))?;
    // Nothing can wake a read of standard input: its thread ends with the program.
    Builder::new()
        .name("yc-control-in".to_owned())
        .spawn({
            let (host, lines) = (host.clone(), Arc::clone(&lines));
            move || read(&mut std::io::stdin().lock(), &host, &lines, &end)
        })
        .map_err(|error| Failure::new(1, "resources", error))?;
    // The reader holds an end for as long as it lives.
    let _ = ended.recv();
    host.stop();
    lines.last();
    Ok(())
}

/// Times in a script count from each prepare.
fn with_faults(config: HostConfig, faults: &FaultArgs) -> HostConfig {
    let faults = faults.clone();
    config.with_around(move || {
        let backends = Arc::new(Injection::new(&faults));
        let transport = Arc::clone(&backends);
        Around::new(move |all| backends.backends(all), move |inner| transport.transport(inner))
    })
}

/// Standard output. A line is written whole, under one lock.
struct Lines(Mutex<std::io::Stdout>);

impl Lines {
    fn write(&self, value: &Value) {
        let mut line = value.to_string();
        line.push('\n');
        let mut out = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // An app that does not read any more has ended or will close standard input: that ends us.
        let _ = out.write_all(line.as_bytes()).and_then(|()| out.flush());
    }

    fn reply(&self, id: &Value, result: Result<Value, HostError>) {
        self.write(&match result {
            Ok(data) => json!({"id": id, "ok": true, "data": data}),
            Err(error) => json!({"id": id, "ok": false, "error": error}),
        });
    }

    /// Lets a line that is being written end, so that none is torn.
    fn last(&self) {
        for _ in 0..GOODBYE.as_millis() / 10 {
            if self.0.try_lock().is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

fn read(input: &mut impl BufRead, host: &NativeHost, lines: &Arc<Lines>, end: &SyncSender<()>) {
    let under_way = Arc::new(AtomicUsize::new(0));
    loop {
        match next_line(input) {
            Ok(Some(Line::Text(line))) if line.iter().all(u8::is_ascii_whitespace) => {}
            Ok(Some(Line::Text(line))) => match Request::parse(&line) {
                Ok(request) => carry_out(request, host, lines, &under_way),
                Err((id, error)) => lines.reply(&id, Err(error)),
            },
            Ok(Some(Line::TooLong)) => {
                let error = HostError::bad_request(format!("a line is longer than {MAX_LINE} bytes"));
                lines.reply(&Value::Null, Err(error));
            }
            Ok(None) | Err(_) => break,
        }
    }
    // It may have ended by a signal already.
    let _ = end.try_send(());
}

/// Carries out one request on a thread of its own.
fn carry_out(request: Request, host: &NativeHost, lines: &Arc<Lines>, under_way: &Arc<AtomicUsize>) {
    let counted = !ALWAYS.contains(&request.command.as_str());
    if counted && under_way.load(Ordering::Acquire) >= MAX_REQUESTS {
        let why = format!("{MAX_REQUESTS} requests are under way, as many as may be: wait for one of them");
        return lines.reply(&request.id, Err(HostError::new(HostError::BUSY, why)));
    }
    under_way.fetch_add(usize::from(counted), Ordering::AcqRel);
    let id = request.id.clone();
    let spawned = Builder::new().name("yc-control".to_owned()).spawn({
        let (host, lines, under_way) = (host.clone(), Arc::clone(lines), Arc::clone(under_way));
        move || {
            let Request { id, command, data } = request;
            let called = std::panic::AssertUnwindSafe(|| dispatch(&host, &command, data));
            let result = std::panic::catch_unwind(called).unwrap_or_else(|_| {
                Err(HostError::new(HostError::INTERNAL_ERROR, format!("{command} ended by a panic")))
            });
            // Who has the reply may ask the next thing.
            under_way.fetch_sub(usize::from(counted), Ordering::AcqRel);
            lines.reply(&id, result);
        }
    });
    if let Err(error) = spawned {
        under_way.fetch_sub(usize::from(counted), Ordering::AcqRel);
        lines.reply(&id, Err(HostError::new(HostError::INTERNAL_ERROR, error.to_string())));
    }
}

#[derive(Debug, PartialEq)]
enum Line {
    Text(Vec<u8>),
    TooLong,
}

/// The next line without its end; none at the end of the input. What is too long is passed over, not kept.
fn next_line(input: &mut impl BufRead) -> std::io::Result<Option<Line>> {
    let mut line = Vec::new();
    let read = input.by_ref().take(MAX_LINE as u64 + 1).read_until(b'\n', &mut line)?;
    if read == 0 {
        return Ok(None);
    }
    if line.last() == Some(&b'\n') {
        line.pop();
    } else if read > MAX_LINE {
        input.skip_until(b'\n')?;
        return Ok(Some(Line::TooLong));
    }
    Ok(Some(Line::Text(line)))
}

/// One line as a request.
#[derive(Debug, PartialEq)]
struct Request {
    id: Value,
    command: String,
    data: Value,
}

impl Request {
    /// Reads a line; an error comes with the id to answer it under.
    fn parse(line: &[u8]) -> Result<Self, (Value, HostError)> {
        let refuse = |id: &Value, why: String| (id.clone(), HostError::bad_request(why));
        let frame: Value = serde_json::from_slice(line)
            .map_err(|error| refuse(&Value::Null, format!("the line is not JSON: {error}")))?;
        let Value::Object(mut frame) = frame else {
            return Err(refuse(&Value::Null, "the line is not a JSON object".to_owned()));
        };
        let id = frame.remove("id").unwrap_or(Value::Null);
        if id.as_u64().is_none_or(|id| id > MAX_ID) {
            return Err(refuse(&Value::Null, format!("id is not a whole number from 0 to {MAX_ID}")));
        }
        let command = match frame.remove("command") {
            Some(Value::String(command)) => command,
            Some(_) => return Err(refuse(&id, "command is not a string".to_owned())),
            None => return Err(refuse(&id, "command is missing".to_owned())),
        };
        let data = frame.remove("data").unwrap_or(Value::Null);
        Ok(Self { id, command, data })
    }
}

/// The largest integer that JavaScript holds exactly.
const MAX_ID: u64 = (1 << 53) - 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_one_by_one_and_a_long_one_is_passed_over() {
        let mut input = Vec::from(*b"one\n\n");
        input.extend(vec![b'x'; MAX_LINE]);
        input.push(b'\n');
        input.extend(vec![b'y'; MAX_LINE + 1]);
        input.extend(b"\nlast");
        let mut input = input.as_slice();
        let mut next = || next_line(&mut input).unwrap();
        assert_eq!(next(), Some(Line::Text(b"one".to_vec())));
        assert_eq!(next(), Some(Line::Text(Vec::new())));
        assert_eq!(next(), Some(Line::Text(vec![b'x'; MAX_LINE])));
        assert_eq!(next(), Some(Line::TooLong));
        assert_eq!(next(), Some(Line::Text(b"last".to_vec())));
        assert_eq!(next(), None);
    }

    #[test]
    fn a_bad_line_is_refused_under_the_id_that_could_be_read() {
        for (line, id, says) in [
            ("nul", Value::Null, "not JSON"),
            ("[1]", Value::Null, "not a JSON object"),
            ("{}", Value::Null, "id is not a whole number"),
            (
                r#"{"id":-1,"command":"x"}"#,
                Value::Null,
                "id is not a whole number from 0 to 9007199254740991",
            ),
            (r#"{"id":7}"#, json!(7), "command is missing"),
            (r#"{"id":7,"command":1}"#, json!(7), "command is not a string"),
        ] {
            let (under, error) = Request::parse(line.as_bytes()).unwrap_err();
            assert_eq!((under, error.code), (id, HostError::BAD_REQUEST), "{line}");
            assert!(error.message.contains(says), "{line}: {}", error.message);
        }
        let request = Request::parse(br#"{"id":1,"command":"native_capture_stop"}"#).unwrap();
        assert_eq!(
            request,
            Request { id: json!(1), command: "native_capture_stop".into(), data: Value::Null }
        );
    }
}
