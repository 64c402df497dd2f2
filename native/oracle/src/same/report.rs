//! What differs between two data directories.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// What `oracle same` found.
#[derive(Debug, Default)]
pub struct SameReport {
    /// By kind of page or file: compared, differences.
    kinds: BTreeMap<&'static str, (u64, u64)>,
    /// The first ones.
    differences: Vec<String>,
    shown: usize,
}

impl SameReport {
    pub fn new(shown: usize) -> SameReport {
        SameReport {
            shown,
            ..SameReport::default()
        }
    }

    pub fn count(&mut self, kind: &'static str, difference: Option<String>) {
        let counts = self.kinds.entry(kind).or_default();
        counts.0 += 1;
        let Some(difference) = difference else { return };
        counts.1 += 1;
        if self.differences.len() < self.shown {
            self.differences.push(format!("{kind}: {difference}"));
        }
    }

    #[must_use]
    pub fn differing(&self) -> u64 {
        self.kinds.values().map(|counts| counts.1).sum()
    }

    #[must_use]
    pub fn compared(&self) -> u64 {
        self.kinds.values().map(|counts| counts.0).sum()
    }

    /// For programs.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let kinds = self.kinds.iter().map(|(name, (compared, differing))| {
            let counts = json!({ "compared": compared, "differing": differing });
            ((*name).to_owned(), counts)
        });
        json!({
            "compared": self.compared(),
            "differing": self.differing(),
            "kinds": serde_json::Map::from_iter(kinds),
            "differences": self.differences,
        })
    }

    /// For eyes.
    #[must_use]
    pub fn to_text(&self) -> String {
        let row = |(name, (compared, differing)): (&&str, &(u64, u64))| {
            format!("{name:20} {compared:9} compared, {differing} differ\n")
        };
        let rows: String = self.kinds.iter().map(row).collect();
        let lines = self.differences.iter();
        let lines: String = lines.map(|line| format!("DIFFERENCE {line}\n")).collect();
        rows + &lines
    }
}
