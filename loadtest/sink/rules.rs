//! How a next hop behaves: kindly, or as one of the bad neighbours that mail servers meet.

use std::{str::FromStr, sync::atomic::AtomicU64, sync::atomic::Ordering::Relaxed, time::Duration};

use memchr::memmem;
use rand::{Rng, RngExt};
use rand_distr::{Distribution, Exp1};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{scenario::human, stage::Stage};

/// Waits before the answer at a stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Delay {
    /// Where.
    pub stage: Stage,
    /// How long: `200 ms`.
    #[serde(with = "human::time")]
    #[schemars(with = "String")]
    pub time: Duration,
    /// The time is the mean of an exponential distribution, not always the same.
    #[serde(default)]
    pub random: bool,
}

/// Refuses at a stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// Where.
    pub stage: Stage,
    /// The reply code: 4xx or 5xx.
    pub code: u16,
    /// Of all commands, 0 to 1.
    #[serde(default = "always")]
    pub share: f64,
    /// Only so many of the first ones.
    #[serde(default)]
    pub first: Option<u64>,
    /// Only commands that hold this text.
    #[serde(default)]
    pub contains: Option<String>,
    /// What stands behind the code: `5.1.1 no such mailbox`.
    #[serde(default)]
    pub text: Option<String>,
}

/// Hangs up instead of answering at a stage; what was sent there is not taken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Drop {
    /// Where.
    pub stage: Stage,
    /// Of all commands, 0 to 1.
    #[serde(default = "always")]
    pub share: f64,
}

fn always() -> f64 {
    1.0
}

/// A next hop's manners. The default is a kind one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Rules {
    /// Speaks LMTP: one reply a recipient (RFC 2033).
    pub lmtp: bool,
    /// EHLO keywords that are not offered: `PIPELINING`, `SIZE`, `8BITMIME`, `SMTPUTF8`, `CHUNKING`, `DSN`.
    pub without: Vec<String>,
    /// Slow answers.
    pub delay: Vec<Delay>,
    /// Refusals.
    pub fail: Vec<Failure>,
    /// Connections that break.
    pub drop: Vec<Drop>,
    /// Never answers from this stage on.
    pub stall: Option<Stage>,
    /// Defers a recipient until it was asked for so long ago for the first time (by client, sender and recipient).
    #[serde(with = "human::optional_time")]
    #[schemars(with = "Option<String>")]
    pub greylist: Option<Duration>,
    /// Reads no more octets a second than this from a connection.
    pub read_per_s: Option<u64>,
    /// Connections an address takes at a time; more hear 421.
    pub connections_max: Option<u64>,
    /// Messages a connection carries; then MAIL hears 421.
    pub messages_max: Option<u64>,
}

impl Rules {
    /// The same offers, nothing unkind.
    #[must_use]
    pub fn made_kind(&self) -> Self {
        Self { lmtp: self.lmtp, without: self.without.clone(), ..Self::default() }
    }
}

impl Failure {
    /// Refuses every command of this stage.
    #[must_use]
    pub fn new(stage: Stage, code: u16) -> Self {
        Self { stage, code, share: 1.0, first: None, contains: None, text: None }
    }

    /// Only so many of the first ones.
    #[must_use]
    pub fn first(self, count: u64) -> Self {
        Self { first: Some(count), ..self }
    }

    /// Only commands that hold this text.
    #[must_use]
    pub fn containing(self, text: &str) -> Self {
        Self { contains: Some(text.to_owned()), ..self }
    }

    /// With these words.
    #[must_use]
    pub fn saying(self, text: &str) -> Self {
        Self { text: Some(text.to_owned()), ..self }
    }
}

/// `STAGE:CODE[:SHARE]`, as the command line has it.
impl FromStr for Failure {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut words = text.split(':');
        let stage = words.next().unwrap_or_default().parse()?;
        let code = words
            .next()
            .and_then(|word| word.parse().ok())
            .filter(|code| (400..600).contains(code));
        let code =
            code.ok_or_else(|| format!("'{text}': say STAGE:CODE[:SHARE], such as rcpt:450:0.1"))?;
        Ok(Self { share: share(words.next(), text)?, ..Self::new(stage, code) })
    }
}

/// `STAGE[:SHARE]`.
impl FromStr for Drop {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut words = text.split(':');
        let stage = words.next().unwrap_or_default().parse()?;
        Ok(Self { stage, share: share(words.next(), text)? })
    }
}

/// `STAGE:TIME[:random]`.
impl FromStr for Delay {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut words = text.split(':');
        let stage = words.next().unwrap_or_default().parse()?;
        let wrong = || format!("'{text}': say STAGE:TIME[:random], such as done:200ms");
        let time =
            humantime::parse_duration(words.next().unwrap_or_default()).map_err(|_| wrong())?;
        match words.next() {
            None => Ok(Self { stage, time, random: false }),
            Some("random") => Ok(Self { stage, time, random: true }),
            Some(_) => Err(wrong()),
        }
    }
}

fn share(word: Option<&str>, text: &str) -> Result<f64, String> {
    let share: f64 = word.unwrap_or("1").parse().map_err(|_| format!("'{text}': no share"))?;
    if (0.0..=1.0).contains(&share) {
        Ok(share)
    } else {
        Err(format!("'{text}': a share is 0 to 1"))
    }
}

/// [`Rules`] as a session asks them: by stage, with the counters of those that apply only to the first.
#[derive(Debug)]
pub struct Manners {
    /// As they were given.
    pub rules: Rules,
    stages: [StageManners; 8],
}

#[derive(Debug, Default)]
struct StageManners {
    delay: Option<Delay>,
    failures: Vec<(Failure, AtomicU64)>,
    drop: Option<f64>,
}

/// What a rule wants instead of the usual answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whim {
    /// Answers with this code and these words.
    Refuse(u16, Option<String>),
    /// Hangs up.
    HangUp,
}

impl Manners {
    /// Of these rules.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        let mut stages: [StageManners; 8] = Default::default();
        for delay in &rules.delay {
            stages[delay.stage as usize].delay = Some(delay.clone());
        }
        for failure in &rules.fail {
            let counted = (failure.clone(), AtomicU64::new(0));
            stages[failure.stage as usize].failures.push(counted);
        }
        for drop in &rules.drop {
            stages[drop.stage as usize].drop = Some(drop.share);
        }
        Self { rules, stages }
    }

    /// How long to wait before an answer.
    pub fn delay(&self, stage: Stage, random: &mut impl Rng) -> Option<Duration> {
        let delay = self.stages[stage as usize].delay.as_ref()?;
        if !delay.random {
            return Some(delay.time);
        }
        let factor: f64 = Exp1.sample(random);
        Some(delay.time.mul_f64(factor))
    }

    /// Whether something else than the usual answer is given to this command.
    pub fn whim(&self, stage: Stage, command: &[u8], random: &mut impl Rng) -> Option<Whim> {
        let manners = &self.stages[stage as usize];
        if manners.drop.is_some_and(|share| random.random_bool(share)) {
            return Some(Whim::HangUp);
        }
        let hit =
            manners.failures.iter().find(|(failure, seen)| failure.hits(command, seen, random));
        hit.map(|(failure, _)| Whim::Refuse(failure.code, failure.text.clone()))
    }
}

impl Failure {
    fn hits(&self, command: &[u8], seen: &AtomicU64, random: &mut impl Rng) -> bool {
        let meant = self
            .contains
            .as_ref()
            .is_none_or(|text| memmem::find(command, text.as_bytes()).is_some());
        meant
            && (self.share >= 1.0 || random.random_bool(self.share))
            && self.first.is_none_or(|first| seen.fetch_add(1, Relaxed) < first)
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_pcg::Pcg64Mcg;

    use super::*;

    #[test]
    fn rules_of_the_command_line() {
        let failure: Failure = "rcpt:450:0.1".parse().unwrap();
        assert_eq!((failure.stage, failure.code, failure.share), (Stage::Rcpt, 450, 0.1));
        assert_eq!("done".parse::<Drop>().unwrap().share, 1.0);
        let delay: Delay = "done:200ms:random".parse().unwrap();
        assert_eq!((delay.time, delay.random), (Duration::from_millis(200), true));
        for wrong in ["rcpt", "rcpt:250", "rcpt:450:2", "nowhere:450", ""] {
            assert!(wrong.parse::<Failure>().is_err(), "{wrong}");
        }
        assert!("done:soon".parse::<Delay>().is_err() && "done:x".parse::<Drop>().is_err());
    }

    #[test]
    fn whims_follow_share_text_and_count() {
        let fail = vec![
            Failure::new(Stage::Mail, 451).first(2),
            Failure::new(Stage::Rcpt, 550).containing("nobody"),
            Failure { share: 0.25, ..Failure::new(Stage::Data, 452) },
        ];
        let manners = Manners::new(Rules { fail, ..Rules::default() });
        let mut random = Pcg64Mcg::seed_from_u64(1);
        let mut ask = |stage, command: &[u8]| manners.whim(stage, command, &mut random);
        let mails: Vec<bool> = (0..3).map(|_| ask(Stage::Mail, b"").is_some()).collect();
        assert_eq!(mails, [true, true, false]);
        assert_eq!(ask(Stage::Rcpt, b"RCPT TO:<nobody@x>"), Some(Whim::Refuse(550, None)));
        assert_eq!(ask(Stage::Rcpt, b"RCPT TO:<r1@x>"), None);
        let refused = (0..1000).filter(|_| ask(Stage::Data, b"").is_some()).count();
        assert!(refused.abs_diff(250) < 60, "{refused}");
        assert_eq!(ask(Stage::Done, b""), None);
    }
}
