//! `compare`: the same cases against several servers, rounds interleaved.

use std::{net::SocketAddr, process::ExitCode};

use super::{
    arguments::CompareArguments,
    catalogue,
    mailbox::started,
    measure::{SETTLE, open_hop, place, run_name},
    output,
};
use crate::{
    compare::summarise,
    machine,
    mailbox::{self, Order},
    markdown,
    result::Run,
    scenario::{self, Scenario},
    server::{Recipe, Running},
    trial::{Display, NextHop, Trial, document},
};

/// Messages that go through a server before it is measured.
const WARM_UP: u64 = 100;
/// Messages while system calls are counted.
const SYSCALL_MESSAGES: u64 = 200;
const ROUNDS: u32 = 3;

/// One server in one case, once.
struct Leg<'a> {
    arguments: &'a CompareArguments,
    case: &'a str,
    scenario: &'a Scenario,
    recipe: &'a Recipe,
    round: u32,
}

pub fn run(arguments: &CompareArguments) -> Result<ExitCode, String> {
    let (name, base) = catalogue::scenario(&arguments.scenario)?;
    let over = Scenario {
        source: arguments.source.clone(),
        compare: arguments.compare.clone(),
        ..Scenario::default()
    };
    let base = base.with(&over)?;
    let recipes = recipes(&base)?;
    let cases = base.cases(&over)?;
    let meant = |case: &&(String, Scenario)| {
        arguments.case.as_ref().is_none_or(|text| case.0.contains(text))
    };
    let cases: Vec<&(String, Scenario)> = cases.iter().filter(meant).collect();
    if cases.is_empty() {
        return Err("no case has a name that holds this text".to_owned());
    }
    let rounds = base.compare.rounds.unwrap_or(ROUNDS).max(1);
    let seed = base.run.seed.unwrap_or(1);
    let mut result =
        document(&name, &base.description, seed, machine::describe(&arguments.place.folder));
    let mut failed = 0;
    for (case, scenario) in cases {
        for round in 1..=rounds {
            for recipe in &recipes {
                let leg = Leg { arguments, case, scenario, recipe, round };
                match leg.run() {
                    Ok(run) => result.runs.push(run),
                    // An hour of other legs is worth more than a clean end.
                    Err(error) => {
                        eprintln!("{}: {error}", leg.name());
                        failed += 1;
                    }
                }
            }
        }
    }
    if result.runs.is_empty() {
        return Err("nothing could be run".to_owned());
    }
    result.comparison = Some(summarise(&result.runs, rounds));
    if let Some(path) = &arguments.markdown {
        output::splice(path, &markdown::markdown(&result))?;
    }
    let told = output::tell(&result, &arguments.output)?;
    if failed > 0 {
        return Err(format!("{failed} runs are missing, for the reasons above"));
    }
    Ok(told)
}

/// The servers that were named; all must be there before the first is started.
fn recipes(scenario: &Scenario) -> Result<Vec<Recipe>, String> {
    if scenario.compare.server.is_empty() {
        return Err("no server is named: --server ringpost --server postfix …".to_owned());
    }
    let recipes = scenario
        .compare
        .server
        .iter()
        .map(|name| catalogue::recipe(name))
        .collect::<Result<Vec<_>, _>>()?;
    let missing: Vec<String> = recipes.iter().filter_map(Recipe::missing).collect();
    if missing.is_empty() { Ok(recipes) } else { Err(missing.join("; ")) }
}

impl Leg<'_> {
    fn name(&self) -> String {
        format!("{} · {} · round {}", self.case, self.recipe.name, self.round)
    }

    fn run(&self) -> Result<Run, String> {
        if self.scenario.mailbox.operation.is_some() {
            return self.run_mailboxes();
        }
        let place_arguments = &self.arguments.place;
        let sink_at = SocketAddr::from(([127, 0, 0, 1], place_arguments.sink_port));
        let hop = open_hop(self.scenario, sink_at, &self.arguments.cores.sink_cores)?;
        let sessions = self.scenario.source.connections.unwrap_or(20);
        let running = self
            .recipe
            .start(&place(place_arguments, sessions, self.scenario))
            .map_err(|error| error.to_string())?;
        let run = self.measure(&hop, &running);
        // A server that must be killed was measured all the same.
        if let Err(error) = running.stop() {
            eprintln!("{error}");
        }
        run
    }

    fn run_mailboxes(&self) -> Result<Run, String> {
        let (arguments, options) = (self.arguments, &self.scenario.mailbox);
        let servers = started(&arguments.place);
        let order = Order::new(options, servers, self.scenario.run.seed.unwrap_or(1))?;
        let place = place(&arguments.place, options.sessions(), self.scenario);
        let running = self.recipe.start(&place).map_err(|error| error.to_string())?;
        let (name, quiet) = (self.name(), arguments.output.quiet);
        let total = self.scenario.mailbox.operations;
        let mut display = Display::new(&name, total, quiet);
        let cores = &arguments.cores.source_cores;
        let run = mailbox::run(order, cores, Some(running.watch()), &mut display).map(|run| Run {
            server: Some(running.describe()),
            case: Some(self.case.to_owned()),
            round: Some(self.round),
            ..run
        });
        // A server that must be killed was measured all the same.
        if let Err(error) = running.stop() {
            eprintln!("{error}");
        }
        let run = run?;
        if !quiet {
            let rate = run.mailboxes.as_ref().map_or(0.0, |found| found.operations_per_s);
            let cpu = run.server_cost.as_ref().and_then(|cost| cost.cpu_us_per_message);
            eprintln!("{name}: {rate:.0}/s, {:.0} CPU-µs an operation", cpu.unwrap_or(0.0));
        }
        Ok(run)
    }

    fn measure(&self, hop: &NextHop, running: &Running) -> Result<Run, String> {
        self.trial(hop, None, Some(WARM_UP), true)?;
        let mut run = self.trial(hop, Some(running), None, self.arguments.output.quiet)?;
        run.server = Some(running.describe());
        run.case = Some(self.case.to_owned());
        run.round = Some(self.round);
        if let Some(counting) = running.watch().syscalls() {
            let counted = self.trial(hop, None, Some(SYSCALL_MESSAGES), true)?;
            let messages = counted.source.map_or(0, |source| source.messages_accepted);
            let calls = counting.stop().filter(|_| messages > 0);
            if let Some(cost) = &mut run.server_cost {
                cost.syscalls_per_message = calls.map(|calls| calls as f64 / messages as f64);
            }
        }
        Ok(run)
    }

    /// `messages`: so many instead of what the scenario says.
    fn trial(
        &self,
        hop: &NextHop,
        running: Option<&Running>,
        messages: Option<u64>,
        quiet: bool,
    ) -> Result<Run, String> {
        let to = SocketAddr::from(([127, 0, 0, 1], self.arguments.place.port));
        let mut source = self.scenario.source.clone();
        if messages.is_some() {
            (source.messages, source.duration, source.rate, source.arrivals) =
                (messages, None, None, None);
        }
        let load = scenario::load(&source, to, &run_name(), self.scenario.run.seed.unwrap_or(1))?;
        let total = load.limit.duration.is_none().then_some(load.limit.messages);
        let name = self.name();
        let trial = Trial {
            load,
            cores: &self.arguments.cores.source_cores,
            hop: Some(hop),
            watch: running.map(Running::watch),
            settle: self.scenario.run.settle.unwrap_or(SETTLE),
            expect: self.scenario.expect.clone(),
        };
        let run =
            trial.run(&mut Display::new(&name, total, quiet)).map_err(|error| error.to_string())?;
        if !quiet {
            let rate = crate::trial::rate(&run);
            let cpu = run.server_cost.as_ref().and_then(|cost| cost.cpu_us_per_message);
            eprintln!("{name}: {rate:.0}/s relayed, {:.0} CPU-µs a message", cpu.unwrap_or(0.0));
        }
        Ok(run)
    }
}
