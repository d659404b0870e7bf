//! Shared by all benchmarks on a worker: waiting, a common start, and sending the results to worker 0.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::vec::Broadcast;
use timely::dataflow::operators::{Input, Inspect, Operator, Probe};
use timely::dataflow::{InputHandleVec, ProbeHandle};
use timely::worker::Worker;

use crate::command_line::Options;
use crate::histogram::Histogram;
use crate::report::{Outcome, Report};
use crate::traffic;

/// A worker's report to worker 0 at the end. A tuple, because timely can serialize tuples as they are:
/// (seconds, ns per round), (rounds, records, bytes, checksum), (cpu seconds, peak memory, frames and bytes of
/// progress), latency buckets.
type Summary = ((f64, Option<f64>), (u64, u64, u64, u64), (f64, u64, u64, u64), Vec<(u64, u64)>);

/// One worker's part of a run. The barrier between workers is a dataflow with only an input and a probe.
pub struct Harness {
    name: String,
    spin: bool,
    threads: usize,
    input: InputHandleVec<u64, ()>,
    probe: ProbeHandle<u64>,
    cpu_at_start: f64,
    traffic_at_start: (u64, u64),
}

impl Harness {
    pub fn new(worker: &mut Worker, options: &Options) -> Self {
        let (input, probe) = worker.dataflow(|scope| {
            let (input, stream) = scope.new_input();
            (input, stream.probe().0)
        });
        Harness {
            name: options.subcommand.clone(),
            spin: options.spin,
            threads: options.threads,
            input,
            probe,
            cpu_at_start: 0.0,
            traffic_at_start: (0, 0),
        }
    }

    /// Steps the worker. If it is idle, parks it until there is work (or returns, when spinning).
    #[inline]
    pub fn step(&self, worker: &mut Worker) {
        if self.spin {
            worker.step();
        } else {
            worker.step_or_park(None);
        }
    }

    #[inline]
    pub fn step_while(&self, worker: &mut Worker, mut condition: impl FnMut() -> bool) {
        while condition() {
            self.step(worker);
        }
    }

    /// Waits until all workers have built their dataflows and are here, and starts the clock.
    pub fn start(&mut self, worker: &mut Worker) -> Instant {
        self.barrier(worker);
        self.cpu_at_start = process_usage().0;
        self.traffic_at_start = traffic::sent();
        Instant::now()
    }

    /// The latest of the times at which the workers call this, as all of them see it: they are on one machine. For
    /// schedules that all follow, since `start` returns some microseconds later on one worker than on another.
    pub fn agree_on_start(&self, worker: &mut Worker) -> Instant {
        let latest = Rc::new(Cell::new(0));
        let received = Rc::clone(&latest);
        let probe = ProbeHandle::new();
        let mut input = worker.dataflow::<u64, _, _>(|scope| {
            let (input, stream) = scope.new_input::<Vec<u64>>();
            stream
                .broadcast()
                .inspect(move |time| received.set(received.get().max(*time)))
                .probe_with(&probe);
            input
        });
        input.send(machine_nanoseconds());
        input.close();
        self.step_while(worker, || !probe.done());
        Instant::now() - Duration::from_nanos(machine_nanoseconds() - latest.get())
    }

    fn barrier(&mut self, worker: &mut Worker) {
        let next = self.input.time() + 1;
        self.input.advance_to(next);
        self.step_while(worker, || self.probe.less_than(&next));
    }

    /// Waits for all workers, and combines their outcomes on worker 0; the others get `None`.
    pub fn collect(mut self, worker: &mut Worker, outcome: Outcome) -> Option<Report> {
        self.barrier(worker);
        let (cpu, peak_rss_bytes) = process_usage();
        // The first worker of a process reports for the process.
        let usage = if worker.index().is_multiple_of(self.threads) {
            let (frames, bytes) = traffic::sent();
            let (frames_at_start, bytes_at_start) = self.traffic_at_start;
            let cpu = cpu - self.cpu_at_start;
            (cpu, peak_rss_bytes, frames - frames_at_start, bytes - bytes_at_start)
        } else {
            (0.0, 0, 0, 0)
        };

        let summaries = Rc::new(RefCell::new(Vec::<Summary>::new()));
        let received = Rc::clone(&summaries);
        let probe = ProbeHandle::new();
        let mut input = worker.dataflow::<u64, _, _>(|scope| {
            let (input, stream) = scope.new_input::<Vec<Summary>>();
            stream
                .unary::<timely::container::CapacityContainerBuilder<Vec<()>>, _, _, _>(
                    Exchange::new(|_: &Summary| 0),
                    "Collect",
                    |_, _| {
                        move |input, _| {
                            input.for_each(|_, batch| received.borrow_mut().append(batch))
                        }
                    },
                )
                .probe_with(&probe);
            input
        });
        input.send((
            (outcome.seconds, outcome.ns_per_round),
            (outcome.rounds, outcome.records, outcome.bytes, outcome.checksum),
            usage,
            outcome.latencies.buckets(),
        ));
        input.close();
        self.step_while(worker, || !probe.done());

        (worker.index() == 0).then(|| combine(self.name, worker.peers(), &summaries.borrow()))
    }
}

fn combine(name: String, workers: usize, summaries: &[Summary]) -> Report {
    let mut total = Outcome {
        seconds: 0.0,
        rounds: 0,
        records: 0,
        bytes: 0,
        checksum: 0,
        ns_per_round: None,
        latencies: Histogram::new(),
    };
    let (mut cpu_seconds, mut peak_rss_bytes) = (0.0, 0);
    let (mut progress_frames, mut progress_bytes) = (0, 0);
    for ((seconds, ns_per_round), (rounds, records, bytes, checksum), usage, buckets) in summaries {
        let (cpu, rss, frames, frame_bytes) = usage;
        total.seconds = total.seconds.max(*seconds);
        total.ns_per_round = ns_per_round.map(|ns| ns.max(total.ns_per_round.unwrap_or(0.0)));
        total.rounds = total.rounds.max(*rounds);
        total.records += records;
        total.bytes += bytes;
        total.checksum = total.checksum.wrapping_add(*checksum);
        total.latencies.merge(buckets);
        cpu_seconds += cpu;
        peak_rss_bytes += rss;
        progress_frames += frames;
        progress_bytes += frame_bytes;
    }
    Report {
        name,
        workers,
        outcome: total,
        cpu_seconds,
        peak_rss_bytes,
        progress_frames,
        progress_bytes,
    }
}

/// The machine's monotonic clock, the same for all of its processes.
fn machine_nanoseconds() -> u64 {
    // SAFETY: `timespec` is plain data, valid when zeroed, and clock_gettime only writes into it.
    let time = unsafe {
        let mut time: libc::timespec = std::mem::zeroed();
        libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time);
        time
    };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// CPU seconds and peak resident memory of this process.
fn process_usage() -> (f64, u64) {
    // SAFETY: `rusage` is plain data, valid when zeroed, and getrusage only writes into it.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &mut usage);
        usage
    };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    // The kernel reports kibibytes.
    (seconds(usage.ru_utime) + seconds(usage.ru_stime), usage.ru_maxrss as u64 * 1024)
}
