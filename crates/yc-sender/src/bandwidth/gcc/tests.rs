//! The whole estimator over a modelled line.

use super::testing::{Line, Screen, World};

#[test]
fn explore() {
    println!("== steady");
    for kbps in [300.0, 500.0, 1_000.0, 2_000.0, 5_000.0, 20_000.0] {
        for jitter in [0.0, 10.0] {
            let mut world = World::new(6_000, Line { jitter, ..Line::new(kbps) });
            world.run(60.0);
            println!(
                "{kbps} j{jitter}: steady estimates {:?} arrived {:.0} p95 wait {:.0} probe {} <=: {}",
                world.estimates(10.0, 60.0),
                world.arrived(10.0, 60.0),
                world.wait_p95(10.0, 60.0),
                world.probe_bytes,
                world.reached(0.0, |s| s.estimate <= kbps)
            );
        }
    }
    println!("== rise and drop");
    for (delay, jitter) in [(20.0, 0.0), (50.0, 0.0), (20.0, 10.0)] {
        for offset in [0.0, 0.7, 1.4, 2.1] {
            let mut world = World::new(6_000, Line { delay, jitter, ..Line::new(500.0) });
            world.run(15.0 + offset);
            world.line.kbps = 5_000.0;
            world.run(20.0);
            world.line.kbps = 500.0;
            world.run(15.0);
            let o = offset;
            println!(
                "d{delay} j{jitter} o{offset}: rise to .85 {:.1}; arrived 1s windows {:?}; drop: est<=500 {:.1} wait<100 {:.1}, arr {:?} p95 {:.0}",
                world.reached(15.0 + o, |s| s.arrived >= 4_250.0),
                (0..8)
                    .map(|n| world.arrived(15.0 + o + n as f64, 16.0 + o + n as f64) as u32)
                    .collect::<Vec<_>>(),
                world.reached(35.0 + o, |s| s.estimate <= 500.0),
                world.reached(35.2 + o, |s| s.waited < 100.0),
                (0..6)
                    .map(|n| world.arrived(35.0 + o + n as f64, 36.0 + o + n as f64) as u32)
                    .collect::<Vec<_>>(),
                world.wait_p95(38.0 + o, 50.0 + o)
            );
        }
    }
    println!("== loss");
    for loss in [0.02, 0.05, 0.1, 0.2] {
        for kbps in [3_000.0, 20_000.0] {
            let mut world = World::new(6_000, Line { loss, ..Line::new(kbps) });
            world.run(60.0);
            println!(
                "loss {loss} {kbps}: est {:?} arrived {:.0} p95 {:.0}",
                world.estimates(5.0, 60.0),
                world.arrived(5.0, 60.0),
                world.wait_p95(5.0, 60.0)
            );
        }
    }
    println!("== policer");
    for kbps in [500.0, 2_000.0, 4_000.0] {
        let mut world = World::new(6_000, Line { policer: true, ..Line::new(kbps) });
        world.pacing = 1.1;
        world.run(60.0);
        println!(
            "policer {kbps}: est {:?} arrived {:.0}  <={:.1}",
            world.estimates(5.0, 60.0),
            world.arrived(5.0, 60.0),
            world.reached(0.0, |s| s.estimate <= kbps * 1.1)
        );
        println!("{}", world.table(20).lines().take(10).collect::<Vec<_>>().join("\n"));
    }
    println!("== still/typing then film");
    for screen in [Screen::Still, Screen::Typing(4_000), Screen::Typing(40_000)] {
        for (jitter, kbps) in [(0.0, 8_000.0), (10.0, 8_000.0), (10.0, 3_000.0)] {
            let mut world = World::new(6_000, Line { jitter, ..Line::new(kbps) });
            world.run(5.0);
            world.screen = screen;
            world.run(60.0);
            let probe = world.probe_bytes;
            let e = world.estimates(7.0, 65.0);
            world.screen = Screen::Film;
            world.run(10.0);
            println!(
                "{screen:?} j{jitter} {kbps}: est {:?}; probe {}; after {:?} arrived {:.0} p95 {:.0}",
                e,
                probe,
                world.estimates(65.0, 75.0),
                world.arrived(65.5, 75.0),
                world.wait_p95(65.0, 75.0)
            );
        }
    }
    println!("== keyframes");
    for (kbps, pacing) in [(20_000.0, 2.5), (8_000.0, 2.5), (5_000.0, 1.5), (5_000.0, 2.5), (2_000.0, 2.5)] {
        for jitter in [0.0, 10.0] {
            let mut world = World::new(6_000, Line { jitter, delay: 50.0, ..Line::new(kbps) });
            world.pacing = pacing;
            world.screen = Screen::Keyframes(150_000);
            world.run(40.0);
            println!(
                "key {kbps} p{pacing} j{jitter}: est {:?} arrived {:.0} p95 {:.0}",
                world.estimates(5.0, 40.0),
                world.arrived(5.0, 40.0),
                world.wait_p95(5.0, 40.0)
            );
        }
    }
    println!("== hand-over");
    for (before, after) in [(8_000.0, 8_000.0), (8_000.0, 3_000.0), (3_000.0, 8_000.0)] {
        for outage in [false, true] {
            let mut world = World::new(6_000, Line::new(before));
            world.line.delay = 10.0;
            world.run(10.0);
            if outage {
                world.line.broken = true;
                world.run(0.3);
                world.line.broken = false;
            } else {
                world.run(0.3);
            }
            world.line.delay = 40.0;
            world.line.kbps = after;
            world.run(20.0);
            println!(
                "ho {before}->{after} {outage}: est {:?} arrived {:?} p95 {:.0}",
                world.estimates(10.0, 30.0),
                (0..8).map(|n| world.arrived(10.0 + n as f64, 11.0 + n as f64) as u32).collect::<Vec<_>>(),
                world.wait_p95(12.0, 30.0)
            );
        }
    }
    println!("== deaf, reordering");
    for deaf in [1.0, 2.0, 6.0] {
        let mut world = World::new(6_000, Line::new(8_000.0));
        world.run(10.0);
        world.line.deaf = true;
        world.run(deaf);
        world.line.deaf = false;
        world.run(10.0);
        println!(
            "deaf {deaf}: est {:?} arrived after {:?}",
            world.estimates(10.0, 10.0 + deaf),
            (0..6)
                .map(|n| world.arrived(10.0 + deaf + n as f64, 11.0 + deaf + n as f64) as u32)
                .collect::<Vec<_>>()
        );
    }
    let mut world = World::new(6_000, Line { reordered: 0.05, ..Line::new(8_000.0) });
    world.run(30.0);
    println!("reordered: est {:?}", world.estimates(2.0, 30.0));
    println!("== start below wanted");
    for rtt in [20.0, 100.0, 300.0] {
        for start in [500, 1_000, 2_000] {
            let mut world = World::new(start, Line { delay: rtt / 2.0, ..Line::new(50_000.0) });
            world.want(6_000.0);
            world.run(10.0);
            println!(
                "start {start} rtt {rtt}: wanted after {:.1}",
                world.reached(0.0, |s| s.estimate >= 6_000.0)
            );
        }
    }
}
