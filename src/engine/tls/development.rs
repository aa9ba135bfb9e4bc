//! Owns: the certificate of a server that has none yet. Must stay true: it is made once and kept,
//! so that peers which remember it (trust on first use, DANE) see the same; its key is readable by the
//! server's user alone. Fails: [`TlsError`] when the folder cannot be written.

use std::{
    fs::OpenOptions,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use jiff::{Timestamp, ToSpan, tz::TimeZone};
use rcgen::{CertificateParams, DnType, KeyPair, date_time_ymd};

use super::{Certificate, CertificateSettings, TlsError};

/// How long it is valid. Nobody renews it, and those who care about dates do not believe it anyway.
const YEARS: i16 = 10;
const MONTH_S: i64 = 30 * 24 * 60 * 60;

/// Where it lies in `folder`.
pub(super) fn place(folder: &Path) -> CertificateSettings {
    CertificateSettings {
        chain: folder.join("self-signed.pem"),
        key: folder.join("self-signed.key"),
    }
}

/// Makes one for `hostname`, unless there is one that will do. Whether it was made now.
pub(super) fn ensure(folder: &Path, hostname: &str, now_s: i64) -> Result<bool, TlsError> {
    let place = place(folder);
    if let Ok(present) = Certificate::load(&place) {
        let is_ours = present.names().iter().any(|name| name.eq_ignore_ascii_case(hostname));
        if is_ours && present.expires_s() - now_s > MONTH_S {
            return Ok(false);
        }
    }
    let library = |error: rcgen::Error| TlsError::Content {
        path: place.chain.clone(),
        what: format!("no certificate can be made for {hostname}: {error}"),
    };
    let mut params =
        CertificateParams::new(vec![hostname.to_ascii_lowercase()]).map_err(library)?;
    params.distinguished_name.push(DnType::CommonName, hostname);
    // From yesterday, for clocks that go wrong.
    let ((year, month, first), (last_year, last_month, last)) =
        (day(now_s, 0, -1), day(now_s, YEARS, 0));
    params.not_before = date_time_ymd(year, month, first);
    params.not_after = date_time_ymd(last_year, last_month, last);
    let key = KeyPair::generate().map_err(library)?;
    let certificate = params.self_signed(&key).map_err(library)?;
    write(&place.key, &key.serialize_pem(), 0o600)?;
    write(&place.chain, &certificate.pem(), 0o644)?;
    Ok(true)
}

/// So many years and days from now.
fn day(now_s: i64, years: i16, days: i64) -> (i32, u8, u8) {
    let now = TimeZone::UTC.to_datetime(Timestamp::from_second(now_s).unwrap_or_default());
    let date = now.saturating_add(years.years().days(days)).date();
    (i32::from(date.year()), date.month().unsigned_abs(), date.day().unsigned_abs())
}

fn write(path: &Path, text: &str, mode: u32) -> Result<(), TlsError> {
    let failed = |error: io::Error| TlsError::File { path: path.into(), error };
    // A new file: an old one may have other permissions.
    let draft = path.with_extension("new");
    let _ = std::fs::remove_file(&draft);
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(mode).open(&draft).map_err(failed)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
    std::fs::rename(&draft, path).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_made_once_and_anew_for_another_name_or_when_it_is_old() {
        let folder = tempfile::tempdir().unwrap();
        let now_s = 1_800_000_000;
        assert!(ensure(folder.path(), "mx.example.org", now_s).unwrap());
        assert!(!ensure(folder.path(), "MX.example.org", now_s).unwrap());
        let made = Certificate::load(&place(folder.path())).unwrap();
        assert_eq!(made.names(), ["mx.example.org".into()]);
        assert!(made.expires_s() > now_s + 9 * 365 * 24 * 60 * 60);
        assert!(ensure(folder.path(), "other.example.org", now_s).unwrap());
        assert!(ensure(folder.path(), "other.example.org", now_s + 11 * 31_557_600).unwrap());
    }
}
