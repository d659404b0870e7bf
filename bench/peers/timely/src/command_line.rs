//! The command line: a subcommand, its arguments, and the arguments that timely itself understands.

/// The arguments of the command line. Arguments that a subcommand does not use keep their defaults.
#[derive(Clone, Debug)]
pub struct Options {
    pub subcommand: String,
    /// A file to read instead of generated text (`wordcount`).
    pub file: Option<String>,
    /// Worker threads of this process; all processes have as many.
    pub threads: usize,
    pub spin: bool,
    pub json: bool,
    values: Vec<(&'static str, Option<u64>)>,
    flags: Vec<&'static str>,
}

/// Numeric arguments: name and explanation.
const NUMBERS: &[(&str, &str)] = &[
    ("rounds", "rounds, epochs or iterations to run"),
    ("records", "records per round, over all workers"),
    ("elements", "records that travel around the loop (pingpong)"),
    ("iterations", "times around the loop (pingpong), or at most for each change (pagerank)"),
    ("dataflows", "number of dataflows (event_driven)"),
    ("depth", "operators in each dataflow (event_driven)"),
    ("length", "exchanges in the chain (exchange_chain)"),
    ("ahead", "rounds that are under way together (exchange_chain)"),
    ("maps", "maps in the chain (map_chain)"),
    ("keys", "distinct keys (keyed_count)"),
    ("epoch", "records per epoch, over all workers (keyed_count)"),
    ("bytes", "bytes of text to generate (wordcount)"),
    ("words", "distinct word numbers (wordcount)"),
    ("nodes", "nodes of the graph (bfs, unionfind, pagerank)"),
    ("edges", "edges of the graph (bfs, unionfind, pagerank)"),
    ("changes", "replaced edges, one at a time (pagerank)"),
    ("rate", "records per second, over all workers (openloop)"),
    ("seconds", "length of the schedule (openloop)"),
];

const FLAGS: &[(&str, &str)] = &[
    ("record", "send a record each round (event_driven, exchange_chain)"),
    ("flat", "chain outside a region (event_driven)"),
    ("at-frontier", "count and emit when the epoch is complete (keyed_count)"),
    ("strings", "records are (String, i64) (wordcount; the default)"),
    ("columnar", "records are in columnar batches (wordcount)"),
    ("count-progress", "count the frames of progress between processes"),
    ("in-place", "maps change the records where they are (map_chain)"),
];

impl Options {
    /// The number given as `--name`, or `default`.
    pub fn number(&self, name: &str, default: u64) -> u64 {
        let entry = self.values.iter().find(|(known, _)| *known == name);
        entry.expect("a number that the command line knows").1.unwrap_or(default)
    }

    pub fn flag(&self, name: &str) -> bool {
        self.flags.contains(&name)
    }

    /// Finds a missing file before any worker starts.
    pub fn check_file(&self) -> Result<(), String> {
        match &self.file {
            Some(path) => {
                std::fs::metadata(path).map(|_| ()).map_err(|error| format!("{path}: {error}"))
            }
            None => Ok(()),
        }
    }
}

/// Reads the arguments after the program's name.
pub fn parse(arguments: &[String]) -> Result<(Options, timely::Config), String> {
    let mut known = getopts::Options::new();
    timely::Config::install_options(&mut known);
    for (name, help) in NUMBERS {
        known.optopt("", name, help, "NUM");
    }
    for (name, help) in FLAGS {
        known.optflag("", name, help);
    }
    known.optflag("", "spin", "poll instead of parking when there is nothing to do");
    known.optflag("", "json", "print one JSON object instead of text");
    known.optflag("", "help", "print this");

    let brief = format!(
        "usage: timely-bench SUBCOMMAND [arguments] [-w WORKERS]\nsubcommands: {}",
        crate::benchmarks::names()
    );
    let matches = known.parse(arguments).map_err(|error| format!("{error}\n{brief}"))?;
    if matches.opt_present("help") {
        return Err(known.usage(&brief));
    }
    if matches.free.is_empty() || matches.free.len() > 2 {
        return Err(format!("expected a subcommand and at most one file\n{brief}"));
    }
    if matches.free.len() == 2 && matches.free[0] != "wordcount" {
        return Err(format!("{} takes no file, but got '{}'", matches.free[0], matches.free[1]));
    }
    let mut values = Vec::new();
    for (name, _) in NUMBERS {
        values.push((
            *name,
            matches.opt_get::<u64>(name).map_err(|error| format!("--{name}: {error}"))?,
        ));
    }
    if let Some((name, _)) = values.iter().find(|(_, value)| *value == Some(0)) {
        return Err(format!("--{name}: must be at least 1"));
    }
    let flags =
        FLAGS.iter().map(|(name, _)| *name).filter(|name| matches.opt_present(name)).collect();
    let options = Options {
        subcommand: matches.free[0].clone(),
        file: matches.free.get(1).cloned(),
        threads: matches.opt_get_default("w", 1).map_err(|error| format!("-w: {error}"))?,
        spin: matches.opt_present("spin"),
        json: matches.opt_present("json"),
        values,
        flags,
    };
    Ok((options, timely::Config::from_matches(&matches)?))
}
