//! Every child that this program starts: named, logged, and ended by its process id whatever happens.
//!
//! Each child leads its own process group, so that what it started in turn ends with it, and so that
//! Ctrl-C in the terminal reaches this program alone, which then ends the groups in order.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};

/// Process groups that are running.
static GROUPS: Mutex<Vec<u32>> = Mutex::new(Vec::new());
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// How long a child may take from the request to end until it is killed.
const GRACE: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(10);
/// How much of a failing child's log goes into the error.
const TAIL_LINES: usize = 25;
const TAIL_COLUMNS: usize = 300;

/// Ends all children and this program when it is interrupted or terminated.
pub(crate) fn end_children_on_signals() {
    let installed = ctrlc::set_handler(|| {
        INTERRUPTED.store(true, Ordering::SeqCst);
        eprintln!("interrupted: ending what was started");
        let groups = groups().clone();
        for &group in &groups {
            signal(group, false);
        }
        let deadline = Instant::now() + GRACE;
        while groups.iter().any(|&group| group_exists(group)) && Instant::now() < deadline {
            thread::sleep(POLL);
        }
        for &group in &groups {
            signal(group, true);
        }
        std::process::exit(130);
    });
    installed.expect("no other handler was set");
}

/// Whether a signal asked this program to end.
pub(crate) fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::SeqCst)
}

/// Microseconds since 1970 by the system's clock, which is also what browsers and senders report.
pub(crate) fn unix_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970");
    u64::try_from(since.as_micros()).expect("the year is before 586912")
}

/// One line that a child wrote to its standard output.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) text: String,
    /// When it was read.
    pub(crate) at_unix_us: u64,
}

/// A running child. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    /// Behind a lock only so that rows of a table can share what they run on.
    lines: Mutex<Receiver<Line>>,
    status: Option<ExitStatus>,
}

impl Process {
    /// Starts `command`; its standard error goes to `<dir>/<name>.log`, its standard output there and
    /// to [`next_line`](Self::next_line).
    pub(crate) fn spawn(name: &str, dir: &Path, command: &mut Command) -> Result<Self> {
        let log = dir.join(format!("{name}.log"));
        let file = File::create(&log).with_context(|| format!("creating {}", log.display()))?;
        let mut copy = file.try_clone().context("sharing the log file")?;
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(file);
        let mut child = start(command).with_context(|| format!("starting {name} ({command:?})"))?;
        let output = child.stdout.take().expect("standard output was asked for");
        let (sender, lines) = mpsc::channel();
        thread::Builder::new()
            .name(format!("{name} output"))
            .spawn(move || {
                for text in BufReader::new(output).lines().map_while(Result::ok) {
                    let line = Line { text, at_unix_us: unix_us() };
                    let _ = writeln!(copy, "{}", line.text);
                    let _ = sender.send(line);
                }
            })
            .context("starting a thread")?;
        Ok(Self { name: name.to_owned(), child, log, lines: Mutex::new(lines), status: None })
    }

    /// The next line of its standard output, or `None` if it closed it.
    ///
    /// # Errors
    ///
    /// No line within `timeout`.
    pub(crate) fn next_line(&mut self, timeout: Duration) -> Result<Option<Line>> {
        match self.lines().recv_timeout(timeout) {
            Ok(line) => Ok(Some(line)),
            Err(RecvTimeoutError::Disconnected) => Ok(None),
            Err(RecvTimeoutError::Timeout) => {
                bail!("{} said nothing for {timeout:?}\n{}", self.name, self.tail())
            }
        }
    }

    /// The lines that are there already.
    pub(crate) fn ready_lines(&mut self) -> Vec<Line> {
        self.lines().try_iter().collect()
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        if self.status.is_none()
            && let Some(status) =
                self.child.try_wait().with_context(|| format!("waiting for {}", self.name))?
        {
            self.forget(status);
        }
        Ok(self.status)
    }

    /// Fails with the tail of its log if it has ended.
    pub(crate) fn ensure_running(&mut self) -> Result<()> {
        if let Some(status) = self.ended()? {
            bail!("{} ended early ({status})\n{}", self.name, self.tail());
        }
        Ok(())
    }

    /// Waits until it has ended by itself.
    pub(crate) fn wait(&mut self, timeout: Duration) -> Result<ExitStatus> {
        let deadline = Instant::now() + timeout;
        loop {
            if let Some(status) = self.ended()? {
                return Ok(status);
            }
            ensure!(
                Instant::now() < deadline,
                "{} did not end within {timeout:?}\n{}",
                self.name,
                self.tail()
            );
            thread::sleep(POLL);
        }
    }

    /// Asks it to end (SIGTERM), waits, and kills it if it does not.
    pub(crate) fn stop(&mut self) -> Result<ExitStatus> {
        if let Some(status) = self.ended()? {
            return Ok(status);
        }
        signal(self.child.id(), false);
        if let Ok(status) = self.wait(GRACE) {
            return Ok(status);
        }
        self.kill()
    }

    /// Ends it without a chance to say good-bye (SIGKILL).
    pub(crate) fn kill(&mut self) -> Result<ExitStatus> {
        if self.ended()?.is_none() {
            signal(self.child.id(), true);
            #[cfg(not(unix))]
            let _ = self.child.kill();
            let status = self.child.wait().with_context(|| format!("waiting for {}", self.name))?;
            self.forget(status);
        }
        Ok(self.status.expect("it has just ended"))
    }

    /// Asks it to end (SIGTERM), and does not wait.
    pub(crate) fn ask_to_stop(&self) {
        signal(self.child.id(), false);
    }

    /// Asks it to end as Ctrl-C does (SIGINT), and does not wait: a program under Wine understands that, and SIGTERM
    /// is the end of it.
    pub(crate) fn interrupt(&self) {
        interrupt(self.child.id());
    }

    /// Lets it do nothing until it is [resumed](Self::resume) (SIGSTOP). Unix only.
    #[cfg(unix)]
    pub(crate) fn suspend(&self) {
        send(self.child.id(), rustix::process::Signal::STOP);
    }

    /// Lets it go on (SIGCONT).
    #[cfg(unix)]
    pub(crate) fn resume(&self) {
        send(self.child.id(), rustix::process::Signal::CONT);
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The end of what it wrote.
    pub(crate) fn tail(&self) -> String {
        format!("--- the end of {} ---\n{}", self.log.display(), tail(&self.log))
    }

    /// Everything that it wrote.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    fn lines(&mut self) -> &mut Receiver<Line> {
        self.lines.get_mut().expect("no one locks it")
    }

    fn forget(&mut self, status: ExitStatus) {
        self.status = Some(status);
        let id = self.child.id();
        groups().retain(|&group| group != id);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.stop();
    }
}

/// A child whose output goes where its command says. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Quiet(Child);

impl Quiet {
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        Ok(Self(start(command)?))
    }

    /// Asks it to finish, as Ctrl-C does.
    pub(crate) fn interrupt(&self) {
        interrupt(self.0.id());
    }

    pub(crate) fn has_ended(&mut self) -> Result<bool> {
        Ok(self.0.try_wait().context("waiting")?.is_some())
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        let id = self.0.id();
        if !matches!(self.0.try_wait(), Ok(Some(_))) {
            signal(id, true);
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
        groups().retain(|&group| group != id);
    }
}

/// Runs `command` to its end with our terminal; its standard output goes to our standard error, where
/// progress belongs.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    command.stdin(Stdio::null()).stdout(std::io::stderr());
    let mut child = start(command).with_context(|| format!("starting {}", shown(command)))?;
    let status = child.wait().context("waiting")?;
    let id = child.id();
    groups().retain(|&group| group != id);
    ensure!(status.success(), "{} failed ({status})", shown(command));
    Ok(())
}

/// The command line of `command`, for people.
pub(crate) fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let mut words = vec![program.to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|word| word.to_string_lossy().into_owned()));
    words.join(" ")
}

fn start(command: &mut Command) -> Result<Child> {
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(command, 0);
    ensure!(!interrupted(), "interrupted");
    // The lock is held over the start, so that an interruption sees either no child or its id.
    let mut groups = groups();
    let child = command.spawn()?;
    groups.push(child.id());
    Ok(child)
}

fn groups() -> std::sync::MutexGuard<'static, Vec<u32>> {
    GROUPS.lock().expect("no one panics while holding it")
}

fn tail(log: &Path) -> String {
    let mut last = VecDeque::new();
    for line in fs::read_to_string(log).unwrap_or_default().lines() {
        if last.len() == TAIL_LINES {
            last.pop_front();
        }
        last.push_back(match line.char_indices().nth(TAIL_COLUMNS) {
            Some((cut, _)) => format!("{}…", &line[..cut]),
            None => line.to_owned(),
        });
    }
    Vec::from(last).join("\n")
}

#[cfg(unix)]
fn signal(group: u32, kill: bool) {
    use rustix::process::Signal;
    send(group, if kill { Signal::KILL } else { Signal::TERM });
}

#[cfg(unix)]
fn interrupt(group: u32) {
    send(group, rustix::process::Signal::INT);
}

/// A group that is gone already is no error.
#[cfg(unix)]
fn send(group: u32, signal: rustix::process::Signal) {
    if let Some(pid) = i32::try_from(group).ok().and_then(rustix::process::Pid::from_raw) {
        let _ = rustix::process::kill_process_group(pid, signal);
    }
}

#[cfg(unix)]
fn group_exists(group: u32) -> bool {
    use rustix::process::{Pid, WaitOptions, test_kill_process_group, waitpid};
    let Some(pid) = i32::try_from(group).ok().and_then(Pid::from_raw) else { return false };
    // An ended leader that nobody waited for would count as existing.
    let _ = waitpid(Some(pid), WaitOptions::NOHANG);
    test_kill_process_group(pid).is_ok()
}

/// The ids of the processes that `parent` has started and that have not ended. Linux only.
pub(crate) fn children(parent: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{parent}/task")).into_iter().flatten().flatten();
    let children = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    children
        .flat_map(|ids| ids.split_whitespace().filter_map(|id| id.parse().ok()).collect::<Vec<_>>())
        .collect()
}

/// Kills a process that is no child of ours (SIGKILL). Unix only.
#[cfg(unix)]
pub(crate) fn kill(id: u32) {
    if let Some(pid) = i32::try_from(id).ok().and_then(rustix::process::Pid::from_raw) {
        // One that is gone already is no error.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }
}

/// Whether a process of this id exists.
#[cfg(unix)]
pub(crate) fn exists(id: u32) -> bool {
    use rustix::process::{Pid, test_kill_process};
    i32::try_from(id).ok().and_then(Pid::from_raw).is_some_and(|pid| test_kill_process(pid).is_ok())
}

#[cfg(not(unix))]
impl Process {
    // The rig's displays are X servers: no scenario that needs these runs elsewhere.
    pub(crate) fn suspend(&self) {}

    pub(crate) fn resume(&self) {}
}

// Elsewhere a console's Ctrl-C reaches the children by itself, and `kill` ends one of them.
#[cfg(not(unix))]
fn signal(_group: u32, _kill: bool) {}

#[cfg(not(unix))]
pub(crate) fn kill(_id: u32) {}

#[cfg(not(unix))]
fn interrupt(_group: u32) {}

#[cfg(not(unix))]
fn group_exists(_group: u32) -> bool {
    false
}

/// Whether a process of this id exists: not known here, so folders of earlier runs stay.
#[cfg(not(unix))]
pub(crate) fn exists(_id: u32) -> bool {
    true
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;

    fn shell(dir: &tempfile::TempDir, script: &str) -> Process {
        Process::spawn("shell", dir.path(), Command::new("sh").args(["-c", script])).unwrap()
    }

    #[test]
    fn lines_arrive_in_order_and_then_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let mut process = shell(&dir, "echo one; echo two");
        let timeout = Duration::from_secs(10);
        assert_eq!(process.next_line(timeout).unwrap().unwrap().text, "one");
        assert_eq!(process.next_line(timeout).unwrap().unwrap().text, "two");
        assert!(process.next_line(timeout).unwrap().is_none());
        assert!(process.wait(timeout).unwrap().success());
    }

    #[test]
    fn dropping_ends_the_child_and_what_it_started() {
        let dir = tempfile::tempdir().unwrap();
        let mut process = shell(&dir, "sleep 600 & echo $!; wait");
        let inner: u32 = process.next_line(Duration::from_secs(10)).unwrap().unwrap().text.parse().unwrap();
        assert!(exists(inner));
        drop(process);
        let deadline = Instant::now() + Duration::from_secs(10);
        while exists_and_runs(inner) {
            assert!(Instant::now() < deadline, "process {inner} is still there");
        }
    }

    #[test]
    fn a_failure_carries_the_end_of_the_log() {
        let dir = tempfile::tempdir().unwrap();
        let mut process = shell(&dir, "echo the cause >&2; exit 3");
        process.wait(Duration::from_secs(10)).unwrap();
        let error = process.ensure_running().unwrap_err().to_string();
        assert!(error.contains("the cause") && error.contains('3'), "{error}");
    }

    /// A zombie that its new parent has not collected yet does not count.
    fn exists_and_runs(id: u32) -> bool {
        fs::read_to_string(format!("/proc/{id}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
    }
}
