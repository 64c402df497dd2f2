//! The text files that Postgres adds to a backup: backup_label and tablespace_map.

use offshoot_layout::Lsn;

/// What we need of backup_label.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BackupLabel {
    /// WAL is needed from here on.
    pub start: Lsn,
    pub timeline: u32,
}

impl BackupLabel {
    /// Parses the file; `None` when a line that we need is missing or malformed.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<BackupLabel> {
        let text = std::str::from_utf8(bytes).ok()?;
        let value = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));
        let start = value("START WAL LOCATION: ")?.split(' ').next()?;
        Some(BackupLabel {
            start: start.parse().ok()?,
            timeline: value("START TIMELINE: ")?.trim().parse().ok()?,
        })
    }
}

/// The tablespace oids that tablespace_map lists; each line is an oid, a blank, and the path on the
/// source, in which a line break is written with a backslash before it.
#[must_use]
pub fn tablespace_oids(bytes: &[u8]) -> Vec<u32> {
    let mut oids = Vec::new();
    let mut continued = false;
    for line in bytes.split(|&byte| byte == b'\n') {
        if !continued {
            let digits = line.iter().take_while(|byte| byte.is_ascii_digit()).count();
            let oid = std::str::from_utf8(&line[..digits]).ok();
            oids.extend(oid.and_then(|text| text.parse::<u32>().ok()));
        }
        let backslashes = line.iter().rev().take_while(|&&byte| byte == b'\\').count();
        continued = backslashes % 2 == 1;
    }
    oids
}

#[cfg(test)]
mod tests {
    use super::*;

    const LABEL: &str = "START WAL LOCATION: 0/2000028 (file 000000030000000000000002)\n\
        CHECKPOINT LOCATION: 0/2000060\nBACKUP METHOD: streamed\nBACKUP FROM: primary\n\
        START TIME: 2026-01-01 00:00:00 UTC\nLABEL: START TIMELINE: 9\nSTART TIMELINE: 3\n";

    #[test]
    fn label_gives_start_and_timeline() {
        let found = BackupLabel::parse(LABEL.as_bytes());
        assert_eq!(
            found,
            Some(BackupLabel {
                start: Lsn(0x0200_0028),
                timeline: 3
            })
        );
    }

    #[test]
    fn a_label_without_its_lines_is_refused() {
        for text in [
            "",
            "START WAL LOCATION: 0/2000028 (file x)\n",
            "START TIMELINE: 1\n",
        ] {
            assert_eq!(BackupLabel::parse(text.as_bytes()), None, "{text:?}");
        }
        let broken = LABEL.replace("0/2000028", "2000028");
        assert_eq!(BackupLabel::parse(broken.as_bytes()), None);
    }

    #[test]
    fn tablespaces_are_listed_one_per_logical_line() {
        let cases: [(&str, &[u32]); 4] = [
            ("", &[]),
            ("16500 /srv/a\n16501 /srv/b\n", &[16500, 16501]),
            ("16500 /odd\\\n77 name\n16501 /b\n", &[16500, 16501]),
            ("16500 /odd\\\\\n77 name\n", &[16500, 77]),
        ];
        for (text, expected) in cases {
            assert_eq!(tablespace_oids(text.as_bytes()), expected, "{text:?}");
        }
    }
}
