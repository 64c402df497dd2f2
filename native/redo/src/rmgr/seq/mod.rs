//! Sequence (15): redo of its pages.
