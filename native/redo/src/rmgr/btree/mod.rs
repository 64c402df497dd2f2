//! Btree (11): redo of its pages.
