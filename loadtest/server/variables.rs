//! `{name}` in a recipe's texts and commands.
//!
//! Owns which names there are. In paths and commands a name that nobody knows is an error; in the
//! text of a file it stays as it is, for configurations have braces of their own (Exim, JavaScript).

use super::Error;

/// Names and what they stand for.
#[derive(Clone, Debug)]
pub(super) struct Variables(Vec<(&'static str, String)>);

impl Variables {
    pub(super) fn new(values: Vec<(&'static str, String)>) -> Self {
        Self(values)
    }

    fn value(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }

    /// The text of a file: what is not known stays.
    pub(super) fn fill(&self, text: &str) -> String {
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, name, after)) = next_name(rest) {
            filled.push_str(before);
            match self.value(name) {
                Some(value) => filled.push_str(value),
                None => {
                    filled.push('{');
                    filled.push_str(name);
                    filled.push('}');
                }
            }
            rest = after;
        }
        filled.push_str(rest);
        filled
    }

    /// A path or a word of a command.
    ///
    /// # Errors
    /// [`Error::Variable`] names what is not known.
    pub(super) fn word(&self, text: &str) -> Result<String, Error> {
        let filled = self.fill(text);
        let mut rest = text;
        while let Some((_, name, after)) = next_name(rest) {
            if self.value(name).is_none() {
                let known = self.0.iter().map(|(known, _)| *known).collect::<Vec<_>>().join(" ");
                return Err(Error::Variable { name: name.to_owned(), known });
            }
            rest = after;
        }
        Ok(filled)
    }

    /// A command as a shell would have it typed: every word quoted.
    pub(super) fn command(&self, words: &[String]) -> Result<String, Error> {
        let words: Result<Vec<String>, Error> =
            words.iter().map(|word| Ok(quoted(&self.word(word)?))).collect();
        Ok(words?.join(" "))
    }
}

/// The text before the next `{name}`, the name, and the text after it.
fn next_name(text: &str) -> Option<(&str, &str, &str)> {
    let mut from = 0;
    while let Some(open) = text[from..].find('{').map(|at| from + at) {
        let inner = &text[open + 1..];
        let length = inner.bytes().take_while(|b| b.is_ascii_lowercase() || *b == b'_').count();
        if length > 0 && inner[length..].starts_with('}') {
            return Some((&text[..open], &inner[..length], &inner[length + 1..]));
        }
        from = open + 1;
    }
    None
}

/// A word that a shell takes as it is.
pub(super) fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some() -> Variables {
        Variables::new(vec![("port", "25".to_owned()), ("sink_port", "26".to_owned())])
    }

    #[test]
    fn texts_keep_braces_of_their_own() {
        let text = "a {port}{sink_port} ${if eq{$a}{b}{c}} {} {{port}} {Port} {";
        assert_eq!(some().fill(text), "a 2526 ${if eq{$a}{b}{c}} {} {25} {Port} {");
    }

    #[test]
    fn words_must_be_known() {
        assert_eq!(some().word("x{port}").unwrap(), "x25");
        let error = some().word("{prot}").unwrap_err().to_string();
        assert!(error.contains("prot") && error.contains("sink_port"), "{error}");
    }

    #[test]
    fn commands_are_quoted() {
        let words = ["it's".to_owned(), "{port} $x".to_owned()];
        assert_eq!(some().command(&words).unwrap(), r"'it'\''s' '25 $x'");
    }
}
