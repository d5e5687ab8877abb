//! Scripts of what a system does, and what a capture makes of them.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use yc_media::{CaptureTime, Damage, FrameBuffer, FrameRate, Rect, VideoFrame};

use super::fake::{FakeOutput, POINTER, Refused, Step, World, advance_to, now, plain};
use super::{Edges, Mode, Options, Session};
use crate::picture::{Rotation, RowLayout};
use crate::{CaptureError, CaptureErrorKind, CaptureEvent};

const WHOLE: Edges = Edges { left: 0, top: 0, right: 99, bottom: 99 };
const GREY: [u8; 4] = [100, 100, 100, 255];
const RED: [u8; 4] = [0, 0, 255, 255];

fn options() -> Options {
    Options { area: None, rate: FrameRate::new(50).unwrap(), cursor: true, gpu: false, compare: false }
}

fn paint(left: i32, top: i32, right: i32, bottom: i32) -> Step {
    Step::Paint(Edges { left, top, right, bottom }, RED.to_vec())
}

/// The usual beginning: an 8x4 output, all grey.
fn grey() -> Vec<Step> {
    vec![Step::Duplicate(plain(8, 4)), Step::Paint(WHOLE, GREY.to_vec())]
}

/// A capture of a fake output.
struct Play {
    world: Rc<RefCell<World>>,
    session: Session<FakeOutput>,
    until: CaptureTime,
    events: Vec<CaptureEvent>,
    over: bool,
}

impl Play {
    fn open(options: Options, script: Vec<Step>) -> Result<Self, CaptureError> {
        let output = FakeOutput::default();
        let world = Rc::clone(&output.0);
        world.borrow_mut().script.extend(script);
        let session = Session::open(output, options, now)?;
        Ok(Self { world, session, until: now(), events: Vec::new(), over: false })
    }

    fn turn(&mut self) {
        advance_to(self.until);
        match self.session.turn(&mut |event| self.events.push(event)) {
            Some(next) => self.until = next,
            None => self.over = true,
        }
    }

    /// Plays the rest of the script, and a while of silence after it.
    fn finish(&mut self) -> &mut Self {
        while !self.over && !self.world.borrow().script.is_empty() {
            self.turn();
        }
        for _ in 0..10 {
            if !self.over {
                self.turn();
            }
        }
        self
    }

    fn add(&mut self, script: Vec<Step>) -> &mut Self {
        self.world.borrow_mut().script.extend(script);
        self.finish()
    }

    /// What was told since the last call, in words.
    fn told(&mut self) -> Vec<String> {
        self.events.iter().map(word).collect()
    }

    fn frames(&self) -> Vec<&VideoFrame> {
        self.events
            .iter()
            .filter_map(|event| match event {
                CaptureEvent::Frame(frame) => Some(frame),
                _ => None,
            })
            .collect()
    }
}

fn word(event: &CaptureEvent) -> String {
    let rect = |r: Rect| format!("{}x{}+{}+{}", r.width, r.height, r.x, r.y);
    match event {
        CaptureEvent::Frame(frame) => match frame.damage() {
            Damage::None => format!("{} again", frame.size()),
            Damage::Part(part) => format!("{} with {}", frame.size(), rect(part)),
            Damage::Full => format!("{} anew", frame.size()),
        },
        CaptureEvent::Resized(size) => format!("resized to {size}"),
        CaptureEvent::Paused(reason) => format!("paused: {reason:?}"),
        CaptureEvent::Resumed => "resumed".to_owned(),
        CaptureEvent::Blank(blank) => format!("blank: {blank}"),
        CaptureEvent::Ended(reason) => format!("ended: {reason}"),
        CaptureEvent::Failed(error) => format!("failed: {:?}", error.kind()),
    }
}

/// Plays a script and compares what is told.
fn check(script: Vec<Step>, expected: &[&str]) {
    let mut play = Play::open(options(), script).unwrap();
    assert_eq!(play.finish().told(), expected);
    if !play.over {
        assert_eq!(play.world.borrow().alive, 1);
    }
}

fn with(mut script: Vec<Step>, more: Vec<Step>) -> Vec<Step> {
    script.extend(more);
    script
}

/// The pixels of a frame in CPU memory, row by row.
fn pixels(frame: &VideoFrame) -> Vec<Vec<[u8; 4]>> {
    let FrameBuffer::Cpu(buffer) = frame.buffer() else { panic!("not in CPU memory") };
    let (bytes, stride) = buffer.plane(0);
    let row = buffer.size().width() as usize * 4;
    bytes.chunks(stride).map(|line| line[..row].as_chunks().0.to_vec()).collect()
}

#[test]
fn a_still_screen_gives_one_frame_and_is_silent() {
    check(with(grey(), vec![Step::Silence; 20]), &["8x4 anew"]);
}

#[test]
fn what_changed_is_what_was_drawn_or_moved() {
    let script = vec![paint(1, 1, 3, 2), paint(6, 2, 99, 99), Step::PaintUntold(WHOLE, GREY.to_vec())];
    check(with(grey(), script), &["8x4 anew", "8x4 with 2x1+1+1", "8x4 with 2x2+6+2", "8x4 anew"]);
}

#[test]
fn a_picture_is_copied_only_where_the_memory_is_out_of_date() {
    let mut play = Play::open(options(), with(grey(), vec![paint(1, 1, 3, 2)])).unwrap();
    play.finish();
    let frames = play.frames();
    assert_eq!(pixels(frames[0]), vec![vec![GREY; 8]; 4]);
    let mut expected = vec![vec![GREY; 8]; 4];
    expected[1][1..3].fill(RED);
    assert_eq!(pixels(frames[1]), expected);
    // Both frames are still held: the second needed memory of its own, and all of the picture.
    assert_eq!(play.world.borrow().memories, 2);
    play.events.clear();
    play.add(vec![paint(4, 0, 5, 1)]);
    expected[0][4] = RED;
    assert_eq!(pixels(play.frames()[0]), expected);
    let world = play.world.borrow();
    assert_eq!(world.memories, 2);
    assert_eq!(world.kept.last(), Some(&Rect { x: 4, y: 0, width: 1, height: 1 }));
    assert_eq!(world.staged.last(), world.kept.last());
}

#[test]
fn a_pointer_that_moves_gives_frames_of_two_places_and_copies_no_screen() {
    let mut play = Play::open(options(), grey()).unwrap();
    play.add(vec![Step::Point(Some((2, 1))), Step::Point(Some((5, 1))), Step::Point(None)]);
    assert_eq!(play.told(), ["8x4 anew", "8x4 with 1x1+2+1", "8x4 with 4x1+2+1", "8x4 with 1x1+5+1"]);
    let [_, first, second, third] = play.frames()[..] else { panic!() };
    for (frame, at) in [(first, Some(2)), (second, Some(5)), (third, None)] {
        let mut expected = vec![vec![GREY; 8]; 4];
        if let Some(at) = at {
            expected[1][at] = [POINTER[0], POINTER[1], POINTER[2], GREY[3]];
        }
        let shown = pixels(frame);
        for (row, expected) in shown.iter().zip(&expected) {
            assert!(row.iter().zip(expected).all(|(a, b)| a[..3] == b[..3]), "{shown:?}");
        }
    }
    assert_eq!(play.world.borrow().kept.len(), 1);
    // Out of sight is no change.
    play.events.clear();
    play.add(vec![Step::Point(Some((-50, 1))), Step::Point(Some((300, 1)))]);
    assert!(play.told().is_empty());
}

#[test]
fn without_a_cursor_the_pointer_is_not_looked_at() {
    let script = with(grey(), vec![Step::Point(Some((2, 1))), Step::Point(Some((5, 1)))]);
    let mut play = Play::open(Options { cursor: false, ..options() }, script).unwrap();
    assert_eq!(play.finish().told(), ["8x4 anew"]);
}

#[test]
fn frames_come_at_the_rate_and_the_last_change_is_not_lost() {
    let start = now();
    let mut play = Play::open(options(), grey()).unwrap();
    play.add((0..8).map(|x| paint(x, 0, x + 1, 1)).collect());
    let times: Vec<_> = play.frames().iter().map(|frame| frame.captured_at()).collect();
    assert_eq!(times.len(), 9);
    for (n, time) in times.iter().enumerate() {
        assert_eq!(*time, start + Duration::from_millis(20) * n as u32);
    }
    assert_eq!(pixels(play.frames()[8])[0], vec![RED; 8]);
}

#[test]
fn a_wish_for_the_picture_is_granted_on_a_still_screen_with_a_later_time() {
    let mut play = Play::open(options(), grey()).unwrap();
    play.finish();
    for _ in 0..2 {
        play.session.request_frame();
        play.until = now();
        play.turn();
        play.turn();
    }
    assert_eq!(play.told(), ["8x4 anew", "8x4 again", "8x4 again"]);
    let times: Vec<_> = play.frames().iter().map(|frame| frame.captured_at()).collect();
    assert!(times.is_sorted_by(|a, b| a < b), "{times:?}");
}

#[test]
fn who_holds_all_pictures_gets_the_newest_one_once_there_is_room() {
    let mut play = Play::open(options(), grey()).unwrap();
    play.add((0..30).map(|n| paint(n % 8, n / 8, n % 8 + 1, n / 8 + 1)).collect());
    assert_eq!(play.frames().len(), crate::pool::LIMIT);
    play.events.clear();
    play.finish();
    let frames = play.frames();
    assert_eq!(frames.len(), 1);
    let shown = pixels(frames[0]).concat();
    assert_eq!(shown[..30], [RED; 30]);
    assert_eq!(shown[30..], [GREY; 2]);
}

#[test]
fn a_copy_that_takes_the_gpu_long_is_waited_for_without_a_second_one() {
    let mut play = Play::open(options(), vec![Step::Duplicate(plain(8, 4)), Step::Busy(7)]).unwrap();
    play.add(vec![Step::Paint(WHOLE, GREY.to_vec())]);
    assert_eq!(play.told(), ["8x4 anew"]);
    assert_eq!(play.world.borrow().staged.len(), 1);
}

#[test]
fn a_gpu_that_never_finishes_is_lost() {
    let script = vec![Step::Duplicate(plain(8, 4)), Step::Busy(u32::MAX), Step::Paint(WHOLE, GREY.to_vec())];
    let mut play = Play::open(options(), script).unwrap();
    let start = now();
    while !play.over {
        play.turn();
    }
    assert_eq!(play.told(), ["failed: DeviceLost"]);
    assert!(now().saturating_since(start) < Duration::from_secs(4));
}

#[test]
fn lost_access_is_asked_for_anew_and_the_picture_taken_whole() {
    let script = vec![Step::LoseAccess, Step::Duplicate(plain(8, 4)), paint(0, 0, 1, 1)];
    let mut play = Play::open(options(), with(grey(), script)).unwrap();
    assert_eq!(play.finish().told(), ["8x4 anew", "8x4 anew"]);
    assert_eq!(play.world.borrow().duplications, 2);
    assert_eq!(play.world.borrow().kept.last(), Some(&plain(8, 4).size.rect()));
}

#[test]
fn a_desktop_that_may_not_be_seen_pauses_however_long() {
    let mut script = with(grey(), vec![Step::LoseAccess]);
    script.extend(vec![Step::Refuse(Refused::Denied); 100]);
    // The desktop comes back before its output can be duplicated.
    script.extend([Step::Refuse(Refused::Failed), Step::Refuse(Refused::Denied)]);
    script.extend(grey());
    check(script, &["8x4 anew", "paused: DesktopUnavailable", "resumed", "8x4 anew"]);
}

#[test]
fn a_window_that_is_minimised_pauses_and_one_that_is_closed_ends_at_once() {
    let mut script = with(grey(), vec![Step::LoseAccess]);
    script.extend(vec![Step::Refuse(Refused::Minimised); 100]);
    script.extend(grey());
    script.extend([Step::LoseAccess, Step::Refuse(Refused::Closed)]);
    check(script, &["8x4 anew", "paused: Unmapped", "resumed", "8x4 anew", "ended: the window was closed"]);
}

#[test]
fn where_nobody_tells_what_changed_pictures_are_compared() {
    let options = Options { cursor: false, compare: true, ..options() };
    let same = || Step::PaintUntold(WHOLE, GREY.to_vec());
    let dot = || Step::PaintUntold(Edges { left: 2, top: 1, right: 3, bottom: 2 }, RED.to_vec());
    let mut play = Play::open(options, with(grey(), vec![same(), same(), dot(), dot()])).unwrap();
    // A square of the comparison is larger than this picture.
    assert_eq!(play.finish().told(), ["8x4 anew", "8x4 anew"]);
    assert_eq!(pixels(play.frames()[1])[1][2], RED);
    play.session.request_frame();
    play.until = now();
    play.turn();
    play.turn();
    assert_eq!(
        play.told(),
        ["8x4 anew", "8x4 anew", "8x4 again"],
        "a picture that is wanted comes all the same"
    );
}

#[test]
fn a_change_of_mode_resizes_before_the_first_frame_of_the_new_size() {
    let script = vec![
        Step::LoseAccess,
        Step::Refuse(Refused::Failed),
        Step::Refuse(Refused::Gone),
        Step::Duplicate(plain(4, 4)),
        Step::Paint(WHOLE, GREY.to_vec()),
    ];
    check(with(grey(), script), &["8x4 anew", "resized to 4x4", "4x4 anew"]);
    // The system may also just hand out pictures of another mode.
    let script = vec![Step::Turn(plain(4, 4)), Step::PaintUntold(WHOLE, GREY.to_vec())];
    check(with(grey(), script), &["8x4 anew", "resized to 4x4", "4x4 anew", "4x4 anew"]);
}

#[test]
fn a_turned_output_is_upright_in_frames_and_damage() {
    let mode = Mode { rotation: Rotation::Quarter, ..plain(8, 4) };
    let script = vec![Step::Duplicate(mode), Step::Paint(WHOLE, GREY.to_vec()), paint(0, 0, 2, 1)];
    let mut play = Play::open(options(), script).unwrap();
    assert_eq!(play.finish().told(), ["4x8 anew", "4x8 with 1x2+3+0"]);
    let mut expected = vec![vec![GREY; 4]; 8];
    expected[0][3] = RED;
    expected[1][3] = RED;
    assert_eq!(pixels(play.frames()[1]), expected);
    // The pointer is told upright.
    play.events.clear();
    play.add(vec![Step::Point(Some((0, 7)))]);
    assert_eq!(play.told(), ["4x8 with 1x1+0+7"]);
    assert_eq!(pixels(play.frames()[0])[7][0][..3], POINTER[..3]);
}

#[test]
fn hdr_rows_with_junk_between_them_become_srgb() {
    let white = 80.0 * 2.5;
    let mode = Mode { layout: RowLayout::Rgba16F, white, ..plain(5, 3) };
    // 2.5 in scRGB is white on this desktop, and 1.0 an opaque alpha.
    let pixel: Vec<u8> =
        [0x4100u16, 0x4100, 0x4100, 0x3c00].iter().flat_map(|half| half.to_le_bytes()).collect();
    let script = vec![Step::Duplicate(mode), Step::Paint(WHOLE, pixel)];
    let mut play = Play::open(options(), script).unwrap();
    play.finish();
    let shown = pixels(play.frames()[0]).concat();
    assert!(shown.iter().all(|pixel| pixel[..3] == [255; 3]), "{shown:?}");
    assert_eq!(shown.len(), 15);
}

#[test]
fn a_part_of_an_output_is_told_and_copied_alone() {
    let area = Rect { x: 4, y: 2, width: 3, height: 2 };
    let script = vec![paint(0, 0, 4, 4), paint(0, 0, 5, 3), Step::Point(Some((5, 3)))];
    let mut play = Play::open(Options { area: Some(area), ..options() }, with(grey(), script)).unwrap();
    assert_eq!(play.finish().told(), ["3x2 anew", "3x2 with 1x1+0+0", "3x2 with 1x1+1+1"]);
    assert_eq!(play.world.borrow().kept, [area, Rect { x: 4, y: 2, width: 1, height: 1 }]);
    assert_eq!(pixels(play.frames()[1]), [[RED, GREY, GREY], [GREY; 3]].map(Vec::from));
    // The next mode has no such part any more.
    play.events.clear();
    play.add(vec![Step::LoseAccess, Step::Duplicate(plain(4, 4))]);
    assert_eq!(play.told(), ["ended: the monitor was removed"]);
}

#[test]
fn a_region_outside_the_output_is_not_found() {
    let area = Some(Rect { x: 8, y: 0, width: 3, height: 2 });
    let error = Play::open(Options { area, ..options() }, grey()).err().unwrap();
    assert_eq!(error.kind(), CaptureErrorKind::NotFound);
    assert!(error.to_string().contains("8x4"), "{error}");
}

#[test]
fn an_output_that_stays_gone_ends_and_one_that_stays_refused_fails() {
    let lost = |refused| {
        let mut script = with(grey(), vec![Step::LoseAccess]);
        script.extend(vec![Step::Refuse(refused); 80]);
        script
    };
    let start = now();
    check(lost(Refused::Gone), &["8x4 anew", "ended: the monitor was removed"]);
    assert!(now().saturating_since(start) < Duration::from_secs(7));
    check(lost(Refused::Failed), &["8x4 anew", "failed: Unsupported"]);
    check(lost(Refused::DeviceLost), &["8x4 anew", "failed: DeviceLost"]);
}

#[test]
fn access_that_is_lost_again_and_again_without_news_fails() {
    let mut script = grey();
    for _ in 0..80 {
        script.extend([Step::LoseAccess, Step::Duplicate(plain(8, 4))]);
    }
    check(script, &["8x4 anew", "failed: Failed"]);
    // With news in between it may happen for ever.
    let mut script = grey();
    for _ in 0..80 {
        script.extend(with(vec![Step::LoseAccess], grey()));
    }
    check(script, &["8x4 anew"; 16]);
}

#[test]
fn a_lost_device_ends_the_capture() {
    check(with(grey(), vec![Step::LoseDevice]), &["8x4 anew", "failed: DeviceLost"]);
}

#[test]
fn a_first_picture_that_nobody_drew_is_delivered_and_the_next_one_taken_whole() {
    let mut play = Play::open(options(), vec![Step::Duplicate(plain(8, 4)), Step::Stale]).unwrap();
    play.add(vec![paint(0, 0, 1, 1), paint(1, 1, 2, 2)]);
    assert_eq!(play.told(), ["8x4 anew", "8x4 anew", "8x4 with 1x1+1+1"]);
}

#[test]
fn black_pictures_are_told_once_and_so_is_their_end() {
    let black = || Step::PaintUntold(WHOLE, vec![0, 0, 0, 255]);
    let script = vec![Step::Duplicate(plain(8, 4)), black(), black(), black(), black(), paint(0, 0, 1, 1)];
    let anew = "8x4 anew";
    check(script, &[anew, anew, anew, "blank: true", anew, "8x4 with 1x1+0+0", "blank: false"]);
}

#[test]
fn frames_stay_on_the_gpu_where_that_is_wished_and_nothing_is_to_be_drawn() {
    let gpu = Options { gpu: true, cursor: false, ..options() };
    let mut play = Play::open(gpu, with(grey(), vec![paint(1, 1, 2, 2)])).unwrap();
    assert_eq!(play.finish().told(), ["8x4 anew", "8x4 with 1x1+1+1"]);
    let FrameBuffer::Gpu(buffer) = play.frames()[1].buffer() else { panic!() };
    let texture = buffer.owner::<Vec<u8>>().unwrap().as_chunks().0;
    assert_eq!((texture[0], texture[9]), (GREY, RED));
    assert!(play.world.borrow().staged.is_empty());
    for options in [Options { cursor: true, ..gpu }, gpu] {
        let mode = Mode { rotation: Rotation::Half, ..plain(8, 4) };
        let mode = if options.cursor { plain(8, 4) } else { mode };
        let script = vec![Step::Duplicate(mode), Step::Paint(WHOLE, GREY.to_vec())];
        let mut play = Play::open(options, script).unwrap();
        assert_eq!(pixels(play.finish().frames()[0]), vec![vec![GREY; 8]; 4]);
    }
}

#[test]
fn the_first_frame_is_one_of_now() {
    let mut play = Play::open(options(), grey()).unwrap();
    let opened = now();
    advance_to(opened + Duration::from_secs(60));
    play.finish();
    assert_eq!(play.frames()[0].captured_at(), opened + Duration::from_secs(60));
}
