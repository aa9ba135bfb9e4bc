//! The message of PLAIN (RFC 4616 §2): `[authzid] NUL authcid NUL passwd`.

use super::{Failure, Identity, Limits, Mechanism, Password, prepare};

/// Reads the one message of the mechanism.
pub(super) fn parse(message: &[u8], limits: &Limits) -> Result<(Identity, Password), Failure> {
    let mut parts = message.splitn(3, |octet| *octet == 0);
    let (Some(authorization), Some(authentication), Some(password)) =
        (parts.next(), parts.next(), parts.next())
    else {
        return Err(Failure::Malformed);
    };
    if password.contains(&0) {
        return Err(Failure::Malformed);
    }
    let authentication = name(authentication, limits)?.ok_or(Failure::Malformed)?;
    let identity = Identity::new(Mechanism::Plain, authentication, name(authorization, limits)?);
    Ok((identity, prepare::password(password, limits)?))
}

/// An identity in octets; `None` when it is empty.
pub(super) fn name(octets: &[u8], limits: &Limits) -> Result<Option<Box<str>>, Failure> {
    prepare::identity(std::str::from_utf8(octets).map_err(|_| Failure::Wrong)?, limits)
}
