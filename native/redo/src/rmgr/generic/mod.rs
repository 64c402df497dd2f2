//! Generic (20): redo of its pages.
