//! What is sent: for every number the same template, sender and recipients, whoever asks and whenever.
//!
//! All that is random about a message follows from the seed and its number, never from the order in
//! which connections happen to come by: a run can be repeated, and threads share nothing.

use std::io::Write;

use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, Zipf};
use rand_pcg::Pcg64Mcg;

use super::{Spread, Template};

/// The domain of every sender; bounces go there.
pub const SENDER_DOMAIN: &str = "source.test";

/// Where recipients live.
#[derive(Debug)]
pub struct Domains {
    names: Vec<String>,
    popularity: Option<Zipf<f64>>,
}

impl Domains {
    /// These domains; with an exponent the first is the most popular (Zipf), else all are alike.
    ///
    /// # Errors
    /// No domain, or an exponent that is negative.
    pub fn new(names: Vec<String>, exponent: Option<f64>) -> Result<Self, String> {
        if names.is_empty() {
            return Err("no domain to send to".to_owned());
        }
        let popularity = exponent
            .map(|exponent| Zipf::new(names.len() as f64, exponent))
            .transpose()
            .map_err(|error| format!("zipf: {error}"))?;
        Ok(Self { names, popularity })
    }

    fn draw(&self, random: &mut Pcg64Mcg) -> &str {
        let at = match &self.popularity {
            Some(popularity) => popularity.sample(random) as usize - 1,
            None => random.random_range(0..self.names.len()),
        };
        &self.names[at.min(self.names.len() - 1)]
    }
}

/// See the module.
#[derive(Debug)]
pub struct Mailing {
    /// Names the run: letters and digits.
    pub run: String,
    /// Of everything random.
    pub seed: u64,
    /// The bodies, never none.
    pub templates: Vec<Template>,
    /// Recipients a message.
    pub recipients: Spread,
    /// Where they live.
    pub domains: Domains,
}

/// One message of a mailing, before it is written.
#[derive(Debug)]
pub struct Letter<'a> {
    mailing: &'a Mailing,
    /// Its number.
    pub number: u64,
    /// Its body.
    pub template: &'a Template,
    /// How many recipients it has: `r0@…`, `r1@…`.
    pub recipients: u64,
    random: Pcg64Mcg,
}

impl Mailing {
    /// The message of this number.
    #[must_use]
    pub fn letter(&self, number: u64) -> Letter<'_> {
        let mixed = self.seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut random = Pcg64Mcg::seed_from_u64(mixed);
        let template = &self.templates[random.random_range(0..self.templates.len())];
        let recipients = self.recipients.draw(&mut random).max(1);
        Letter { mailing: self, number, template, recipients, random }
    }

    /// The most recipients that a message can have.
    #[must_use]
    pub fn recipients_max(&self) -> u64 {
        self.recipients.max().max(1)
    }
}

impl Letter<'_> {
    /// Appends `sN-RUN@source.test`: an address of the message's own, so that a bounce names it.
    pub fn write_sender(&self, out: &mut Vec<u8>) {
        let _ = write!(out, "s{}-{}@{SENDER_DOMAIN}", self.number, self.mailing.run);
    }

    /// Appends the next recipient; they must be asked for in their order, once each.
    pub fn write_recipient(&mut self, index: u64, out: &mut Vec<u8>) {
        let _ = write!(out, "r{index}@{}", self.mailing.domains.draw(&mut self.random));
    }
}

/// The number in a sender's address of this run.
#[must_use]
pub fn number_of_sender(address: &str, run: &str) -> Option<u64> {
    let (local, _) = address.strip_prefix('s')?.split_once('@')?;
    let (number, of) = local.split_once('-')?;
    if of == run { number.parse().ok() } else { None }
}

/// The index in a recipient's address.
#[must_use]
pub fn index_of_recipient(address: &str) -> Option<u64> {
    address.strip_prefix('r')?.split_once('@')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Framing, synthetic};

    fn mailing(seed: u64) -> Mailing {
        let names = (0..100).map(|at| format!("site{at}.test")).collect();
        let recipients: Spread = "1..5".parse().unwrap();
        Mailing {
            run: "x1".into(),
            seed,
            templates: synthetic(&"1 KiB..9 KiB".parse().unwrap(), seed, Framing::Data),
            recipients,
            domains: Domains::new(names, Some(1.1)).unwrap(),
        }
    }

    fn text(mailing: &Mailing, number: u64) -> String {
        let mut letter = mailing.letter(number);
        let mut out = Vec::new();
        letter.write_sender(&mut out);
        for index in 0..letter.recipients {
            out.push(b' ');
            letter.write_recipient(index, &mut out);
        }
        let _ = write!(out, " {}", letter.template.size);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_number_always_gives_the_same_message() {
        let (one, again, other) = (mailing(1), mailing(1), mailing(2));
        assert_eq!(text(&one, 77), text(&again, 77));
        assert!((0..20).any(|number| text(&one, number) != text(&other, number)));
        assert!((0..20).any(|number| text(&one, number) != text(&one, number + 1)));
    }

    #[test]
    fn the_first_domain_is_the_most_popular() {
        let mailing = mailing(3);
        let hits = |name: &str| (0..2000).filter(|n| text(&mailing, *n).contains(name)).count();
        assert!(hits("@site0.test") > 5 * hits("@site50.test").max(1));
    }

    #[test]
    fn addresses_name_message_and_recipient() {
        assert_eq!(number_of_sender("s12-x1@source.test", "x1"), Some(12));
        assert_eq!(number_of_sender("s12-x2@source.test", "x1"), None);
        assert_eq!(number_of_sender("", "x1"), None);
        assert_eq!(index_of_recipient("r3@a.test"), Some(3));
        assert_eq!(index_of_recipient("root@a.test"), None);
    }
}
