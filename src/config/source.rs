//! The values of the configuration as they were written, each with the place it was written in.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use toml_edit::{Document, Item, TableLike, Value};

use super::Problem;

/// What the variables of the environment begin with.
const PREFIX: &str = "PREAUTHD_";
/// Variables with the prefix that are no configuration: for the command line, or secrets that a key may name.
const OTHER_VARIABLES: [&str; 2] = ["PREAUTHD_CONFIG", "PREAUTHD_ANVIL"];
const SECRET_SUFFIXES: [&str; 2] = ["_KEY", "_PASSWORD"];

/// Where a value was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    File { path: PathBuf, line: usize },
    Variable(String),
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line } => write!(formatter, "{}, line {line}", path.display()),
            Self::Variable(name) => write!(formatter, "environment variable {name}"),
        }
    }
}

/// How a value was written; a variable of the environment may be read as either text or number.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Text,
    Number,
    Boolean,
    Any,
    List(Vec<String>),
    Numbers(Vec<String>),
    /// A type that no key takes.
    Wrong(&'static str),
}

/// One written value.
#[derive(Clone)]
pub(super) struct Entry {
    text: String,
    kind: Kind,
    pub place: Place,
}

impl Entry {
    /// The value as text, if it was written as one.
    pub fn text(&self) -> Option<&str> {
        matches!(self.kind, Kind::Text | Kind::Any).then_some(self.text.as_str())
    }

    /// The texts of a list, which may be a single text; a variable of the environment separates them by commas.
    pub fn texts(&self) -> Option<Vec<&str>> {
        match &self.kind {
            Kind::Text => Some(vec![self.text.as_str()]),
            Kind::Any => Some(self.text.split(',').map(str::trim).collect()),
            Kind::List(texts) => Some(texts.iter().map(String::as_str).collect()),
            Kind::Number | Kind::Boolean | Kind::Numbers(_) | Kind::Wrong(_) => None,
        }
    }

    /// The digits of a list of numbers, which may be a single one; a variable of the environment separates them by commas.
    pub fn numbers(&self) -> Option<Vec<&str>> {
        match &self.kind {
            Kind::Number => Some(vec![self.text.as_str()]),
            Kind::Any => Some(self.text.split(',').map(str::trim).collect()),
            Kind::Numbers(digits) => Some(digits.iter().map(String::as_str).collect()),
            Kind::Text | Kind::Boolean | Kind::List(_) | Kind::Wrong(_) => None,
        }
    }

    /// The value, if it was written as true or false.
    pub fn boolean(&self) -> Option<bool> {
        matches!(self.kind, Kind::Boolean | Kind::Any).then(|| self.text.parse().ok())?
    }

    /// The digits of the value, if it was written as a number.
    pub fn number(&self) -> Option<&str> {
        matches!(self.kind, Kind::Number | Kind::Any).then_some(self.text.as_str())
    }

    /// How an error message shows what was found.
    pub fn shown(&self) -> String {
        match self.kind {
            Kind::Wrong(name) => name.to_owned(),
            Kind::List(_) | Kind::Numbers(_) => "a list".to_owned(),
            Kind::Boolean => "a boolean".to_owned(),
            Kind::Number => self.text.clone(),
            Kind::Text | Kind::Any => format!("{:?}", self.text),
        }
    }

    /// The folder from which a relative path in this value counts: the file's own, or the current one.
    pub fn folder(&self) -> PathBuf {
        match &self.place {
            Place::File { path, .. } => path.parent().map(Path::to_owned).unwrap_or_default(),
            Place::Variable(_) => PathBuf::new(),
        }
    }
}

/// All written values by key; `operators.0.keystore` is the keystore of the first operator.
#[derive(Default)]
pub(super) struct Source {
    entries: BTreeMap<String, Entry>,
}

impl Source {
    /// Reads the text of a file.
    pub fn read_file(&mut self, path: &Path, text: &str) -> Result<(), Problem> {
        let document = Document::parse(text).map_err(|error| Problem {
            key: "the file".to_owned(),
            place: Some(Place::File {
                path: path.to_owned(),
                line: line_of(text, error.span().map(|span| span.start)),
            }),
            message: format!("is not TOML: {}", error.message()),
        })?;
        self.read_table("", document.as_table(), path, text);
        Ok(())
    }

    fn read_table(&mut self, prefix: &str, table: &dyn TableLike, path: &Path, text: &str) {
        for (name, item) in table.iter() {
            let key = format!("{prefix}{name}");
            let start = table.get_key_value(name).and_then(|(key, _)| key.span()).or_else(|| item.span());
            let line = line_of(text, start.map(|span| span.start));
            match item {
                Item::None => {}
                Item::Value(value) => self.read_value(&key, value, path, text, line),
                Item::Table(table) => self.read_table(&format!("{key}."), table, path, text),
                Item::ArrayOfTables(tables) => {
                    for (index, table) in tables.iter().enumerate() {
                        self.read_table(&format!("{key}.{index}."), table, path, text);
                    }
                }
            }
        }
    }

    fn read_value(&mut self, key: &str, value: &Value, path: &Path, text: &str, line: usize) {
        let (text, kind) = match value {
            Value::InlineTable(table) => return self.read_table(&format!("{key}."), table, path, text),
            Value::Array(values) if !values.is_empty() && values.iter().all(Value::is_inline_table) => {
                for (index, value) in values.iter().enumerate() {
                    self.read_value(&format!("{key}.{index}"), value, path, text, line);
                }
                return;
            }
            Value::String(value) => (value.value().clone(), Kind::Text),
            Value::Integer(value) => (value.display_repr().replace('_', ""), Kind::Number),
            Value::Float(value) => (value.display_repr().replace('_', ""), Kind::Number),
            Value::Boolean(value) => (value.value().to_string(), Kind::Boolean),
            Value::Datetime(_) => (String::new(), Kind::Wrong("a date")),
            Value::Array(values) if !values.is_empty() && values.iter().all(Value::is_integer) => {
                let digits = |value: &Value| value.as_integer().map(|number| number.to_string());
                (String::new(), Kind::Numbers(values.iter().filter_map(digits).collect()))
            }
            Value::Array(values) => {
                match values.iter().map(|value| value.as_str().map(str::to_owned)).collect() {
                    Some(texts) => (String::new(), Kind::List(texts)),
                    None => (String::new(), Kind::Wrong("a list")),
                }
            }
        };
        let place = Place::File { path: path.to_owned(), line };
        self.entries.insert(key.to_owned(), Entry { text, kind, place });
    }

    /// Lays the environment over what the file said. Operators named by it replace all of the file's.
    pub fn read_environment(&mut self, variables: impl IntoIterator<Item = (String, String)>) {
        let entries: Vec<(String, Entry)> = variables
            .into_iter()
            .filter(|(name, _)| is_configuration(name))
            .filter_map(|(name, text)| {
                let key = name.strip_prefix(PREFIX)?.to_ascii_lowercase().replace("__", ".");
                Some((key, Entry { text, kind: Kind::Any, place: Place::Variable(name) }))
            })
            .collect();
        if entries.iter().any(|(key, _)| key.starts_with("operators.")) {
            self.entries.retain(|key, _| !key.starts_with("operators."));
        }
        self.entries.extend(entries);
    }

    /// Takes a value out; what is left in the end is unknown.
    pub fn take(&mut self, key: &str) -> Option<Entry> {
        self.entries.remove(key)
    }

    /// How many operators are described.
    pub fn operator_indexes(&self) -> Vec<String> {
        let mut indexes: Vec<String> = self
            .entries
            .keys()
            .filter_map(|key| key.strip_prefix("operators.")?.split_once('.'))
            .map(|(index, _)| index.to_owned())
            .collect();
        indexes.sort_by_key(|index| (index.len(), index.clone()));
        indexes.dedup();
        indexes
    }

    /// Every key that nothing took.
    pub fn unknown(&self, known: &[&str]) -> Vec<Problem> {
        let is_named = |place: &Place| matches!(place, Place::Variable(_));
        self.entries
            .iter()
            .map(|(key, entry)| Problem {
                key: shown_key(key),
                place: Some(entry.place.clone()),
                message: match nearest(key, known) {
                    Some(near) if is_named(&entry.place) => {
                        format!("unknown key; did you mean {PREFIX}{}?", near.to_ascii_uppercase())
                    }
                    Some(near) => format!("unknown key; did you mean {near}?"),
                    None => "unknown key".to_owned(),
                },
            })
            .collect()
    }
}

/// `operators.0.env` as people write it: `operators[0].env`.
pub(super) fn shown_key(key: &str) -> String {
    match key.strip_prefix("operators.").and_then(|rest| rest.split_once('.')) {
        Some((index, field)) => format!("operators[{index}].{field}"),
        None => key.to_owned(),
    }
}

fn is_configuration(name: &str) -> bool {
    name.starts_with(PREFIX)
        && !OTHER_VARIABLES.contains(&name)
        && !SECRET_SUFFIXES.iter().any(|suffix| name.ends_with(suffix))
}

fn line_of(text: &str, offset: Option<usize>) -> usize {
    let before = text.get(..offset.unwrap_or_default()).unwrap_or_default();
    before.matches('\n').count() + 1
}

/// The known key a typing mistake probably meant.
fn nearest<'k>(key: &str, known: &[&'k str]) -> Option<&'k str> {
    known
        .iter()
        .map(|candidate| (edits(key, candidate), *candidate))
        .min()
        .filter(|(edits, candidate)| *edits <= 2.max(candidate.len() / 4))
        .map(|(_, candidate)| candidate)
}

/// Levenshtein's distance.
fn edits(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.bytes().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (b, cell) in other.bytes().zip(row.iter_mut().skip(1)) {
            let above = *cell;
            let changed = diagonal + usize::from(a != b);
            left = changed.min(above + 1).min(left + 1);
            (*cell, diagonal) = (left, above);
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typing_mistakes_are_measured_in_edits() {
        assert_eq!(edits("listn", "listen"), 1);
        assert_eq!(edits("kitten", "sitting"), 3);
        assert_eq!(nearest("poll_interval", &["listen", "poll_interval_ms"]), Some("poll_interval_ms"));
        assert_eq!(nearest("colour", &["listen", "escrow"]), None);
    }
}
