//! BRIN (17): redo of its pages.
