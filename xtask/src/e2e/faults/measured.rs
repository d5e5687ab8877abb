//! One row at work: a share, who watches it, the fault, and what came of it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::leaks;
use super::row::{Deed, Expect, FAULT_AT, Row};
use crate::browser::Browser;
use crate::e2e::rig::{Desktop, Display, Rig, Server};
use crate::e2e::share::{Share, ShareOptions};
use crate::e2e::viewer::Viewer;
use crate::process::unix_us;

/// What most rows share: a display with something that moves, a receiver, a browser.
#[derive(Debug)]
pub(super) struct Stage {
    rig: Rig,
    display: Display,
    _desktop: Desktop,
    server: Server,
    browser: Mutex<Browser>,
}

/// What came of one fault.
#[derive(Debug)]
pub(super) struct Measured {
    /// From the fault, or the start, until it was repaired or had ended.
    pub(super) took: f64,
    /// The longest time without a new picture from the fault on, where somebody watched.
    pub(super) froze: Option<f64>,
    /// The code that it was told with.
    pub(super) reason: String,
    /// How `yc-share` ended.
    pub(super) code: Option<i32>,
    /// Threads that it had more than before when it was over: those that hang in a call. Of a share that
    /// ended, those that it had to leave when it did.
    pub(super) left: usize,
}

/// A time without a new picture that people see, in seconds.
pub(super) const SEEN: f64 = 0.3;
/// Large enough for the frame number that the desktop shows, small enough for many at a time.
const WIDTH: u32 = 640;
const HEIGHT: u32 = 360;
/// How long a row goes on after the fault is over.
const AFTER: Duration = Duration::from_secs(3);
/// What a share gets to end beyond what its row allows, until it counts as hanging.
const PATIENCE: Duration = Duration::from_secs(20);
/// From the wish to stop until the share says that it has: the sender's own bound is 250 ms, and the
/// goodbye to the server comes before it is said.
const STOP_LIMIT: f64 = 0.5;
/// For how long [`Deed::SuspendServerBriefly`] does it.
const BRIEFLY: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(20);

impl Stage {
    pub(super) fn new(rig: Rig) -> Result<Self> {
        let display = rig.display(WIDTH, HEIGHT)?;
        let desktop = rig.desktop(display.name(), 30, &format!("{WIDTH}x{HEIGHT}"))?;
        let (server, browser) = (rig.server()?, Mutex::new(rig.browser()?));
        Ok(Self { rig, display, _desktop: desktop, server, browser })
    }

    /// Runs one row to its end.
    pub(super) fn run(&self, row: &Row) -> Result<Measured> {
        let rig = self.rig.inside(row.name)?;
        let mut props = Props::new(&rig, row.deed)?;
        let source = props
            .window
            .as_ref()
            .map_or_else(|| "screen".to_owned(), |desktop| format!("window:{}", desktop.window));
        let display = props.display.as_ref().unwrap_or(&self.display).name().to_owned();
        let server = props.server.as_ref().unwrap_or(&self.server);
        let viewer = if row.goes_on() {
            let url = server.viewer_url(row.name)?;
            let mut browser = self.browser();
            let viewer = Viewer::open(&mut browser, &url)?;
            viewer.wait_for(&mut browser, JOINED, Duration::from_secs(10))?;
            Some(viewer)
        } else {
            None
        };
        let mut arguments = row.arguments.to_vec();
        if !row.script.is_empty() {
            arguments.extend(["--fault", row.script]);
        }
        let options = ShareOptions {
            room: row.name,
            display: Some(&display),
            trace: false,
            arguments: &arguments,
            ..ShareOptions::new(&source)
        };
        let mut share = rig.share(server, &options)?;
        let at = if row.is_at_start() { Duration::ZERO } else { FAULT_AT };
        let mut course =
            Course { row, from: share.started_unix_us + at.as_micros() as u64, before: Vec::new(), files: 0 };
        let measured = course.follow(&mut share, &mut props, || match &viewer {
            Some(viewer) => Watched::of(viewer, &mut self.browser(), row),
            None => Ok(Watched::default()),
        });
        if let Some(viewer) = viewer {
            viewer.close(&mut self.browser())?;
        }
        measured.with_context(|| format!("logs in {}", rig.dir().display()))
    }

    fn browser(&self) -> MutexGuard<'_, Browser> {
        // A row that failed with it in hand says so by itself.
        self.browser.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The page is in the room and sees that nobody shares.
const JOINED: &str = "window.ycViewer.state() === 'waiting'";

/// What a row has for itself, because something is done to it.
#[derive(Debug)]
struct Props {
    window: Option<Desktop>,
    display: Option<Display>,
    server: Option<Server>,
}

impl Props {
    fn new(rig: &Rig, deed: Deed) -> Result<Self> {
        let own_display = matches!(deed, Deed::KillDisplay | Deed::CloseWindow);
        let own_server = matches!(deed, Deed::SuspendServer | Deed::SuspendServerBriefly | Deed::KillServer);
        let display = own_display.then(|| rig.display(WIDTH, HEIGHT)).transpose()?;
        let window = match (&display, deed) {
            (Some(display), Deed::CloseWindow) => Some(rig.desktop(display.name(), 30, "480x270+40+40")?),
            _ => None,
        };
        Ok(Self { window, display, server: own_server.then(|| rig.server()).transpose()? })
    }

    fn act(&mut self, deed: Deed, share: &mut Share) -> Result<()> {
        match deed {
            Deed::Nothing => Ok(()),
            Deed::Stop => {
                share.process.ask_to_stop();
                Ok(())
            }
            Deed::KillDisplay => self.display.as_mut().context("it has a display")?.kill(),
            Deed::CloseWindow => self.window.as_mut().context("it has a window")?.process.stop().map(drop),
            Deed::KillServer => self.server()?.process.kill().map(drop),
            Deed::SuspendServer | Deed::SuspendServerBriefly => {
                self.server()?.process.suspend();
                Ok(())
            }
        }
    }

    /// Takes back what would keep others from ending.
    fn undo(&mut self, deed: Deed) -> Result<()> {
        match deed {
            Deed::SuspendServer | Deed::SuspendServerBriefly => self.server()?.process.resume(),
            _ => {}
        }
        Ok(())
    }

    fn server(&mut self) -> Result<&mut Server> {
        self.server.as_mut().context("it has a server")
    }
}

/// New pictures that a viewer was shown.
#[derive(Debug, Default)]
struct Watched {
    /// When, in microseconds since 1970.
    at: Vec<u64>,
    size: (u64, u64),
}

impl Watched {
    fn of(viewer: &Viewer, browser: &mut Browser, row: &Row) -> Result<Self> {
        let at = if matches!(row.expect, Expect::GivesWay { .. }) {
            // The desktop's frame number cannot be read in a picture that is scaled down.
            viewer.shown(browser)?
        } else {
            // A still picture that is sent once more has the number of the one before.
            let mut frames = viewer.frames(browser)?;
            frames.dedup_by_key(|(number, _)| *number);
            frames.into_iter().map(|(_, at)| at).collect()
        };
        Ok(Self { at, size: viewer.size(browser)? })
    }

    /// The longest time without a picture that ended after `from`, with when it ended.
    fn longest_gap(&self, from: u64) -> Option<(u64, u64)> {
        let pairs = self.at.windows(2).filter(|pair| pair[1] > from);
        pairs.map(|pair| (pair[1] - pair[0], pair[1])).max()
    }
}

/// One share from its start to its end.
struct Course<'a> {
    row: &'a Row,
    /// When the fault begins, in microseconds since 1970.
    from: u64,
    /// The share's threads before.
    before: Vec<String>,
    /// And how many files it had open.
    files: usize,
}

impl Course<'_> {
    fn follow(
        &mut self,
        share: &mut Share,
        props: &mut Props,
        watched: impl Fn() -> Result<Watched>,
    ) -> Result<Measured> {
        if !self.row.is_at_start() {
            share.wait_event("sender_started")?;
            sleep_until(self.from.saturating_sub(1_000_000));
            self.before = leaks::threads(share.process.id());
            self.files = leaks::open_files(share.process.id());
            sleep_until(self.from);
            props.act(self.row.deed, share)?;
        }
        if self.row.goes_on() {
            self.repaired(share, props, watched)
        } else {
            let ended = self.ended(share);
            props.undo(self.row.deed)?;
            ended
        }
    }

    /// The share ends by itself, or because it was asked to.
    fn ended(&self, share: &mut Share) -> Result<Measured> {
        let limit = Duration::from_secs_f64(self.row.within) + PATIENCE;
        let status = share.wait(limit)?;
        let find = |share: &mut Share, name: &str| {
            share.said().iter().find(|(_, event)| event["event"] == name).cloned()
        };
        let stopped = find(share, "sender_stopped");
        let (reason, at, left) = match (self.row.expect, stopped) {
            (Expect::Refused { says, .. }, None) => {
                let (at, error) = find(share, "error").context("it said no error")?;
                let message = text(&error["message"]);
                ensure!(message.contains(says), "it does not say {says:?}: {message}");
                (text(&error["kind"]), at, 0)
            }
            (Expect::Ends { reason, .. }, Some((at, stopped))) => {
                let found = text(&stopped["reason"]);
                ensure!(found == reason, "the reason is {found} and not {reason}");
                (found, at, abandoned(&stopped["status"]) as usize)
            }
            (_, stopped) => bail!("it ended with {status} and {stopped:?}"),
        };
        let (Expect::Ends { code, .. } | Expect::Refused { code, .. }) = self.row.expect else {
            bail!("it ended with {status}");
        };
        ensure!(status.code() == Some(code), "it ended with {status} and not {code}");
        self.no_panic(share)?;
        Ok(Measured { took: self.since(at), froze: None, reason, code: status.code(), left })
    }

    /// The share gets over it, goes on, and ends when asked to.
    fn repaired(
        &self,
        share: &mut Share,
        props: &mut Props,
        watched: impl Fn() -> Result<Watched>,
    ) -> Result<Measured> {
        if self.row.deed == Deed::SuspendServerBriefly {
            sleep_until(self.from + BRIEFLY.as_micros() as u64);
            props.undo(self.row.deed)?;
        }
        let limit = Duration::from_secs_f64(self.row.within) + PATIENCE;
        let deadline = Instant::now() + limit;
        let (at, reason) = loop {
            share.process.ensure_running()?;
            if let Some(found) = self.is_over(share)? {
                break found;
            }
            ensure!(Instant::now() < deadline, "nothing came of it within {limit:?}");
            thread::sleep(POLL);
        };
        let sent = frames_sent(share);
        thread::sleep(AFTER);
        let (more, abandoned) = (frames_sent(share), share.status().map_or(0, abandoned));
        ensure!(more >= sent + 20, "{sent} pictures had left, and {more} {AFTER:?} later");
        let left = self.threads_left(share, abandoned)?;

        let watched = watched()?;
        let (asked, status) = (unix_us(), share.stop()?);
        let stopped = share.said().iter().find(|(_, event)| event["event"] == "sender_stopped").cloned();
        let (stopped_at, stopped) = stopped.context("it did not say that it stopped")?;
        ensure!(status.success() && stopped["reason"] == "requested", "it ended with {status}: {stopped}");
        let stopping = (stopped_at.saturating_sub(asked)) as f64 / 1e6;
        ensure!(stopping <= STOP_LIMIT, "stopping took {stopping:.2} s; the limit is {STOP_LIMIT} s");
        self.no_panic(share)?;

        let first = *watched.at.first().context("the viewer was shown no picture")?;
        ensure!(
            self.row.is_at_start() || first < self.from,
            "the viewer's first picture came after the fault"
        );
        let shown = watched.at.iter().filter(|shown| **shown > at).count();
        ensure!(shown >= 10, "the viewer was shown {shown} pictures after it");
        let gap = if self.row.is_at_start() { None } else { watched.longest_gap(self.from) };
        // What is borne, and a new size, is over with the next picture that comes.
        let over = match (self.row.expect, gap) {
            (Expect::Borne { .. } | Expect::Resized { .. }, Some((gap, end))) if gap as f64 / 1e6 > SEEN => {
                end
            }
            _ => at,
        };
        if let Expect::Resized { width, height } = self.row.expect {
            ensure!(watched.size == (width, height), "the viewer's picture is {:?}", watched.size);
        }
        Ok(Measured {
            took: self.since(over),
            froze: gap.map(|(gap, _)| gap as f64 / 1e6),
            reason,
            code: status.code(),
            left,
        })
    }

    /// Whether the fault is over: when it was, and the reason that was told.
    fn is_over(&self, share: &mut Share) -> Result<Option<(u64, String)>> {
        let said: Vec<_> = share.said().iter().filter(|(_, event)| event["event"] != "status").collect();
        let named = |name: &'static str| said.iter().filter(move |(_, event)| event["event"] == name);
        let steps: Vec<_> = named("fallback_triggered").collect();
        let expected: &[&str] = match self.row.expect {
            Expect::Repaired { step: "next_encoder", .. } => &["restart_encoder", "next_encoder"],
            Expect::Repaired { step, .. } => &[step],
            _ => &[],
        };
        let other = steps.iter().find(|(_, event)| !expected.contains(&text(&event["step"]).as_str()));
        ensure!(other.is_none(), "a step that nothing called for: {other:?}");
        match self.row.expect {
            Expect::Repaired { step, reason } => {
                let Some((at, _)) = named("fallback_completed").find(|(_, event)| event["step"] == step)
                else {
                    return Ok(None);
                };
                let found = steps.last().map(|(_, event)| text(&event["reason"])).unwrap_or_default();
                ensure!(found == reason, "the reason is {found} and not {reason}");
                Ok(Some((*at, found)))
            }
            Expect::Borne { reason, over } => {
                let over = self.from + (over * 1e6) as u64;
                if unix_us() < over {
                    return Ok(None);
                }
                let mut told = said.iter().filter_map(|(_, event)| event["reason"].as_str());
                match reason {
                    Some(reason) if !told.any(|told| told == reason) => Ok(None),
                    Some(reason) => Ok(Some((over, reason.to_owned()))),
                    None => Ok(Some((over, String::new()))),
                }
            }
            Expect::Resized { width, height } => {
                let resized = named("source_resized").find(|(_, event)| {
                    (&event["size"]["width"], &event["size"]["height"]) == (&width.into(), &height.into())
                });
                Ok(resized.map(|(at, _)| (*at, String::new())))
            }
            Expect::GivesWay { causes } => {
                let mut changes = named("degradation_changed");
                let Some((_, first)) = changes.next() else { return Ok(None) };
                let cause = text(&first["cause"]);
                ensure!(causes.contains(&cause.as_str()), "it gave way by {cause}");
                Ok(changes.find(|(_, event)| event["level"] == 0).map(|(at, _)| (*at, cause.clone())))
            }
            Expect::Starts { why_not } => {
                let Some((at, _)) = named("sender_started").next() else { return Ok(None) };
                let at = *at;
                let Some(status) = share.status() else { return Ok(None) };
                let told = status["encoder_why_not"].to_string();
                ensure!(told.contains(why_not), "why not the first: {told}");
                Ok(Some((at, String::new())))
            }
            Expect::Ends { .. } | Expect::Refused { .. } => bail!("the share went on"),
        }
    }

    /// How many threads the share has more than before. Those that it says to have abandoned may be there.
    fn threads_left(&self, share: &Share, abandoned: u64) -> Result<usize> {
        if self.row.is_at_start() {
            return Ok(abandoned as usize);
        }
        let now = leaks::threads(share.process.id());
        let left = now.len().saturating_sub(self.before.len());
        // A capture that hangs has a thread of its own besides, which only the capture knows of.
        let own = if self.row.script.contains("capture.") { 1 } else { 0 };
        ensure!(
            left <= abandoned as usize + own,
            "threads before: {:?}; after, {abandoned} abandoned: {now:?}",
            self.before
        );
        // A thread that hangs keeps what it has open.
        let files = leaks::open_files(share.process.id());
        ensure!(left > 0 || files <= self.files, "open files before: {}; after: {files}", self.files);
        Ok(left)
    }

    fn no_panic(&self, share: &Share) -> Result<()> {
        let log = share.process.log();
        let panicked = log.lines().find(|line| line.contains("panicked at"));
        let asked_for = self.row.script.contains("=panic");
        ensure!(panicked.is_none() || asked_for, "it panicked: {panicked:?}");
        Ok(())
    }

    fn since(&self, at: u64) -> f64 {
        (at as f64 - self.from as f64) / 1e6
    }
}

fn sleep_until(at: u64) {
    thread::sleep(Duration::from_micros(at.saturating_sub(unix_us())));
}

fn frames_sent(share: &mut Share) -> u64 {
    share.status().and_then(|status| status["frames_sent"].as_u64()).unwrap_or_default()
}

fn abandoned(status: &Value) -> u64 {
    status["lifecycle"]["threads_abandoned"].as_u64().unwrap_or_default()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
