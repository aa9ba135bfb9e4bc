//! A delivery without a queue, to ask it what it would do: for `ringpost check`.
//!
//! It looks up for itself, with the settings of the file; a running server is not asked. Of its data
//! directory only the MTA-STS policies are used, when they can be read.

use std::sync::Arc;

use engine::dns::Resolver;
use engine::shard::{IoKind, Shard, probe, start};
use engine::tls::{Connector, https::Https};
use mail::delivery::tls::{Explanation, outcomes::Outcomes, policies::Policies};
use mail::delivery::{self, Delivery, SiteTable, mx::Own};

use super::settings::Settings;

/// What mail to `domain` (A-labels, lower case) would get. `then` sees it on the shard, where sockets
/// can be opened; what it returns is handed back.
///
/// # Errors
/// In words: the settings make no delivery.
pub fn explain_tls<T: Send + 'static>(
    settings: &Settings,
    domain: &str,
    then: impl AsyncFn(Explanation) -> T + Clone + Send + Sync + 'static,
) -> Result<T, String> {
    let (io, settings, domain) =
        (settings.server.io, Arc::new(settings.clone()), domain.to_owned());
    on_a_shard(io, async move |shard| {
        let delivery = delivery(shard, &settings)?;
        Ok(then(delivery.explain_tls(&domain).await).await)
    })?
}

/// What `task` makes, on a shard of its own: where the resolver and the checks of mail are at home.
///
/// # Errors
/// In words: there is no shard to be had.
pub fn on_a_shard<T: Send + 'static>(
    io: IoKind,
    task: impl AsyncFn(Shard) -> T + Clone + Send + Sync + 'static,
) -> Result<T, String> {
    let backend = probe(io).map_err(|error| error.to_string())?;
    let (sender, receiver) = std::sync::mpsc::channel();
    let shards = start(1, backend, move |shard| {
        let (sender, task) = (sender.clone(), task.clone());
        async move {
            let _ = sender.send(task(shard).await);
        }
    })
    .map_err(|error| error.to_string())?;
    let made = receiver.recv().map_err(|_| "the look-up broke off".to_owned());
    shards.join().map_err(|error| error.to_string())?;
    made
}

fn delivery(shard: Shard, settings: &Settings) -> Result<Delivery, String> {
    let ca_file = &settings.tls.ca_file;
    let connector = Connector::new(ca_file).map_err(|error| error.to_string())?;
    let policies = Https::new(ca_file).ok().and_then(|https| {
        Policies::open(&settings.server.data_dir, https, &settings.delivery.mta_sts).ok()
    });
    Delivery::new(delivery::Parts {
        shard,
        settings: Arc::new(settings.delivery.clone()),
        routes: settings.route.clone(),
        own: Own::default(),
        hostname: settings.hostname().as_str().into(),
        resolver: Resolver::new(&settings.dns).map_err(|error| error.to_string())?,
        connector: Arc::new(connector),
        policies: policies.map(Arc::new),
        outcomes: Outcomes::default(),
        local: None,
        sites: Arc::new(SiteTable::new(1)),
        metrics: Arc::default(),
    })
    .map_err(|error| error.to_string())
}
