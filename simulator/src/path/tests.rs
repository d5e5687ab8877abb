use proptest::prelude::*;

use super::*;
use crate::Loss;

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn config() -> PathConfig {
    PathConfig::new(millis(25))
}

fn path(config: PathConfig) -> Path<u32> {
    Path::new(config, 1).unwrap()
}

/// Everything that arrives by `until`, as payload and milliseconds.
fn arrivals(path: &mut Path<u32>, until: u64) -> Vec<(u32, u64)> {
    std::iter::from_fn(|| path.pop_due(millis(until)))
        .map(|arrival| (arrival.payload, arrival.at.as_millis() as u64))
        .collect()
}

#[test]
fn bytes_leave_the_bottleneck_one_after_another() {
    let mut path = path(config().with_rate(Bitrate::kbps(1_000)));
    (0..3).for_each(|n| assert_eq!(path.push(millis(10), 1_250, n), Fate::Taken));
    assert_eq!(path.backlog(), millis(30));
    assert_eq!(arrivals(&mut path, 1_000), [(0, 45), (1, 55), (2, 65)]);
    assert_eq!((path.len(), path.backlog()), (0, Duration::ZERO));
    // The last one waited for two before it.
    assert_eq!(path.queue_delays().quantile(1.0), millis(20));
    assert_eq!(path.queue_delays().quantile(0.0), Duration::ZERO);
}

#[test]
fn the_next_look_is_never_late() {
    let mut path = path(config().with_rate(Bitrate::kbps(1_000)));
    assert_eq!(path.next_due(), None);
    path.push(millis(0), 1_250, 7);
    assert_eq!(path.next_due(), Some(millis(10)), "then it leaves the bottleneck");
    assert_eq!(path.pop_due(millis(10)), None);
    assert_eq!(path.next_due(), Some(millis(35)));
    assert_eq!(arrivals(&mut path, 35), [(7, 35)]);
}

#[test]
fn what_comes_to_a_full_queue_is_dropped_and_counted() {
    // 200 ms at 1 Mbit/s are 25,000 bytes.
    let mut path = path(config().with_rate(Bitrate::kbps(1_000)));
    let fates: Vec<_> = (0..21).map(|n| path.push(millis(0), 1_250, n)).collect();
    assert!(fates[..20].iter().all(|fate| *fate == Fate::Taken));
    assert_eq!(fates[20], Fate::QueueFull);
    assert_eq!(path.push(millis(9), 1_250, 21), Fate::QueueFull, "the first is still leaving");
    assert_eq!(path.push(millis(10), 1_250, 22), Fate::Taken);
    assert_eq!(path.stats().dropped, Drops { queue: 2, ..Drops::default() });
}

#[test]
fn one_packet_is_taken_however_small_the_queue() {
    let mut path = path(config().with_rate(Bitrate::kbps(1)).with_queue(QueueLimit::Bytes(0)));
    assert_eq!(path.push(millis(0), 125, 0), Fate::Taken);
    assert_eq!(path.push(millis(0), 125, 1), Fate::QueueFull);
    assert_eq!(arrivals(&mut path, 2_000), [(0, 1_025)]);
}

#[test]
fn a_change_of_rate_holds_for_the_rest_of_a_packet_that_is_leaving() {
    let faster = PathChange::new(millis(10), Change::Rate(Some(Bitrate::kbps(1_000))));
    let mut path = path(config().with_rate(Bitrate::kbps(100)).with_changes(vec![faster]));
    // 10 ms at 100 kbit/s are 125 of its bytes; the other 1,125 take 9 ms.
    path.push(millis(0), 1_250, 0);
    assert_eq!(path.next_due(), Some(millis(10)));
    assert_eq!(arrivals(&mut path, 1_000), [(0, 44)]);
}

#[test]
fn a_shorter_delay_lets_nothing_overtake() {
    let nearer = PathChange::new(millis(10), Change::Delay(millis(1)));
    let mut path = path(config().with_changes(vec![nearer]));
    path.push(millis(9), 100, 0);
    path.push(millis(11), 100, 1);
    path.push(millis(40), 100, 2);
    assert_eq!(arrivals(&mut path, 1_000), [(0, 34), (1, 34), (2, 41)]);
}

#[test]
fn in_an_outage_what_waits_and_what_comes_is_lost_and_what_flies_arrives() {
    let outage = PathChange::new(millis(15), Change::Outage(millis(300)));
    let mut path = path(config().with_rate(Bitrate::kbps(1_000)).with_changes(vec![outage]));
    for n in 0..4 {
        path.push(millis(0), 1_250, n);
    }
    assert_eq!(path.push(millis(314), 1_250, 4), Fate::Outage);
    assert_eq!(path.rate(), Bitrate::bps(0));
    assert_eq!(path.push(millis(315), 1_250, 5), Fate::Taken);
    assert_eq!(arrivals(&mut path, 1_000), [(0, 35), (5, 350)]);
    assert_eq!(path.stats().dropped, Drops { outage: 4, ..Drops::default() });
}

#[test]
fn those_that_are_overtaken_come_late_and_the_others_keep_order() {
    let mut path = path(config().with_reordering(0.1, millis(20)));
    for n in 0..1_000 {
        path.push(millis(u64::from(n)), 100, n);
    }
    let arrivals = arrivals(&mut path, 10_000);
    assert_eq!(arrivals.len(), 1_000);
    let late = arrivals.windows(2).filter(|pair| pair[1].0 < pair[0].0).count();
    assert!((60..=100).contains(&late), "{late}");
    assert!((60..=140).contains(&path.stats().reordered), "{:?}", path.stats());
    assert!(arrivals.iter().all(|&(n, at)| (25..=45).contains(&(at - u64::from(n)))));
}

#[test]
fn duplicates_arrive_beside_their_originals_and_are_counted() {
    let mut path = path(config().with_duplication(0.5));
    for n in 0..1_000 {
        path.push(millis(u64::from(n)), 100, n);
    }
    let arrivals = arrivals(&mut path, 10_000);
    let stats = path.stats();
    assert_eq!(arrivals.len() as u64, 1_000 + stats.duplicated);
    assert!((400..=600).contains(&stats.duplicated), "{stats:?}");
    assert!(arrivals.is_sorted());
}

#[test]
fn the_path_holds_no_more_than_its_capacity() {
    let mut path = path(config());
    (0..Path::<u32>::CAPACITY as u32).for_each(|n| assert_eq!(path.push(millis(0), 100, n), Fate::Taken));
    assert_eq!(path.push(millis(0), 100, 0), Fate::Capacity);
    assert_eq!(path.stats().dropped, Drops { capacity: 1, ..Drops::default() });
    assert_eq!(arrivals(&mut path, 25).len(), Path::<u32>::CAPACITY);
}

#[test]
fn a_clock_that_goes_back_stands_still() {
    let mut path = path(config());
    path.push(millis(100), 100, 0);
    path.push(millis(50), 100, 1);
    assert_eq!(path.pop_due(millis(60)), None);
    assert_eq!(arrivals(&mut path, 125), [(0, 125), (1, 125)]);
}

#[test]
fn what_is_out_of_bounds_is_named() {
    let check = |config: PathConfig, message: &str| {
        assert_eq!(Path::<u32>::new(config, 0).unwrap_err().to_string(), message);
    };
    check(config().with_rate(Bitrate::bps(999)), "rate 999 bit/s is less than 1000 bit/s");
    check(config().with_jitter(Duration::from_secs(61)), "jitter 61s is more than 60 s");
    check(config().with_duplication(-0.5), "duplicate -0.5 is not a probability, 0.0 to 1.0");
    let changes = [(20, Change::Delay(millis(1))), (10, Change::Outage(millis(1)))];
    let changes: Vec<_> = changes.map(|(at, change)| PathChange::new(millis(at), change)).into();
    check(config().with_changes(changes), "a change at 10ms stands behind one at 20ms");
}

fn losses() -> impl Strategy<Value = Loss> {
    prop_oneof![
        Just(Loss::Never),
        (0.0..1.0).prop_map(Loss::Independent),
        (1.0..20.0, 0.0..0.5).prop_map(|(mean_len, share)| Loss::bursts(mean_len, share)),
    ]
}

fn changes() -> impl Strategy<Value = Vec<PathChange>> {
    let change = prop_oneof![
        (1_u32..20_000).prop_map(|kbps| Change::Rate(Some(Bitrate::kbps(kbps)))),
        Just(Change::Rate(None)),
        (0_u64..200).prop_map(|delay| Change::Delay(millis(delay))),
        losses().prop_map(Change::Loss),
        (0_u64..500).prop_map(|lasts| Change::Outage(millis(lasts))),
    ];
    prop::collection::vec((0_u64..2_000, change), 0..5).prop_map(|mut changes| {
        changes.sort_by_key(|(at, _)| *at);
        changes.into_iter().map(|(at, change)| PathChange::new(millis(at), change)).collect()
    })
}

prop_compose! {
    fn configs()(
        rate in prop::option::of(1_u32..50_000),
        queue in prop_oneof![
            (0_u64..500).prop_map(|limit| QueueLimit::Time(millis(limit))),
            (0_usize..100_000).prop_map(QueueLimit::Bytes),
        ],
        (delay, jitter) in (0_u64..200, 0_u64..50),
        loss in losses(),
        (reorder, duplicate) in prop_oneof![Just((0.0, 0.0)), (0.0..1.0, 0.0..1.0)],
        changes in changes(),
    ) -> PathConfig {
        let mut config = PathConfig::new(millis(delay)).with_jitter(millis(jitter)).with_queue(queue);
        config.rate = rate.map(Bitrate::kbps);
        config.with_loss(loss).with_reordering(reorder, millis(30)).with_duplication(duplicate).with_changes(changes)
    }
}

/// What is sent: microseconds since the one before, and bytes.
fn traffic() -> impl Strategy<Value = Vec<(u64, usize)>> {
    prop::collection::vec((0_u64..20_000, 1_usize..1_500), 1..300)
}

/// Sends `traffic` and looks whenever the path says; answers with the arrivals.
fn run(path: &mut Path<u32>, traffic: &[(u64, usize)]) -> Vec<Arrival<u32>> {
    let mut arrivals = Vec::new();
    let mut now = Duration::ZERO;
    for (n, &(pause, bytes)) in traffic.iter().enumerate() {
        now += Duration::from_micros(pause);
        while let Some(at) = path.next_due().filter(|at| *at <= now) {
            arrivals.extend(std::iter::from_fn(|| path.pop_due(at)));
        }
        path.push(now, bytes, n as u32);
    }
    while let Some(at) = path.next_due() {
        arrivals.extend(std::iter::from_fn(|| path.pop_due(at)));
    }
    arrivals
}

proptest! {
    #[test]
    fn what_is_sent_is_delivered_dropped_or_under_way(config in configs(), traffic in traffic(), seed: u64) {
        let mut path = Path::new(config, seed).unwrap();
        let mut now = Duration::ZERO;
        for (n, &(pause, bytes)) in traffic.iter().enumerate() {
            now += Duration::from_micros(pause);
            path.push(now, bytes, n as u32);
            if n % 3 == 0 {
                path.pop_due(now);
            }
            let stats = path.stats();
            let accounted = stats.delivered + stats.dropped.total() + path.len() as u64;
            prop_assert_eq!(stats.sent + stats.duplicated, accounted);
        }
        prop_assert_eq!(path.stats().sent, traffic.len() as u64);
        run(&mut path, &[]);
        prop_assert!(path.is_empty());
    }

    #[test]
    fn the_same_seed_gives_the_same_arrivals(config in configs(), traffic in traffic(), seed: u64) {
        let mut once = Path::new(config.clone(), seed).unwrap();
        let mut again = Path::new(config, seed).unwrap();
        prop_assert_eq!(run(&mut once, &traffic), run(&mut again, &traffic));
        prop_assert_eq!(once.stats(), again.stats());
    }

    #[test]
    fn how_often_it_is_looked_at_changes_nothing(config in configs(), traffic in traffic(), seed: u64) {
        let mut often = Path::new(config.clone(), seed).unwrap();
        let mut seldom = Path::new(config, seed).unwrap();
        let looked = run(&mut often, &traffic);
        let mut now = Duration::ZERO;
        for (n, &(pause, bytes)) in traffic.iter().enumerate() {
            now += Duration::from_micros(pause);
            seldom.push(now, bytes, n as u32);
        }
        let mut at_once: Vec<_> = std::iter::from_fn(|| seldom.pop_due(Duration::from_secs(10_000))).collect();
        // Looked at late, what arrived in between stands in the order of arrival too.
        prop_assert!(at_once.is_sorted_by_key(|arrival| arrival.at));
        let key = |arrival: &Arrival<u32>| (arrival.at, arrival.payload);
        let mut looked = looked;
        looked.sort_by_key(key);
        at_once.sort_by_key(key);
        prop_assert_eq!(looked, at_once);
    }

    #[test]
    fn order_is_kept_unless_asked_otherwise(mut config in configs(), traffic in traffic(), seed: u64) {
        config.reorder = 0.0;
        let mut path = Path::new(config, seed).unwrap();
        let arrivals = run(&mut path, &traffic);
        prop_assert!(arrivals.is_sorted_by_key(|arrival| arrival.payload));
        prop_assert!(arrivals.is_sorted_by_key(|arrival| arrival.at));
        prop_assert!(arrivals.iter().all(|arrival| arrival.at >= arrival.sent_at + arrival.queued));
    }

    #[test]
    fn the_rate_is_never_exceeded(
        kbps in 1_u32..50_000,
        limit in 0_u64..500,
        traffic in traffic(),
        seed: u64,
    ) {
        let rate = Bitrate::kbps(kbps);
        let config = PathConfig::new(millis(5)).with_rate(rate).with_queue(QueueLimit::Time(millis(limit)));
        let mut path = Path::new(config, seed).unwrap();
        let arrivals = run(&mut path, &traffic);
        prop_assert!(!arrivals.is_empty());
        // Between any two arrivals no more bytes arrive than the rate lets through in that time.
        for (first, start) in arrivals.iter().enumerate() {
            let mut bytes = 0;
            for end in &arrivals[first + 1..] {
                bytes += end.bytes;
                prop_assert!(rate.time_for(bytes) <= end.at - start.at + Duration::from_nanos(1));
            }
        }
        // And it works all the time: a packet arrives as soon as those before it let it.
        let mut free = Duration::ZERO;
        for arrival in &arrivals {
            free = free.max(arrival.sent_at) + rate.time_for(arrival.bytes);
            let late = (arrival.at - millis(5)).saturating_sub(free);
            prop_assert!(late < Duration::from_micros(1), "{:?}", arrival);
        }
        // Nothing waits for longer than the queue may hold, but for the packet that is leaving.
        prop_assert!(arrivals.iter().all(|arrival| arrival.queued <= millis(limit) + Duration::from_nanos(1)));
    }

    #[test]
    fn loss_stays_within_the_binomial_s_bounds(probability in 0.0..1.0_f64, seed: u64) {
        let mut path = Path::new(PathConfig::new(millis(1)).with_loss(Loss::Independent(probability)), seed).unwrap();
        let packets = 5_000;
        run(&mut path, &vec![(10, 100); packets]);
        let expected = packets as f64 * probability;
        let deviation = (expected * (1.0 - probability)).sqrt();
        let off = path.stats().dropped.loss as f64 - expected;
        // Five deviations: one run in two million.
        prop_assert!(off.abs() <= 5.0 * deviation + 1.0, "{} of {packets} at {probability}", path.stats().dropped.loss);
    }
}
