//! What commands print: tables for people, JSON for scripts.

use std::io::Write;

use serde::Serialize;
use serde_json::Value;

/// How a command answers.
pub(super) struct Output {
    json: bool,
}

impl Output {
    pub fn new(json: bool) -> Self {
        Self { json }
    }

    /// A list: one line each under the headings, or one JSON array.
    pub fn list<T: Serialize, const N: usize>(
        &self,
        headings: [&str; N],
        items: &[T],
        row: impl Fn(&T) -> [String; N],
    ) -> anyhow::Result<()> {
        if self.json {
            return self.value(items);
        }
        let rows: Vec<[String; N]> = items.iter().map(row).collect();
        say(&table(headings, &rows));
        Ok(())
    }

    /// A sentence beside a list, about what the JSON shows in fields.
    pub fn remark(&self, sentence: &str) {
        if !self.json {
            say(sentence);
        }
    }

    /// What was done: sentences, or a JSON object.
    pub fn done(&self, sentences: &str, object: &impl Serialize) -> anyhow::Result<()> {
        if self.json {
            return self.value(object);
        }
        say(sentences);
        Ok(())
    }

    /// An answer of a daemon: a line for each field that has a value, or the JSON it is.
    pub fn object(&self, answer: &Value) -> anyhow::Result<()> {
        if self.json {
            return self.value(answer);
        }
        say(&fields(answer));
        Ok(())
    }

    /// A page of an answer: the columns under their headings, and how to see what comes next; or the JSON it is.
    pub fn page<const N: usize>(&self, answer: &Value, columns: [(&str, &str); N]) -> anyhow::Result<()> {
        if self.json {
            return self.value(answer);
        }
        let items = answer["data"].as_array().map(Vec::as_slice).unwrap_or_default();
        let rows: Vec<[String; N]> = items
            .iter()
            .map(|item| columns.map(|(_, pointer)| item.pointer(pointer).map_or_else(String::new, in_words)))
            .collect();
        say(&table(columns.map(|(heading, _)| heading), &rows));
        if answer["hasMore"] == true {
            complain(&format!("there is more: --cursor {}", in_words(&answer["nextCursor"])));
        }
        Ok(())
    }

    /// One of many things that happen one after the other: a line of text, or of JSON.
    pub fn line(&self, text: &str, object: &impl Serialize) -> anyhow::Result<()> {
        if self.json {
            say(&serde_json::to_string(object)?);
        } else {
            say(text);
        }
        Ok(())
    }

    fn value<T: Serialize + ?Sized>(&self, value: &T) -> anyhow::Result<()> {
        say(&serde_json::to_string_pretty(value)?);
        Ok(())
    }
}

/// A line for the standard output. A reader that has gone away (`| head`) is no reason to panic.
pub(super) fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// A line for people that is no part of the answer.
pub(super) fn complain(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// A line for each field, the values one below the other; what is null says nothing.
fn fields(answer: &Value) -> String {
    let Some(fields) = answer.as_object() else { return in_words(answer) };
    let shown: Vec<(&String, String)> = fields
        .iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(name, value)| (name, in_words(value)))
        .collect();
    let width = shown.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
    shown.iter().map(|(name, value)| format!("{name:<width$}  {value}")).collect::<Vec<_>>().join("\n")
}

/// A value in one line.
fn in_words(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Columns as wide as their widest cell.
pub(super) fn table<const N: usize>(headings: [&str; N], rows: &[[String; N]]) -> String {
    let headings = headings.map(str::to_owned);
    let mut widths = [0; N];
    for row in std::iter::once(&headings).chain(rows) {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |row: &[String; N]| {
        let cells: Vec<String> =
            row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        cells.join("  ").trim_end().to_owned()
    };
    std::iter::once(&headings).chain(rows).map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{fields, table};

    #[test]
    fn an_answer_is_a_line_for_each_field_that_has_a_value() {
        let answer = json!({"failure": null, "invoiceId": "INV-1", "ok": true, "terms": {"hold": 1}});
        assert_eq!(fields(&answer), "invoiceId  INV-1\nok         true\nterms      {\"hold\":1}");
    }

    #[test]
    fn columns_are_aligned() {
        let rows = [["shop".to_owned(), "1".to_owned()], ["a".to_owned(), "22".to_owned()]];
        assert_eq!(table(["NAME", "N"], &rows), "NAME  N\nshop  1\na     22");
        assert_eq!(table(["NAME", "N"], &[]), "NAME  N");
    }
}
