//! Redo of hand-made records.
