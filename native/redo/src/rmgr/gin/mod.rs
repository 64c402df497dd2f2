//! Gin (13): redo of its pages.
