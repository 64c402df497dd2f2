//! Gist (14): redo of its pages.
