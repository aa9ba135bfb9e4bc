//! Whether the client's name leads back to its address (RFC 8601 §3).

use std::net::IpAddr;

use proto::types::AuthResult;

use super::{
    Iprev,
    desk::{Inquiry, Lack},
    report::kept,
};

/// Names that are tried; each costs a question.
const NAMES_MAX: usize = 3;

pub(super) async fn check(inquiry: Inquiry<'_>, client: IpAddr) -> Iprev {
    let unnamed = |result| Iprev { result, client, name: "".into() };
    let names = match inquiry.names(client).await {
        Ok(names) => names,
        Err(Lack::Temporary(_)) => return unnamed(AuthResult::TempError),
        Err(_) => return unnamed(AuthResult::PermError),
    };
    let mut result = AuthResult::Fail;
    for name in names.iter().take(NAMES_MAX) {
        match inquiry.addresses(name, client).await {
            Ok(addresses) if addresses.contains(&client) => {
                return Iprev { result: AuthResult::Pass, client, name: kept(name) };
            }
            Err(Lack::Temporary(_)) => result = AuthResult::TempError,
            _ => {}
        }
    }
    Iprev { result, client, name: names.first().map(|name| kept(name)).unwrap_or_default() }
}
