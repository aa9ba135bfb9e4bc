//! Reads a file or a text into a typed value: syntax, then schema, then serde.
//!
//! Each stage reports all it can find; a later stage runs only when the earlier ones found nothing
//! that would make its words misleading. Files are bounded, since a mistyped path may be a device.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use toml::de::{DeTable, Deserializer};

use super::check::check;
use super::error::{Problem, SettingsError};
use super::schema::Schema;

/// No settings file is larger; a device may be endless.
const FILE_BYTES_MAX: u64 = 8 << 20;

/// Reads the settings file at `path`.
///
/// # Errors
/// When the file cannot be read or anything in it is wrong; the error shows every place.
pub fn load<T: DeserializeOwned + JsonSchema>(path: &Path) -> Result<T, SettingsError> {
    let name = path.display().to_string();
    let text = read(path).map_err(|error| SettingsError::unreadable(&name, &error))?;
    parse(&name, &text)
}

fn read(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        let message = format!("it is larger than {} MiB", FILE_BYTES_MAX >> 20);
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    String::from_utf8(bytes).map_err(|error| {
        let line = error.as_bytes()[..error.utf8_error().valid_up_to()]
            .iter()
            .filter(|byte| **byte == b'\n')
            .count();
        io::Error::new(io::ErrorKind::InvalidData, format!("line {} is not UTF-8", line + 1))
    })
}

/// Reads settings from `text`; `name` is what errors call it.
///
/// # Errors
/// When anything in the text is wrong; the error shows every place.
pub fn parse<T: DeserializeOwned + JsonSchema>(name: &str, text: &str) -> Result<T, SettingsError> {
    let fail = |problems| SettingsError::new(name, text, problems);

    let (mut table, syntax) = DeTable::parse_recoverable(text);
    if !syntax.is_empty() {
        return Err(fail(syntax.iter().map(from_toml).collect()));
    }
    let schema = Schema::of::<T>();
    let mut problems = check(table.get_mut(), schema.root());

    match serde_path_to_error::deserialize(Deserializer::from(table)) {
        Ok(value) if problems.is_empty() => Ok(value),
        Ok(_) => Err(fail(problems)),
        Err(error) => {
            let problem = from_serde(&error);
            // A place that has been complained about says nothing new.
            let is_new = problem.span.is_none() && problems.is_empty()
                || problem.span.is_some()
                    && problems.iter().all(|earlier| earlier.span != problem.span);
            if is_new {
                problems.push(problem);
            }
            Err(fail(problems))
        }
    }
}

fn from_toml(error: &toml::de::Error) -> Problem {
    Problem { span: error.span(), message: one_line(error.message()) }
}

fn from_serde(error: &serde_path_to_error::Error<toml::de::Error>) -> Problem {
    let path = error.path().to_string();
    let message = one_line(error.inner().message());
    let message = if path == "." { message } else { format!("`{path}`: {message}") };
    Problem { span: error.inner().span(), message }
}

fn one_line(message: &str) -> String {
    message.trim().replace('\n', ", ")
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use serde::{Deserialize, Serialize};

    use super::super::{Bytes, Span};
    use super::*;

    #[derive(Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
    #[serde(rename_all = "lowercase")]
    enum Colour {
        /// Like blood.
        #[default]
        Red,
        /// Like grass.
        Green,
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Door {
        #[schemars(with = "String")]
        address: SocketAddr,
        #[serde(default)]
        colour: Option<Colour>,
        #[serde(default)]
        limits: Limits,
    }

    #[derive(Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
    #[serde(default, deny_unknown_fields)]
    struct Limits {
        size: Bytes,
        wait: Span,
        count: u16,
        ratio: f32,
    }

    #[derive(Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
    #[serde(default, deny_unknown_fields)]
    struct House {
        name: String,
        door: Vec<Door>,
        limits: Limits,
    }

    fn problems(text: &str) -> Vec<String> {
        parse::<House>("h.toml", text).unwrap_err().lines().collect()
    }

    #[test]
    fn reads_what_is_right() {
        let house: House = parse(
            "h.toml",
            "name = 'a'\n[limits]\nsize = '2 KiB'\nratio = 1\n[[door]]\naddress = '[::1]:25'\n\
             colour = 'green'\nlimits = { wait = '3 s', count = 0xff }\n",
        )
        .unwrap();
        assert_eq!(house.limits.size, Bytes::kib(2));
        assert_eq!(house.door[0].colour, Some(Colour::Green));
        assert_eq!(house.door[0].limits.wait, Span::secs(3));
        assert_eq!(house.door[0].limits.count, 255);
        assert_eq!(parse::<House>("h.toml", "").unwrap(), House::default());
    }

    #[test]
    fn all_unknown_keys_with_the_nearest_name() {
        let text = "nam = 'a'\n[limit]\nx = 1\n[odor]\n[[door]]\naddress = '[::1]:25'\n[[door]]\n\
                    adress = '[::1]:26'\naddress = '[::1]:25'\nzzz = 1\n";
        assert_eq!(
            problems(text),
            [
                "h.toml:1:1: unknown key `nam`; did you mean `name`?",
                "h.toml:2:2: unknown key `limit`; did you mean `limits`?",
                "h.toml:4:2: unknown key `odor`; did you mean `door`?",
                "h.toml:8:1: unknown key `adress` in `door[1]`; did you mean `address`?",
                "h.toml:10:1: unknown key `zzz` in `door[1]`; known here: `address`, `colour`, `limits`",
            ]
        );
    }

    #[test]
    fn types_ranges_units_and_choices() {
        let text = "name = 5\n[limits]\nsize = '3 pounds'\nwait = 30\ncount = 70000\nratio = true\n\
                    [[door]]\naddress = '[::1]:25'\ncolour = 'gren'\n";
        assert_eq!(
            problems(text),
            [
                "h.toml:1:8: `name` must be a string, not integer",
                "h.toml:3:8: `limits.size`: `3 pounds` is no size; write `64 KiB`, `10 MiB` or bytes",
                "h.toml:4:8: `limits.wait` must be a span of time with its unit, such as \"30 s\", \
                 not integer",
                "h.toml:5:9: `limits.count` must be between 0 and 65535, not 70000",
                "h.toml:6:9: `limits.ratio` must be true or false, not boolean"
                    .replace("true or false", "a number")
                    .as_str(),
                "h.toml:9:10: `door[0].colour`: unknown choice `gren`; did you mean `green`?",
            ]
        );
    }

    #[test]
    fn what_only_serde_can_tell_has_a_path_and_a_place() {
        let text = "nam = 1\n[[door]]\naddress = '[::1]:25'\n[[door]]\naddress = 'nowhere'\n";
        let problems = problems(text);
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert!(problems[1].starts_with("h.toml:5:11: `door[1].address`: "), "{problems:?}");
    }

    #[test]
    fn a_missing_key_is_named() {
        assert_eq!(
            problems("name = 'a'\n\n[[door]]\ncolour = 'red'\n"),
            ["h.toml:3:1: `door[0].address` is missing"]
        );
    }

    #[test]
    fn syntax_errors_have_a_place() {
        let problems = problems("name = 'a\n[limits\nsize = 1\n");
        assert!(problems[0].starts_with("h.toml:1:"), "{problems:?}");
        assert!(problems.iter().any(|line| line.starts_with("h.toml:2:")), "{problems:?}");
    }

    #[test]
    fn files_that_cannot_be_read() {
        let missing = load::<House>(Path::new("/nowhere/x.toml")).unwrap_err();
        assert_eq!(missing.to_string(), "/nowhere/x.toml: there is no such file");
        let endless = load::<House>(Path::new("/dev/zero")).unwrap_err();
        assert!(endless.to_string().contains("larger than"), "{endless}");
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), b"a = 1\n\xff").unwrap();
        let binary = load::<House>(file.path()).unwrap_err();
        assert!(binary.to_string().contains("line 2 is not UTF-8"), "{binary}");
    }
}
