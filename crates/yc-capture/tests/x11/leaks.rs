//! What captures leave behind: nothing.

use std::fs;

use yc_capture::CaptureTarget;

use crate::common::{next_frame, start, stop_in_time};
use crate::desktop::with_desktop;
use crate::{open, try_open};

const SCREEN: &[&str] = &["-screen", "0", "640x480x24"];

/// What a process and its server hold on to. Only theirs: other programs come and go meanwhile.
#[derive(Debug, PartialEq, Eq)]
struct Held {
    descriptors: usize,
    threads: usize,
    shared: usize,
    server_descriptors: usize,
    server_shared: usize,
}

impl Held {
    fn now(server: u32) -> Self {
        let entries = |path: String| fs::read_dir(path).unwrap().count();
        // Shared memory of every kind: without a name, of System V, and of POSIX.
        let shared = |path: String| {
            let maps = fs::read_to_string(path).unwrap();
            maps.lines()
                .filter(|line| ["memfd:", "/SYSV", "/dev/shm"].iter().any(|kind| line.contains(kind)))
                .count()
        };
        Self {
            descriptors: entries("/proc/self/fd".to_owned()),
            threads: entries("/proc/self/task".to_owned()),
            shared: shared("/proc/self/maps".to_owned()),
            server_descriptors: entries(format!("/proc/{server}/fd")),
            server_shared: shared(format!("/proc/{server}/maps")),
        }
    }
}

#[test]
fn fifty_captures_leave_nothing_behind() {
    with_desktop("leaks::fifty_captures_leave_nothing_behind", SCREEN, |desktop| {
        let window = desktop.window(0, 0, 100, 100);
        let capture = |target: CaptureTarget, round: u32| {
            let mut backend = open(target);
            let events = start(&mut *backend);
            let mut held = vec![next_frame(&events)];
            for step in 0..3 {
                let area = yc_media::Rect { x: 0, y: 0, width: 50, height: 50 };
                desktop.fill(window, area, round * 10 + step);
                desktop.sync();
                held.push(next_frame(&events));
            }
            match round % 3 {
                0 => stop_in_time(&mut *backend),
                1 => drop(backend),
                _ => {
                    // Started once more after the stop.
                    stop_in_time(&mut *backend);
                    next_frame(&start(&mut *backend));
                }
            }
        };
        let bare = Held::now(desktop.server);
        // Whatever is set up once.
        capture(CaptureTarget::Screen, 0);
        let before = settled(desktop.server, &bare);
        assert_eq!((before.threads, before.shared, before.server_shared), (bare.threads, 0, 0));
        assert_eq!(before.server_descriptors, bare.server_descriptors);
        for round in 0..50 {
            let target = match round % 2 {
                0 => CaptureTarget::Screen,
                _ => CaptureTarget::Window(window.into()),
            };
            capture(target, round);
        }
        assert_eq!(before, settled(desktop.server, &before));
        println!("after 50 captures: {before:?}");
    });
}

#[test]
fn resizing_and_failing_to_open_leave_nothing_behind() {
    with_desktop("leaks::resizing_and_failing_to_open_leave_nothing_behind", SCREEN, |desktop| {
        let window = desktop.window(0, 0, 100, 100);
        let before = Held::now(desktop.server);
        for _ in 0..20 {
            assert!(try_open(&crate::config(CaptureTarget::Window(0x99_9999))).is_err());
        }
        assert_eq!(before, settled(desktop.server, &before));

        let mut backend = open(CaptureTarget::Window(window.into()));
        let events = start(&mut *backend);
        next_frame(&events);
        for width in 100..150 {
            desktop.resize(window, width, 100);
            while events.recv_timeout(std::time::Duration::from_millis(30)).is_ok() {}
        }
        let during = Held::now(desktop.server);
        assert!(during.shared <= 4 && during.server_shared <= 4, "{during:?}");
        backend.stop();
        drop(events);
        assert_eq!(before, settled(desktop.server, &before));
    });
}

/// What is held once it is as expected, or has not become so for seconds: the server takes note of a
/// connection that is gone a moment later.
fn settled(server: u32, expected: &Held) -> Held {
    for _ in 0..250 {
        if Held::now(server) == *expected {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    Held::now(server)
}
