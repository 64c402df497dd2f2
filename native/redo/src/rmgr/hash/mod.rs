//! Hash (12): redo of its pages.
