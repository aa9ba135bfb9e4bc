//! The ARC chain (RFC 8617): who passed the message on, and what they say of it.
//!
//! What must stay true: nothing is believed of a chain that is not whole; a chain is bounded, for
//! each seal costs a question and some computing; weak seals break it. What the sealers say counts
//! only for those we trust: see [`Chain::vouches_for`].

use mail_auth::{AuthenticatedMessage, DkimResult, Parameters, dkim::VerifySignature};
use proto::types::{AuthResult, Domain};
use smallvec::SmallVec;

use super::{
    Arc, Rules,
    desk::{Inquiry, Lack},
    dkim::{Handed, is_weak, lacks_key, told, weakness},
    report::kept,
    scan::Scan,
};

/// Sets of a chain that is looked at. RFC 8617 §4.2.1 lets it have 50; real ones have five.
const SETS_MAX: usize = 20;

/// The chain, with what its sealers say.
#[derive(Debug, Default)]
pub(super) struct Chain {
    pub arc: Arc,
    /// The oldest first; empty unless the chain passes.
    links: Links,
}

type Links = SmallVec<[Link; 2]>;

#[derive(Debug, PartialEq, Eq)]
struct Link {
    sealer: Box<str>,
    claims: Claims,
}

/// What an ARC-Authentication-Results field says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Claims {
    /// `dmarc=pass`, and for whom.
    dmarc_pass: bool,
    author: Option<Box<str>>,
    arc_pass: bool,
}

pub(super) async fn check(
    inquiry: Inquiry<'_>,
    message: Option<&AuthenticatedMessage<'_>>,
    scan: &Scan,
) -> Chain {
    if scan.seals == 0 && scan.other_arc == 0 {
        return Chain::default();
    }
    let length = u32::try_from(scan.seals).unwrap_or(u32::MAX);
    let ended = |result, reason: Box<str>, sealer: Box<str>| Chain {
        arc: Arc { result, chain_length: length, sealer, reason },
        links: SmallVec::new(),
    };
    let Some(message) = message else {
        return ended(AuthResult::Policy, "the header is too large".into(), "".into());
    };
    if scan.seals > SETS_MAX || scan.other_arc > 2 * SETS_MAX {
        return ended(AuthResult::Policy, "the chain is too long".into(), "".into());
    }
    let sealer = message.arc_seals().last().map(|seal| kept(&seal.header.d)).unwrap_or_default();
    if let Some(why) = flaw(message) {
        return ended(AuthResult::Fail, why.into(), sealer);
    }
    let (result, links) = match verify(inquiry, message).await {
        Ok(verified) => verified,
        Err(why) => return ended(AuthResult::TempError, why, sealer),
    };
    let (result, reason): (_, Box<str>) = match &result {
        DkimResult::Pass => (AuthResult::Pass, "".into()),
        DkimResult::None => (AuthResult::Fail, "the chain is incomplete".into()),
        DkimResult::TempError(error) => (AuthResult::TempError, error.to_string().into()),
        DkimResult::Neutral(error) | DkimResult::Fail(error) | DkimResult::PermError(error) => {
            (AuthResult::Fail, told(error).into())
        }
    };
    Chain { links, ..ended(result, reason, sealer) }
}

/// What breaks a chain before anything is computed.
fn flaw(message: &AuthenticatedMessage<'_>) -> Option<&'static str> {
    let seals = message.arc_seals();
    if seals.iter().any(|seal| is_weak(seal.header.a, &seal.header.b)) {
        return Some("a seal is too weak");
    }
    let last = &message.arc_message_signatures().last()?.header;
    weakness(last.a, &last.b, &last.h, message.headers().len()).map(|(_, why)| why)
}

/// The result, and the links of a chain that passes. Asks for keys only when the chain is whole.
async fn verify(
    inquiry: Inquiry<'_>,
    message: &AuthenticatedMessage<'_>,
) -> Result<(DkimResult, Links), Box<str>> {
    let (result, links) = compute(inquiry, message, &Handed::default()).await;
    if !lacks_key(&result) {
        return Ok((result, links));
    }
    let mut keys = Handed::default();
    let last = message.arc_message_signatures().last().map(|found| &found.header);
    let of_message = last.map(|found| (found.selector(), found.domain()));
    let seals = message.arc_seals().iter().map(|seal| &seal.header);
    let of_seals = seals.map(|seal| (seal.selector(), seal.domain()));
    for (selector, domain) in of_message.into_iter().chain(of_seals) {
        match inquiry.key(selector, domain).await {
            Ok(key) => keys.add(selector, domain, key),
            Err(Lack::Temporary(why)) => return Err(why.into()),
            // It stays unknown, which breaks the chain.
            Err(_) => {}
        }
    }
    tokio::task::yield_now().await;
    Ok(compute(inquiry, message, &keys).await)
}

async fn compute(
    inquiry: Inquiry<'_>,
    message: &AuthenticatedMessage<'_>,
    keys: &Handed,
) -> (DkimResult, Links) {
    let parameters = Parameters::new(message).with_cache(keys);
    let output = inquiry.desk.verifier.verify_arc(parameters).await;
    let passes = *output.result() == DkimResult::Pass;
    let links = output.chain().iter().filter(|_| passes).map(Link::of).collect();
    (output.result().clone(), links)
}

impl Chain {
    /// Whether mail of `author` that fails DMARC here passed it before it was changed on its way,
    /// by the word of sealers we trust: the newest says so, or says that the chain passed up to it
    /// and an older one, whom we trust too, says so.
    pub fn vouches_for(&self, author: &Domain, rules: &Rules) -> bool {
        for link in self.links.iter().rev() {
            let sealer = Domain::parse(&link.sealer);
            if !sealer.is_ok_and(|sealer| rules.trusts_sealer(sealer.as_str())) {
                return false;
            }
            if link.claims.dmarc_pass {
                let named = link.claims.author.as_deref();
                return named.is_none_or(|named| named.eq_ignore_ascii_case(author.as_str()));
            }
            if !link.claims.arc_pass {
                return false;
            }
        }
        false
    }
}

impl Link {
    fn of(link: &mail_auth::arc::ChainLink<'_>) -> Self {
        Self { sealer: kept(&link.seal.header.d), claims: Claims::read(link.results.value) }
    }
}

impl Claims {
    fn read(field: &[u8]) -> Self {
        let mut claims = Self::default();
        let (mut dmarc_other, mut arc_other) = (false, false);
        for part in plain(field).split(';') {
            let mut words = part.split_ascii_whitespace();
            let Some((method, result)) = words.next().and_then(|word| word.split_once('=')) else {
                continue;
            };
            let passes = result.eq_ignore_ascii_case("pass");
            match method.to_ascii_lowercase().as_str() {
                "dmarc" if passes => {
                    claims.dmarc_pass = true;
                    let from = |word: &str| Some(word.strip_prefix("header.from=")?.into());
                    claims.author = claims.author.or_else(|| words.find_map(from));
                }
                "dmarc" => dmarc_other = true,
                "arc" if passes => claims.arc_pass = true,
                "arc" => arc_other = true,
                _ => {}
            }
        }
        claims.dmarc_pass &= !dmarc_other;
        claims.arc_pass &= !arc_other;
        claims
    }
}

/// The field without comments and without what quoted strings hold.
fn plain(field: &[u8]) -> String {
    let (mut text, mut depth, mut quoted, mut escaped) = (String::new(), 0u32, false, false);
    for c in String::from_utf8_lossy(field).chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' if depth > 0 || quoted => escaped = true,
            '"' if depth == 0 => quoted = !quoted,
            _ if quoted => {}
            '(' => {
                depth += 1;
                text.push(' ');
            }
            ')' if depth > 0 => depth -= 1,
            _ if depth > 0 => {}
            c => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(field: &str) -> (bool, Option<String>, bool) {
        let claims = Claims::read(field.as_bytes());
        (claims.dmarc_pass, claims.author.map(Into::into), claims.arc_pass)
    }

    #[test]
    fn only_what_is_plainly_said_counts() {
        let author = || Some("a.test".to_owned());
        assert_eq!(
            claims(
                " i=1; mx.test;\r\n spf=pass smtp.mailfrom=x;\r\n dmarc=pass (p=NONE) header.from=a.test\r\n"
            ),
            (true, author(), false)
        );
        assert_eq!(claims("i=2; mx.test; arc=pass; dmarc=fail"), (false, None, true));
        assert_eq!(
            claims("i=1; mx.test; dmarc=fail (dmarc=pass; dmarc=pass)"),
            (false, None, false)
        );
        assert_eq!(claims("i=1; mx.test; spf=none reason=\"; dmarc=pass\""), (false, None, false));
        assert_eq!(claims("i=1; mx.test; dmarc=pass; dmarc=fail"), (false, None, false));
        assert_eq!(claims("i=1; mx.test; xdmarc=pass; dmarc=passed"), (false, None, false));
    }
}
