//! Integer PageRank that is kept up to date while single edges are replaced. All workers iterate in lockstep, so
//! the result does not depend on their number.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Instant;

use timely::container::CapacityContainerBuilder;
use timely::dataflow::ProbeHandle;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::vec::Input;
use timely::dataflow::operators::{Capability, ConnectLoop, Feedback, Operator, Probe};
use timely::worker::Worker;

use crate::command_line::Options;
use crate::generate::{edge, share};
use crate::harness::Harness;
use crate::histogram::Histogram;
use crate::report::Outcome;

/// A timestamp is the number of the change times this, plus the iteration: one totally ordered number.
const STRIDE: u64 = 1 << 32;

/// The initial rank of every node.
const BASE: i64 = 1_000;

struct EdgeChange {
    source: u32,
    destination: u32,
    insert: bool,
}

/// The nodes of one worker: node `n` is with worker `n % peers`, at place `n / peers`.
struct Part {
    peers: u32,
    /// Destinations of the edges of a place, in any order.
    targets: Vec<Vec<u32>>,
    ranks: Vec<i64>,
    /// The last share that a place sent to each of its destinations.
    shares: Vec<i64>,
    /// Changes of ranks that arrived for even and for odd iterations, and the places that have one.
    arrived: [Vec<i64>; 2],
    touched: [Vec<u32>; 2],
    edge_changes: Vec<EdgeChange>,
}

impl Part {
    fn new(index: u64, peers: u64, nodes: u64) -> Self {
        let count = nodes.saturating_sub(index).div_ceil(peers) as usize;
        Part {
            peers: peers as u32,
            targets: vec![Vec::new(); count],
            ranks: vec![BASE; count],
            shares: vec![0; count],
            arrived: [vec![0; count], vec![0; count]],
            touched: [Vec::new(), Vec::new()],
            edge_changes: Vec::new(),
        }
    }

    #[inline]
    fn receive(&mut self, node: u32, change: i64, iteration: u64) {
        let side = (iteration % 2) as usize;
        let place = node / self.peers;
        let arrived = &mut self.arrived[side][place as usize];
        // A sum that passes through zero lists its place again, which is harmless.
        if *arrived == 0 {
            self.touched[side].push(place);
        }
        *arrived += change;
    }

    /// Applies the edge changes that have arrived, and sends the resulting changes to destinations.
    fn change_edges(&mut self, mut send: impl FnMut((u32, i64))) {
        let mut changed = Vec::new();
        for EdgeChange { source, destination, insert } in std::mem::take(&mut self.edge_changes) {
            let place = source / self.peers;
            let (targets, share) = (&mut self.targets[place as usize], self.shares[place as usize]);
            if insert {
                targets.push(destination);
            } else {
                let position = targets.iter().position(|target| *target == destination);
                targets.swap_remove(position.expect("an edge that is removed was inserted before"));
            }
            if share != 0 {
                send((destination, if insert { share } else { -share }));
            }
            changed.push(place);
        }
        changed.sort_unstable();
        changed.dedup();
        for place in changed {
            self.update_share(place, &mut send);
        }
    }

    /// Applies the changes of an iteration, and sends those that follow, unless it is the last.
    fn iterate(&mut self, iteration: u64, last: bool, mut send: impl FnMut((u32, i64))) {
        let side = (iteration % 2) as usize;
        let mut touched = std::mem::take(&mut self.touched[side]);
        for place in touched.drain(..) {
            let change = std::mem::take(&mut self.arrived[side][place as usize]);
            if change != 0 {
                self.ranks[place as usize] += change;
                // Rounding can keep a change going around a cycle for ever, so there is a last iteration.
                if !last {
                    self.update_share(place, &mut send);
                }
            }
        }
        self.touched[side] = touched;
    }

    /// Recomputes the share of a place, and sends the difference to each destination.
    #[inline]
    fn update_share(&mut self, place: u32, send: &mut impl FnMut((u32, i64))) {
        let place = place as usize;
        let degree = self.targets[place].len() as i64;
        let share = if degree == 0 { 0 } else { 5 * self.ranks[place] / (6 * degree) };
        let change = share - std::mem::replace(&mut self.shares[place], share);
        if change != 0 {
            self.targets[place].iter().for_each(|target| send((*target, change)));
        }
    }

    fn checksum(&self, index: u64) -> u64 {
        let mut sum = 0u64;
        for (place, rank) in self.ranks.iter().enumerate() {
            let node = place as u64 * u64::from(self.peers) + index;
            sum = sum.wrapping_add((node + 1).wrapping_mul(*rank as u64));
        }
        sum
    }
}

pub fn run(worker: &mut Worker, harness: &mut Harness, options: &Options) -> Outcome {
    let nodes = options.number("nodes", 1_000_000);
    let edges = options.number("edges", 5_000_000);
    let changes = options.number("changes", 1_000).min(edges);
    let iterations = options.number("iterations", 100);
    let (index, peers) = (worker.index() as u64, worker.peers() as u64);
    let initial: Vec<(u32, u32)> =
        share(edges, worker.index(), worker.peers()).map(|number| edge(number, nodes)).collect();
    let part = Rc::new(RefCell::new(Part::new(index, peers, nodes)));

    let probe = ProbeHandle::new();
    let mut input = worker.dataflow::<u64, _, _>(|scope| {
        let (input, edges) = scope.new_input::<((u32, u32), bool)>();
        let (handle, rank_changes) = scope.feedback::<Vec<(u32, i64)>>(1);
        let part = Rc::clone(&part);
        edges
            .binary_frontier::<_, CapacityContainerBuilder<Vec<(u32, i64)>>, _, _, _, _>(
                rank_changes,
                Exchange::new(|change: &((u32, u32), bool)| u64::from(change.0.0)),
                Exchange::new(|change: &(u32, i64)| u64::from(change.0)),
                "PageRank",
                |_, _| {
                    let mut open: Vec<Capability<u64>> = Vec::new();
                    move |(edges, edge_frontier), (rank_changes, frontier), output| {
                        let part = &mut *part.borrow_mut();
                        edges.for_each(|time, batch| {
                            hold(&mut open, *time.time(), || time.retain(0));
                            part.edge_changes.extend(batch.drain(..).map(
                                |((source, destination), insert)| EdgeChange {
                                    source,
                                    destination,
                                    insert,
                                },
                            ));
                        });
                        rank_changes.for_each(|time, batch| {
                            hold(&mut open, *time.time(), || time.retain(0));
                            let iteration = time.time() % STRIDE;
                            batch
                                .drain(..)
                                .for_each(|(node, change)| part.receive(node, change, iteration));
                        });
                        open.sort_by_key(|held| *held.time());
                        let complete = |time: &u64| {
                            !edge_frontier.less_equal(time) && !frontier.less_equal(time)
                        };
                        for held in open.extract_if(.., |held| complete(held.time())) {
                            let iteration = held.time() % STRIDE;
                            let mut session = output.session(&held);
                            let send = |change| session.give(change);
                            match iteration {
                                0 => part.change_edges(send),
                                _ => part.iterate(iteration, iteration == iterations, send),
                            }
                        }
                    }
                },
            )
            .probe_with(&probe)
            .connect_loop(handle);
        input
    });

    let mut latencies = Histogram::new();
    let records = initial.len() as u64;
    let clock = harness.start(worker);
    for batch in initial.chunks(512) {
        input.send_batch(&mut batch.iter().map(|edge| (*edge, true)).collect());
        worker.step();
    }
    input.advance_to(STRIDE);
    harness.step_while(worker, || probe.less_than(&STRIDE));

    let loaded = clock.elapsed().as_secs_f64();
    for change in 0..changes {
        let begin = Instant::now();
        if change % peers == index {
            input.send((edge(edges + change, nodes), true));
            input.send((edge(change, nodes), false));
        }
        let next = (change + 2) * STRIDE;
        input.advance_to(next);
        harness.step_while(worker, || probe.less_than(&next));
        if index == 0 {
            latencies.add(begin.elapsed().as_nanos() as u64);
        }
    }
    let seconds = clock.elapsed().as_secs_f64();
    let ns_per_round = Some((seconds - loaded) * 1e9 / changes as f64);
    let checksum = part.borrow().checksum(index);
    Outcome { latencies, ns_per_round, ..Outcome::new(seconds, changes, records, checksum) }
}

/// Keeps the capability of a time that is not kept yet.
fn hold(open: &mut Vec<Capability<u64>>, time: u64, retain: impl FnOnce() -> Capability<u64>) {
    if !open.iter().any(|held| *held.time() == time) {
        open.push(retain());
    }
}
