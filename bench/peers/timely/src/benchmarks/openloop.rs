//! Records arrive on a schedule that does not wait for answers; a record's latency begins when it is due.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::{Duration, Instant};

use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::vec::Input;
use timely::worker::Worker;

use super::sum_and_probe;
use crate::command_line::Options;
use crate::harness::Harness;
use crate::histogram::Histogram;
use crate::report::Outcome;

/// The records of one worker: every `peers`-th, beginning with its index, `rate` a second over all workers.
struct Schedule {
    index: u64,
    peers: u64,
    rate: u64,
    count: u64,
}

impl Schedule {
    fn new(index: u64, peers: u64, rate: u64, total: u64) -> Self {
        Schedule { index, peers, rate, count: total.saturating_sub(index).div_ceil(peers) }
    }

    fn value(&self, own: u64) -> u64 {
        own * self.peers + self.index
    }

    /// The time at which a record is due, in nanoseconds from the start.
    fn due(&self, own: u64) -> u64 {
        (u128::from(self.value(own)) * 1_000_000_000 / u128::from(self.rate)) as u64
    }
}

pub fn run(worker: &mut Worker, harness: &mut Harness, options: &Options) -> Outcome {
    let rate = options.number("rate", 100_000);
    let total = rate * options.number("seconds", 10);
    let schedule = Schedule::new(worker.index() as u64, worker.peers() as u64, rate, total);

    // Timestamps are nanoseconds since the start.
    let (mut input, (sum, probe)) = worker.dataflow(|scope| {
        let (input, stream) = scope.new_input();
        (input, sum_and_probe(stream, Exchange::new(|value: &u64| *value)))
    });

    let mut latencies = Histogram::new();
    let mut waiting: VecDeque<(u64, Range<u64>)> = VecDeque::new();
    let mut next = 0;
    harness.start(worker);
    let clock = harness.agree_on_start(worker);
    let nanoseconds = |clock: &Instant| clock.elapsed().as_nanos() as u64;
    while next < schedule.count || !waiting.is_empty() {
        let now = nanoseconds(&clock);
        let first = next;
        while next < schedule.count && schedule.due(next) <= now {
            input.send(schedule.value(next));
            next += 1;
        }
        if next > first {
            waiting.push_back((*input.time(), first..next));
        }
        input.advance_to(now.max(input.time() + 1));

        if options.spin {
            worker.step();
        } else if next < schedule.count {
            let pause = schedule.due(next).saturating_sub(nanoseconds(&clock));
            worker.step_or_park(Some(Duration::from_nanos(pause)));
        } else {
            worker.step_or_park(None);
        }

        if waiting.front().is_some_and(|(time, _)| !probe.less_equal(time)) {
            let now = nanoseconds(&clock);
            while let Some((_, records)) = waiting.pop_front_if(|(time, _)| !probe.less_equal(time))
            {
                for own in records {
                    latencies.add(now - schedule.due(own));
                }
            }
        }
    }
    let seconds = clock.elapsed().as_secs_f64();
    Outcome { latencies, ..Outcome::new(seconds, 0, schedule.count, sum.get()) }
}
