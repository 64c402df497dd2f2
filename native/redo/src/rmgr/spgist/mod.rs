//! SPGist (16): redo of its pages.
