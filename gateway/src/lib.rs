//! The public door of the function platform.
