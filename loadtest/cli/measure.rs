//! `smtp`, `relay` and `run`: one run against one server.
#![allow(clippy::print_stdout)]

use std::{net::SocketAddr, process::ExitCode, sync::Arc, time::Duration};

use super::{
    arguments::{
        OutputArguments, PlaceArguments, RelayArguments, RunArguments, ServerArguments,
        SmtpArguments,
    },
    catalogue, output,
};
use crate::{
    cores::Cores,
    cost::{Cgroup, Watch},
    machine,
    message::now_us,
    result::Run,
    scenario::{self, Scenario},
    server::{Place, Running},
    trial::{Display, NextHop, Trial, document},
};

/// How long nothing may arrive before what is missing counts as lost.
pub const SETTLE: Duration = Duration::from_secs(30);

/// A scenario with everything around it.
struct Order<'a> {
    name: String,
    scenario: Scenario,
    to: SocketAddr,
    sink: Option<SocketAddr>,
    server: &'a ServerArguments,
    source_cores: &'a Cores,
    sink_cores: &'a Cores,
    output: &'a OutputArguments,
}

pub fn smtp(arguments: SmtpArguments) -> Result<ExitCode, String> {
    let SmtpArguments { to, source, run, expect, server, cores, output } = arguments;
    let order = Order {
        name: "smtp".to_owned(),
        scenario: Scenario { source, run, expect, ..Scenario::default() },
        to,
        sink: None,
        server: &server,
        source_cores: &cores.source_cores,
        sink_cores: &cores.sink_cores,
        output: &output,
    };
    order.carry_out()
}

pub fn relay(arguments: RelayArguments) -> Result<ExitCode, String> {
    with_scenario("relay".to_owned(), Scenario::default(), arguments)
}

pub fn run(arguments: RunArguments) -> Result<ExitCode, String> {
    let Some(name) = arguments.scenario else {
        for (name, description) in catalogue::scenarios()? {
            println!("{name:<22} {description}");
        }
        return Ok(ExitCode::SUCCESS);
    };
    let (name, scenario) = catalogue::scenario(&name)?;
    with_scenario(name, scenario, arguments.relay)
}

fn with_scenario(
    name: String,
    base: Scenario,
    arguments: RelayArguments,
) -> Result<ExitCode, String> {
    let RelayArguments { ends, over, server, cores, output } = arguments;
    let order = Order {
        name,
        scenario: base.with(&over.scenario())?,
        to: ends.to,
        sink: Some(ends.sink),
        server: &server,
        source_cores: &cores.source_cores,
        sink_cores: &cores.sink_cores,
        output: &output,
    };
    order.carry_out()
}

impl Order<'_> {
    fn carry_out(mut self) -> Result<ExitCode, String> {
        let place = &self.server.place;
        if self.server.server.is_some() {
            self.to.set_port(place.port);
            self.sink = self.sink.map(|sink| SocketAddr::new(sink.ip(), place.sink_port));
        }
        let hop =
            self.sink.map(|sink| open_hop(&self.scenario, sink, self.sink_cores)).transpose()?;
        let running = self.start_server()?;
        let seed = self.scenario.run.seed.unwrap_or(1);
        let mut result = document(
            &self.name,
            &self.scenario.description,
            seed,
            machine::describe(&place.folder),
        );
        let run = self.measure(hop.as_ref(), running.as_ref());
        if let Some(running) = running {
            running.stop().map_err(|error| error.to_string())?;
        }
        result.runs.push(run?);
        output::tell(&result, self.output)
    }

    fn start_server(&self) -> Result<Option<Running>, String> {
        let Some(name) = &self.server.server else { return Ok(None) };
        let connections = self.scenario.source.connections.unwrap_or(20)
            + self.scenario.source.idle_connections.unwrap_or(0);
        let place = place(&self.server.place, connections, &self.scenario);
        catalogue::recipe(name)?.start(&place).map(Some).map_err(|error| error.to_string())
    }

    fn measure(&self, hop: Option<&NextHop>, running: Option<&Running>) -> Result<Run, String> {
        let watch = watch(self.server, running)?;
        let seed = self.scenario.run.seed.unwrap_or(1);
        let load = scenario::load(&self.scenario.source, self.to, &run_name(), seed)?;
        let total = load.limit.duration.is_none().then_some(load.limit.messages);
        let trial = Trial {
            load,
            cores: self.source_cores,
            hop,
            watch,
            settle: self.scenario.run.settle.unwrap_or(SETTLE),
            expect: self.scenario.expect.clone(),
        };
        let mut display = Display::new(&self.name, total, self.output.quiet);
        let mut run = trial.run(&mut display).map_err(|error| error.to_string())?;
        run.server = running.map(Running::describe);
        if run
            .source
            .as_ref()
            .is_some_and(|source| source.messages_accepted == 0 && source.connections_failed > 0)
        {
            let why = run.source.iter().flat_map(|source| source.failures.keys()).next();
            let why = why.map_or("it refused every connection", String::as_str);
            return Err(format!("no message got through to {}: {why}", self.to));
        }
        Ok(run)
    }
}

/// The server's processes, as far as they are known.
pub fn watch(server: &ServerArguments, running: Option<&Running>) -> Result<Option<Watch>, String> {
    Ok(match (running, server.server_pid, &server.server_cgroup) {
        (Some(running), _, _) => Some(running.watch()),
        (None, Some(pid), _) => Some(Watch::of(pid)),
        (None, None, Some(path)) => {
            let group =
                Cgroup::open(path).ok_or_else(|| format!("{} is no cgroup", path.display()))?;
            Some(Watch::cgroup(Arc::new(group)))
        }
        (None, None, None) => None,
    })
}

/// Opens the sink of a scenario.
pub fn open_hop(scenario: &Scenario, at: SocketAddr, cores: &Cores) -> Result<NextHop, String> {
    let seed = scenario.run.seed.unwrap_or(1);
    let domain = scenario.source.domain.as_deref();
    NextHop::open(cores, |inbox| scenario::hop(&scenario.sink, at, domain, inbox, seed))
        .map_err(|error| format!("the sink: {error}"))
}

/// Where a recipe's server runs.
pub fn place(arguments: &PlaceArguments, sessions: usize, scenario: &Scenario) -> Place {
    let beside = || std::env::current_exe().ok()?.parent().map(|folder| folder.join("ringpost"));
    Place {
        folder: arguments.folder.clone(),
        port: arguments.port,
        sink_port: arguments.sink_port,
        imap_port: arguments.imap_port,
        pop3_port: arguments.pop3_port,
        users: u32::try_from(scenario.mailbox.accounts()).unwrap_or(u32::MAX),
        dns_port: scenario.sink.dns.map_or(5300, |address| address.port()),
        out: scenario.compare.out.unwrap_or(50),
        sessions: u32::try_from(sessions).unwrap_or(u32::MAX),
        shards: u32::try_from(std::thread::available_parallelism().map_or(1, usize::from))
            .unwrap_or(1),
        program: arguments.program.clone().or_else(beside),
    }
}

/// A name that no earlier run has: mail of theirs may still lie in the server's queue.
pub fn run_name() -> String {
    format!("r{:x}", now_us())
}
