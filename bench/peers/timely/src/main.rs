//! `timely-bench`: the programs that Headway is measured against, written for timely dataflow.
//!
//! Every subcommand is one module of `benchmarks`; the command line, the start and the end of the clock, and the
//! printed report are common. `README.md` defines inputs, results and checksums, so that another engine's program
//! can do the same work.

mod benchmarks;
mod command_line;
mod generate;
mod harness;
mod histogram;
mod report;
mod tagged_strings;
mod traffic;

use std::process::ExitCode;

use harness::Harness;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("timely-bench: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (options, config) = command_line::parse(&arguments)?;
    let benchmark = benchmarks::find(&options.subcommand)?;
    options.check_file()?;

    let json = options.json;
    let hooks =
        if options.flag("count-progress") { traffic::counting_hooks() } else { Default::default() };
    let (builders, others) = config.communication.try_build_with(hooks)?;
    let guards = timely::execute::execute_from(builders, others, config.worker, move |worker| {
        let mut harness = Harness::new(worker, &options);
        let outcome = benchmark(worker, &mut harness, &options);
        harness.collect(worker, outcome)
    })?;
    for result in guards.join() {
        if let Some(report) = result? {
            println!("{}", if json { report.to_json() } else { report.to_text() });
        }
    }
    Ok(())
}
