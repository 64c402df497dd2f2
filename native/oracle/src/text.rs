//! The report for eyes and for programs.

use std::fmt::Write;

use offshoot_redo::opcode::{BlockRedo, Opcode};
use offshoot_redo::rmgr_table::OPCODES;
use serde_json::{Value, json};

use crate::report::{Counts, Difference, FinalReport, Report};

/// All record types, one per line.
#[must_use]
pub fn opcodes_text() -> String {
    OPCODES
        .iter()
        .fold(String::new(), |text, row| text + row.name + "\n")
}

/// All record types, and whether they change pages.
#[must_use]
pub fn opcodes_json() -> Value {
    let row = |row: &Opcode| json!({ "name": row.name, "pages": !matches!(row.blocks, BlockRedo::NoBlocks) });
    OPCODES.iter().map(row).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

impl Counts {
    fn to_json(self) -> Value {
        json!({
            "records": self.records,
            "compared": self.compared,
            "restored": self.restored,
            "differences": self.differences,
            "known": self.known,
            "unsupported": self.unsupported,
            "skipped": self.skipped,
            "adopted": self.adopted,
            "errors": self.errors,
        })
    }

    fn row(&self, name: &str) -> String {
        format!(
            "{name:30} {:9} {:9} {:9} {:9} {:6} {:9} {:9} {:8} {:7}\n",
            self.records,
            self.compared,
            self.restored,
            self.differences,
            self.known,
            self.unsupported,
            self.skipped,
            self.adopted,
            self.errors
        )
    }
}

impl Difference {
    fn to_json(&self) -> Value {
        json!({
            "kind": self.kind.name(),
            "lsn": self.lsn.to_string(),
            "name": self.name,
            "block": self.key.to_string(),
            "block_id": self.block_id,
            "bytes": self.bytes,
            "at": self.at,
            "ours": hex(&self.ours),
            "theirs": hex(&self.theirs),
            "note": self.note,
        })
    }

    pub(crate) fn to_text(&self) -> String {
        let id = self
            .block_id
            .map_or(String::new(), |id| format!(" (id {id})"));
        format!(
            "{} {} {}{id} {}: {} bytes, first at {}: ours {} theirs {} {}",
            self.lsn,
            self.name,
            self.key,
            self.kind.name(),
            self.bytes,
            self.at,
            hex(&self.ours),
            hex(&self.theirs),
            self.note
        )
    }
}

impl FinalReport {
    fn to_json(&self) -> Value {
        let pages = self.pages.iter().map(|(name, (compared, differences))| {
            let counts = json!({ "compared": compared, "differences": differences });
            ((*name).to_owned(), counts)
        });
        let differences: Vec<_> = self.differences.iter().map(Difference::to_json).collect();
        let (compared, differing) = self.total();
        json!({
            "compared": compared,
            "differing": differing,
            "pages": serde_json::Map::from_iter(pages),
            "differences": differences,
        })
    }
}

impl Report {
    /// For programs.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let opcodes = self.opcodes.iter();
        let opcodes = opcodes.map(|(name, counts)| ((*name).to_owned(), counts.to_json()));
        let differences: Vec<_> = self.differences.iter().map(Difference::to_json).collect();
        json!({
            "start": self.start.to_string(),
            "end": self.end.to_string(),
            "end_reason": self.end_reason,
            "total": self.total().to_json(),
            "opcodes": serde_json::Map::from_iter(opcodes),
            "differences": differences,
            "errors": self.errors,
            "failures": self.failures,
            "final": self.final_state.as_ref().map(FinalReport::to_json),
        })
    }

    /// For eyes.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = format!(
            "{:30} {:>9} {:>9} {:>9} {:>9} {:>6} {:>9} {:>9} {:>8} {:>7}\n",
            "",
            "records",
            "compared",
            "restored",
            "differing",
            "known",
            "unsupp.",
            "skipped",
            "adopted",
            "errors"
        );
        for (name, counts) in &self.opcodes {
            text += &counts.row(name);
        }
        text += &self.total().row("total");
        for difference in &self.differences {
            let _ = writeln!(text, "DIFFERENCE {}", difference.to_text());
        }
        for error in &self.errors {
            let _ = writeln!(text, "ERROR {error}");
        }
        if let Some(state) = &self.final_state {
            for (name, (compared, differences)) in &state.pages {
                let _ = writeln!(
                    text,
                    "final {name:24} {compared:9} pages, {differences} differ"
                );
            }
            for difference in &state.differences {
                let _ = writeln!(text, "FINAL DIFFERENCE {}", difference.to_text());
            }
        }
        for failure in &self.failures {
            let _ = writeln!(text, "FAILURE {failure}");
        }
        let _ = writeln!(
            text,
            "from {} to {}: {}",
            self.start, self.end, self.end_reason
        );
        text
    }
}
